//! What can go wrong on demand, and how to write it down.
//!
//! A program that knows only the vendor's interface gets its faults by text, from the environment of the shared
//! libraries. [`parse`] reads a list of them, separated by `;` (blanks around each do not matter):
//!
//! | text | what happens |
//! |---|---|
//! | `axclrtEngineExecute:5=0x8030070C` | the fifth next call of the function fails with the code and does nothing else |
//! | `axclrtEngineExecute:*=0x8030070C` | every call of it does |
//! | `lost@100` | the card drops off the bus at the hundredth next call of any function, and stays away |
//! | `hang@axclrtEngineExecute:3` | the third next call of the function does not return |
//! | `hang@axclrtEngineExecute:3=500ms` | it returns half a second later |
//! | `cmm@layer7` | memory is exhausted for the eighth model |
//! | `noasync` | `axclrtEngineExecuteAsync` is not supported |
//! | `firmware-mismatch` | the card's own software is of another version than the host's |
//! | `nan@output:4` | the fourth next run that has a tensor of this name fills it with NaN |
//! | `wrong@kv-decode-at-base` | a [`Mistake`], by its name |
//!
//! Counts begin at 1. Codes are decimal or, with `0x`, hexadecimal, and may be written as unsigned numbers.

use std::str::FromStr;
use std::time::Duration;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Calls of a function fail.
    Fail {
        /// Vendor name of the function.
        function: String,
        /// Which of the next calls, from 1. `None`: all of them.
        nth: Option<u64>,
        /// What it returns.
        code: i32,
    },
    /// The card drops off the bus.
    Lost {
        /// At which of the next calls, from 1.
        nth: u64,
    },
    /// A call does not return.
    Hang {
        /// Vendor name of the function.
        function: String,
        /// Which of the next calls, from 1.
        nth: u64,
        /// It does after this time.
        limit: Option<Duration>,
    },
    /// No memory for another model.
    MemoryFull {
        /// When so many are loaded.
        models: usize,
    },
    /// Runs cannot be queued.
    NoAsync,
    /// The card's own software is of another version than the host's: it says so in its properties, and does
    /// not understand the request to load a model. What a real pair does is not documented beyond "unstable"
    /// (abi.md 6); this is our choice. The chip's own interface has no such pair.
    FirmwareMismatch,
    /// A result is NaN.
    NotANumber {
        /// Name of the tensor.
        tensor: String,
        /// In which of the next runs that have it, from 1.
        nth: u64,
    },
    /// A fast path computes something else.
    Wrong(Mistake),
}

/// A way to compute something else, silently, that only a program on a fast path meets. Each is the kind of damage
/// that was seen or suspected on real versions (abi.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mistake {
    /// K and V rows of a decode step that are bound inside the cache are written to its base.
    KvDecodeAtBase,
    /// The same with the rows of a chunk (AXCL 3.6.5).
    KvPrefillAtBase,
    /// A hidden state is read as it was before the run that has just written it.
    StaleHidden,
    /// A mask that several models read is, for all but the first of them, the one of the run before.
    StaleMask,
    /// Queued runs change places.
    AsyncOrder,
    /// What is copied from pinned memory arrives after the next run.
    PinnedLate,
    /// Decode groups other than the largest have wrong results.
    SmallGroup,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::KvDecodeAtBase,
        Self::KvPrefillAtBase,
        Self::StaleHidden,
        Self::StaleMask,
        Self::AsyncOrder,
        Self::PinnedLate,
        Self::SmallGroup,
    ];

    /// Its name in a text.
    pub fn name(self) -> &'static str {
        match self {
            Self::KvDecodeAtBase => "kv-decode-at-base",
            Self::KvPrefillAtBase => "kv-prefill-at-base",
            Self::StaleHidden => "stale-hidden",
            Self::StaleMask => "stale-mask",
            Self::AsyncOrder => "async-order",
            Self::PinnedLate => "pinned-late",
            Self::SmallGroup => "small-group",
        }
    }
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault: {reason}")]
pub struct TroubleError {
    text: String,
    reason: String,
}

/// Reads a list of faults.
///
/// # Errors
///
/// The first of them that is none.
pub fn parse(text: &str) -> Result<Vec<Trouble>, TroubleError> {
    text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect()
}

impl FromStr for Trouble {
    type Err = TroubleError;

    fn from_str(text: &str) -> Result<Self, TroubleError> {
        read(text).map_err(|reason| TroubleError { text: text.to_owned(), reason })
    }
}

fn read(text: &str) -> Result<Trouble, String> {
    match text.split_once('@') {
        None if text == "noasync" => Ok(Trouble::NoAsync),
        None if text == "firmware-mismatch" => Ok(Trouble::FirmwareMismatch),
        None => failure(text),
        Some(("lost", nth)) => Ok(Trouble::Lost { nth: count(nth)? }),
        Some(("hang", call)) => hang(call),
        Some(("cmm", layer)) => {
            let index = layer.strip_prefix("layer").and_then(|index| index.parse().ok());
            let models = index.ok_or_else(|| format!("`{layer}` is not of the form layer7"))?;
            Ok(Trouble::MemoryFull { models })
        }
        Some(("nan", tensor)) => {
            let (tensor, nth) = split(tensor, ':', "output:4")?;
            Ok(Trouble::NotANumber { tensor: tensor.to_owned(), nth: count(nth)? })
        }
        Some(("wrong", name)) => {
            let names = || Mistake::ALL.map(Mistake::name).join(", ");
            let found = Mistake::ALL.into_iter().find(|mistake| mistake.name() == name);
            found.map(Trouble::Wrong).ok_or_else(|| format!("`{name}` is none of {}", names()))
        }
        Some((kind, _)) => Err(format!("`{kind}@` is none of lost@, hang@, cmm@, nan@ and wrong@")),
    }
}

fn failure(text: &str) -> Result<Trouble, String> {
    let (call, code) = split(text, '=', "axclrtMalloc:1=0x800B0018")?;
    let (function, nth) = split(call, ':', "axclrtMalloc:1")?;
    let nth = if nth == "*" { None } else { Some(count(nth)?) };
    let number = match code.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => code.parse(),
    };
    let code = number.ok().and_then(|number| {
        i32::try_from(number).ok().or_else(|| u32::try_from(number).ok().map(u32::cast_signed))
    });
    let code = code.filter(|code| *code != 0).ok_or("the code is no number of 32 bits other than 0")?;
    Ok(Trouble::Fail { function: function.to_owned(), nth, code })
}

fn hang(text: &str) -> Result<Trouble, String> {
    let (call, limit) = match text.split_once('=') {
        None => (text, None),
        Some((call, limit)) => {
            let milliseconds = limit.strip_suffix("ms").and_then(|number| number.parse().ok());
            let limit = milliseconds.ok_or_else(|| format!("`{limit}` is not of the form 500ms"))?;
            (call, Some(Duration::from_millis(limit)))
        }
    };
    let (function, nth) = split(call, ':', "axclrtEngineExecute:3")?;
    Ok(Trouble::Hang { function: function.to_owned(), nth: count(nth)?, limit })
}

fn split<'a>(text: &'a str, at: char, example: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once(at).filter(|(name, _)| !name.is_empty());
    parts.ok_or_else(|| format!("`{text}` is not of the form {example}"))
}

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("`{text}` is no count from 1 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let text = "axclrtEngineExecute:5=0x8030070C; lost@100;hang@AX_ENGINE_RunSync:3 ;cmm@layer7;noasync;\
                    nan@output:4;firmware-mismatch;hang@f:1=500ms;f:*=-5;wrong@stale-mask;";
        let function = |name: &str| name.to_owned();
        let code = 0x8030_070C_u32.cast_signed();
        let limit = Some(Duration::from_millis(500));
        let expected = [
            Trouble::Fail { function: function("axclrtEngineExecute"), nth: Some(5), code },
            Trouble::Lost { nth: 100 },
            Trouble::Hang { function: function("AX_ENGINE_RunSync"), nth: 3, limit: None },
            Trouble::MemoryFull { models: 7 },
            Trouble::NoAsync,
            Trouble::NotANumber { tensor: function("output"), nth: 4 },
            Trouble::FirmwareMismatch,
            Trouble::Hang { function: function("f"), nth: 1, limit },
            Trouble::Fail { function: function("f"), nth: None, code: -5 },
            Trouble::Wrong(Mistake::StaleMask),
        ];
        assert_eq!(parse(text).unwrap(), expected);
        assert!(parse(" ; ").unwrap().is_empty());
    }

    #[test]
    fn every_mistake_has_a_name_of_its_own() {
        for mistake in Mistake::ALL {
            let text = format!("wrong@{}", mistake.name());
            assert_eq!(text.parse(), Ok(Trouble::Wrong(mistake)));
        }
    }

    #[test]
    fn other_texts_are_explained() {
        let cases = [
            ("nosync", "not of the form axclrtMalloc:1=0x800B0018"),
            ("f=1", "not of the form axclrtMalloc:1"),
            (":1=1", "not of the form axclrtMalloc:1"),
            ("f:0=1", "`0` is no count"),
            ("f:1=0", "the code is no number"),
            ("f:1=0x1FFFFFFFF", "the code is no number"),
            ("lost@", "`` is no count"),
            ("cmm@7", "not of the form layer7"),
            ("hang@f:1=5s", "not of the form 500ms"),
            ("nan@output", "not of the form output:4"),
            ("wrong@everything", "none of kv-decode-at-base"),
            ("found@1", "none of lost@"),
        ];
        for (text, reason) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{text}: {error}");
        }
    }
}
