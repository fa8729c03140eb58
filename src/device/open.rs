//! Choosing a card and opening it.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use ax650_sys::loader::{self, Libraries, LoadError};

use super::driver::{Card, DeviceInfo};
use super::{DeviceChoice, DeviceError, Pace, PathsWish, SoftwareChoice};

const MIB: u64 = 1 << 20;

/// How a driver is opened.
#[derive(Debug, Clone, Default)]
pub struct DriverOptions {
    /// The vendor's library, or the directory that holds it; searched first.
    pub driver_path: Option<PathBuf>,
    /// Threads of the software card; all cores if `None`.
    pub software_threads: Option<usize>,
    /// The paths to use where the card passes their test.
    pub paths: PathsWish,
    /// Directory where verdicts of the self-test are kept; without one it runs at every load.
    pub verdicts: Option<PathBuf>,
    /// How a software card with a profile passes its time.
    pub pace: Pace,
}

pub(super) fn open(
    choice: &DeviceChoice,
    options: &DriverOptions,
) -> Result<(Card, DeviceInfo), DeviceError> {
    match choice {
        DeviceChoice::Pcie(index) => open_pcie(*index, options),
        DeviceChoice::Software(choice) if *choice == SoftwareChoice::default() => {
            open_software(options, "as asked for")
        }
        DeviceChoice::Software(choice) => Err(DeviceError::Unsupported(format!(
            "no software card can be made for '{}'",
            DeviceChoice::Software(choice.clone())
        ))),
        DeviceChoice::Board => Err(board_error(options)),
        DeviceChoice::Auto => match open_pcie(0, options) {
            Ok(opened) => Ok(opened),
            Err(error) => {
                let why = why_not(&error, options);
                tracing::debug!(%error, "no PCIe card");
                open_software(options, &why)
            }
        },
    }
}

fn open_pcie(index: u16, options: &DriverOptions) -> Result<(Card, DeviceInfo), DeviceError> {
    let loaded = loader::load_pcie(options.driver_path.as_deref()).map_err(load_error)?;
    let card = Card::open(&loaded.table, index, loaded.libraries, false)?;
    let found = card.query()?;
    let version = text(&found.version);
    let soc = text(&found.soc);
    let summary = format!(
        "PCIe card {index} of {} ({}), driver {} in {}, {} MiB of {} MiB free",
        found.device_count,
        or_unknown(&soc),
        or_unknown(&version),
        loaded.path.display(),
        found.free_memory / MIB,
        found.total_memory / MIB
    );
    let info = DeviceInfo {
        kind: "pcie",
        summary,
        version,
        total_memory: found.total_memory,
        free_memory: found.free_memory,
    };
    Ok((card, info))
}

fn open_software(options: &DriverOptions, why: &str) -> Result<(Card, DeviceInfo), DeviceError> {
    let card_options =
        ax650_sim::CardOptions { threads: options.software_threads, ..ax650_sim::CardOptions::default() };
    let table = ax650_sim::pcie_table(card_options);
    let card = Card::open(&table, 0, Libraries::default(), true)?;
    let found = card.query()?;
    let info = DeviceInfo {
        kind: "software",
        summary: format!("software card: the CPU computes ({why})"),
        version: text(&found.version),
        total_memory: found.total_memory,
        free_memory: found.free_memory,
    };
    Ok((card, info))
}

fn load_error(error: LoadError) -> DeviceError {
    match error {
        LoadError::NotFound { .. } => DeviceError::NoDriver(error),
        LoadError::Incompatible { .. } => DeviceError::Incompatible(error),
    }
}

/// Why `auto` took the software card, in a few words.
fn why_not(error: &DeviceError, options: &DriverOptions) -> String {
    match error {
        DeviceError::NoDriver(LoadError::NotFound { library, .. }) => {
            match loader::load_board(options.driver_path.as_deref()) {
                Err(LoadError::NotFound { .. }) => format!("no driver library {library} on this machine"),
                _ => "this is a board with its own libraries, which this version does not drive yet".into(),
            }
        }
        DeviceError::NoCard(what) => format!("a driver is installed, but no card answers: {what}"),
        other => other.to_string(),
    }
}

fn board_error(options: &DriverOptions) -> DeviceError {
    match loader::load_board(options.driver_path.as_deref()) {
        Err(error) => load_error(error),
        Ok(board) => DeviceError::Unsupported(format!(
            "the board's library is here ({}, version {}), but this version drives PCIe cards and the software card only; use --device software",
            board.path.display(),
            board.version.as_deref().unwrap_or("unknown")
        )),
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |s| s.to_string_lossy().into_owned())
}
