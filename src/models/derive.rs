//! Models made of other models: copies under another name, and copies with another template, system message, ...
//!
//! Such a model has a directory and a manifest of its own, and shares the files of the other: each is a second name of
//! the same data on the disk (a hard link), so that neither needs the other and both take the room of one. What a
//! registered model links to stays with its owner. Where a file system has no hard links, files are copied.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::changes::Changes;
use super::import::ImportError;
use super::import::staging::{Staging, lock_store};
use super::manifest::{MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest};
use super::model::{Model, ModelError, read_small};
use super::name::ModelName;
use super::store::{Store, StoreError};

/// Makes the model `name` of the model `base`; see [`Store::derive`].
pub(super) fn derive(
    store: &Store,
    name: &ModelName,
    base: &ModelName,
    changes: &Changes,
) -> Result<Arc<Model>, ImportError> {
    let (base, dir) = store.find(base)?.ok_or_else(|| StoreError::NotFound(base.clone()))?;
    let (mut staging, bytes) = share(store, &dir)?;
    let mut manifest = Manifest::parse(&bytes).map_err(|source| ModelError::Manifest { dir, source })?;
    let (name, target) = store.place(name)?;
    // A model made of itself keeps the parent that it had.
    if name != base {
        manifest.custom.parent = Some(base.to_string());
    }
    changes.apply(&mut manifest);
    let bytes =
        serde_json::to_vec_pretty(&manifest).map_err(|error| ImportError::Internal(error.to_string()))?;
    staging.write(MANIFEST_FILE, &bytes)?;
    staging.complete(store, name, &target)
}

/// Makes `destination` the same model as `source`; see [`Store::copy`].
pub(super) fn copy(store: &Store, source: &ModelName, destination: &ModelName) -> Result<(), ImportError> {
    let (source, dir) = store.find(source)?.ok_or_else(|| StoreError::NotFound(source.clone()))?;
    let (name, target) = store.place(destination)?;
    if name == source {
        return Ok(());
    }
    let (mut staging, manifest) = share(store, &dir)?;
    staging.write(MANIFEST_FILE, &manifest)?;
    staging.complete(store, name, &target)?;
    Ok(())
}

/// A staging directory with all files of the model in `dir` but its manifest, and the bytes of that.
fn share(store: &Store, dir: &Path) -> Result<(Staging, Vec<u8>), ImportError> {
    let staging = Staging::new(store.folder())?;
    let fail = |source| ImportError::Open { path: dir.to_owned(), source };
    // The model must not be replaced between two of its files.
    let _store = lock_store(store.folder()).map_err(fail)?;
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(fail)?;
        // A file with a leading dot is one that somebody is about to rename.
        if name == MANIFEST_FILE || kind.is_dir() || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (from, to) = (entry.path(), staging.path().join(&name));
        let shared = if kind.is_symlink() {
            std::fs::read_link(&from).and_then(|target| std::os::unix::fs::symlink(target, &to))
        } else {
            link_or_copy(&from, &to)
        };
        shared.map_err(|source| ImportError::write(&to, source))?;
    }
    Ok((staging, read_small(&dir.join(MANIFEST_FILE), MAX_MANIFEST_BYTES)?))
}

/// Gives a file a second name, or copies it where that cannot be.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        // Too many names, or a file system without them.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::TooManyLinks | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            std::fs::copy(from, to).map(drop)
        }
        linked => linked,
    }
}
