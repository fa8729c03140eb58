//! Choosing a card and opening it.

use std::ffi::{CStr, c_char};
use std::path::{Path, PathBuf};

use ax650_sys::axloop as c;
use ax650_sys::loader::{self, Libraries, LoadError};

use super::choice::FIRST_PCIE;
use super::driver::{Card, DeviceInfo, Table, Traits};
use super::software::{self, Plan};
use super::{Activity, Compute, DeviceChoice, DeviceError, Interface, Pace, PathsWish, SoftwareChoice};

const MIB: u64 = 1 << 20;

/// In the version text of the software card's own shared libraries.
const SOFTWARE_MARK: &str = "software card";

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
    /// Where the driver tells which call is under way.
    pub activity: Option<Activity>,
}

type Opened = Result<(Card, DeviceInfo), DeviceError>;

pub(super) fn open(choice: &DeviceChoice, options: &DriverOptions) -> Opened {
    match choice {
        DeviceChoice::Board => open_board(options),
        DeviceChoice::Pcie(index) => open_pcie(*index, options),
        DeviceChoice::Software(choice) => open_software(choice, options, "as asked for"),
        DeviceChoice::Auto => open_any(options),
    }
}

/// The first real card that can be opened, else the software card, which says why.
fn open_any(options: &DriverOptions) -> Opened {
    let mut reasons = Vec::new();
    for interface in Interface::order_of_auto() {
        let opened = match interface {
            Interface::Board => open_board(options),
            Interface::Pcie => open_pcie(FIRST_PCIE, options),
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(DeviceError::NoDriver(error)) => {
                tracing::debug!(%interface, %error, "no driver");
                reasons.extend(unopenable(&error));
            }
            Err(error) => {
                tracing::debug!(%interface, %error, "no card");
                reasons.push(why_not(&error));
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("no driver library libaxcl_rt.so or libax_sys.so on this machine".to_owned());
    }
    open_software(&SoftwareChoice::default(), options, &reasons.join("; "))
}

/// A library that is there, but that the system cannot open.
fn unopenable(error: &LoadError) -> Option<String> {
    let LoadError::NotFound { tried, .. } = error else { return None };
    let there = tried.iter().find(|attempt| attempt.path.is_absolute() && attempt.path.is_file())?;
    Some(format!("{} cannot be opened: {}", there.path.display(), there.reason.replace('\n', " ")))
}

/// Why a card could not be taken, in a few words: what to do about it is said when it is asked for by name.
fn why_not(error: &DeviceError) -> String {
    let text = match error {
        DeviceError::NoCard(what) => format!("a driver is installed, but no card answers: {what}"),
        DeviceError::Call { call, code, .. } => format!("{call} gave {code}"),
        other => other.to_string(),
    };
    text.replace('\n', " ")
}

fn open_pcie(index: u16, options: &DriverOptions) -> Opened {
    let loaded = loader::load_pcie(options.driver_path.as_deref()).map_err(load_error)?;
    let table = Table::Pcie(&loaded.table, index);
    let card = Card::open(&table, loaded.libraries, traits(options), options.activity.clone())?;
    let found = card.query();
    let version = first_of([text(&found.version), loaded.version.unwrap_or_default()]);
    let what = format!("PCIe card {index} of {} ({})", found.device_count, or_unknown(&text(&found.soc)));
    Ok(finish(card, Interface::Pcie, &what, &loaded.path, version, &found))
}

fn open_board(options: &DriverOptions) -> Opened {
    let loaded = loader::load_board(options.driver_path.as_deref()).map_err(load_error)?;
    let table = Table::Board(&loaded.table);
    let card = Card::open(&table, loaded.libraries, traits(options), options.activity.clone())?;
    let found = card.query();
    let version = first_of([text(&found.version), loaded.version.unwrap_or_default()]);
    let what = format!("the chip of this board ({})", or_unknown(&text(&found.soc)));
    Ok(finish(card, Interface::Board, &what, &loaded.path, version, &found))
}

fn finish(
    mut card: Card,
    interface: Interface,
    what: &str,
    library: &Path,
    version: String,
    found: &c::axl_driver_info,
) -> (Card, DeviceInfo) {
    let summary =
        format!("{what}, driver {} in {}{}", or_unknown(&version), library.display(), memory_of(found));
    card.traits.software_files = version.contains(SOFTWARE_MARK);
    let kind = match interface {
        Interface::Board => "board",
        Interface::Pcie => "pcie",
    };
    (card, DeviceInfo { kind, summary, ..info(interface, version, found) })
}

fn open_software(choice: &SoftwareChoice, options: &DriverOptions, why: &str) -> Opened {
    let Plan { card: card_options, interface, profile } = software::plan(choice, options)?;
    let traits = Traits {
        software: true,
        software_files: true,
        computes: choice.compute == Compute::Full,
        ..traits(options)
    };
    let activity = options.activity.clone();
    let card = match interface {
        Interface::Pcie => {
            let table = ax650_sim::pcie_table(card_options);
            Card::open(&Table::Pcie(&table, 0), Libraries::default(), traits, activity)?
        }
        Interface::Board => {
            let table = ax650_sim::board_table(card_options);
            Card::open(&Table::Board(&table), Libraries::default(), traits, activity)?
        }
    };
    let found = card.query();
    let does = match choice.compute {
        Compute::Full => "the CPU computes",
        Compute::None => "nothing is computed",
    };
    let like = profile.as_ref().map(|profile| format!(", as fast as {}", profile.name())).unwrap_or_default();
    let info = DeviceInfo {
        kind: "software",
        summary: format!("software card{like}: {does} ({why})"),
        weight_bytes_per_second: profile.as_deref().and_then(software::weight_bytes_per_second),
        profile: profile.map(|profile| profile.name().to_owned()),
        ..info(interface, text(&found.version), &found)
    };
    Ok((card, info))
}

fn traits(options: &DriverOptions) -> Traits {
    Traits { paths: options.paths.0, verdicts: options.verdicts.clone(), ..Traits::default() }
}

/// What the driver tells of a card of its own; kind and summary are still to be said.
fn info(interface: Interface, version: String, found: &c::axl_driver_info) -> DeviceInfo {
    DeviceInfo {
        kind: "",
        summary: String::new(),
        version,
        soc: text(&found.soc),
        interface,
        profile: None,
        weight_bytes_per_second: None,
        total_memory: found.total_memory,
        free_memory: found.free_memory,
    }
}

fn memory_of(found: &c::axl_driver_info) -> String {
    if found.total_memory == 0 {
        return String::new();
    }
    format!(", {} MiB of {} MiB free", found.free_memory / MIB, found.total_memory / MIB)
}

fn load_error(error: LoadError) -> DeviceError {
    match error {
        LoadError::NotFound { .. } => DeviceError::NoDriver(error),
        LoadError::Incompatible { .. } => DeviceError::Incompatible(error),
    }
}

fn first_of(texts: [String; 2]) -> String {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

pub(super) fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&byte| byte.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |s| s.to_string_lossy().into_owned())
}
