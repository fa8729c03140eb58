//! What a card's self-test has shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{DeviceInfo, Path, Paths};

/// What is known of one path on one card with one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Bit for bit what the plain path computes.
    Passed,
    /// It computes something else; the text says what differs first.
    Differs(String),
    /// A call failed on it; the text is the error.
    Failed(String),
    /// The driver or the model has no means for it.
    NotAvailable,
    /// Nobody wants it, so it was not tested.
    SwitchedOff,
}

impl Verdict {
    /// Whether the card was seen to do it wrong, or not at all although it offers to.
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Differs(_) | Self::Failed(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Differs(what) => write!(f, "differs: {what}"),
            Self::Failed(what) => write!(f, "failed: {what}"),
            Self::NotAvailable => f.write_str("not available"),
            Self::SwitchedOff => f.write_str("switched off"),
        }
    }
}

/// What a card is to the keeper of verdicts: what is true of one need not be true of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) driver_version: String,
    pub(super) soc: String,
    pub(super) kind: String,
}

impl Identity {
    pub(super) fn new(info: &DeviceInfo) -> Self {
        let kind = match info.kind {
            "software" => format!("software-{}", info.interface),
            real => real.to_owned(),
        };
        Self { driver_version: info.version.clone(), soc: info.soc.clone(), kind }
    }
}

/// The outcome of the self-test of one model on one card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The driver's version; empty where it does not tell.
    pub driver_version: String,
    /// The chip's name; empty where the driver does not tell.
    pub soc: String,
    /// Digest of the model.
    pub model_digest: String,
    /// "board", "pcie", "software-board" or "software-pcie".
    pub kind: String,
    /// Each path by itself.
    pub paths: Vec<(Path, Verdict)>,
    /// All that passed by themselves, at once. If that went wrong, none is used.
    pub together: Verdict,
    /// Seconds since 1970 when it was tested.
    pub tested_at: u64,
}

impl Verdicts {
    /// The paths to be used.
    pub fn usable(&self) -> Paths {
        if self.together.is_bad() {
            return Paths::PLAIN;
        }
        self.paths.iter().filter(|(_, verdict)| *verdict == Verdict::Passed).map(|(path, _)| *path).collect()
    }

    /// The paths that the card gets wrong, and why.
    pub fn bad(&self) -> impl Iterator<Item = (Path, &Verdict)> {
        self.paths.iter().filter(|(_, verdict)| verdict.is_bad()).map(|(path, verdict)| (*path, verdict))
    }
}
