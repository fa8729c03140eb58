//! Ollama's own routes.
//!
//! [`routes`] is the one list of them; the router, the answers to wrong methods and the redirects of trailing slashes
//! all follow from it.

mod answer;
mod blobs;
mod chat;
mod cloud;
mod copy;
mod create;
mod delete;
mod embed;
mod generate;
#[cfg(test)]
mod hostile;
mod listing;
mod operations;
mod progress;
mod records;
mod request;
mod show;
#[cfg(test)]
mod tests;
mod transfer;

pub(crate) use create::Imports;
pub(crate) use operations::operations;
pub(crate) use records::Logprob;
pub use show::describe_model;

use axum::response::{IntoResponse, Response};
use axum::routing::{self, MethodRouter};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::{AppState, body};

/// The version of Ollama whose routes and fields this server has. Clients compare it: some want at least 0.6.4, some
/// parse every part as a number. What this program's own version is stands in the `Server` header.
pub const COMPATIBLE_VERSION: &str = "0.32.0";

/// Every path with its methods. GET includes HEAD unless it is excluded.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    vec![
        ("/", routing::get(alive)),
        ("/api/version", routing::get(version)),
        ("/api/tags", routing::get(listing::tags)),
        // Upstream has no HEAD here.
        ("/api/ps", routing::get(listing::ps).head(super::method_not_allowed)),
        ("/api/show", routing::post(show::show)),
        ("/api/generate", routing::post(generate::generate)),
        ("/api/chat", routing::post(chat::chat)),
        ("/api/embed", routing::post(embed::embed)),
        ("/api/embeddings", routing::post(embed::embeddings)),
        ("/api/delete", routing::delete(delete::delete)),
        ("/api/copy", routing::post(copy::copy)),
        ("/api/create", routing::post(create::create)),
        ("/api/blobs/{digest}", routing::post(blobs::post).head(blobs::head)),
        ("/api/pull", routing::post(transfer::pull)),
        ("/api/push", routing::post(transfer::push)),
        ("/api/status", routing::get(cloud::status).head(super::method_not_allowed)),
        ("/api/me", routing::post(cloud::me)),
        ("/api/signout", routing::post(cloud::sign_out)),
        ("/api/user/keys/{key}", routing::delete(cloud::sign_out)),
        ("/api/experimental/web_search", routing::post(cloud::web_search)),
        ("/api/experimental/web_fetch", routing::post(cloud::web_fetch)),
        (
            "/api/experimental/model-recommendations",
            routing::get(cloud::recommendations).head(super::method_not_allowed),
        ),
    ]
}

async fn alive() -> Response {
    ([body::TEXT], "Ollama is running").into_response()
}

/// The answer of `/api/version`.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    version: &'static str,
}

async fn version() -> Result<Response, ApiError> {
    body::json(&Version { version: COMPATIBLE_VERSION })
}
