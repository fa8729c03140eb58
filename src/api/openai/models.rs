//! `GET /v1/models` and `GET /v1/models/{model}`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::OpenAiError;
use crate::api::error::ApiError;
use crate::api::{AppState, body, lookup, time};
use crate::models::model::Model;

/// The list of models. Upstream has `null` for an empty one, which breaks clients; here it is an empty list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    object: &'static str,
    data: Vec<ModelObject>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelObject {
    id: String,
    object: &'static str,
    /// When it was stored, in seconds since 1970.
    created: i64,
    /// The namespace of its name.
    owned_by: String,
}

impl ModelObject {
    fn new(id: String, model: &Model) -> Self {
        let owned_by = model.name.namespace.clone();
        Self { id, object: "model", created: time::unix(model.modified), owned_by }
    }
}

/// The stored models, newest first. A broken one is left out and logged: it must not hide the others.
pub(crate) async fn list(State(state): State<AppState>) -> Result<Response, OpenAiError> {
    let data = lookup::with_store(&state, |store| {
        let entries = store.list().map_err(ApiError::model)?;
        let mut data = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.model {
                Ok(model) => data.push(ModelObject::new(model.name.to_string(), &model)),
                Err(error) => tracing::warn!(model = %entry.name, %error, "model is broken and not listed"),
            }
        }
        Ok(data)
    })
    .await?;
    Ok(body::bare_json(&ModelList { object: "list", data })?)
}

/// One model. Its id is the name as requested; slashes in it are percent-encoded, as upstream wants them.
pub(crate) async fn retrieve(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, OpenAiError> {
    let Path(requested) = path.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    let names = lookup::meant(&requested)?;
    let object = lookup::with_store(&state, move |store| {
        let short = names.last().map(ToString::to_string).unwrap_or_default();
        let model = lookup::find(store, &names, &short)?;
        Ok(ModelObject::new(requested, &model))
    })
    .await?;
    Ok(body::bare_json(&object)?)
}
