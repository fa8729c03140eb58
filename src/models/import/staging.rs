//! Files of a model that is being made, out of sight until all of them are there.
//!
//! They are written into `<root>/ax650/.staging-*`, synced, hashed on the way, and the directory is renamed into place
//! at the end, in exchange with the model that it replaces. When anything fails the directory is removed by its guard.
//! A process that was killed cannot do that: what it left is swept by the next import, which recognises live
//! directories by the lock their makers hold.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::RenameFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::super::manifest::FileEntry;
use super::super::model::contents::{Sample, sample};
use super::super::model::{Model, hex};
use super::super::name::ModelName;
use super::super::store::Store;
use super::ImportError;

const PREFIX: &str = ".staging-";
/// Directories of models that are being replaced in two steps.
const ASIDE_PREFIX: &str = ".replaced-";
/// Directories between the store's folder and a model's files: host, namespace, model, tag.
const NAME_PARTS: usize = 4;

/// A staging directory; removed with all content when dropped before [`Staging::publish`].
#[derive(Debug)]
pub(in crate::models) struct Staging {
    dir: TempDir,
    /// Files written so far.
    entries: Vec<FileEntry>,
    /// Set when nobody waits for the model any more.
    cancel: Arc<AtomicBool>,
    /// Held open for its lock.
    _lock: File,
}

impl Staging {
    /// Makes an empty staging directory in `folder`, after sweeping what killed imports left there.
    pub(in crate::models) fn new(folder: &Path) -> Result<Self, ImportError> {
        let fail = |source| ImportError::write(folder, source);
        std::fs::create_dir_all(folder).map_err(fail)?;
        // Locked, so that no other import sweeps the directory before it is locked itself.
        let _store = lock_store(folder).map_err(fail)?;
        sweep(folder);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder).map_err(fail)?;
        let lock = File::open(dir.path()).map_err(fail)?;
        lock.lock().map_err(fail)?;
        Ok(Self { dir, entries: Vec::new(), cancel: Arc::default(), _lock: lock })
    }

    /// Lets writing fail once `cancel` is set.
    pub(super) fn stop_when(&mut self, cancel: Arc<AtomicBool>) {
        self.cancel = cancel;
    }

    /// Where the files are until they are published.
    pub(in crate::models) fn path(&self) -> &Path {
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
        let cancel = Arc::clone(&self.cancel);
        Ok(StagedFile { name: name.to_owned(), path, writer, hash: Sha256::new(), size: 0, cancel })
    }

    /// Ends a file: flushes it to the disk and records its length and digest.
    pub(super) fn finish(&mut self, file: StagedFile) -> Result<(), ImportError> {
        let StagedFile { name, path, writer, hash, size, .. } = file;
        let end = |source: io::Error| ImportError::write(&path, source);
        let file = writer.into_inner().map_err(|error| end(error.into_error()))?;
        file.sync_all().map_err(end)?;
        self.entries.push(FileEntry {
            name,
            size,
            sha256: hex(&hash.finalize()),
            sampled: false,
            modified: None,
        });
        Ok(())
    }

    /// Writes a whole small file.
    pub(in crate::models) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ImportError> {
        let mut file = self.create(name)?;
        file.write(bytes)?;
        self.finish(file)
    }

    /// Makes a link to a file that stays where it is; `target` is absolute and without links.
    pub(super) fn link(&mut self, name: &str, target: &Path) -> Result<(), ImportError> {
        let path = self.path().join(name);
        std::os::unix::fs::symlink(target, &path).map_err(|source| ImportError::write(&path, source))?;
        let Sample { size, modified, digest } =
            sample(target).map_err(|source| ImportError::Open { path: target.to_owned(), source })?;
        self.entries.push(FileEntry {
            name: name.to_owned(),
            size,
            sha256: digest,
            sampled: true,
            modified: Some(modified),
        });
        Ok(())
    }

    /// Makes a file of `size` bytes of 0 that takes no room on the disk.
    pub(super) fn hole(&mut self, name: &str, size: u64) -> Result<(), ImportError> {
        let path = self.path().join(name);
        let made = File::create_new(&path).and_then(|file| {
            file.set_len(size)?;
            file.sync_all()
        });
        made.map_err(|source| ImportError::write(&path, source))?;
        self.entries.push(FileEntry {
            name: name.to_owned(),
            size,
            sha256: sample(&path).map_err(|source| ImportError::write(&path, source))?.digest,
            sampled: true,
            modified: None,
        });
        Ok(())
    }

    /// Checks the finished directory and makes it the model `name` of `store`, at `target`.
    pub(in crate::models) fn complete(
        self,
        store: &Store,
        name: ModelName,
        target: &Path,
    ) -> Result<Arc<Model>, ImportError> {
        let model = Model::open(name, self.path())?.moved_to(target);
        self.publish(store.folder(), target)?;
        Ok(store.keep(model))
    }

    /// Renames the directory to `target`, below `folder`; a model that is there already is replaced.
    ///
    /// At every moment, also when the machine stops, `target` is the old model or the new one; where the file system
    /// cannot exchange two directories, it may be the next import that puts the old one back.
    fn publish(self, folder: &Path, target: &Path) -> Result<(), ImportError> {
        let fail = |source| ImportError::write(target, source);
        sync_directory(self.path());
        let guard = lock_store(folder).map_err(fail)?;
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(fail)?;
        }
        match rename(self.path(), target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::NOENT) => std::fs::rename(self.path(), target).map_err(fail)?,
            // Not every file system can exchange.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                replace_in_two_steps(folder, self.path(), target).map_err(fail)?;
            }
            Err(error) => return Err(fail(error.into())),
        }
        for parent in target.ancestors().skip(1).take_while(|parent| parent.starts_with(folder)) {
            sync_directory(parent);
        }
        drop(guard);
        // What is at the old place now, if anything, is the replaced model.
        let old = self.dir.keep();
        match std::fs::remove_dir_all(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // The new model is in place; the next import sweeps the old one.
                tracing::warn!(directory = %old.display(), %error, "cannot remove the replaced model");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes the lock of a store, which is held while directories appear in it, move or disappear. It ends with the file.
pub(in crate::models) fn lock_store(folder: &Path) -> io::Result<File> {
    let lock = File::open(folder)?;
    lock.lock()?;
    Ok(lock)
}

fn rename(from: &Path, to: &Path, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, flags)
}

/// Makes renames in `path` last. Some file systems cannot, and lose nothing but the last moments before a crash.
fn sync_directory(path: &Path) {
    if let Err(error) = File::open(path).and_then(|directory| directory.sync_all()) {
        tracing::debug!(directory = %path.display(), %error, "cannot sync a directory");
    }
}

/// Replaces the model at `target` by `staged`, by way of a directory that says where the old one belongs: it has the
/// path below the store that the model had. [`restore`] undoes the first step if the second did not come.
fn replace_in_two_steps(folder: &Path, staged: &Path, target: &Path) -> io::Result<()> {
    let place = target.strip_prefix(folder).map_err(io::Error::other)?;
    let aside = tempfile::Builder::new().prefix(ASIDE_PREFIX).tempdir_in(folder)?;
    let old = aside.path().join(place);
    if let Some(parent) = old.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::rename(target, &old)?;
    // From here on the directory has the only copy of the old model, and must not go before the new one is in place.
    let aside = aside.keep();
    let placed = std::fs::rename(staged, target);
    if placed.is_err() {
        std::fs::rename(&old, target)?;
    }
    if let Err(error) = std::fs::remove_dir_all(&aside) {
        tracing::warn!(directory = %aside.display(), %error, "cannot remove the replaced model");
    }
    placed
}

/// Puts models back that were set aside, where nothing took their place, and removes the directory `aside`.
fn restore(folder: &Path, aside: &Path) -> io::Result<()> {
    let inside = |path: &Path| -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut found = vec![aside.to_owned()];
    for _ in 0..NAME_PARTS {
        found = found.iter().map(|path| inside(path)).collect::<io::Result<Vec<_>>>()?.concat();
    }
    for old in found {
        let target = folder.join(old.strip_prefix(aside).map_err(io::Error::other)?);
        if !target.exists() {
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::rename(&old, &target)?;
            tracing::info!(directory = %target.display(), "put back the model that an interrupted import replaced");
        }
    }
    std::fs::remove_dir_all(aside)
}

/// Removes staging directories whose makers are gone, and puts replaced models back whose successors never came. Errors
/// end nothing: what cannot be done now can be done next time. The store is locked.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let abandoned = || File::open(&path).is_ok_and(|dir| dir.try_lock().is_ok());
        let done = if name.starts_with(ASIDE_PREFIX) {
            restore(folder, &path)
        } else if name.starts_with(PREFIX) && abandoned() {
            std::fs::remove_dir_all(&path)
        } else {
            continue;
        };
        match done {
            Ok(()) => {
                tracing::info!(directory = %path.display(), "cleared what an interrupted import left");
            }
            Err(error) => {
                tracing::warn!(directory = %path.display(), %error, "cannot clear what an interrupted import left");
            }
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
    cancel: Arc<AtomicBool>,
}

impl StagedFile {
    /// Appends `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(ImportError::Cancelled);
        }
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.writer.write_all(bytes).map_err(|source| ImportError::write(&self.path, source))
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A store's folder with a model whose one file says `content`.
    fn store(content: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("host/library/m/latest");
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join("file"), content).unwrap();
        (folder, model)
    }

    fn content(model: &Path) -> String {
        fs::read_to_string(model.join("file")).unwrap()
    }

    /// Names in the folder.
    fn left(folder: &Path) -> Vec<String> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn staged(folder: &Path) -> Staging {
        let mut staging = Staging::new(folder).unwrap();
        staging.write("file", b"new").unwrap();
        staging
    }

    #[test]
    fn a_model_is_replaced_and_nothing_else_is_left() {
        let (folder, model) = store("old");
        staged(folder.path()).publish(folder.path(), &model).unwrap();
        assert_eq!(content(&model), "new");
        assert_eq!(left(folder.path()), ["host"]);
        let other = folder.path().join("host/library/other/latest");
        staged(folder.path()).publish(folder.path(), &other).unwrap();
        assert_eq!(content(&other), "new");
        assert_eq!(left(folder.path()), ["host"]);
    }

    #[test]
    fn two_steps_do_the_same() {
        let (folder, model) = store("old");
        let staging = staged(folder.path());
        replace_in_two_steps(folder.path(), staging.path(), &model).unwrap();
        drop(staging);
        assert_eq!(content(&model), "new");
        assert_eq!(left(folder.path()), ["host"]);
    }

    #[test]
    fn a_failed_second_step_puts_the_old_model_back() {
        let (folder, model) = store("old");
        assert!(replace_in_two_steps(folder.path(), &folder.path().join("absent"), &model).is_err());
        assert_eq!(content(&model), "old");
        assert_eq!(left(folder.path()), ["host"]);
    }

    #[test]
    fn the_next_import_restores_what_was_set_aside() {
        let (folder, model) = store("old");
        let aside = folder.path().join(".replaced-x/host/library/m/latest");
        fs::create_dir_all(aside.parent().unwrap()).unwrap();
        fs::rename(&model, &aside).unwrap();
        drop(Staging::new(folder.path()).unwrap());
        assert_eq!(content(&model), "old");
        assert_eq!(left(folder.path()), ["host"]);
    }

    #[test]
    fn the_next_import_removes_what_was_replaced() {
        let (folder, model) = store("new");
        let aside = folder.path().join(".replaced-x/host/library/m/latest");
        fs::create_dir_all(&aside).unwrap();
        fs::write(aside.join("file"), "old").unwrap();
        drop(Staging::new(folder.path()).unwrap());
        assert_eq!(content(&model), "new");
        assert_eq!(left(folder.path()), ["host"]);
    }

    #[test]
    fn imports_at_once_do_not_sweep_each_other() {
        let (folder, model) = store("old");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        staged(folder.path()).publish(folder.path(), &model).unwrap();
                    }
                });
            }
        });
        assert_eq!(content(&model), "new");
        assert_eq!(left(folder.path()), ["host"]);
    }
}
