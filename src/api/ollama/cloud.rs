//! Routes that lead to Ollama's cloud. Nothing here does: each says so in the form that clients know.

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    cloud: Cloud,
}

#[derive(Debug, Serialize, ToSchema)]
struct Cloud {
    disabled: bool,
    source: &'static str,
}

/// `GET /api/status`.
pub(super) async fn status() -> Result<Response, ApiError> {
    body::json(&Status { cloud: Cloud { disabled: true, source: "env" } })
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recommendations {
    #[schema(value_type = Vec<Object>)]
    recommendations: [(); 0],
}

/// `GET /api/experimental/model-recommendations`: none.
pub(super) async fn recommendations() -> Result<Response, ApiError> {
    body::json(&Recommendations { recommendations: [] })
}

/// `POST /api/me`.
pub(super) async fn me() -> Result<Response, ApiError> {
    Err(ApiError::NotSignedIn("unauthorized"))
}

/// `POST /api/signout` and `DELETE /api/user/keys/{key}`.
pub(super) async fn sign_out() -> Result<Response, ApiError> {
    Err(ApiError::NotSignedIn("you are not currently signed in"))
}

/// `POST /api/experimental/web_search`.
pub(super) async fn web_search(state: State<AppState>, request: Request) -> Result<Response, ApiError> {
    refuse(state, request, "web search").await
}

/// `POST /api/experimental/web_fetch`.
pub(super) async fn web_fetch(state: State<AppState>, request: Request) -> Result<Response, ApiError> {
    refuse(state, request, "web fetch").await
}

async fn refuse(
    State(state): State<AppState>,
    request: Request,
    what: &'static str,
) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    turn.run(move || Fields::parse("WebSearchRequest", &body).map(drop)).await?;
    Err(ApiError::CloudDisabled(what))
}
