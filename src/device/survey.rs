//! Asking a card what it is, without the loop.
//!
//! A survey makes few and harmless calls: it initialises the library, lists the cards, takes one and asks for its
//! properties. Neither engine nor model is touched, so it may run beside a program that uses the card. The vendor's
//! library may still hang, crash or print: run a survey in a process of its own, and let it tell through `watch` which
//! call it is about to make.

mod board;
mod board_engine;
mod engine;
mod measure;
mod pcie;

use std::cmp::Ordering;
use std::path::PathBuf;
use std::sync::Arc;

use ax650_sim::CardOptions;
use ax650_sim::profile::Profile;
use ax650_sys::code::VendorCode;
use ax650_sys::loader::{self, Libraries, LoadError};
use ax650_sys::vendor::{ax_board_table, ax_pcie_table};

use super::{Compute, DeviceChoice, DriverOptions, Interface, ProfileChoice, SoftwareChoice};
pub use measure::{FileShape, FileToMeasure, GroupShape, Measurement, Tensor, Timing, measure};

/// What a card says of itself. No serial number: surveys are shown to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// `pcie`, `board` or `software`.
    pub kind: &'static str,
    /// The vendor's interface that was spoken: `pcie` or `board`.
    pub interface: &'static str,
    /// The library that was opened; `None` for the software card.
    pub library: Option<PathBuf>,
    /// The library's version; empty where it does not tell.
    pub version: String,
    /// The chip's name; empty where the library does not tell.
    pub soc: String,
    /// Version of the card's own system; empty where the library does not tell.
    pub firmware: String,
    /// Cards in the library's list.
    pub cards: u32,
    /// Which of them was asked.
    pub index: u32,
    /// Media memory of the chip, in bytes; 0 where the library does not tell.
    pub total_memory: u64,
    /// How much of it is free, in bytes.
    pub free_memory: u64,
    /// As the library gives it. The unit is not documented; most likely thousandths of a degree Celsius.
    pub temperature: Option<i32>,
    /// Load of the NPU in percent.
    pub npu_load: Option<u32>,
    /// Load of the card's processors in percent.
    pub cpu_load: Option<u32>,
    /// Optional functions that the library lacks.
    pub absent: Vec<&'static str>,
}

/// Why a card could not be surveyed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The library is absent, or lacks functions.
    #[error(transparent)]
    Library(#[from] LoadError),
    /// A function failed.
    #[error("{call} failed: {code}")]
    Call {
        /// The vendor's function.
        call: &'static str,
        /// What it returned.
        code: VendorCode,
    },
    /// The library's list is too short.
    #[error("the driver lists {cards} cards, number {index} is not among them")]
    NoSuchCard {
        /// Cards in the list.
        cards: u32,
        /// The one that was wanted, from 0.
        index: u32,
    },
    /// The profile of a software card is unusable.
    #[error(transparent)]
    Profile(#[from] Arc<ax650_sim::profile::ProfileError>),
    /// It cannot be done with such a card.
    #[error("{0}")]
    Unsupported(String),
    /// Somebody wanted it to end.
    #[error("interrupted")]
    Cancelled,
}

impl SurveyError {
    /// Whether the library could not open the kernel driver.
    pub fn is_no_driver(&self) -> bool {
        matches!(self, Self::Call { code, .. } if code.bits() == ax650_sys::vendor::AXCL_ERR_DEVICE_OPEN)
    }

    /// Whether library and driver are there and no card answers.
    pub fn is_no_card(&self) -> bool {
        match self {
            Self::Call { code, .. } => code.is_no_card(),
            Self::NoSuchCard { .. } => true,
            Self::Library(_) | Self::Profile(_) | Self::Unsupported(_) | Self::Cancelled => false,
        }
    }

    /// How much it tells of a machine whose cards are all tried: that a library is absent, nearly nothing.
    fn weight(&self) -> u8 {
        match self {
            Self::Library(LoadError::NotFound { tried, .. }) => {
                u8::from(tried.iter().any(|attempt| attempt.path.is_absolute() && attempt.path.is_file()))
            }
            _ => 2,
        }
    }
}

/// Asks the card of the choice; `watch` hears the name of each call before it is made. For `auto` real cards are tried
/// as a driver is opened, and the first that answers is asked; the software card is not.
///
/// # Errors
///
/// By what a person does about it; see [`SurveyError`]. For `auto` that of the card of which there are the most signs.
pub fn survey(
    choice: &DeviceChoice,
    options: &DriverOptions,
    watch: &mut dyn FnMut(&str),
) -> Result<Survey, SurveyError> {
    find(choice, options, watch).map(|(_, found)| found)
}

/// As [`survey`], and which card that was: never `auto`.
///
/// # Errors
///
/// Those of [`survey`].
pub fn find(
    choice: &DeviceChoice,
    options: &DriverOptions,
    watch: &mut dyn FnMut(&str),
) -> Result<(DeviceChoice, Survey), SurveyError> {
    if *choice != DeviceChoice::Auto {
        return Ok((choice.clone(), ask(choice, options, watch)?));
    }
    let [first, second] = Interface::order_of_auto().map(Interface::first_card);
    let first_error = match ask(&first, options, watch) {
        Ok(found) => return Ok((first, found)),
        Err(error) => error,
    };
    let second_error = match ask(&second, options, watch) {
        Ok(found) => return Ok((second, found)),
        Err(error) => error,
    };
    // Where both tell nothing, most people have heard of PCIe cards.
    let keeps_first = match first_error.weight().cmp(&second_error.weight()) {
        Ordering::Less => false,
        Ordering::Equal => first == DeviceChoice::Pcie(0),
        Ordering::Greater => true,
    };
    Err(if keeps_first { first_error } else { second_error })
}

fn ask(
    choice: &DeviceChoice,
    options: &DriverOptions,
    watch: &mut dyn FnMut(&str),
) -> Result<Survey, SurveyError> {
    Ok(match Opened::open(choice, options, watch)? {
        Opened::Board(subject) => subject.describe(board::survey(&subject.table, watch)?),
        Opened::Pcie(subject, index) => subject.describe(pcie::survey(&subject.table, index, watch)?),
    })
}

/// A table of functions with what is known of where it came from.
struct Subject<T> {
    kind: &'static str,
    interface: &'static str,
    table: T,
    library: Option<PathBuf>,
    version: String,
    /// Keeps the code behind the table loaded.
    _libraries: Libraries,
}

/// The functions of a card, by its interface.
enum Opened {
    Board(Box<Subject<ax_board_table>>),
    /// With the index of the card in the library's list.
    Pcie(Box<Subject<ax_pcie_table>>, u32),
}

impl Opened {
    fn open(
        choice: &DeviceChoice,
        options: &DriverOptions,
        watch: &mut dyn FnMut(&str),
    ) -> Result<Self, SurveyError> {
        let path = options.driver_path.as_deref();
        Ok(match choice {
            DeviceChoice::Board => {
                watch("dlopen");
                Self::Board(Box::new(Subject::loaded("board", "board", loader::load_board(path)?)))
            }
            DeviceChoice::Auto => {
                let (found, _) = find(choice, options, watch)?;
                return Self::open(&found, options, watch);
            }
            DeviceChoice::Pcie(index) => {
                watch("dlopen");
                let subject = Subject::loaded("pcie", "pcie", loader::load_pcie(path)?);
                Self::Pcie(Box::new(subject), u32::from(*index))
            }
            DeviceChoice::Software(wanted) if speaks_board(wanted)? => Self::Board(Box::new(
                Subject::built_in("board", ax650_sim::board_table(software(wanted, options)?)),
            )),
            DeviceChoice::Software(wanted) => Self::Pcie(
                Box::new(Subject::built_in("pcie", ax650_sim::pcie_table(software(wanted, options)?))),
                0,
            ),
        })
    }
}

impl<T> Subject<T> {
    fn loaded(kind: &'static str, interface: &'static str, loaded: loader::Loaded<T>) -> Self {
        Self {
            kind,
            interface,
            table: loaded.table,
            library: Some(loaded.path),
            version: loaded.version.unwrap_or_default(),
            _libraries: loaded.libraries,
        }
    }

    /// The software card.
    fn built_in(interface: &'static str, table: T) -> Self {
        Self {
            kind: "software",
            interface,
            table,
            library: None,
            version: String::new(),
            _libraries: Libraries::default(),
        }
    }

    /// Adds to what the card said where its functions came from.
    fn describe(&self, found: Survey) -> Survey {
        let version = if found.version.is_empty() { self.version.clone() } else { found.version };
        let (kind, interface) = (self.kind, self.interface);
        Survey { kind, interface, library: self.library.clone(), version, ..found }
    }
}

/// Whether a software card speaks the interface of the chip's own Linux: as asked for, else as the profile says.
fn speaks_board(choice: &SoftwareChoice) -> Result<bool, SurveyError> {
    Ok(match (choice.interface, profile(choice)?) {
        (Some(interface), _) => interface == Interface::Board,
        (None, Some(profile)) => profile.interface() == ax650_sim::profile::Interface::Board,
        (None, None) => false,
    })
}

fn profile(choice: &SoftwareChoice) -> Result<Option<Profile>, SurveyError> {
    Ok(match &choice.profile {
        None => None,
        Some(ProfileChoice::Named(name)) => Some(Profile::named(name).map_err(Arc::new)?),
        Some(ProfileChoice::File(path)) => Some(Profile::read(path).map_err(Arc::new)?),
    })
}

/// The software card of the choice, on the clock of its profile.
fn software(choice: &SoftwareChoice, options: &DriverOptions) -> Result<CardOptions, SurveyError> {
    let compute = match choice.compute {
        Compute::Full => ax650_sim::Compute::Full,
        Compute::None => ax650_sim::Compute::None,
    };
    Ok(CardOptions {
        threads: options.software_threads,
        profile: profile(choice)?.map(Arc::new),
        compute,
        ..CardOptions::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_software_card_answers_like_any_other() {
        let mut calls = Vec::new();
        let found = survey(&DeviceChoice::SOFTWARE, &DriverOptions::default(), &mut |call| {
            calls.push(call.to_owned());
        })
        .unwrap();
        assert_eq!((found.kind, found.cards, found.index), ("software", 1, 0));
        assert!(found.total_memory > 0 && found.free_memory <= found.total_memory);
        assert_eq!(calls.first().map(String::as_str), Some("axclInit"));
        assert_eq!(calls.last().map(String::as_str), Some("axclFinalize"));
        let text = format!("{found:?}");
        assert!(!text.contains("uid"), "no serial numbers: {text}");
    }

    #[test]
    fn the_board_answers_on_its_own_interface() {
        let mut calls = Vec::new();
        let choice = "software:board-ax650n".parse().unwrap();
        let found =
            survey(&choice, &DriverOptions::default(), &mut |call| calls.push(call.to_owned())).unwrap();
        assert_eq!(calls, ["AX_SYS_Init", "AX_SYS_MemQueryStatus", "AX_SYS_Deinit"]);
        assert_eq!((found.kind, found.interface, found.total_memory), ("software", "board", 7040 << 20));
    }

    #[test]
    fn a_card_too_busy_to_tell_its_figures_is_there_all_the_same() {
        let control = ax650_sim::control::claim(CardOptions::default());
        let survey_failing = |bits: u32| {
            control.fail_call("axclrtGetDeviceProperties", 1, bits.cast_signed());
            survey(&DeviceChoice::SOFTWARE, &DriverOptions::default(), &mut |_| {})
        };
        for shell in [0x8030_0405, 0x8030_090C] {
            let found = survey_failing(shell).unwrap();
            assert_eq!((found.cards, found.total_memory, found.temperature), (1, 0, None));
        }
        assert!(survey_failing(0x8030_0183).is_err());
    }

    #[test]
    fn codes_of_absence_are_told_apart() {
        let failed = |bits: u32| SurveyError::Call { call: "axclInit", code: VendorCode(bits.cast_signed()) };
        assert!(failed(0x8030_010B).is_no_driver() && !failed(0x8030_010B).is_no_card());
        assert!(failed(0x8030_0181).is_no_card() && !failed(0x8030_0181).is_no_driver());
        assert!(SurveyError::NoSuchCard { cards: 1, index: 3 }.is_no_card());
    }
}
