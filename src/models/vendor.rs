//! Model directories as the vendor publishes them: recognised by what is in them, checked as a whole, changed never.
//!
//! The vendor's programs came in three generations. The first (A, 2024) has decode and prefill in separate files and is
//! refused with what to do. The second (B, 2025) keeps its settings as flags in run scripts and its tokenizer in a
//! folder as Hugging Face has it. The third (C, 2026) has a `config.json` and usually a tokenizer file of the vendor's
//! own. [`Package::open`] reads either, without running anything, and checks every file before a card is touched: what
//! a load of two minutes would end in is said at once, by file and key. It reads some kilobytes of each file.
//!
//! Every path stays within the directory that was named: a package that points out of it, by `..` or a link, is
//! refused.

pub mod axmodel;
mod choice;
mod folder;
mod package;
pub mod sampling;
pub mod script;
pub mod settings;
mod tokenizer;
pub mod window;

use std::path::PathBuf;

pub use package::{Generation, Package, TokenizerSource};

use self::settings::SettingsError;
use crate::text::TextError;

/// Why a directory cannot be registered as a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VendorError {
    /// Nothing in it says how to run a model.
    #[error(
        "{dir} is no model directory of the vendor: it has neither a config.json with template_filename_axmodel nor a run \
         script with --template_filename_axmodel{found}; give the directory that was downloaded as a whole, or a .gguf file"
    )]
    NotAPackage {
        /// The directory.
        dir: PathBuf,
        /// `"; there are ..."`, or empty.
        found: String,
    },
    /// A package for programs of 2024.
    #[error(
        "{path} starts a package of the first generation (2024): {sign}; its layers have no shape groups for prompts. \
         Get the model's present package (AXERA-TECH on Hugging Face), or compile it again with `pulsar2 llm_build`"
    )]
    FirstGeneration {
        /// The script.
        path: PathBuf,
        /// By what it was recognised.
        sign: String,
    },
    /// A settings file cannot be read at all.
    #[error("{path} {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong and how to repair it.
        reason: String,
    },
    /// A setting is wrong or asks for what is not supported.
    #[error("{path} {source}")]
    Settings {
        /// The file with the settings.
        path: PathBuf,
        /// What is wrong.
        source: SettingsError,
    },
    /// A path leads out of the directory.
    #[error(
        "{key} of {dir} is {name:?}, which leads out of the directory; put the file into it and correct the setting"
    )]
    Outside {
        /// The directory.
        dir: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        name: String,
    },
    /// Files are not there.
    #[error("{dir} has no {missing}{nearest}; download what is missing again")]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// The files, some of them if there are many.
        missing: String,
        /// `"; the nearest name there is ..."`, or empty.
        nearest: String,
    },
    /// Files are placeholders of git-lfs.
    #[error(
        "{count} of the files of {dir} are git-lfs pointers and not the files themselves (first: {first}); run \
         `git -C {dir} lfs pull`, then try again"
    )]
    Pointers {
        /// The directory.
        dir: PathBuf,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// A file does not fit the rest.
    #[error("{path} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer or the template cannot be used.
    #[error("{path}: {source}")]
    Text {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        source: TextError,
    },
    /// Something cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
