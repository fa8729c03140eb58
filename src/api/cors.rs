//! Which web pages may call the server (CORS).
//!
//! A browser sends `Origin`; other clients do not and are not concerned. An origin that is not allowed gets 403 with an
//! empty body, also for simple requests: otherwise any page a user visits could spend his card's time, even if it could
//! not read the answer. The rules are upstream's, written out here because no middleware at hand refuses simple
//! requests.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AppState;

const ALLOW_METHODS: &str = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS";
/// Upstream's, and those of Anthropic's library and of [`super::request_id`].
const ALLOW_HEADERS: &str = "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,\
x-stainless-arch,x-stainless-async,x-stainless-custom-poll-interval,x-stainless-helper-method,x-stainless-lang,\
x-stainless-os,x-stainless-package-version,x-stainless-poll-helper,x-stainless-retry-count,x-stainless-runtime,\
x-stainless-runtime-version,x-stainless-timeout,x-api-key,anthropic-version,anthropic-beta,\
anthropic-dangerous-direct-browser-access,x-request-id";
/// What a page may read of an answer besides the few headers that every page may.
const EXPOSE_HEADERS: &str = "X-Request-Id,Request-Id";
/// Twelve hours, in seconds.
const MAX_AGE: &str = "43200";

const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "0.0.0.0"];
const APPLICATION_SCHEMES: [&str; 5] = ["app", "file", "tauri", "vscode-webview", "vscode-file"];

/// A pattern of `OLLAMA_ORIGINS` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Neither a scheme nor a `*` in it.
    #[error("OLLAMA_ORIGINS: {0:?} would never match; write a scheme, as in http://{0}, or use *")]
    NoScheme(String),
    /// More than one `*`.
    #[error("OLLAMA_ORIGINS: {0:?} has more than one *")]
    TwoStars(String),
}

/// Allowed origins: those of the environment and the built-in local ones.
#[derive(Debug, Clone)]
pub struct Origins {
    /// `*` was given: everyone may.
    any: bool,
    /// What stands before and, if there was a `*`, after it; lower case.
    patterns: Vec<(String, Option<String>)>,
}

impl Default for Origins {
    fn default() -> Self {
        let mut patterns = Vec::new();
        for host in LOCAL_HOSTS {
            for scheme in ["http", "https"] {
                patterns.push((format!("{scheme}://{host}"), None));
                patterns.push((format!("{scheme}://{host}:"), Some(String::new())));
            }
        }
        for scheme in APPLICATION_SCHEMES {
            patterns.push((format!("{scheme}://"), Some(String::new())));
        }
        Self { any: false, patterns }
    }
}

impl Origins {
    /// The built-in origins and those of a comma separated list (`OLLAMA_ORIGINS`).
    pub fn new(list: &str) -> Result<Self, OriginError> {
        let mut origins = Self::default();
        for pattern in list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
            let lower = pattern.to_lowercase();
            if lower == "*" {
                origins.any = true;
                continue;
            }
            if !lower.contains("://") && !lower.contains('*') {
                return Err(OriginError::NoScheme(pattern.to_owned()));
            }
            let (before, after) = match lower.split_once('*') {
                Some((_, after)) if after.contains('*') => {
                    return Err(OriginError::TwoStars(pattern.to_owned()));
                }
                Some((before, after)) => (before.to_owned(), Some(after.to_owned())),
                None => (lower, None),
            };
            origins.patterns.push((before, after));
        }
        Ok(origins)
    }

    fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_lowercase();
        self.any
            || self.patterns.iter().any(|(before, after)| match after {
                None => origin == *before,
                Some(after) => {
                    origin.len() >= before.len() + after.len()
                        && origin.starts_with(before.as_str())
                        && origin.ends_with(after.as_str())
                }
            })
    }
}

/// Middleware: refuses foreign origins, answers preflights, marks answers for allowed ones.
pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let origins = &state.settings.origins;
    let Some(origin) = foreign_origin(request.headers()) else {
        if request.method() == Method::OPTIONS {
            return StatusCode::NO_CONTENT.into_response();
        }
        return next.run(request).await;
    };
    let allowed = origin.to_str().is_ok_and(|text| origins.allows(text));
    if !allowed {
        tracing::debug!(?origin, "origin refused; OLLAMA_ORIGINS adds allowed ones");
        return StatusCode::FORBIDDEN.into_response();
    }
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = if is_preflight { preflight() } else { next.run(request).await };
    let headers = response.headers_mut();
    if !is_preflight {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    }
    if origins.any {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// The `Origin` of a request from a page of another server; `None` if there is none or it is our own.
fn foreign_origin(headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    if let (Ok(text), Some(Ok(host))) = (origin.to_str(), headers.get(HOST).map(HeaderValue::to_str))
        && let Some(("http" | "https", authority)) = text.split_once("://")
        && authority.eq_ignore_ascii_case(host)
    {
        return None;
    }
    Some(origin.clone())
}

fn preflight() -> Response {
    (
        StatusCode::NO_CONTENT,
        [
            (ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS),
            (ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ],
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_origins() {
        let origins = Origins::default();
        for allowed in [
            "http://localhost",
            "https://LOCALHOST:3000",
            "http://127.0.0.1:8080",
            "http://0.0.0.0",
            "app://obsidian.md",
            "tauri://localhost",
            "vscode-webview://abc",
        ] {
            assert!(origins.allows(allowed), "{allowed}");
        }
        for refused in
            ["http://localhost.evil.com", "http://evil.com", "null", "http://127.0.0.1.evil.com:80", ""]
        {
            assert!(!origins.allows(refused), "{refused}");
        }
    }

    #[test]
    fn configured_origins() {
        let origins = Origins::new("https://chat.example.com, http://*.lan ,chrome-extension://*").unwrap();
        assert!(origins.allows("https://chat.example.com"));
        assert!(origins.allows("http://box.lan"));
        assert!(origins.allows("chrome-extension://abcdef"));
        assert!(!origins.allows("https://box.lan"));
        assert!(Origins::new("*").unwrap().allows("https://anything.example"));
        assert_eq!(Origins::new("example.com").unwrap_err(), OriginError::NoScheme("example.com".into()));
        assert_eq!(Origins::new("http://*.*").unwrap_err(), OriginError::TwoStars("http://*.*".into()));
    }
}
