//! The card that is to be examined.
//!
//! The options are those of other commands. These end at a variable that makes no sense; the doctor is there to say so,
//! and goes on without it.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::super::CardArguments;
use crate::device::{DeviceChoice, PathsWish, SOFTWARE_THREADS};

/// What the command line says of the card.
#[derive(Debug, Args)]
pub(super) struct Wishes {
    /// Card to examine, as other commands name it; with auto, the first real card that answers
    #[arg(long, value_name = "CARD")]
    pub(super) device: Option<DeviceChoice>,

    /// Vendor library, or the directory it lies in
    #[arg(long, value_name = "PATH")]
    pub(super) driver_path: Option<PathBuf>,

    /// Threads of the software card (all cores by default)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(SOFTWARE_THREADS))]
    threads: Option<u16>,

    /// Ways to save work that --record tests: all, plain, or a list of names, or of names to leave out
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    paths: Option<PathsWish>,
}

impl Wishes {
    /// What other commands would make of them, and of the variables where they say nothing.
    pub(super) fn card(&self) -> CardArguments {
        let is_allowed = |threads: &u16| SOFTWARE_THREADS.contains(&i64::from(*threads));
        let path = || std::env::var_os("AX650_DRIVER_PATH").filter(|path| !path.is_empty());
        CardArguments {
            device: self.device.clone().or_else(|| variable("AX650_DEVICE")).unwrap_or_default(),
            driver_path: self.driver_path.clone().or_else(|| path().map(PathBuf::from)),
            threads: self.threads.or_else(|| variable("AX650_THREADS").filter(is_allowed)),
            paths: self.paths.or_else(|| variable("AX650_PATHS")).unwrap_or_default(),
        }
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
