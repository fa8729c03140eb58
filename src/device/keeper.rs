//! Where verdicts are kept: one JSON file per driver version, chip, model and version of the test.
//!
//! What is there may have been written by another version, half-written, or put there by anybody: a file that does not
//! say what it should is as good as none, and the test is run again.

use std::io::Write;
use std::path::{Path as FilePath, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::self_test::{Outcome, VERSION};
use super::verdict::Identity;
use super::{Path, Paths, Verdict, Verdicts};

/// Verdicts as they are kept: the whole of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVerdicts {
    /// Version of the self-test.
    pub test: u32,
    /// Version of this program.
    pub program: String,
    /// The paths that were wanted when it was run.
    pub wanted: Paths,
    /// What it has shown.
    pub verdicts: Verdicts,
}

impl KeptVerdicts {
    /// Directory for such files in the folder of our models: no name of a model begins with a dot.
    pub const FOLDER: &str = ".verdicts";

    /// Verdicts of this version of the program and its test.
    pub fn new(wanted: Paths, verdicts: Verdicts) -> Self {
        Self { test: VERSION, program: env!("CARGO_PKG_VERSION").to_owned(), wanted, verdicts }
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    ///
    /// Where and why it is not of the form.
    pub fn read(content: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(content)
    }

    /// Whether this version of the program believes them.
    pub fn is_current(&self) -> bool {
        self.test == VERSION && self.program == env!("CARGO_PKG_VERSION")
    }
}

/// The verdicts of one model on one card.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    directory: Option<&'a FilePath>,
    identity: &'a Identity,
    model_digest: &'a str,
}

impl<'a> Keeper<'a> {
    /// Without a directory, or for a model without a digest, nothing is kept.
    pub(super) fn new(
        directory: Option<&'a FilePath>,
        identity: &'a Identity,
        model_digest: &'a str,
    ) -> Self {
        let directory = directory.filter(|_| !model_digest.is_empty());
        Self { directory, identity, model_digest }
    }

    /// The verdicts found before, if they answer for the wanted paths.
    pub(super) fn find(&self, wanted: Paths) -> Option<Verdicts> {
        let file = self.file()?;
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) => {
                tracing::debug!(file = %file.display(), %error, "no verdicts of an earlier self-test");
                return None;
            }
        };
        let record = match KeptVerdicts::read(&text) {
            Ok(record) => record,
            Err(error) => {
                tracing::debug!(file = %file.display(), %error, "not a file of verdicts; testing again");
                return None;
            }
        };
        if !self.is_about_us(&record) || !answers(&record, wanted) {
            tracing::debug!(file = %file.display(), "verdicts of another case; testing again");
            return None;
        }
        Some(record.verdicts)
    }

    /// Verdicts from the outcome of a test.
    pub(super) fn verdicts(&self, outcome: Outcome) -> Verdicts {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Verdicts {
            driver_version: self.identity.driver_version.clone(),
            soc: self.identity.soc.clone(),
            model_digest: self.model_digest.to_owned(),
            kind: self.identity.kind.clone(),
            paths: outcome.paths,
            together: outcome.together,
            tested_at: now.as_secs(),
        }
    }

    /// Keeps verdicts, in the place of those that they replace. That it cannot is worth a word, not an error: the next
    /// load tests again.
    pub(super) fn keep(&self, wanted: Paths, verdicts: &Verdicts) {
        let Some(file) = self.file() else { return };
        let record = KeptVerdicts::new(wanted, verdicts.clone());
        if let Err(error) = write(&file, &record) {
            tracing::warn!(file = %file.display(), %error, "cannot keep the verdicts of the self-test; it runs at every load");
            return;
        }
        self.remove_replaced(&file);
    }

    /// Removes what older drivers and versions of this program have kept of the same model on the same kind of card:
    /// they were replaced. Whoever goes back tests again.
    fn remove_replaced(&self, new: &FilePath) {
        let entries = self.directory.and_then(|directory| std::fs::read_dir(directory).ok());
        for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path == new || path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let content = std::fs::read(&path).unwrap_or_default();
            let Ok(KeptVerdicts { verdicts, .. }) = KeptVerdicts::read(&content) else { continue };
            let Identity { soc, kind, .. } = self.identity;
            if verdicts.model_digest == self.model_digest && (&verdicts.soc, &verdicts.kind) == (soc, kind) {
                // It stays until the next time.
                std::fs::remove_file(&path).ok();
            }
        }
    }

    fn is_about_us(&self, record: &KeptVerdicts) -> bool {
        let Verdicts { driver_version, soc, model_digest, kind, paths, .. } = &record.verdicts;
        let Identity { driver_version: our_version, soc: our_soc, kind: our_kind } = self.identity;
        record.is_current()
            && (driver_version, soc, kind) == (our_version, our_soc, our_kind)
            && model_digest == self.model_digest
            && paths.iter().map(|(path, _)| *path).eq(Path::ALL)
    }

    fn file(&self) -> Option<PathBuf> {
        let Identity { driver_version, soc, kind } = self.identity;
        let test = VERSION.to_string();
        let mut hash = Sha256::new();
        for part in [env!("CARGO_PKG_VERSION"), &test, driver_version, soc, kind, self.model_digest] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let [a, b, ..] = *hash.finalize().as_chunks::<8>().0 else { return None };
        let name = format!("{:016x}{:016x}.json", u64::from_be_bytes(a), u64::from_be_bytes(b));
        Some(self.directory?.join(name))
    }
}

/// Whether verdicts found when some paths were wanted say enough now that others are. A call that failed may have been
/// an accident, so it is tried again.
fn answers(record: &KeptVerdicts, wanted: Paths) -> bool {
    let Verdicts { paths, together, .. } = &record.verdicts;
    let failed = |verdict: &Verdict| matches!(verdict, Verdict::Failed(_));
    if paths.iter().any(|(_, verdict)| failed(verdict)) || failed(together) {
        return false;
    }
    record.wanted == wanted || (!together.is_bad() && (wanted - record.wanted).is_plain())
}

/// Writes the file as a whole or not at all: others may read it meanwhile.
fn write(file: &FilePath, record: &KeptVerdicts) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or_else(|| FilePath::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer_pretty(&mut new, record)?;
    new.write_all(b"\n")?;
    new.persist(file)?;
    Ok(())
}
