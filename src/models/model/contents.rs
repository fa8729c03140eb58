//! Whether files that stay where their owner has them are still those that the model was made of.
//!
//! Such a file has gigabytes, so its digest covers pieces of it. When a model is opened, only files whose date has
//! changed are read; before it is loaded, all are, which also finds files that were exchanged date and all. A change
//! that lies between the pieces shows in the date alone: it changes the model's digest, so that nothing that was
//! learned of the old file (verdicts of the self-test) is taken for the new one.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::super::manifest::Manifest;
use super::{ModelError, hex, require};

/// Pieces of a large file that its sampled digest covers, and the bytes of each.
const SAMPLES: u64 = 17;
const SAMPLE_BYTES: u64 = 64 << 10;

/// Which files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Those with another date.
    Changed,
    /// All.
    All,
}

/// What is written down of a file that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::models) struct Sample {
    /// Its length in bytes.
    pub(in crate::models) size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(in crate::models) modified: i64,
    /// SHA-256, in hexadecimal digits.
    pub(in crate::models) digest: String,
}

/// SHA-256 over a file's length and [`SAMPLES`] pieces of it, spread evenly from its first byte to its last: tells
/// files apart that compilers or downloads made, in milliseconds where reading gigabytes takes minutes.
pub(in crate::models) fn sample(path: &Path) -> io::Result<Sample> {
    let file = File::open(path)?;
    let data = file.metadata()?;
    let size = data.len();
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut piece = vec![0; usize::try_from(size.min(SAMPLE_BYTES)).unwrap_or(0)];
    let room = size - piece.len() as u64;
    for index in 0..SAMPLES {
        let start = u128::from(room) * u128::from(index) / u128::from(SAMPLES - 1);
        file.read_exact_at(&mut piece, u64::try_from(start).unwrap_or(0))?;
        hash.update(&piece);
    }
    Ok(Sample { size, modified: modified(&data), digest: hex(&hash.finalize()) })
}

fn modified(data: &Metadata) -> i64 {
    data.mtime().saturating_mul(1_000_000_000).saturating_add(data.mtime_nsec())
}

/// Digests of a model directory.
pub(super) struct Contents {
    /// Of the manifest, and so of everything.
    pub(super) digest: String,
    /// Of the files that the manifest lists.
    pub(super) weights: String,
}

/// Compares the files with the manifest and returns the model's digests.
pub(super) fn check(
    dir: &Path,
    manifest: &Manifest,
    manifest_bytes: &[u8],
    look: Look,
) -> Result<Contents, ModelError> {
    let mut digest = Sha256::new();
    digest.update(manifest_bytes);
    let mut weights = Sha256::new();
    for file in &manifest.files {
        for text in [&file.name, &file.sha256] {
            weights.update(text.as_bytes());
            weights.update([0]);
        }
    }
    if manifest.files.is_empty() {
        // Nothing is known of the files: they are those of this directory.
        weights.update(dir.as_os_str().as_bytes());
        weights.update(manifest_bytes);
    }
    for file in manifest.files.iter().filter(|file| file.sampled) {
        let path = require(dir, &file.name)?;
        let fail = |source| ModelError::Io { path: path.clone(), source };
        let date = modified(&path.metadata().map_err(fail)?);
        let has_changed = file.modified.is_some_and(|known| known != date);
        if has_changed || look == Look::All {
            let found = sample(&path).map_err(fail)?;
            if found.digest != file.sha256 {
                let reason = "is another file than when the model was created (same name, other content); put the old one \
                              back, or make the model again with `ax650 create`";
                return Err(ModelError::File { path, reason: reason.to_owned() });
            }
        }
        if has_changed {
            for hash in [&mut digest, &mut weights] {
                hash.update(file.name.as_bytes());
                hash.update(date.to_le_bytes());
            }
        }
    }
    Ok(Contents { digest: hex(&digest.finalize()), weights: hex(&weights.finalize()) })
}
