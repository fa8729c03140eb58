//! `POST /api/generate`: one prompt, one completion.

mod request;

use axum::extract::{Request, State};
use axum::response::Response;

pub(crate) use self::request::GenerateRequest;
use super::answer::{self, Route};
use crate::api::AppState;
use crate::api::error::ApiError;
use crate::api::inference;

/// The handler.
pub(crate) async fn generate(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (ask, turn) = inference::receive(&state, request, GenerateRequest::parse).await?;
    let GenerateRequest { ask, stream } = ask;
    let (model, route) = (ask.model.clone(), Route::Generate { context: !ask.raw });
    let outcome = inference::generate(&state, turn, ask).await?;
    answer::respond(route, model, outcome, stream).await
}
