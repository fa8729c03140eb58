//! What can go wrong with a card, by what the caller can do about it.

use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};

use ax650_sys::axloop as c;
use ax650_sys::code::VendorCode;
use ax650_sys::loader::LoadError;

use super::remedy::{LOST, NO_CARD, remedy};

/// A failure of a card or of what was asked of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The vendor's library is not on this machine.
    #[error("{0}; install the card's driver package, set --driver-path, or use --device software")]
    NoDriver(LoadError),
    /// The vendor's library is too old.
    #[error("{0}")]
    Incompatible(LoadError),
    /// The library is there, but no such card answers.
    #[error("no card: {0}; {NO_CARD}")]
    NoCard(String),
    /// A function of the vendor failed.
    #[error("{call} failed{place}: {code}{}; {remedy}", Reason(reason.as_deref()))]
    Call {
        /// The vendor's function; the tensor and shape group, where one is in question.
        call: String,
        /// The layer and file in question.
        place: Place,
        /// The code it returned.
        code: VendorCode,
        /// What the software card says beyond the code.
        reason: Option<String>,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The card, or the host, has no memory left.
    #[error("out of memory{place}: {what}; unload other models, or use a smaller context or model")]
    OutOfMemory {
        /// The layer and file in question.
        place: Place,
        /// The failed call, or the budget that would be exceeded.
        what: String,
    },
    /// A model file is not what this version can run.
    #[error("{0}")]
    Model(String),
    /// The card no longer answers.
    #[error("the card is lost: {call}{place}: {code}; {LOST}")]
    Lost {
        /// The call that noticed.
        call: String,
        /// The layer and file in question.
        place: Place,
        /// The code it returned.
        code: VendorCode,
    },
    /// The cancel flag was set.
    #[error("cancelled")]
    Cancelled,
    /// The rows do not fit behind the sequence.
    #[error("the context is full: {len} of {context} tokens are in use and {rows} more do not fit")]
    ContextFull {
        /// Tokens in the sequence.
        len: usize,
        /// Tokens to be added.
        rows: usize,
        /// Tokens that a sequence can hold.
        context: usize,
    },
    /// This version cannot do it.
    #[error("{0}")]
    Unsupported(String),
    /// The profile of a software card cannot be used.
    #[error("{0}")]
    Profile(String),
    /// A rule between this room and the loop was broken: a defect of ax650.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// Where in a model something failed; empty where no file is in question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of the layer; `None` for the head.
    pub layer: Option<usize>,
    /// The file.
    pub file: Option<PathBuf>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(file) = &self.file else { return Ok(()) };
        match self.layer {
            Some(layer) => write!(f, " in layer {layer} ({})", file.display()),
            None => write!(f, " in the head ({})", file.display()),
        }
    }
}

struct Reason<'a>(Option<&'a str>);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// What an [`c::axl_status`] is about, for telling it to people.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context<'a> {
    /// The model's files, the head last; empty where no model is involved.
    pub(super) files: &'a [PathBuf],
    /// Tokens in the sequence, tokens to be added, tokens that it can hold.
    pub(super) room: (usize, usize, usize),
    /// Whether the software card was asked.
    pub(super) software: bool,
    /// Place of the card in the driver's list.
    pub(super) device_index: u32,
}

impl Context<'_> {
    fn place(&self, layer: i32) -> Place {
        let Ok(index) = usize::try_from(layer) else { return Place::default() };
        let is_head = index + 1 == self.files.len();
        Place { layer: (!is_head).then_some(index), file: self.files.get(index).cloned() }
    }

    /// The software card's own words, if they belong to this code.
    fn reason(&self, code: VendorCode) -> Option<String> {
        let last = ax650_sim::last_error().filter(|last| self.software && last.code == code.0)?;
        Some(last.reason)
    }

    /// Turns a status of the loop into an error, or into `Ok` if it is none.
    pub(super) fn check(&self, status: c::axl_status) -> Result<(), DeviceError> {
        if status.code == c::AXL_OK {
            return Ok(());
        }
        let what = text(&status);
        let place = self.place(status.layer);
        let code = VendorCode(status.vendor_code);
        Err(match status.code {
            c::AXL_ERR_CALL if self.files.is_empty() && is_absence(code) => {
                DeviceError::NoCard(format!("{what} gave {code}"))
            }
            c::AXL_ERR_CALL if code.is_lost() => DeviceError::Lost { call: what, place, code },
            c::AXL_ERR_CALL => {
                let remedy = remedy(&what, code, self.software);
                DeviceError::Call { call: what, place, code, reason: self.reason(code), remedy }
            }
            c::AXL_ERR_DEVICE_MEMORY if code.0 != 0 => {
                DeviceError::OutOfMemory { place, what: format!("{what} gave {code}") }
            }
            c::AXL_ERR_DEVICE_MEMORY | c::AXL_ERR_HOST_MEMORY => DeviceError::OutOfMemory { place, what },
            c::AXL_ERR_MODEL => DeviceError::Model(describe(&place, &what)),
            c::AXL_ERR_NO_CARD => DeviceError::NoCard(match self.device_index {
                0 => "the driver's list of cards is empty".to_owned(),
                index => format!("the driver lists no card {index} (the first is 0)"),
            }),
            c::AXL_ERR_UNSUPPORTED => DeviceError::Unsupported(format!("the driver library lacks {what}")),
            c::AXL_ERR_CANCELLED => DeviceError::Cancelled,
            c::AXL_ERR_CONTEXT_FULL => {
                let (len, rows, context) = self.room;
                DeviceError::ContextFull { len, rows, context }
            }
            _ => DeviceError::Internal(what),
        })
    }
}

fn is_absence(code: VendorCode) -> bool {
    code.is_no_card() || code.bits() == ax650_sys::vendor::AXCL_ERR_DEVICE_OPEN
}

fn describe(place: &Place, what: &str) -> String {
    let file = place.file.as_deref().unwrap_or_else(|| Path::new("model"));
    format!("{}: {what}; create the model again with 'ax650 create'", file.display())
}

/// The call or fault, and what it is about: `axclrtEngineGetInputDims (K_cache, group 3)`.
fn text(status: &c::axl_status) -> String {
    if status.call.is_null() {
        return String::new();
    }
    let detail: Vec<u8> =
        status.detail.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|&b| b != 0).collect();
    // Names come from a file and may hold anything.
    let detail = String::from_utf8_lossy(&detail).escape_debug().to_string();
    // SAFETY: not null; `call` points to a string constant of the loop (axloop.h: "static text").
    let text = unsafe { CStr::from_ptr(status.call) };
    let text = text.to_string_lossy();
    if detail.is_empty() { text.into_owned() } else { format!("{text} ({detail})") }
}
