//! Routes in the manner of Anthropic, with the fields and texts that Ollama gives them.

mod content;
pub(crate) mod error;
mod events;
mod messages;
mod operations;
mod records;
mod request;

#[cfg(test)]
pub(crate) use self::request::MessagesRequest;

use axum::routing::{self, MethodRouter};
use tower_http::catch_panic::CatchPanicLayer;

use self::error::AnthropicError;
pub(crate) use self::operations::operations;
use super::AppState;

/// Every path with its methods.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    let routes = [
        ("/v1/messages", routing::post(messages::messages)),
        ("/v1/messages/count_tokens", routing::any(no_count)),
    ];
    let guarded = |(path, methods): (_, MethodRouter<AppState>)| {
        (path, methods.layer(CatchPanicLayer::custom(error::panicked)))
    };
    routes.into_iter().map(guarded).collect()
}

/// Upstream has no such route either. Clients that ask here first read the error of the family and go on without.
async fn no_count() -> AnthropicError {
    AnthropicError::not_found(
        "no such route: count_tokens; the usage of an answer tells how long its prompt was",
    )
}
