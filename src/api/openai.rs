//! Routes in the manner of `OpenAI`, with the fields and texts that Ollama gives them.
//!
//! Every route turns its request into what [`super::inference`] takes and renders what comes back; none knows the
//! engine. Field by field the requests are those of the official clients: what they send and this server does not
//! honour is passed over, as Ollama does, but for pictures and sound, which are refused.

mod chat;
mod completions;
pub(crate) mod content;
mod embeddings;
pub(crate) mod error;
#[cfg(test)]
pub(crate) mod hostile;
mod models;
mod operations;
mod responses;
mod sampling;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod transcriptions;

use axum::routing::{self, MethodRouter};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::operations::operations;
use super::AppState;

/// Every path with its methods.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    // Upstream has no HEAD on these.
    let routes = [
        ("/v1/models", routing::get(models::list).head(super::method_not_allowed)),
        ("/v1/models/{model}", routing::get(models::retrieve).head(super::method_not_allowed)),
        ("/v1/embeddings", routing::post(embeddings::create)),
        ("/v1/chat/completions", routing::post(chat::completions)),
        ("/v1/completions", routing::post(completions::completions)),
        ("/v1/responses", routing::post(responses::responses)),
        ("/v1/audio/transcriptions", routing::post(transcriptions::transcriptions)),
    ];
    let guarded = |(path, methods): (_, MethodRouter<AppState>)| {
        (path, methods.layer(CatchPanicLayer::custom(error::panicked)))
    };
    routes.into_iter().map(guarded).collect()
}
