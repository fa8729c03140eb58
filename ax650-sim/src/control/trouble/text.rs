//! How to write down what goes wrong.

use std::str::FromStr;
use std::time::Duration;

use ax650_sys::table;

use super::{Calls, Mistake, Trouble};

/// Several things that go wrong, as programs that know only the vendor's interface get them: from a text, in the
/// environment of the shared libraries.
///
/// The text is a list, separated by `;` (blanks around each do not matter):
///
/// | text | what happens |
/// |---|---|
/// | `axclrtEngineExecute:5=0x8030070C` | the fifth next call of the function fails with the code and does nothing else |
/// | `axclrtEngineExecute:5-9=0x8030070C` | the fifth to the ninth do |
/// | `axclrtEngineExecute:5-=0x8030070C` | the fifth and all after it do |
/// | `axclrtEngineExecute:*=0x8030070C` | every call of it does |
/// | `run@5=0x8030070C` | the fifth next run fails on the card; if it was queued, the call that waits for it has the code |
/// | `lost@100` | the card drops off the bus at the hundredth next call of any function, and stays away |
/// | `lost@axclrtEngineExecute:40` | at the fortieth next call of the function |
/// | `lost@axclrtEngineExecute:40=back` | a program that begins anew after it finds the card, empty |
/// | `hang@axclrtEngineExecute:3` | the third next call of the function does not return |
/// | `hang@axclrtEngineExecute:3=500ms` | it returns half a second later |
/// | `cmm@layer7` | memory is exhausted for the eighth model |
/// | `noasync` | `axclrtEngineExecuteAsync` is not supported |
/// | `firmware-mismatch` | the card's own software is of another version than the host's |
/// | `nan@output:4` | the fourth next run that has a tensor of this name fills it with NaN |
/// | `wrong@kv-decode-at-base` | a [`Mistake`], by its name |
/// | `wrong@kv-decode-at-base:1` | the same in shape group 1 alone; groups are counted from 0 |
///
/// Other counts begin at 1. Where one call can be given, `5-9`, `5-` and `*` can, except for `lost`. Codes are decimal
/// or, with `0x`, hexadecimal, and may be written as unsigned numbers. Functions are those of the vendor, of all its
/// libraries.
///
/// ```
/// use ax650_sim::control::Troubles;
///
/// let troubles: Troubles = "axclrtMalloc:2-=0x800B0018; noasync".parse()?;
/// assert_eq!(troubles.into_iter().count(), 2);
///
/// let error = "axclrtMaloc:2=1".parse::<Troubles>().unwrap_err();
/// assert_eq!(error.to_string(), "`axclrtMaloc:2=1` is no fault: the vendor has no function `axclrtMaloc`");
/// # Ok::<(), ax650_sim::control::TroubleError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubles(Vec<Trouble>);

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault: {reason}")]
pub struct TroubleError {
    text: String,
    reason: String,
}

impl FromStr for Troubles {
    type Err = TroubleError;

    /// The error is that of the first part that is no fault.
    fn from_str(text: &str) -> Result<Self, TroubleError> {
        let parts = text.split(';').map(str::trim).filter(|text| !text.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl IntoIterator for Troubles {
    type Item = Trouble;
    type IntoIter = std::vec::IntoIter<Trouble>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
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
        Some(("run", failing)) => {
            let (runs, number) = split(failing, '=', "5=0x8030070C")?;
            Ok(Trouble::FailRun { runs: calls(runs)?, code: code(number)? })
        }
        Some(("lost", when)) => lost(when),
        Some(("hang", call)) => hang(call),
        Some(("cmm", layer)) => {
            let index = layer.strip_prefix("layer").and_then(|index| index.parse().ok());
            let models = index.ok_or_else(|| format!("`{layer}` is not of the form layer7"))?;
            Ok(Trouble::MemoryFull { models })
        }
        Some(("nan", tensor)) => {
            let (tensor, runs) = split(tensor, ':', "output:4")?;
            Ok(Trouble::NotANumber { tensor: tensor.to_owned(), runs: calls(runs)? })
        }
        Some(("wrong", what)) => wrong(what),
        Some((kind, _)) => Err(format!("`{kind}@` is none of run@, lost@, hang@, cmm@, nan@ and wrong@")),
    }
}

fn failure(text: &str) -> Result<Trouble, String> {
    let (call, number) = split(text, '=', "axclrtMalloc:1=0x800B0018")?;
    let (name, which) = split(call, ':', "axclrtMalloc:1")?;
    Ok(Trouble::Fail { function: function(name)?, calls: calls(which)?, code: code(number)? })
}

fn code(text: &str) -> Result<i32, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let code = number.ok().and_then(|number| {
        i32::try_from(number).ok().or_else(|| u32::try_from(number).ok().map(u32::cast_signed))
    });
    let code = code.filter(|code| *code != 0);
    code.ok_or_else(|| format!("`{text}` is no code: a number of 32 bits other than 0"))
}

fn lost(text: &str) -> Result<Trouble, String> {
    let (call, returns) = match text.split_once('=') {
        None => (text, false),
        Some((call, "back")) => (call, true),
        Some((_, end)) => return Err(format!("`={end}` is not `=back`")),
    };
    let (name, nth) = match call.split_once(':') {
        None => (None, call),
        Some((name, nth)) => (Some(function(name)?), nth),
    };
    Ok(Trouble::Lost { function: name, nth: count(nth)?, returns })
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
    let (name, which) = split(call, ':', "axclrtEngineExecute:3")?;
    Ok(Trouble::Hang { function: function(name)?, calls: calls(which)?, limit })
}

fn wrong(text: &str) -> Result<Trouble, String> {
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let found = Mistake::ALL.into_iter().find(|mistake| mistake.name() == name);
    let names = || Mistake::ALL.map(Mistake::name).join(", ");
    let mistake = found.ok_or_else(|| format!("`{name}` is none of {}", names()))?;
    let Some(group) = group else { return Ok(Trouble::Wrong(mistake)) };
    let group = group.parse().map_err(|_| format!("`{group}` is no number of a shape group"))?;
    Ok(Trouble::WrongIn { mistake, group })
}

fn split<'a>(text: &'a str, at: char, example: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once(at).filter(|(name, _)| !name.is_empty());
    parts.ok_or_else(|| format!("`{text}` is not of the form {example}"))
}

/// The host's twins of the chip's functions bear their names after another prefix.
fn function(name: &str) -> Result<String, String> {
    let chip = name.strip_prefix("AXCL_").map_or_else(|| name.to_owned(), |rest| format!("AX_{rest}"));
    let known = [table::PCIE, table::BOARD].into_iter().any(|symbols| {
        [symbols.required, symbols.optional].iter().any(|names| names.contains(&chip.as_str()))
    });
    if known { Ok(name.to_owned()) } else { Err(format!("the vendor has no function `{name}`")) }
}

fn calls(text: &str) -> Result<Calls, String> {
    match text.split_once('-') {
        None if text == "*" => Ok((..).into()),
        None => count(text).map(Calls::from),
        Some((first, "")) => Ok((count(first)?..).into()),
        Some((first, last)) => {
            let (first, last) = (count(first)?, count(last)?);
            if first <= last {
                Ok((first..=last).into())
            } else {
                Err(format!("`{text}` ends before it begins"))
            }
        }
    }
}

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("`{text}` is no count from 1 on"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Vec<Trouble> {
        text.parse::<Troubles>().unwrap().into_iter().collect()
    }

    fn run() -> String {
        "axclrtEngineExecute".to_owned()
    }

    #[test]
    fn each_form_is_read() {
        let code = 0x8030_070C_u32.cast_signed();
        let limit = Some(Duration::from_millis(500));
        let hang = |calls, limit| Trouble::Hang { function: run(), calls, limit };
        let cases = [
            ("noasync", Trouble::NoAsync),
            ("firmware-mismatch", Trouble::FirmwareMismatch),
            ("run@2-=0x8030070C", Trouble::FailRun { runs: (2..).into(), code }),
            ("cmm@layer7", Trouble::MemoryFull { models: 7 }),
            ("hang@axclrtEngineExecute:3", hang(3.into(), None)),
            ("hang@axclrtEngineExecute:3-4=500ms", hang((3..=4).into(), limit)),
            ("nan@output:4", Trouble::NotANumber { tensor: "output".to_owned(), runs: 4.into() }),
            ("wrong@stale-mask", Trouble::Wrong(Mistake::StaleMask)),
            ("lost@100", Trouble::Lost { function: None, nth: 100, returns: false }),
            ("lost@1=back", Trouble::Lost { function: None, nth: 1, returns: true }),
            (
                "lost@axclrtEngineExecute:2=back",
                Trouble::Lost { function: Some(run()), nth: 2, returns: true },
            ),
        ];
        for (text, expected) in &cases {
            assert_eq!(list(text), std::slice::from_ref(expected), "{text}");
        }
        for (which, calls) in
            [("5", 5.into()), ("5-", (5..).into()), ("5-9", (5..=9).into()), ("*", (..).into())]
        {
            for (number, code) in [("0x8030070C", code), ("2150631180", code), ("-5", -5), ("5", 5)] {
                let text = format!("axclrtEngineExecute:{which}={number}");
                assert_eq!(list(&text), [Trouble::Fail { function: run(), calls, code }], "{text}");
            }
        }
        let all = cases.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(" ;\n");
        assert_eq!(list(&all), cases.map(|(_, trouble)| trouble));
        assert!(list(" ; ").is_empty());
    }

    #[test]
    fn functions_of_every_library_can_be_named() {
        for name in ["axclInit", "axclrtGetDefaultContext", "AX_SYS_MemAlloc", "AX_ENGINE_RunSync"]
            .into_iter()
            .chain(["AXCL_SYS_MemAlloc", "AXCL_ENGINE_RunSyncV2"])
        {
            assert_eq!(function(name).as_deref(), Ok(name));
        }
        for name in ["", "AXCL_", "AX_ENGINE_Fly", "AXCL_ENGINE_Fly", "axclrtengineexecute", "axcl"] {
            assert!(function(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_mistake_has_a_name_of_its_own() {
        for mistake in Mistake::ALL {
            let text = format!("wrong@{}", mistake.name());
            assert_eq!(text.parse(), Ok(Trouble::Wrong(mistake)));
            assert_eq!(format!("{text}:3").parse(), Ok(Trouble::WrongIn { mistake, group: 3 }));
        }
    }

    #[test]
    fn other_texts_are_explained() {
        let cases = [
            ("nosync", "not of the form axclrtMalloc:1=0x800B0018"),
            ("axclInit=1", "not of the form axclrtMalloc:1"),
            (":1=1", "not of the form axclrtMalloc:1"),
            ("axclrtMaloc:1=1", "no function `axclrtMaloc`"),
            ("axclInit:0=1", "`0` is no count"),
            ("axclInit:2-1=1", "ends before it begins"),
            ("axclInit:-1=1", "`` is no count"),
            ("axclInit:1-*=1", "`*` is no count"),
            ("axclInit:1=0", "`0` is no code"),
            ("axclInit:1=0x1FFFFFFFF", "`0x1FFFFFFFF` is no code"),
            ("run@5", "not of the form 5=0x8030070C"),
            ("run@5=", "`` is no code"),
            ("lost@", "`` is no count"),
            ("lost@*", "`*` is no count"),
            ("lost@3=gone", "`=gone` is not `=back`"),
            ("cmm@7", "not of the form layer7"),
            ("hang@axclInit:1=5s", "not of the form 500ms"),
            ("hang@3", "not of the form axclrtEngineExecute:3"),
            ("nan@output", "not of the form output:4"),
            ("wrong@everything", "none of kv-decode-at-base"),
            ("wrong@everything:1", "`everything` is none of kv-decode-at-base"),
            ("wrong@stale-mask:-1", "`-1` is no number of a shape group"),
            ("found@1", "none of run@, lost@"),
        ];
        for (text, reason) in cases {
            let error = format!("noasync; {text}").parse::<Troubles>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.starts_with(&format!("`{text}` is no fault")), "{error}");
        }
    }

    /// Parts of texts that mean something, and some that do not.
    fn pieces() -> impl Strategy<Value = String> {
        let words = [
            "lost@",
            "hang@",
            "cmm@",
            "nan@",
            "wrong@",
            "noasync",
            "axclInit",
            "AXCL_",
            "layer",
            "output",
            "=back",
            "ms",
            "0x",
            "80300181",
            ":",
            "=",
            ";",
            "-",
            "*",
            "@",
            " ",
            "0",
            "1",
            "18446744073709551616",
            "ä",
            "\0",
        ];
        prop::collection::vec(prop::sample::select(words.to_vec()), 0..8).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in prop_oneof![any::<String>(), pieces()]) {
            if let Err(error) = text.parse::<Troubles>() {
                prop_assert!(text.contains(&error.text), "the part that is wrong is one of the text");
                prop_assert!(!error.reason.is_empty());
            }
        }
    }
}
