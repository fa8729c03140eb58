//! From the name in a request to a model of the store, off the async threads.

use std::sync::Arc;

use super::AppState;
use super::error::ApiError;
use crate::engine::EngineError;
use crate::models::model::Model;
use crate::models::name::ModelName;
use crate::models::store::{Store, StoreError};

/// Runs work that reads files or takes longer than a moment on a thread made for that. If it panics, that is an error
/// as in a handler: the cause goes to the log.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, ApiError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => Err(super::panic_error(payload.as_ref())),
        // Work is only thrown away by a runtime that ends.
        Err(_) => Err(EngineError::ShuttingDown.into()),
    })
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
/// [`ApiError::InvalidModelName`] for a text that is no name; [`ApiError::ModelNotFound`] with the name as requested,
/// or what is said of models that only Ollama's cloud has.
pub(crate) async fn model(state: &AppState, requested: &str) -> Result<Arc<Model>, ApiError> {
    let names = meant(requested)?;
    let requested = requested.to_owned();
    with_store(state, move |store| find(store, &names, &requested)).await
}

/// The first model of those names that is there; `shown` is what an error calls it.
pub(crate) fn find(store: &Store, names: &[ModelName], shown: &str) -> Result<Arc<Model>, ApiError> {
    for name in names {
        match store.resolve(name) {
            Err(StoreError::NotFound(_)) => {}
            found => return found.map_err(|error| ApiError::from_store(error, shown)),
        }
    }
    Err(absent(shown))
}

/// The error for a model that the store does not have.
pub(crate) fn absent(requested: &str) -> ApiError {
    if is_cloud(requested) {
        ApiError::CloudDisabled("remote model")
    } else {
        ApiError::ModelNotFound(requested.to_owned())
    }
}

/// The end of a name that says that the model is to run here, as all of them do.
const LOCAL: &str = ":local";

/// The names that a text may mean, the likeliest first: an end that only says where the model runs may be part of its
/// name. Never empty.
///
/// # Errors
/// [`ApiError::InvalidModelName`] for a text that is no name, [`ApiError::BadRequest`] for one that contradicts itself.
pub(crate) fn meant(requested: &str) -> Result<Vec<ModelName>, ApiError> {
    let text = requested.trim();
    let without_local = text
        .len()
        .checked_sub(LOCAL.len())
        .filter(|&at| text.is_char_boundary(at) && text[at..].eq_ignore_ascii_case(LOCAL))
        .map(|at| &text[..at]);
    let without_cloud = text.rsplit_once(':').filter(|(_, tag)| tag.eq_ignore_ascii_case("cloud"));
    let both = without_local.is_some_and(is_cloud)
        || without_cloud.is_some_and(|(rest, _)| rest.to_ascii_lowercase().ends_with(LOCAL));
    if both {
        return Err(ApiError::BadRequest(format!("use either :local or :cloud, not both: {requested:?}")));
    }
    let names: Vec<ModelName> =
        [Some(text), without_local].into_iter().flatten().filter_map(|name| name.parse().ok()).collect();
    if names.is_empty() { Err(ApiError::InvalidModelName) } else { Ok(names) }
}

/// Whether a name says that the model runs in Ollama's cloud.
fn is_cloud(name: &str) -> bool {
    let last = name.trim().rsplit('/').next().unwrap_or_default();
    let tag = last.rsplit_once(':').map_or("", |(_, tag)| tag).to_ascii_lowercase();
    tag == "cloud" || tag.ends_with("-cloud")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        meant(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_a_model_runs_is_no_part_of_its_name_unless_it_is() {
        assert_eq!(names("m"), ["m:latest"]);
        assert_eq!(names("m:local"), ["m:local", "m:latest"]);
        assert_eq!(names("m:8b:LOCAL"), ["m:8b"]);
        assert_eq!(names("m:120b-cloud"), ["m:120b-cloud"]);
        for text in ["m:cloud:local", "m:8b-cloud:local", "m:local:cloud"] {
            let error = meant(text).unwrap_err();
            assert_eq!(error.to_string(), format!("use either :local or :cloud, not both: {text:?}"));
        }
        assert!(matches!(meant("a b"), Err(ApiError::InvalidModelName)));
    }

    #[tokio::test]
    async fn a_panic_of_work_is_a_500_without_its_text() {
        let result: Result<(), ApiError> = blocking(|| panic!("secret")).await;
        let error = result.unwrap_err();
        assert_eq!(error.status().as_u16(), 500);
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn models_of_the_cloud_are_said_to_be_there() {
        for text in ["m:cloud", "m:120B-Cloud", "host:1/a/m:cloud"] {
            assert_eq!(absent(text).status().as_u16(), 403, "{text}");
        }
        for text in ["m", "cloud", "a-cloud", "x:cloudy"] {
            assert_eq!(absent(text).to_string(), format!("model '{text}' not found"));
        }
    }
}
