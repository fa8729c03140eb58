//! What the environment says about the cards, because programs written for the vendor know no other way.
//!
//! | variable | value |
//! |---|---|
//! | `AX650_SIM_PROFILE` | how long the card takes: a profile's name or a `.toml` file; calls then return when they would on that machine |
//! | `AX650_SIM_CARDS` | cards in AXCL's device list, 1 to 128 |
//! | `AX650_SIM_MEMORY` | memory of each card: bytes, or with `K`, `M` or `G` (1024 and its powers) |
//! | `AX650_SIM_THREADS` | threads that compute |
//! | `AX650_SIM_COMPUTE` | `full`, or `none`: runs give fixed numbers |
//! | `AX650_SIM_FAULTS` | what goes wrong: a list in the grammar of [`Troubles`] |
//! | `AX650_SIM_VIOLATIONS` | `stderr`, a file to add to, or `fatal`: to standard error, and calls fail for them; makes the card strict |
//!
//! An empty value counts as none. A value or a name that is not known is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ax650_sim::control::Troubles;
use ax650_sim::process::Setup;
use ax650_sim::profile::Profile;
use ax650_sim::{CardOptions, Compute, Pace};

use crate::report;

const PREFIX: &str = "AX650_SIM_";
const NAMES: [&str; 7] = ["PROFILE", "CARDS", "MEMORY", "THREADS", "COMPUTE", "FAULTS", "VIOLATIONS"];
const MOST_CARDS: u32 = 128;
const MOST_THREADS: usize = 1024;

/// What to do with breaches of the vendor's contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Violations {
    #[default]
    Unnoticed,
    Stderr,
    File(PathBuf),
    Fatal,
}

/// What was read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Settings {
    options: CardOptions,
    troubles: Troubles,
    violations: Violations,
}

/// Reads the variables of this process.
pub(crate) fn of_environment() -> Result<Settings, String> {
    let ours = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
        Some((name, value.to_string_lossy().into_owned()))
    });
    parse(&ours.filter(|(_, value)| !value.is_empty()).collect())
}

/// Reads variables, by their names without the prefix.
fn parse(variables: &BTreeMap<String, String>) -> Result<Settings, String> {
    if let Some(name) = variables.keys().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(format!("{PREFIX}{name} is not known; there are {PREFIX}{{{}}}", NAMES.join(", ")));
    }
    let mut options = CardOptions { pace: Pace::Real, ..CardOptions::default() };
    let get = |name: &str| variables.get(name).map(String::as_str);
    let wrong = |name: &str, allowed: &str| {
        format!("{PREFIX}{name}={}: must be {allowed}", get(name).unwrap_or_default())
    };
    if let Some(text) = get("PROFILE") {
        options.profile = Some(Arc::new(profile(text)?));
    }
    if let Some(text) = get("CARDS") {
        let number = text.parse().ok().filter(|number| (1..=MOST_CARDS).contains(number));
        options.cards = number.ok_or_else(|| wrong("CARDS", "a number from 1 to 128"))?;
    }
    if let Some(text) = get("MEMORY") {
        let allowed = "a number of bytes above 0, or one with K, M or G after it";
        options.memory_bytes = Some(bytes(text).ok_or_else(|| wrong("MEMORY", allowed))?);
    }
    if let Some(text) = get("THREADS") {
        let number = text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number));
        options.threads = Some(number.ok_or_else(|| wrong("THREADS", "a number from 1 to 1024"))?);
    }
    options.compute = match get("COMPUTE") {
        None | Some("full") => Compute::Full,
        Some("none") => Compute::None,
        Some(_) => return Err(wrong("COMPUTE", "full or none")),
    };
    let troubles = get("FAULTS").unwrap_or_default().parse();
    let troubles = troubles.map_err(|e| format!("{PREFIX}FAULTS: {e}"))?;
    let violations = match get("VIOLATIONS") {
        None => Violations::Unnoticed,
        Some("stderr") => Violations::Stderr,
        Some("fatal") => Violations::Fatal,
        Some(path) => Violations::File(path.into()),
    };
    options.strict = violations != Violations::Unnoticed;
    Ok(Settings { options, troubles, violations })
}

/// A profile by name, or a file of one's own.
fn profile(text: &str) -> Result<Profile, String> {
    let is_file = Path::new(text).extension().is_some_and(|extension| extension == "toml");
    let read = if is_file { Profile::read(Path::new(text)) } else { Profile::named(text) };
    read.map_err(|e| format!("{PREFIX}PROFILE={text}: {e}"))
}

fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 1 << 10),
        b'M' => (text.strip_suffix('M')?, 1 << 20),
        b'G' => (text.strip_suffix('G')?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes > 0)
}

impl Settings {
    /// Prepares what is needed outside the card.
    pub(crate) fn apply(self) -> Result<Setup, String> {
        if let Violations::File(path) = &self.violations {
            report::to_file(path).map_err(|e| {
                format!("{PREFIX}VIOLATIONS={}: {e}; must be a file, stderr or fatal", path.display())
            })?;
        }
        Ok(Setup {
            fatal: self.violations == Violations::Fatal,
            on_violation: self.options.strict.then_some(report::write),
            options: self.options,
            troubles: self.troubles,
        })
    }
}

#[cfg(test)]
mod tests {
    use ax650_sim::violations::Violation;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        parse(&variables.iter().map(owned).collect())
    }

    #[test]
    fn nothing_said_is_a_card_that_is_not_strict() {
        let settings = read(&[]).unwrap();
        assert!(!settings.options.strict);
        assert!(settings.apply().unwrap().on_violation.is_none());
    }

    #[test]
    fn each_variable_reaches_the_card() {
        let settings = read(&[
            ("PROFILE", "pi5-llm8850"),
            ("CARDS", "3"),
            ("MEMORY", "2944M"),
            ("THREADS", "2"),
            ("COMPUTE", "none"),
            ("FAULTS", "noasync; lost@100"),
            ("VIOLATIONS", "fatal"),
        ]);
        let Settings { options, troubles, violations } = settings.unwrap();
        assert_eq!(troubles, "noasync;lost@100".parse().unwrap());
        assert_eq!(options.profile.unwrap().name(), "pi5-llm8850");
        assert_eq!((options.cards, options.memory_bytes), (3, Some(2944 << 20)));
        assert_eq!((options.threads, options.compute), (Some(2), Compute::None));
        assert_eq!((options.strict, options.pace, violations), (true, Pace::Real, Violations::Fatal));
    }

    #[test]
    fn a_wrong_value_says_what_is_allowed() {
        let cases = [
            ("CARDS", "0", "1 to 128"),
            ("CARDS", "129", "1 to 128"),
            ("MEMORY", "8 GB", "bytes"),
            ("MEMORY", "0", "bytes"),
            ("MEMORY", "99999999999G", "bytes"),
            ("THREADS", "many", "1 to 1024"),
            ("COMPUTE", "some", "full or none"),
            ("PROFILE", "pi6", "pi5-llm8850"),
            ("PROFILE", "/not/there.toml", "/not/there.toml"),
            ("FAULTS", "noasync; axclInnit:1=1", "no function `axclInnit`"),
            ("FAULT", "x", "VIOLATIONS"),
        ];
        for (name, value, told) in cases {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("AX650_SIM_{name}")) && error.contains(told), "{error}");
        }
    }

    #[test]
    fn violations_are_added_to_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("no/file").display().to_string();
        assert!(read(&[("VIOLATIONS", &absent)]).unwrap().apply().is_err());
        let path = directory.path().join("file");
        std::fs::write(&path, "before\n").unwrap();
        let setup = read(&[("VIOLATIONS", &path.display().to_string())]).unwrap().apply().unwrap();
        let rule = ax650_sim::violations::Rule::Leak;
        setup.on_violation.unwrap()(&Violation { call: "axclFinalize", rule, detail: "one".into() });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "before\nviolation: axclFinalize: Leak: one\n");
    }
}
