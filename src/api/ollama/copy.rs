//! `POST /api/copy`: a second name for a model.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::import::ImportError;
use crate::models::name::ModelName;
use crate::models::store::StoreError;

/// The handler.
pub(super) async fn copy(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut fields = turn.run(move || Fields::parse("CopyRequest", &body)).await?;
    let mut named = |field: &'static str| {
        let text = fields.string(field)?;
        let name: Result<ModelName, _> = text.parse();
        name.map_err(|_| ApiError::BadRequest(format!("{field} {text:?} is invalid")))
            .map(|name| (name, text))
    };
    let (source, shown) = named("source")?;
    let (destination, _) = named("destination")?;
    lookup::with_store(&state, move |store| {
        store.copy(&source, &destination).map_err(|error| match error {
            ImportError::Store(StoreError::NotFound(_)) => ApiError::SourceNotFound(shown),
            other => ApiError::from_import(other, &shown),
        })
    })
    .await?;
    Ok(().into_response())
}
