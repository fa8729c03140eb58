//! Settings of the server that come from the environment, under Ollama's names where it has them.
//!
//! Only this file knows these names; [`VARIABLES`] lists them for people. Values are trimmed of blanks and quotes, as
//! upstream does, because they often come from service files and shells that leave them in. A value that makes no sense
//! never stops the server, with two exceptions. Silently dropping a bad origin pattern would leave a browser
//! application shut out without a trace, and silently dropping bad keys would leave the server open.

use std::net::SocketAddr;
use std::time::Duration;

use super::api_key::{ApiKeyError, ApiKeys};
use super::cors::{OriginError, Origins};
use super::host::{self, HostAddress};
use crate::engine::KeepAlive;

/// Requests that may wait for the card when `OLLAMA_MAX_QUEUE` is not set.
pub const DEFAULT_MAX_QUEUE: usize = 512;

/// A variable of the environment, as `ax650 serve --help` shows it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
}

const fn variable(name: &'static str, meaning: &'static str, default: &'static str) -> Variable {
    Variable { name, meaning, default }
}

/// Every variable that the server reads, apart from those that are flags as well. Ollama's others are about GPUs and
/// its cloud; they mean nothing here and do no harm.
pub const VARIABLES: [Variable; 13] = [
    variable("OLLAMA_HOST", "address to listen on; 0.0.0.0 for every interface", "127.0.0.1:11434"),
    variable("OLLAMA_MODELS", "folder of the models", "~/.ollama/models"),
    variable("OLLAMA_KEEP_ALIVE", "how long an idle model stays on the card; -1 for ever", "5m"),
    variable("OLLAMA_CONTEXT_LENGTH", "window in tokens that prompts are fitted to", "all the model has"),
    variable("OLLAMA_MAX_QUEUE", "requests that may wait for the card before the answer is 503", "512"),
    variable("OLLAMA_NUM_PARALLEL", "conversations at a time on one model", "4"),
    variable("OLLAMA_MAX_LOADED_MODELS", "models at a time on the card", "1"),
    variable(
        "OLLAMA_LOAD_TIMEOUT",
        "time for one file of a load before the card is said to hang; 0 for ever",
        "2m",
    ),
    variable("OLLAMA_NOPRUNE", "1 to keep uploaded files that no request has asked for in an hour", "0"),
    variable(
        "OLLAMA_ORIGINS",
        "web pages that may call, besides local ones; comma separated, * for any",
        "none",
    ),
    variable("OLLAMA_DEBUG", "1 for a debug log on standard error, 2 for all of it", "0"),
    variable(
        "AX650_API_KEYS",
        "keys that clients must show: comma separated, or @FILE with one per line",
        "none",
    ),
    variable("OLLAMA_API_KEY", "key that this program shows when it is the client", "none"),
];

/// A setting that the server must not start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// `OLLAMA_ORIGINS` has a pattern that could never match.
    #[error(transparent)]
    Origins(#[from] OriginError),
    /// `AX650_API_KEYS` has no usable keys.
    #[error(transparent)]
    ApiKeys(#[from] ApiKeyError),
}

/// What `ax650 serve` reads from the environment.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `OLLAMA_HOST`.
    pub host: HostAddress,
    /// `OLLAMA_KEEP_ALIVE`: how long an idle model stays on the card.
    pub keep_alive: KeepAlive,
    /// `OLLAMA_CONTEXT_LENGTH`: window in tokens that prompts are fitted to; `None` is the model's compiled context.
    pub context_length: Option<usize>,
    /// `OLLAMA_MAX_QUEUE`: requests that may wait for the card before the answer is 503.
    pub max_queue: usize,
    /// `OLLAMA_NUM_PARALLEL`: requests that may run at a time on one model; `None` leaves it to the engine.
    pub num_parallel: Option<usize>,
    /// `OLLAMA_MAX_LOADED_MODELS`: models that may be on the card at a time; `None` leaves it to the engine.
    pub max_loaded_models: Option<usize>,
    /// `OLLAMA_LOAD_TIMEOUT`: how long loading one file may take; `None` leaves it to the engine.
    pub load_timeout: Option<Duration>,
    /// `OLLAMA_NOPRUNE`: whether uploaded files that nobody asks for are removed.
    pub prunes: bool,
    /// `OLLAMA_ORIGINS` and the built-in ones.
    pub origins: Origins,
    /// `AX650_API_KEYS`: keys of which clients must show one; `None` lets everybody in.
    pub api_keys: Option<ApiKeys>,
    /// Address the server listens on, set by [`super::serve()`]. `None` when requests come from inside the process:
    /// then there is no `Host` header to check.
    pub listening: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            host: HostAddress::default(),
            keep_alive: KeepAlive::default(),
            context_length: None,
            max_queue: DEFAULT_MAX_QUEUE,
            num_parallel: None,
            max_loaded_models: None,
            load_timeout: None,
            prunes: true,
            origins: Origins::default(),
            api_keys: None,
            listening: None,
        }
    }
}

impl Settings {
    /// Reads the process environment.
    ///
    /// # Errors
    /// [`SettingsError`] for origins and keys that would not do what their owner meant.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`; separate from [`Self::from_env`] so that tests need not touch the process.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let origins = Origins::new(trimmed(&lookup("OLLAMA_ORIGINS").unwrap_or_default()))?;
        let keys = lookup("AX650_API_KEYS").unwrap_or_default();
        // Set to nothing is not set: service files do that.
        let keys = Some(trimmed(&keys)).filter(|keys| !keys.is_empty());
        let api_keys = keys.map(ApiKeys::parse).transpose()?;
        Ok(Self { origins, api_keys, ..Self::without_callers(lookup) })
    }

    /// Reads the process environment except for who may call, which means nothing where nobody can from outside.
    pub fn in_process() -> Self {
        Self::without_callers(|name| std::env::var(name).ok())
    }

    fn without_callers(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let value =
            |name: &str| lookup(name).map(|raw| trimmed(&raw).to_owned()).filter(|text| !text.is_empty());
        let number = |name: &str| number(value(name), name);
        Self {
            host: host_of(value("OLLAMA_HOST")),
            keep_alive: value("OLLAMA_KEEP_ALIVE").map_or_else(KeepAlive::default, |text| {
                KeepAlive::parse_setting(&text).unwrap_or_else(|error| {
                    tracing::warn!(%error, "OLLAMA_KEEP_ALIVE is not used");
                    KeepAlive::default()
                })
            }),
            context_length: number("OLLAMA_CONTEXT_LENGTH").filter(|&n| n > 0),
            max_queue: number("OLLAMA_MAX_QUEUE").unwrap_or(DEFAULT_MAX_QUEUE),
            // 0 means automatic.
            num_parallel: number("OLLAMA_NUM_PARALLEL").filter(|&n| n > 0),
            max_loaded_models: number("OLLAMA_MAX_LOADED_MODELS").filter(|&n| n > 0),
            load_timeout: value("OLLAMA_LOAD_TIMEOUT").and_then(|text| load_timeout(&text)),
            prunes: value("OLLAMA_NOPRUNE").is_none_or(|text| level(&text) == 0),
            ..Self::default()
        }
    }
}

/// A duration or a number of seconds; zero and less are for ever.
fn load_timeout(text: &str) -> Option<Duration> {
    match KeepAlive::parse_setting(text) {
        Ok(KeepAlive::For(duration)) if !duration.is_zero() => Some(duration),
        Ok(_) => Some(Duration::MAX),
        Err(_) => {
            tracing::warn!(value = text, "OLLAMA_LOAD_TIMEOUT is no duration; the default is used");
            None
        }
    }
}

/// `OLLAMA_HOST` of the process environment: all that a client needs.
pub fn host_from_env() -> HostAddress {
    host_of(std::env::var("OLLAMA_HOST").ok())
}

fn host_of(text: Option<String>) -> HostAddress {
    let host = host::parse(&text.unwrap_or_default());
    if let Some(port) = &host.bad_port {
        tracing::warn!(port, used = host.port, "OLLAMA_HOST names no valid port");
    }
    host
}

/// A value without the blanks and quotes around it.
pub(crate) fn trimmed(raw: &str) -> &str {
    raw.trim().trim_matches(['"', '\'']).trim()
}

fn number(text: Option<String>, name: &str) -> Option<usize> {
    let text = text?;
    text.parse()
        .inspect_err(|_| tracing::warn!(value = text, "{name} is no whole number; the default is used"))
        .ok()
}

/// What `OLLAMA_DEBUG` of the process asks for: 0 normal, 1 debug, 2 trace. Apart from [`Settings`], because the log
/// starts before they are read: reading them may warn.
pub fn debug_level() -> u8 {
    std::env::var("OLLAMA_DEBUG").map_or(0, |raw| level(&raw))
}

/// A level or a boolean; any other text counts as true.
fn level(raw: &str) -> u8 {
    match trimmed(raw).to_ascii_lowercase().as_str() {
        "" | "0" | "f" | "false" => 0,
        other => other.parse::<u8>().map_or(1, |level| level.min(2)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let find =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::from_lookup(find).unwrap()
    }

    #[test]
    fn values_are_trimmed_and_read() {
        let read = settings(&[
            ("OLLAMA_HOST", " \"0.0.0.0:8080\" "),
            ("OLLAMA_KEEP_ALIVE", "'10m'"),
            ("OLLAMA_CONTEXT_LENGTH", "2048"),
            ("OLLAMA_MAX_QUEUE", "3"),
            ("OLLAMA_NUM_PARALLEL", "2"),
            ("OLLAMA_MAX_LOADED_MODELS", "1"),
            ("OLLAMA_LOAD_TIMEOUT", "90"),
            ("AX650_API_KEYS", " 'one,two' "),
        ]);
        assert_eq!(read.host.authority(), "0.0.0.0:8080");
        assert_eq!(read.keep_alive, KeepAlive::For(Duration::from_mins(10)));
        assert_eq!((read.context_length, read.max_queue), (Some(2048), 3));
        assert_eq!((read.num_parallel, read.max_loaded_models), (Some(2), Some(1)));
        assert_eq!(read.load_timeout, Some(Duration::from_secs(90)));
        assert_eq!(format!("{:?}", read.api_keys), "Some(ApiKeys(2 keys))");
        assert_eq!(settings(&[("OLLAMA_LOAD_TIMEOUT", "-1")]).load_timeout, Some(Duration::MAX));
    }

    #[test]
    fn people_are_told_of_every_variable_that_is_read() {
        let read = RefCell::new(BTreeSet::new());
        let lookup = |name: &str| {
            read.borrow_mut().insert(name.to_owned());
            None
        };
        Settings::from_lookup(lookup).unwrap();
        // Those of other rooms.
        read.borrow_mut().extend(["OLLAMA_MODELS", "OLLAMA_DEBUG", "OLLAMA_API_KEY"].map(str::to_owned));
        let told: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
        assert_eq!(told, read.into_inner());
    }

    #[test]
    fn keys_that_would_leave_the_server_open_stop_it() {
        let parse = |keys: &str| {
            let keys = keys.to_owned();
            Settings::from_lookup(move |name| (name == "AX650_API_KEYS").then(|| keys.clone()))
        };
        assert!(parse(" \"\" ").unwrap().api_keys.is_none());
        assert!(matches!(parse(","), Err(SettingsError::ApiKeys(ApiKeyError::Empty))));
        assert!(matches!(parse("@/nowhere"), Err(SettingsError::ApiKeys(ApiKeyError::File { .. }))));
    }

    #[test]
    fn nonsense_means_the_default() {
        let read = settings(&[
            ("OLLAMA_KEEP_ALIVE", "soon"),
            ("OLLAMA_CONTEXT_LENGTH", "0"),
            ("OLLAMA_MAX_QUEUE", "-1"),
            ("OLLAMA_NUM_PARALLEL", "0"),
            ("OLLAMA_MAX_LOADED_MODELS", "many"),
            ("OLLAMA_LOAD_TIMEOUT", "soon"),
        ]);
        assert_eq!(read.keep_alive, KeepAlive::default());
        assert_eq!((read.context_length, read.max_queue), (None, DEFAULT_MAX_QUEUE));
        assert_eq!((read.num_parallel, read.max_loaded_models), (None, None));
        assert_eq!(read.load_timeout, None);
    }

    #[test]
    fn debug_levels() {
        for (text, expected) in [
            ("", 0),
            ("0", 0),
            (" 'False' ", 0),
            ("f", 0),
            ("1", 1),
            ("true", 1),
            ("yes", 1),
            ("\"2\"", 2),
            ("9", 2),
        ] {
            assert_eq!(level(text), expected, "{text}");
        }
    }
}
