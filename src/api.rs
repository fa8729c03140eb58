//! The HTTP surface.
//!
//! [`router`] turns an [`AppState`] (engine, store, settings) into an axum router; [`serve()`] runs it on a listener.
//! The rules that hold on every route live here and in the files beside: request bodies are read whatever their content
//! type (`body`, `fields`), one table maps errors to statuses ([`error`]), foreign hosts and origins are refused
//! (`guard`, `cors`), a panic in a handler is a 500 and not the end of the server.
//!
//! Handlers never see a device and do not block: parsing, reading files, rendering and tokenising go to worker threads
//! (`lookup`), as many at a time as `intake` allows; everything else is a message to the engine. A client that
//! disconnects drops the handler or the body stream, with it the generation, and that cancels the work on the card.

mod anthropic;
mod api_key;
mod body;
mod cors;
pub mod error;
mod exchange;
mod fields;
mod guard;
pub mod host;
mod id;
mod inference;
mod intake;
mod lookup;
mod ollama;
mod openai;
mod openapi;
mod request_id;
mod serve;
pub mod settings;
mod socket;
mod stream;
#[cfg(test)]
mod testing;
mod time;
mod usage;
mod weight;
mod windows;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::header::LOCATION;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

pub use api_key::{ApiKeyError, ApiKeys};
pub use body::MAX_BODY_BYTES;
pub use cors::{OriginError, Origins};
use ollama::Imports;
pub use ollama::{COMPATIBLE_VERSION, describe_model};
pub use serve::{ServeError, bind, serve};

use self::anthropic::error::AnthropicError;
use self::error::ApiError;
use self::intake::Intake;
use self::openai::error::OpenAiError;
use self::openapi::operation::Operation;
use self::settings::Settings;
use self::usage::Traffic;
use self::windows::Windows;
use crate::engine::Engine;
use crate::models::store::Store;

/// Files that may be uploaded at a time; each has a thread that writes it.
const UPLOADS: usize = 8;

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<Store>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) windows: Arc<Windows>,
    /// The right to upload a file.
    pub(crate) uploads: Arc<Semaphore>,
    /// The right to convert a file.
    pub(crate) imports: Arc<Imports>,
}

impl AppState {
    /// Puts the parts together.
    pub fn new(engine: Engine, store: Arc<Store>, settings: Settings) -> Self {
        let intake = Arc::new(Intake::new(settings.max_queue));
        let (uploads, imports) = (Arc::new(Semaphore::new(UPLOADS)), Arc::default());
        let (traffic, windows) = (Arc::default(), Arc::default());
        Self { engine, store, settings: Arc::new(settings), intake, traffic, windows, uploads, imports }
    }

    /// Records where the server listens; the check of the `Host` header depends on it.
    fn listen_on(&mut self, address: SocketAddr) {
        let mut settings = Settings::clone(&self.settings);
        settings.listening = Some(address);
        self.settings = Arc::new(settings);
    }
}

/// The routes with everything around them. Usable without a listener, through `tower::ServiceExt::oneshot`.
pub fn router(state: AppState) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), api_key::check))
        .layer(middleware::from_fn_with_state(state.clone(), cors::check))
        .layer(middleware::from_fn_with_state(state.clone(), guard::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(state.clone(), exchange::attend))
        .with_state(state)
}

/// Every path with its methods, of all families.
fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    let families =
        [ollama::routes(), openai::routes(), anthropic::routes(), usage::routes(), openapi::routes()];
    families.into_iter().flatten().collect()
}

/// Those paths, described.
fn operations() -> Vec<Operation> {
    [
        ollama::operations(),
        openai::operations(),
        anthropic::operations(),
        usage::operations(),
        openapi::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An error in the envelope that the clients of a path read; for what is refused before a handler sees it.
fn refusal(path: &str, error: ApiError) -> Response {
    if path.starts_with("/v1/messages") {
        AnthropicError::from(error).into_response()
    } else if path.starts_with("/v1/") {
        OpenAiError::from(error).into_response()
    } else {
        error.into_response()
    }
}

/// The patterns of all paths.
static PATHS: LazyLock<Vec<&str>> = LazyLock::new(|| routes().into_iter().map(|(path, _)| path).collect());

/// 404, or a redirect for a known path with a slash too many.
async fn unknown_path(method: Method, uri: Uri) -> Response {
    let trimmed = uri.path().strip_suffix('/').filter(|path| *path != "/");
    if let Some(path) = trimmed.filter(|path| PATHS.iter().any(|pattern| fits(pattern, path))) {
        let status = if method == Method::GET {
            StatusCode::MOVED_PERMANENTLY
        } else {
            StatusCode::TEMPORARY_REDIRECT
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return (status, [(LOCATION, format!("{path}{query}"))]).into_response();
    }
    (StatusCode::NOT_FOUND, [body::BARE_TEXT], "404 page not found").into_response()
}

/// Whether a path is one of those that a pattern stands for.
fn fits(pattern: &str, path: &str) -> bool {
    let (wanted, parts) = (pattern.split('/'), path.split('/'));
    let is_same =
        |(wanted, part): (&str, &str)| wanted == part || wanted.starts_with('{') && !part.is_empty();
    wanted.clone().count() == parts.clone().count() && wanted.zip(parts).all(is_same)
}

async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [body::BARE_TEXT], "405 method not allowed").into_response()
}

/// The answer when a handler panicked: the request fails, the server goes on.
#[expect(clippy::needless_pass_by_value, reason = "the signature the layer asks for")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    panic_error(payload.as_ref()).into_response()
}

/// Logs the panic of a handler, or of work that it had done elsewhere, and makes the error of it that a client may see.
fn panic_error(payload: &(dyn Any + Send)) -> ApiError {
    let panic = exchange::panic_text(payload);
    tracing::error!(panic, "a request handler panicked");
    ApiError::fault()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn paths_fit_their_patterns() {
        for (pattern, path) in
            [("/", "/"), ("/api/tags", "/api/tags"), ("/api/blobs/{digest}", "/api/blobs/x")]
        {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", ""),
            ("/api/tags", "/api/tags/x"),
            ("/api/blobs/{digest}", "/api/blobs/"),
            ("/api/blobs/{digest}", "/api/blobs"),
            ("/api/blobs/{digest}", "/api/blobs/a/b"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_text() {
        let response = panicked(Box::new("secret"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    }
}
