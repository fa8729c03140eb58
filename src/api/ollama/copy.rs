//! `POST /api/copy`: a second name for a model.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::import::ImportError;
use crate::models::name::ModelName;
use crate::models::store::{Store, StoreError};

/// The handler.
pub(super) async fn copy(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut fields = turn.run(move || Fields::parse("CopyRequest", &body)).await?;
    let invalid = |field: &str, text: &str| ApiError::BadRequest(format!("{field} {text:?} is invalid"));
    let shown = fields.string("source")?;
    let sources = lookup::meant(&shown).map_err(|error| match error {
        ApiError::InvalidModelName => invalid("source", &shown),
        other => other,
    })?;
    let destination = fields.string("destination")?;
    let destination: ModelName = destination.parse().map_err(|_| invalid("destination", &destination))?;
    lookup::with_store(&state, move |store| copy_first(store, &sources, &destination, shown)).await?;
    Ok(().into_response())
}

/// Copies the first model of those names that is there.
fn copy_first(
    store: &Store,
    sources: &[ModelName],
    destination: &ModelName,
    shown: String,
) -> Result<(), ApiError> {
    for source in sources {
        match store.copy(source, destination) {
            Err(ImportError::Store(StoreError::NotFound(_))) => {}
            copied => return copied.map_err(|error| ApiError::from_import(error, &shown)),
        }
    }
    Err(ApiError::SourceNotFound(shown))
}
