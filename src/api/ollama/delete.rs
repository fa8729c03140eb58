//! `DELETE /api/delete`: forgets a model. A loaded one stays on the card until it expires; clients unload it first.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::show::named_model;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::{AppState, body, lookup};
use crate::models::store::StoreError;

/// The handler.
pub(super) async fn delete(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (body, memory) = body::read(&state.intake, request.into_body()).await?;
    let turn = state.intake.turn(memory).await?;
    let mut fields = turn.run(move || Fields::parse("DeleteRequest", &body)).await?;
    let requested = named_model(&mut fields)?;
    let names = lookup::meant(&requested).map_err(|error| match error {
        ApiError::InvalidModelName => ApiError::InvalidName(requested.clone()),
        other => other,
    })?;
    lookup::with_store(&state, move |store| {
        for name in &names {
            match store.remove(name) {
                Err(StoreError::NotFound(_)) => {}
                removed => return removed.map_err(|error| ApiError::from_store(error, &requested)),
            }
        }
        Err(ApiError::ModelNotFound(requested))
    })
    .await?;
    Ok(().into_response())
}
