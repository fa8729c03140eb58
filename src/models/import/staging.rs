//! Files of a model that is being made, out of sight until all of them are there.
//!
//! They are written into `<root>/ax650/.staging-*`, synced, hashed on the way, and the directory is renamed into place
//! at the end. When anything fails the directory is removed by its guard. A process that was killed cannot do that:
//! what it left is swept by the next import, which recognises live directories by the lock their makers hold.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::manifest::FileEntry;
use super::super::model::hex;
use super::ImportError;

const PREFIX: &str = ".staging-";

/// A staging directory; removed with all content when dropped before [`Staging::publish`].
#[derive(Debug)]
pub(super) struct Staging {
    dir: TempDir,
    /// Files written so far.
    entries: Vec<FileEntry>,
    /// Held open for its lock.
    _lock: File,
}

impl Staging {
    /// Makes an empty staging directory in `folder`, after sweeping what killed imports left there.
    pub(super) fn new(folder: &Path) -> Result<Self, ImportError> {
        let fail = |source| ImportError::write(folder, source);
        std::fs::create_dir_all(folder).map_err(fail)?;
        sweep(folder);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder).map_err(fail)?;
        let lock = File::open(dir.path()).map_err(fail)?;
        lock.lock().map_err(fail)?;
        Ok(Self { dir, entries: Vec::new(), _lock: lock })
    }

    /// Where the files are until they are published.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Files written so far.
    pub(super) fn entries(&self) -> &[FileEntry] {
        &self.entries
    }

    /// Starts a file. It counts only after [`Staging::finish`].
    pub(super) fn create(&self, name: &str) -> Result<StagedFile, ImportError> {
        let path = self.path().join(name);
        let file = File::create_new(&path).map_err(|source| ImportError::write(&path, source))?;
        let writer = BufWriter::with_capacity(1 << 20, file);
        Ok(StagedFile { name: name.to_owned(), path, writer, hash: Sha256::new(), size: 0 })
    }

    /// Ends a file: flushes it to the disk and records its length and digest.
    pub(super) fn finish(&mut self, file: StagedFile) -> Result<(), ImportError> {
        let StagedFile { name, path, writer, hash, size } = file;
        let end = |source: io::Error| ImportError::write(&path, source);
        let file = writer.into_inner().map_err(|error| end(error.into_error()))?;
        file.sync_all().map_err(end)?;
        self.entries.push(FileEntry { name, size, sha256: hex(&hash.finalize()) });
        Ok(())
    }

    /// Writes a whole small file.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        let mut file = self.create(name)?;
        file.write(bytes)?;
        self.finish(file)
    }

    /// Renames the directory to `target`; a model that is there already is replaced.
    pub(super) fn publish(self, target: &Path) -> Result<(), ImportError> {
        let fail = |source| ImportError::write(target, source);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        // A full directory cannot be renamed over: the old model goes aside first, and back if the rename fails.
        let mut aside = self.path().as_os_str().to_owned();
        aside.push("-old");
        let aside = PathBuf::from(aside);
        let replaced = match std::fs::rename(target, &aside) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(fail(error)),
        };
        if let Err(error) = std::fs::rename(self.path(), target) {
            if replaced {
                std::fs::rename(&aside, target).map_err(fail)?;
            }
            return Err(fail(error));
        }
        // The guard has nothing left to remove.
        drop(self.dir.keep());
        if replaced && let Err(error) = std::fs::remove_dir_all(&aside) {
            // The new model is in place; the next import sweeps the old one.
            tracing::warn!(directory = %aside.display(), %error, "cannot remove the replaced model");
        }
        Ok(())
    }
}

/// Removes staging directories whose makers are gone. Errors do not matter: they are only left-overs.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let abandoned = || File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok());
        if ours && abandoned() && std::fs::remove_dir_all(entry.path()).is_ok() {
            tracing::info!(directory = %entry.path().display(), "removed what an interrupted import left");
        }
    }
}

/// A file of a staging directory that is being written.
#[derive(Debug)]
pub(super) struct StagedFile {
    name: String,
    path: PathBuf,
    writer: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl StagedFile {
    /// Appends `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(|source| ImportError::write(&self.path, source))
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
