//! The file tree that is examined: the machine's own, or one that a test built or an owner sent in.
//!
//! Nothing read from it is trusted: reads are bounded, never wait (a pipe in the place of a file would block), turn any
//! bytes into text, and follow links as the examined machine would, never out of the tree. The tree is not expected to
//! change meanwhile.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// Most files of `/proc` and `/sys` are a line; the longest of interest, `/var/lib/dpkg/status`, is a few megabytes.
const READ_LIMIT: u64 = 8 << 20;

/// Names of one directory that are looked at.
const NAME_LIMIT: usize = 4096;

/// Links on one path that are followed, as by the kernel.
const LINK_LIMIT: u32 = 40;

/// A directory that stands for `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    /// The tree below `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Whether this is the running machine.
    pub fn is_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where `path`, absolute on the examined machine, lies here, links followed. What is not there is a path all the
    /// same.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.resolve(path.as_ref(), true)
    }

    /// The path without links of what is at `path`, both as the examined machine names it.
    pub fn followed(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let here = self.path(path);
        if self.is_machine() {
            return here.canonicalize().ok();
        }
        here.exists().then(|| Path::new("/").join(here.strip_prefix(&self.0).unwrap_or(&here)))
    }

    /// Follows links by hand: a copy's absolute ones are meant from its own root, and `..` ends there.
    fn resolve(&self, path: &Path, with_last: bool) -> PathBuf {
        if self.is_machine() {
            return Path::new("/").join(path);
        }
        let mut here = self.0.clone();
        let mut rest = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                if here != self.0 {
                    here.pop();
                }
                continue;
            }
            let next = here.join(&part);
            if let Ok(target) = std::fs::read_link(&next)
                && (with_last || !rest.is_empty())
            {
                links += 1;
                if links > LINK_LIMIT {
                    // Most likely a circle. No file has such a name.
                    return self.0.join("\0");
                }
                if target.is_absolute() {
                    here.clone_from(&self.0);
                }
                rest.extend(parts(&target));
            } else {
                here = next;
            }
        }
        here
    }

    /// Whether there is anything at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// What is known of the file at `path`, links followed.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Option<Metadata> {
        self.path(path).metadata().ok()
    }

    /// The beginning of a file; `None` if it is not there or not readable.
    pub fn bytes(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.bytes_up_to(path, READ_LIMIT)
    }

    /// The first `limit` bytes of a file; `None` if it is not there or not readable.
    pub fn bytes_up_to(&self, path: impl AsRef<Path>, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Text of a file without blanks and NUL bytes at its end; `None` if it is not there or not readable.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = self.bytes(path)?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_end_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
    }

    /// Text at the end of a long file.
    pub fn end_of(&self, path: impl AsRef<Path>) -> Option<String> {
        let mut file = self.open(path).ok()?;
        let start = file.metadata().ok()?.len().saturating_sub(READ_LIMIT);
        file.seek(SeekFrom::Start(start)).ok()?;
        let mut bytes = Vec::new();
        file.take(READ_LIMIT).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A number in a file of its own.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.text(path)?.trim().parse().ok()
    }

    /// Whether the file is there but this user may not read it.
    pub fn is_denied(&self, path: impl AsRef<Path>) -> bool {
        self.open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    }

    /// Names in a directory, sorted; none if it is not there.
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).take(NAME_LIMIT).collect();
        names.sort();
        names
    }

    /// File name of what a link points to.
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = std::fs::read_link(self.resolve(path.as_ref(), false)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Opens for reading; see the module's page for what it promises.
    pub fn open(&self, path: impl AsRef<Path>) -> std::io::Result<File> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().read(true).custom_flags(nonblocking).open(self.path(path))
    }
}

/// Names and `..`, the first last.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root_and_any_bytes_are_text() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        std::fs::create_dir(directory.path().join("proc")).unwrap();
        std::fs::write(directory.path().join("proc/model"), b"Pi \xff\0\0").unwrap();
        assert_eq!(root.text("/proc/model").as_deref(), Some("Pi \u{fffd}"));
        assert_eq!(root.names("/proc"), ["model"]);
        assert_eq!((root.text("/proc"), root.text("/none")), (None, None));
    }

    #[test]
    fn links_are_followed_as_the_examined_machine_would() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("secret");
        std::fs::write(&outside, "of the examiner").unwrap();
        let tree = directory.path().join("tree");
        std::fs::create_dir_all(tree.join("etc/deep")).unwrap();
        std::fs::write(tree.join("etc/name"), "of the other").unwrap();
        let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, tree.join(name)).unwrap();
        link(outside.to_str().unwrap(), "absolute");
        link("../secret", "up");
        link("../../../../../../../../../etc/name", "etc/deep/far_up");
        link("/etc", "settings");
        link("circle", "circle");
        link("/", "top");
        let root = Root::new(&tree);
        assert_eq!((root.text("/absolute"), root.text("/up"), root.text("/circle")), (None, None, None));
        assert!(!root.exists("/absolute") && root.metadata("/circle").is_none());
        assert_eq!(root.text("/etc/deep/far_up").as_deref(), Some("of the other"));
        assert_eq!(root.text("/settings/name").as_deref(), Some("of the other"));
        assert_eq!(root.names("/top/settings"), ["deep", "name"]);
        assert_eq!(root.text("/top/../../secret"), None);
        assert_eq!(root.followed("/settings/name"), Some("/etc/name".into()));
        assert_eq!(root.link_name("/settings").as_deref(), Some("etc"));
    }

    #[test]
    fn a_pipe_does_not_hold_the_doctor() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(Root::new(directory.path()).text("/pipe").as_deref(), Some(""));
    }
}
