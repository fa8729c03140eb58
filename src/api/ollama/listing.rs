//! `GET /api/tags` and `GET /api/ps`: what is stored, and what is on the card.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::{AppState, body, lookup, time};
use crate::device::Paths;
use crate::engine::{LoadedInfo, LoadedPaths};
use crate::models::manifest::Manifest;
use crate::models::model::Model;

/// The `details` of a model. Upstream's GGUF words where they apply: the format is `axmodel` here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Details {
    parent_model: String,
    format: String,
    family: String,
    families: Vec<String>,
    parameter_size: String,
    quantization_level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_length: Option<usize>,
}

impl Details {
    /// The form of `/api/show`: with the model that this one was made of.
    pub(super) fn with_parent(manifest: &Manifest) -> Self {
        Self { parent_model: manifest.custom.parent.clone().unwrap_or_default(), ..Self::short(manifest) }
    }

    /// The form of `/api/ps`.
    fn short(manifest: &Manifest) -> Self {
        let said = |name: &str, otherwise: &str| {
            let said = manifest.custom.info.get(name).and_then(Value::as_str);
            said.unwrap_or(otherwise).to_owned()
        };
        let family = said("model_family", &manifest.family);
        Self {
            parent_model: String::new(),
            format: manifest.format.clone(),
            families: vec![family.clone()],
            family,
            parameter_size: said("parameter_size", &manifest.parameter_size),
            quantization_level: said("quantization_level", &manifest.quantization_level),
            context_length: None,
            embedding_length: None,
        }
    }

    /// The form of `/api/tags`, with sizes. The context is the compiled one: what a client can really use.
    fn long(model: &Model) -> Self {
        let manifest = &model.manifest;
        let said = |name: &str| {
            let said = manifest.custom.info.get(name).and_then(Value::as_u64);
            said.and_then(|number| usize::try_from(number).ok())
        };
        Self {
            context_length: Some(said("context_length").unwrap_or_else(|| model.context_len())),
            embedding_length: Some(said("embedding_length").unwrap_or(manifest.embedding_length)),
            ..Self::short(manifest)
        }
    }
}

/// The answer of `/api/tags`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StoredModels {
    models: Vec<Stored>,
}

/// The answer of `/api/ps`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunningModels {
    models: Vec<Running>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Stored {
    name: String,
    model: String,
    modified_at: String,
    size: u64,
    digest: String,
    details: Details,
    capabilities: Vec<String>,
}

/// What listings say that a model can be asked for: what it can, and what whoever made it says beyond that.
pub(super) fn listed_capabilities(model: &Model) -> Vec<String> {
    let mut listed: Vec<String> = model.capabilities().into_iter().map(str::to_owned).collect();
    let said = model.manifest.custom.info.get("capabilities").and_then(Value::as_array);
    for said in said.into_iter().flatten().filter_map(Value::as_str) {
        if listed.iter().all(|known| known != said) {
            listed.push(said.to_owned());
        }
    }
    listed
}

impl From<&Model> for Stored {
    fn from(model: &Model) -> Self {
        Self {
            name: model.name.to_string(),
            model: model.name.to_string(),
            modified_at: time::local(model.modified),
            size: model.size,
            digest: model.digest.clone(),
            details: Details::long(model),
            capabilities: listed_capabilities(model),
        }
    }
}

/// Handler of `/api/tags`. A broken model is left out and logged: it must not hide the others.
pub(super) async fn tags(State(state): State<AppState>) -> Result<Response, ApiError> {
    let models = lookup::with_store(&state, |store| {
        let entries = store.list().map_err(ApiError::model)?;
        let mut models = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.model {
                Ok(model) => models.push(Stored::from(model.as_ref())),
                Err(error) => tracing::warn!(model = %entry.name, %error, "model is broken and not listed"),
            }
        }
        Ok(models)
    })
    .await?;
    body::json(&StoredModels { models })
}

#[derive(Debug, Serialize, ToSchema)]
struct Running {
    name: String,
    model: String,
    size: u64,
    digest: String,
    details: Details,
    expires_at: String,
    size_vram: u64,
    context_length: usize,
    /// Ours: how the model runs. Clients pass over keys that they do not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    ax650: Option<Ways>,
}

/// The ways to save work on the card, and what its self-test has shown of them.
#[derive(Debug, Serialize, ToSchema)]
struct Ways {
    /// Those in use.
    #[schema(value_type = Vec<String>)]
    paths: Paths,
    /// Those that the card gets wrong; all, if they do not work together.
    #[schema(value_type = Vec<String>)]
    off: Paths,
    /// The outcome for each by name, and for all of them as `together`. Empty if there was no test.
    verdicts: BTreeMap<&'static str, String>,
}

impl From<&LoadedPaths> for Ways {
    fn from(paths: &LoadedPaths) -> Self {
        let mut ways = Self { paths: paths.on, off: Paths::PLAIN, verdicts: BTreeMap::new() };
        let Some(verdicts) = &paths.verdicts else { return ways };
        ways.off = if verdicts.together.is_bad() {
            Paths::ALL
        } else {
            verdicts.bad().map(|(path, _)| path).collect()
        };
        ways.verdicts =
            verdicts.paths.iter().map(|(path, verdict)| (path.name(), verdict.to_string())).collect();
        ways.verdicts.insert("together", verdicts.together.to_string());
        ways
    }
}

impl Running {
    /// `accelerated`: whether the model lies in the memory of a card and not in that of the host. `window`: what the
    /// last request to it got, in tokens.
    fn new(info: &LoadedInfo, accelerated: bool, window: usize) -> Self {
        Self {
            name: info.model.name.to_string(),
            model: info.model.name.to_string(),
            size: info.size_bytes,
            digest: info.model.digest.clone(),
            details: Details::short(&info.model.manifest),
            expires_at: time::local(info.expires_at.unwrap_or_else(time::never)),
            // Clients show a model as wholly on the accelerator if this equals `size`, and as on the CPU if it is 0.
            size_vram: if accelerated && !info.on_host { info.size_bytes } else { 0 },
            context_length: window,
            ax650: info.paths.as_ref().map(Ways::from),
        }
    }
}

/// Handler of `/api/ps`: longest remaining life first.
pub(super) async fn ps(State(state): State<AppState>) -> Result<Response, ApiError> {
    // Asked in this order, a model that has just been loaded is seen twice rather than not at all.
    let loading = state.engine.loading();
    let mut loaded = state.engine.loaded();
    loaded.extend(loading.filter(|new| loaded.iter().all(|info| info.model.digest != new.model.digest)));
    loaded.sort_by_key(|info| std::cmp::Reverse(info.expires_at.unwrap_or_else(time::never)));
    let accelerated = state.engine.device().kind != "software";
    let models = loaded.iter().map(|info| Running::new(info, accelerated, state.windows.of(info))).collect();
    body::json(&RunningModels { models })
}
