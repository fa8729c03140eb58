//! Settings of the server that come from Ollama's environment variables.
//!
//! Only this file knows their names. Values are trimmed of blanks and quotes, as upstream does, because they often come
//! from service files and shells that leave them in. A value that makes no sense never stops the server, except a bad
//! origin pattern: silently dropping that would leave a browser application shut out without a trace.

use std::net::SocketAddr;

use super::cors::{OriginError, Origins};
use super::host::{self, HostAddress};
use crate::engine::KeepAlive;

/// Requests that may wait for the card when `OLLAMA_MAX_QUEUE` is not set.
pub const DEFAULT_MAX_QUEUE: usize = 512;

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
    /// `OLLAMA_ORIGINS` and the built-in ones.
    pub origins: Origins,
    /// Address the server listens on, set by [`super::serve()`]. `None` when requests come from inside the process: then
    /// there is no `Host` header to check.
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
            origins: Origins::default(),
            listening: None,
        }
    }
}

impl Settings {
    /// Reads the process environment.
    ///
    /// # Errors
    /// [`OriginError`] for a pattern in `OLLAMA_ORIGINS` that could never match.
    pub fn from_env() -> Result<Self, OriginError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`; separate from [`Self::from_env`] so that tests need not touch the process.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, OriginError> {
        let origins = Origins::new(trimmed(&lookup("OLLAMA_ORIGINS").unwrap_or_default()))?;
        Ok(Self { origins, ..Self::without_origins(lookup) })
    }

    /// Reads the process environment except for `OLLAMA_ORIGINS`, which means nothing where no browser can call.
    pub fn in_process() -> Self {
        Self::without_origins(|name| std::env::var(name).ok())
    }

    fn without_origins(lookup: impl Fn(&str) -> Option<String>) -> Self {
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
            origins: Origins::default(),
            listening: None,
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
    use std::time::Duration;

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
        ]);
        assert_eq!(read.host.authority(), "0.0.0.0:8080");
        assert_eq!(read.keep_alive, KeepAlive::For(Duration::from_mins(10)));
        assert_eq!((read.context_length, read.max_queue), (Some(2048), 3));
        assert_eq!((read.num_parallel, read.max_loaded_models), (Some(2), Some(1)));
    }

    #[test]
    fn nonsense_means_the_default() {
        let read = settings(&[
            ("OLLAMA_KEEP_ALIVE", "soon"),
            ("OLLAMA_CONTEXT_LENGTH", "0"),
            ("OLLAMA_MAX_QUEUE", "-1"),
            ("OLLAMA_NUM_PARALLEL", "0"),
            ("OLLAMA_MAX_LOADED_MODELS", "many"),
        ]);
        assert_eq!(read.keep_alive, KeepAlive::default());
        assert_eq!((read.context_length, read.max_queue), (None, DEFAULT_MAX_QUEUE));
        assert_eq!((read.num_parallel, read.max_loaded_models), (None, None));
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
