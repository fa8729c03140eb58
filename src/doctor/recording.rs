//! What a card really does, written down so that tests and the software card can do the same.
//!
//! A recording is a JSON object without personal data: no names of hosts, users or files, no serial numbers.
//!
//! | key | |
//! |---|---|
//! | `format` | 1; other numbers are refused |
//! | `ax650`, `architecture`, `machine` | versions and model of the host; `machine` may be null |
//! | `card` | what the card says of itself, see [`CardFacts`]; the library's path is left out |
//! | `findings` | `id` and `level` of the doctor's findings, without their texts |
//! | `calls` | calls that involve no model, see [`Timing`]; times in nanoseconds |
//! | `models` | of each measured model digest, sizes, shapes and runs of its first layer and its head ([`FileShape`]), and verdicts of the self-test; null where there was none, as for synthetic models |
//!
//! Times are measured, by the card's own clock where it has one. `weight_bytes` are taken from the file: its length, or
//! what a synthetic file says that it stands for.
//!
//! [`profile`] makes a profile of the software card from one.

pub mod profile;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::card::{CardFacts, CardProbe};
use super::finding::Level;
use super::{Report, Surroundings, pi};
use crate::device::Verdicts;
use crate::device::survey::{FileShape, Timing};

/// The only version of the form so far.
pub const FORMAT: u32 = 1;

/// A file beyond this is no recording.
const MAX_BYTES: u64 = 16 << 20;

/// What a card does; see the module's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of ax650 that made it.
    pub ax650: String,
    /// Architecture of the host's processor.
    pub architecture: String,
    /// The host's model, where its device tree tells.
    pub machine: Option<String>,
    /// What the card says of itself.
    pub card: CardFacts,
    /// What the doctor found.
    pub findings: Vec<RecordedFinding>,
    /// Calls that involve no model.
    pub calls: Vec<Timing>,
    /// The models that were measured.
    pub models: Vec<RecordedModel>,
}

/// A finding without its texts, which name files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFinding {
    /// Its name.
    pub id: String,
    /// How much it matters.
    pub level: Level,
}

/// A model on the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// Digest of the files of the model: its name is the owner's business.
    pub digest: String,
    /// Layers.
    pub layers: usize,
    /// Values of a hidden state.
    pub hidden: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Tokens that a conversation can hold.
    pub context: usize,
    /// First layer and head.
    pub files: Vec<FileShape>,
    /// What the self-test has shown; null if it was not run.
    pub verdicts: Option<Verdicts>,
}

impl RecordedModel {
    /// The measured file of that role.
    pub fn file(&self, role: &str) -> Option<&FileShape> {
        self.files.iter().find(|file| file.role == role)
    }
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// It cannot be read.
    #[error("cannot read the recording {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not of the form.
    #[error("{path} is no recording: {source}")]
    Syntax {
        /// The file.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is of a form that this version does not know.
    #[error("{path} is a recording of format {format}; this version reads format {FORMAT}")]
    Format {
        /// The file.
        path: String,
        /// What it says.
        format: u32,
    },
}

impl Recording {
    /// Puts together what the doctor found and what was measured, without anything personal.
    pub fn new(
        around: &Surroundings,
        report: &Report,
        card: CardFacts,
        calls: Vec<Timing>,
        models: Vec<RecordedModel>,
    ) -> Self {
        let findings = report.findings.iter();
        Self {
            format: FORMAT,
            ax650: report.version.clone(),
            architecture: std::env::consts::ARCH.to_owned(),
            machine: pi::machine(&around.root),
            card: CardFacts { library: None, ..card },
            findings: findings.map(|f| RecordedFinding { id: f.id.clone(), level: f.level }).collect(),
            calls,
            models,
        }
    }

    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// [`RecordingError`], with the file's name.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let name = || path.display().to_string();
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .map_err(|source| RecordingError::Read { path: name(), source })?;
        let recording: Self =
            serde_json::from_str(&text).map_err(|source| RecordingError::Syntax { path: name(), source })?;
        if recording.format == FORMAT {
            Ok(recording)
        } else {
            Err(RecordingError::Format { path: name(), format: recording.format })
        }
    }

    /// What opening this card would come to: for examining a machine with it.
    pub fn probe(&self) -> CardProbe {
        CardProbe::Opened(self.card.clone())
    }

    /// The timing of a call.
    pub fn call(&self, call: &str, bytes: u64) -> Option<&Timing> {
        self.calls.iter().find(|timing| timing.call == call && timing.bytes == bytes && timing.count > 0)
    }

    /// The measured files of that role, one of each model.
    pub fn files(&self, role: &str) -> impl Iterator<Item = &FileShape> {
        self.models.iter().filter_map(move |model| model.file(role))
    }
}
