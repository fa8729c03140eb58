//! `POST /api/chat`: a conversation and the next message of it.

mod request;

use axum::extract::{Request, State};
use axum::response::Response;

pub(crate) use self::request::{ChatRequest, message};
use super::answer::{self, Route};
use crate::api::AppState;
use crate::api::error::ApiError;
use crate::api::inference;

/// The handler.
pub(crate) async fn chat(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (ask, turn) = inference::receive(&state, request, ChatRequest::parse).await?;
    let ChatRequest { ask, stream } = ask;
    let model = ask.model.clone();
    let outcome = inference::chat(&state, turn, ask).await?;
    answer::respond(Route::Chat, model, outcome, stream).await
}
