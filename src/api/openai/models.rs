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
use crate::models::name::ModelName;

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
    fn new(id: String, model: &Model, namespace: String) -> Self {
        Self { id, object: "model", created: time::unix(model.modified), owned_by: namespace }
    }
}

/// The stored models, newest first. A broken one is left out and logged: it must not hide the others.
pub(crate) async fn list(State(state): State<AppState>) -> Result<Response, OpenAiError> {
    let data = lookup::with_store(&state, |store| {
        let entries = store.list().map_err(|error| ApiError::Model(error.to_string()))?;
        let mut data = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.model {
                Ok(model) => {
                    let (id, namespace) = (model.name.to_string(), model.name.namespace.clone());
                    data.push(ModelObject::new(id, &model, namespace));
                }
                Err(error) => tracing::warn!(model = %entry.name, %error, "model is broken and not listed"),
            }
        }
        Ok(data)
    })
    .await?;
    Ok(body::bare_json(&ModelList { object: "list", data })?)
}

/// One model. Its id is the name as requested; slashes in it may be percent-encoded or not.
pub(crate) async fn retrieve(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, OpenAiError> {
    let Path(requested) = path.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
    let name: ModelName = requested.parse().map_err(|_| ApiError::InvalidModelName)?;
    let object = lookup::with_store(&state, move |store| {
        let model = store.resolve(&name).map_err(|error| ApiError::from_store(error, &name.to_string()))?;
        Ok(ModelObject::new(requested, &model, name.namespace))
    })
    .await?;
    Ok(body::bare_json(&object)?)
}
