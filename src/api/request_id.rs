//! Names for requests, to find a client's complaint in the log.
//!
//! A client or a proxy may have named the request already (`X-Request-Id`); a name that is short and plain is kept, so
//! that one search finds it in the logs of both. Anything else gets a name of ours. The answer carries it back.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::id;

tokio::task_local! {
    /// The name of the request that this task answers.
    static CURRENT: RequestId;
}

/// Header of requests and answers.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The name under which Anthropic's libraries look for it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Longest name that is taken over, in bytes. That of a UUID is 36.
const LONGEST: usize = 128;

/// The name of one request: letters, digits, `-`, `_`, `.`, `:`.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The name that the request brings, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        headers
            .get(X_REQUEST_ID)
            .filter(|value| is_plain(value.as_bytes()))
            .cloned()
            .map_or_else(Self::new, Self)
    }

    fn new() -> Self {
        // Hexadecimal digits are a header value.
        Self(HeaderValue::from_str(&id::hex("req")).unwrap_or(HeaderValue::from_static("req_unnamed")))
    }

    /// The name of the request that is being answered; a new one where none is.
    pub(crate) fn current() -> Self {
        CURRENT.try_with(Self::clone).unwrap_or_else(|_| Self::new())
    }

    /// Answers a request of this name.
    pub(crate) async fn scope<F: Future>(self, answer: F) -> F::Output {
        CURRENT.scope(self, answer).await
    }

    /// Does one step of an answer to a request of this name.
    pub(crate) fn enter<T>(&self, step: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self.clone(), step)
    }

    /// As the value of a header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Whether a name can stand in a log line without pretending to be more than a name.
fn is_plain(name: &[u8]) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(name).unwrap())]);
        RequestId::of(&headers).to_string()
    }

    #[test]
    fn plain_names_are_kept_and_others_replaced() {
        for kept in ["a", "7f6a1d3e-0000-4a3b-9a55-1b2c3d4e5f60", "trace:1.2_3"] {
            assert_eq!(of(kept.as_bytes()), kept);
        }
        let long = "x".repeat(LONGEST + 1);
        for replaced in [&b""[..], b"a b", b"a\tb", b"caf\xc3\xa9", b"x=1", b"{\"a\":1}", long.as_bytes()] {
            let name = of(replaced);
            assert!(name.starts_with("req_") && is_plain(name.as_bytes()), "{name}");
        }
        assert_ne!(of(b""), of(b""));
    }

    #[tokio::test]
    async fn an_answer_knows_the_name_of_its_request() {
        let id = RequestId::new();
        let name = id.to_string();
        assert_eq!(id.enter(RequestId::current).to_string(), name);
        assert_eq!(id.scope(async { RequestId::current().to_string() }).await, name);
        assert_ne!(RequestId::current().to_string(), name);
    }
}
