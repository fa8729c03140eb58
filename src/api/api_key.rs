//! Keys that clients must show, if the owner has set any (`AX650_API_KEYS`).
//!
//! A key comes as `Authorization: Bearer KEY`, as OpenAI's and Ollama's libraries send it, or as `x-api-key: KEY`, as
//! Anthropic's do. Two things stay open to everybody. `GET` and `HEAD /`, which supervisors and the command line of
//! Ollama ask to see whether a server is there: the answer is a constant and tells no more than the open port. And the
//! description of the routes (`/docs`, `/openapi.json`), which is the same on every server of this version and which a
//! browser cannot ask for with a key. Preflights never come here: browsers send them without credentials.
//!
//! What is kept and compared are digests of the keys, all of them and without an early end, so the time that a refusal
//! takes tells nothing about any key.

use std::fmt;
use std::path::PathBuf;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::AppState;
use super::error::ApiError;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Keys of the server. Not readable once they are set.
#[derive(Clone)]
pub struct ApiKeys(Vec<[u8; 32]>);

/// A value of `AX650_API_KEYS` that cannot be used. The server does not start on one: it would be open, or shut to all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// The file after the `@` cannot be read.
    #[error("AX650_API_KEYS: cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no key in it.
    #[error("AX650_API_KEYS names no key; write keys with commas between them, or @FILE with a key per line")]
    Empty,
    /// A character that no header can carry.
    #[error(
        "AX650_API_KEYS: key {0} has a blank or a character outside of ASCII in it, which clients cannot send"
    )]
    NotPlain(usize),
}

impl ApiKeys {
    /// Reads a comma separated list of keys, or `@FILE` with a key per line (blank lines and those that begin with `#`
    /// do not count).
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        if let Some(path) = text.strip_prefix('@') {
            let path = PathBuf::from(path);
            return match std::fs::read_to_string(&path) {
                Ok(lines) => Self::of(lines.lines().filter(|line| !line.trim_start().starts_with('#'))),
                Err(source) => Err(ApiKeyError::File { path, source }),
            };
        }
        Self::of(text.split(','))
    }

    fn of<'a>(keys: impl Iterator<Item = &'a str>) -> Result<Self, ApiKeyError> {
        let digest = |(index, key): (usize, &str)| {
            let plain = key.bytes().all(|byte| byte.is_ascii_graphic());
            plain.then(|| Sha256::digest(key).into()).ok_or(ApiKeyError::NotPlain(index + 1))
        };
        let keys = keys.map(str::trim).filter(|key| !key.is_empty());
        let digests: Vec<_> = keys.enumerate().map(digest).collect::<Result<_, _>>()?;
        if digests.is_empty() { Err(ApiKeyError::Empty) } else { Ok(Self(digests)) }
    }

    fn admits(&self, key: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let found = self.0.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&digest));
        found.into()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({} keys)", self.0.len())
    }
}

/// Middleware: lets through who shows a key, where keys are set.
pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(keys) = &state.settings.api_keys else { return next.run(request).await };
    if is_open(request.method(), request.uri().path())
        || presented(request.headers()).any(|key| keys.admits(key))
    {
        return next.run(request).await;
    }
    let mut response = super::refusal(request.uri().path(), ApiError::Unauthorized);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn is_open(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && matches!(path, "/" | "/docs" | "/openapi.json")
}

/// The keys that a request shows.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let others = headers.get_all(X_API_KEY).iter().map(|value| value.as_bytes().trim_ascii());
    bearers.chain(others)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_files() {
        let keys = ApiKeys::parse("sk-one, two ,,three").unwrap();
        for key in ["sk-one", "two", "three"] {
            assert!(keys.admits(key.as_bytes()), "{key}");
        }
        for key in ["", "sk-one,", "sk-on", "sk-onee", "TWO", "four"] {
            assert!(!keys.admits(key.as_bytes()), "{key}");
        }
        assert_eq!(format!("{keys:?}"), "ApiKeys(3 keys)");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# who\nalpha\n\n beta,gamma \r\n#x\n").unwrap();
        let keys = ApiKeys::parse(&format!("@{}", file.path().display())).unwrap();
        assert!(keys.admits(b"alpha") && keys.admits(b"beta,gamma") && !keys.admits(b"# who"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for empty in ["", " , ,"] {
            assert!(matches!(ApiKeys::parse(empty), Err(ApiKeyError::Empty)), "{empty:?}");
        }
        assert!(matches!(ApiKeys::parse("good,b ad"), Err(ApiKeyError::NotPlain(2))));
        assert!(matches!(ApiKeys::parse("caf\u{e9}"), Err(ApiKeyError::NotPlain(1))));
        let error = ApiKeys::parse("@/nowhere/keys").unwrap_err().to_string();
        assert!(error.contains("/nowhere/keys"), "{error}");
    }

    #[test]
    fn keys_are_found_in_either_header() {
        for (header, value) in [
            ("authorization", "Bearer k"),
            ("authorization", "bearer  k "),
            ("authorization", "BEARER k"),
            ("x-api-key", " k "),
        ] {
            let name = HeaderName::from_static(header);
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(presented(&headers).collect::<Vec<_>>(), [b"k"], "{header}: {value}");
        }
        for value in ["k", "Basic k", "Bearer", ""] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(presented(&headers).count(), 0, "{value}");
        }
    }

    #[test]
    fn only_what_tells_nothing_is_open() {
        assert!(is_open(&Method::GET, "/") && is_open(&Method::HEAD, "/"));
        for (method, path) in [
            (Method::POST, "/"),
            (Method::HEAD, "/api/tags"),
            (Method::GET, "/api/version"),
            (Method::GET, "//"),
        ] {
            assert!(!is_open(&method, path), "{method} {path}");
        }
    }
}
