//! How many tokens a model's context has.
//!
//! Files for the software card say it. Of files compiled for the NPU only the driver knows: they may have several
//! groups of shapes, of which the part that we read shows one, or none. What the driver says at the first load is kept
//! beside the manifest, which itself cannot change: its digest is the model's.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::super::manifest::Manifest;
use super::read_small;

/// Name of the file, in the model's directory.
const FILE: &str = "context.json";
/// Longest that is read, in bytes.
const MAX_BYTES: u64 = 4096;
/// More tokens than any context has.
const MAX_TOKENS: usize = 1 << 24;

/// Content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Learned {
    /// The digest of the model's files: what was said of others does not count.
    digest: String,
    context_length: usize,
}

/// The context of one model.
#[derive(Debug)]
pub(super) struct Context {
    /// What the manifest says.
    stated: usize,
    /// Whether that is certain.
    is_certain: bool,
    /// What a card said; 0 before it did.
    learned: AtomicUsize,
}

impl Context {
    /// The context of the model in `dir`. A file that is not there, or cannot be used, is as good as none.
    pub(super) fn open(dir: &Path, digest: &str, manifest: &Manifest, compiled: bool) -> Self {
        let learned = read_small(&dir.join(FILE), MAX_BYTES)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Learned>(&bytes).ok())
            .filter(|learned| learned.digest == digest && (1..=MAX_TOKENS).contains(&learned.context_length));
        Self {
            stated: manifest.context_length,
            is_certain: !compiled,
            learned: AtomicUsize::new(learned.map_or(0, |learned| learned.context_length)),
        }
    }

    pub(super) fn tokens(&self) -> usize {
        match self.learned.load(Ordering::Relaxed) {
            0 => self.stated,
            learned => learned,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.is_certain || self.learned.load(Ordering::Relaxed) != 0
    }

    /// Notes what a card said. Only what is new is written; a store that cannot be written keeps nothing.
    pub(super) fn learn(&self, dir: &Path, digest: &str, tokens: usize) {
        let known = self.is_known() && self.tokens() == tokens;
        if known || !(1..=MAX_TOKENS).contains(&tokens) {
            return;
        }
        self.learned.store(tokens, Ordering::Relaxed);
        let learned = Learned { digest: digest.to_owned(), context_length: tokens };
        if let Err(error) = write(dir, &learned) {
            tracing::debug!(directory = %dir.display(), %error, "cannot keep the context's length");
        }
    }
}

/// Writes the file such that nobody reads half of it.
fn write(dir: &Path, learned: &Learned) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer(&mut file, learned)?;
    file.write_all(b"\n")?;
    file.persist(dir.join(FILE))?;
    Ok(())
}
