//! How a command finds what answers it: the server at `OLLAMA_HOST`, or an engine in this process.

use std::sync::Arc;

use anyhow::Context;

use super::{CardArguments, client::Client, terminal::note};
use crate::{
    api::{
        self, AppState,
        settings::{self, Settings},
    },
    engine::{CallLimits, Engine, EngineConfig},
    models::{name::ModelName, store::Store},
};

/// Client of the server at `OLLAMA_HOST`, whether one runs there or not.
pub(super) fn remote() -> anyhow::Result<Client> {
    let host = settings::host_from_env();
    if host.scheme == "https" {
        anyhow::bail!(
            "OLLAMA_HOST names https://{host}, but this client speaks plain HTTP only; use http://"
        );
    }
    Ok(Client::http(host.client_url())?)
}

/// What to say when a command needs a server and none runs.
pub(super) fn no_server(client: &Client) -> String {
    format!("no server runs at {}; `ax650 serve` starts one", client.address())
}

/// A model name as typed.
pub(super) fn name(text: &str) -> anyhow::Result<ModelName> {
    text.parse().with_context(|| format!("invalid model name \"{text}\""))
}

/// Opens the card that the command line asks for. Blocks while the driver is found.
pub(super) fn start_engine(card: &CardArguments, settings: &Settings) -> anyhow::Result<Engine> {
    let defaults = EngineConfig::default();
    let config = EngineConfig {
        device: card.device.clone(),
        driver: card.driver_options(),
        max_queue: settings.max_queue,
        keep_alive: settings.keep_alive,
        sequences: settings.num_parallel.unwrap_or(defaults.sequences),
        models: settings.max_loaded_models.unwrap_or(defaults.models),
        call_limits: CallLimits {
            load: settings.load_timeout.unwrap_or(defaults.call_limits.load),
            ..defaults.call_limits
        },
        ..defaults
    };
    Ok(Engine::start(config)?)
}

/// What the routes of the server need: an engine and the model store of the environment.
pub(super) fn state(engine: &Engine, settings: Settings) -> AppState {
    AppState::new(engine.clone(), Arc::new(Store::from_env()), settings)
}

/// Something that runs models for a command: a server elsewhere, or an engine of our own.
pub(super) struct Session {
    client: Client,
    engine: Option<Engine>,
}

/// The server at `OLLAMA_HOST` if one answers, else an engine in this process.
pub(super) async fn session(card: &CardArguments) -> anyhow::Result<Session> {
    let client = remote()?;
    if client.is_alive().await? {
        return Ok(Session { client, engine: None });
    }
    let settings = Settings::in_process();
    let engine = start_engine(card, &settings)?;
    note(&engine.device().summary);
    let client = Client::in_process(api::router(state(&engine, settings)));
    Ok(Session { client, engine: Some(engine) })
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a server answers and not an engine of our own.
    pub(super) fn is_remote(&self) -> bool {
        self.engine.is_none()
    }

    /// Ends an engine of our own in order: the card finishes its current call first.
    pub(super) async fn close(self) {
        if let Some(engine) = self.engine {
            engine.shutdown().await;
        }
    }
}
