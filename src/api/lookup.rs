//! From the name in a request to a model of the store, off the async threads.

use std::sync::Arc;

use super::AppState;
use super::error::ApiError;
use crate::models::model::Model;
use crate::models::name::ModelName;
use crate::models::store::Store;

/// Runs work that reads files or takes longer than a moment on a thread made for that.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ApiError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(ApiError::Internal(format!("a worker stopped: {error}"))))
}

/// Runs a call to the store as [`blocking`] does.
pub(crate) async fn with_store<T, F>(state: &AppState, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> Result<T, ApiError> + Send + 'static,
{
    let store = Arc::clone(&state.store);
    blocking(move || work(&store)).await
}

/// The model that a request names.
///
/// # Errors
/// [`ApiError::InvalidModelName`] for a text that is no name; [`ApiError::ModelNotFound`] with the name as requested.
pub(crate) async fn model(state: &AppState, requested: &str) -> Result<Arc<Model>, ApiError> {
    let name: ModelName = requested.parse().map_err(|_| ApiError::InvalidModelName)?;
    let requested = requested.to_owned();
    with_store(state, move |store| {
        store.resolve(&name).map_err(|error| ApiError::from_store(error, &requested))
    })
    .await
}
