//! Routes in the manner of `OpenAI`, with the fields and texts that Ollama gives them.
//!
//! Every route turns its request into what [`super::inference`] takes and renders what comes back; none knows the engine.
//! Field by field the requests are those of the official clients: what they send and this server does not honour is
//! passed over where that is harmless, as Ollama does, and refused with 400 where it would mislead (`n`, pictures).

mod embeddings;
pub(crate) mod error;
mod models;

use axum::routing::{self, MethodRouter};
use tower_http::catch_panic::CatchPanicLayer;

use super::AppState;

/// Every path with its methods.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    // Upstream has no HEAD on these.
    let get = [
        ("/v1/models", routing::get(models::list).head(super::method_not_allowed)),
        ("/v1/models/{*model}", routing::get(models::retrieve).head(super::method_not_allowed)),
        ("/v1/embeddings", routing::post(embeddings::create)),
    ];
    let guarded = |(path, methods): (_, MethodRouter<AppState>)| {
        (path, methods.layer(CatchPanicLayer::custom(error::panicked)))
    };
    get.into_iter().map(guarded).collect()
}
