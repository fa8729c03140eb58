//! The one directory a package may use, and files looked up in it.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::super::model::nearest_name;
use super::VendorError;

/// First bytes of a git-lfs pointer.
pub(super) const POINTER: &[u8] = b"version https://git-lfs";

/// A package's directory.
#[derive(Debug)]
pub(super) struct Folder {
    /// Without links.
    root: PathBuf,
    /// What files may lie in: the root, or the cache that its links lead into.
    limit: PathBuf,
}

/// What a look at a file finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file.
    File {
        /// Where the package has it: what belongs to it lies beside this, and this has its ending.
        named: PathBuf,
        /// The same without links. In the cache of Hugging Face's tools it has a digest for a name.
        real: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Not there.
    Missing,
    /// A placeholder of git-lfs.
    Pointer,
}

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, VendorError> {
        let fail = |source| VendorError::Io { path: dir.to_owned(), source };
        let root = dir.canonicalize().map_err(fail)?;
        std::fs::read_dir(&root).map_err(fail)?;
        let limit = hub_cache(&root).unwrap_or_else(|| root.clone());
        Ok(Self { root, limit })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Looks up the file `name`, the value of `key`.
    ///
    /// # Errors
    ///
    /// [`VendorError::Outside`] if it leads out of the directory, whether there is something or not.
    pub(super) fn find(&self, key: &'static str, name: &str) -> Result<Found, VendorError> {
        let outside =
            || VendorError::Outside { dir: self.root.clone(), key, name: name.chars().take(200).collect() };
        let path = self.root.join(name);
        let Ok(real) = path.canonicalize() else {
            // What is not there cannot be followed; then the name itself must stay inside.
            return if stays_inside(name) || path.starts_with(&self.root) && !name.contains("..") {
                Ok(Found::Missing)
            } else {
                Err(outside())
            };
        };
        if !real.starts_with(&self.limit) {
            return Err(outside());
        }
        let fail = |source| VendorError::Io { path: real.clone(), source };
        let data = real.metadata().map_err(fail)?;
        if !data.is_file() {
            return Ok(Found::Missing);
        }
        let mut front = Vec::with_capacity(POINTER.len());
        let file = File::open(&real).map_err(fail)?;
        file.take(POINTER.len() as u64).read_to_end(&mut front).map_err(fail)?;
        Ok(if front == POINTER {
            Found::Pointer
        } else {
            Found::File { named: path, real, bytes: data.len() }
        })
    }

    /// The directory `name`, if it is one and inside.
    pub(super) fn directory(&self, name: &str) -> Option<PathBuf> {
        let real = self.root.join(name).canonicalize().ok()?;
        (real.starts_with(&self.limit) && real.is_dir()).then_some(real)
    }

    /// The name of the package: of its directory, or of the model whose cache it is.
    pub(super) fn name(&self) -> String {
        let of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if self.limit == self.root {
            return of(&self.root);
        }
        of(&self.limit).trim_start_matches("models--").replace("--", "/")
    }

    /// Names of all entries, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// `"; the nearest name there is ..."` for a file that is missing, or what there is of its directory.
    pub(super) fn nearest(&self, name: &str) -> String {
        let path = self.root.join(name);
        match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            (Some(parent), Some(file)) if parent.is_dir() => nearest_name(parent, file),
            (Some(parent), _) => {
                let shown = parent.strip_prefix(&self.root).unwrap_or(parent).display();
                format!("; the directory {shown} does not exist")
            }
            _ => String::new(),
        }
    }

    /// Reads a small file of the package; `None` if it is not there or leads elsewhere.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, VendorError> {
        let path = self.root.join(name);
        let inside = path.canonicalize().is_ok_and(|real| real.starts_with(&self.limit) && real.is_file());
        if !inside {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
            .map_err(|source| VendorError::Io { path: path.clone(), source })?;
        if bytes.len() as u64 > limit {
            let reason = format!("is larger than {limit} bytes; it is not what its name says");
            return Err(VendorError::File { path, reason });
        }
        Ok(Some(bytes))
    }
}

/// Whether a file's name ends in `.end`.
pub(super) fn has_end(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(end))
}

/// Whether a name, taken by itself, does not lead out of where it is used.
fn stays_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// In the cache of Hugging Face's tools a model lies in `models--X/snapshots/REVISION` and consists of links into
/// `models--X/blobs`; the whole `models--X` is the package then.
fn hub_cache(root: &Path) -> Option<PathBuf> {
    let snapshots = root.parent()?;
    let model = snapshots.parent()?;
    let fits = snapshots.file_name()? == "snapshots" && model.join("blobs").is_dir();
    fits.then(|| model.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        let root = dir.path().join("package");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("a"), "x").unwrap();
        symlink(dir.path().join("secret"), root.join("link")).unwrap();
        symlink("a", root.join("alias")).unwrap();
        let folder = Folder::open(&root).unwrap();
        let real = folder.root().to_owned();
        for (name, inside) in [
            ("a", true),
            ("./sub/../a", true),
            ("alias", true),
            (real.join("a").to_str().unwrap(), true),
            ("../secret", false),
            ("../absent", false),
            ("sub/../../absent", false),
            ("/etc/absent", false),
            ("/etc/passwd", false),
            ("link", false),
        ] {
            assert_eq!(folder.find("k", name).is_ok(), inside, "{name}");
        }
        assert_eq!(folder.find("k", "absent").unwrap(), Found::Missing);
        assert_eq!(folder.find("k", "sub").unwrap(), Found::Missing);
        assert_eq!(folder.read("link", 10).unwrap(), None);
        assert!(folder.read("a", 0).is_err());
    }

    #[test]
    fn a_cache_of_links_is_one_package() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("models--x--y/snapshots/abc");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(dir.path().join("models--x--y/blobs")).unwrap();
        fs::write(dir.path().join("models--x--y/blobs/123"), "x").unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        symlink("../../blobs/123", root.join("a")).unwrap();
        symlink("../../../secret", root.join("b")).unwrap();
        let folder = Folder::open(&root).unwrap();
        let found =
            Found::File { named: folder.root().join("a"), real: folder.limit.join("blobs/123"), bytes: 1 };
        assert_eq!(folder.find("k", "a").unwrap(), found);
        assert!(folder.find("k", "b").is_err());
        assert_eq!(folder.name(), "x/y");
    }
}
