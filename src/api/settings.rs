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
    /// `OLLAMA_ORIGINS` and the built-in ones.
    pub origins: Origins,
    /// `OLLAMA_DEBUG`: 0 normal, 1 debug, 2 trace.
    pub debug: u8,
    /// Address the server listens on, set by [`super::serve`]. `None` when requests come from inside the process: then
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
            origins: Origins::default(),
            debug: 0,
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
        Self {
            host: host_of(value("OLLAMA_HOST")),
            keep_alive: value("OLLAMA_KEEP_ALIVE").map_or_else(KeepAlive::default, |text| {
                KeepAlive::parse_setting(&text).unwrap_or_else(|error| {
                    tracing::warn!(%error, "OLLAMA_KEEP_ALIVE is not used");
                    KeepAlive::default()
                })
            }),
            context_length: number(value("OLLAMA_CONTEXT_LENGTH"), "OLLAMA_CONTEXT_LENGTH")
                .filter(|&n| n > 0),
            max_queue: number(value("OLLAMA_MAX_QUEUE"), "OLLAMA_MAX_QUEUE").unwrap_or(DEFAULT_MAX_QUEUE),
            origins: Origins::default(),
            debug: debug_level(&value("OLLAMA_DEBUG").unwrap_or_default()),
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

/// `OLLAMA_DEBUG` is a level or a boolean; any other text counts as true.
fn debug_level(text: &str) -> u8 {
    match text.to_ascii_lowercase().as_str() {
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
            ("OLLAMA_DEBUG", "2"),
        ]);
        assert_eq!(read.host.authority(), "0.0.0.0:8080");
        assert_eq!(read.keep_alive, KeepAlive::For(Duration::from_mins(10)));
        assert_eq!((read.context_length, read.max_queue, read.debug), (Some(2048), 3, 2));
    }

    #[test]
    fn nonsense_means_the_default() {
        let read = settings(&[
            ("OLLAMA_KEEP_ALIVE", "soon"),
            ("OLLAMA_CONTEXT_LENGTH", "0"),
            ("OLLAMA_MAX_QUEUE", "-1"),
            ("OLLAMA_DEBUG", "yes"),
        ]);
        assert_eq!(read.keep_alive, KeepAlive::default());
        assert_eq!((read.context_length, read.max_queue, read.debug), (None, DEFAULT_MAX_QUEUE, 1));
    }
}
