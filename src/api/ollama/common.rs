//! The fields that `/api/generate` and `/api/chat` share, and the checks and steps they share.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use serde_json::{Map, Value};

use super::answer::{Route, Thoughts, Writer};
use super::options::Options;
use super::prompt::Prompt;
use super::think::Think;
use crate::api::AppState;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::intake::Turn;
use crate::engine::{KeepAlive, Request};
use crate::models::model::Model;
use crate::text::RenderOptions;

const MAX_TOP_LOGPROBS: i64 = 20;

/// Why constrained output is refused rather than ignored: an answer that does not fit the format, where a client relies
/// on it, is worse than none.
const NO_FORMAT: &str = "format is not available in this version: output cannot be constrained to JSON or a schema yet, \
    and unconstrained output is not what was asked for; leave format out to get it";

/// Fields common to both routes.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of the request, named as on the wire"
)]
pub(crate) struct Common {
    /// The model's name as requested.
    pub(crate) model: String,
    /// Whether the answer comes record by record; on unless switched off.
    pub(crate) stream: bool,
    /// How long the model stays loaded; `None` leaves it as it is.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Unmerged, because the model's own parameters go below them.
    pub(crate) options: Map<String, Value>,
    /// On, off, level.
    pub(crate) think: Think,
    /// Cut a prompt that does not fit instead of refusing it.
    pub(crate) truncate: bool,
    /// Whether the window may slide; see [`super::prompt`] for what that means on a compiled context.
    pub(crate) shift: bool,
    /// Log-probabilities: `None` for none, else how many alternatives.
    logprobs: Option<usize>,
    format: Option<Value>,
    /// Show the prompt instead of answering it.
    pub(crate) render_only: bool,
    /// What loading the model took before the prompt was prepared.
    loaded_in: Duration,
}

impl Common {
    /// Takes the common fields out of a request.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        let top_logprobs = fields.integer("top_logprobs")?.unwrap_or(0);
        let top = usize::try_from(top_logprobs).ok().filter(|_| top_logprobs <= MAX_TOP_LOGPROBS);
        let top = top.ok_or(ApiError::TopLogprobs)?;
        Ok(Self {
            model: fields.string("model")?,
            stream: fields.boolean("stream")?.unwrap_or(true),
            keep_alive: fields.take("keep_alive").map(|value| KeepAlive::parse_json(&value)).transpose()?,
            options: fields.object("options")?,
            think: Think::parse(fields.take("think"))?,
            truncate: fields.boolean("truncate")?.unwrap_or(true),
            shift: fields.boolean("shift")?.unwrap_or(true),
            logprobs: fields.boolean("logprobs")?.unwrap_or(false).then_some(top),
            format: fields.take("format"),
            render_only: fields.boolean("_debug_render_only")?.unwrap_or(false),
            loaded_in: Duration::ZERO,
        })
    }

    /// Whether a request without input asks to unload the model.
    pub(crate) fn unloads(&self) -> bool {
        self.keep_alive.is_some_and(KeepAlive::is_now)
    }

    /// Refuses thinking where the model cannot, options of wrong types, and formats that cannot be enforced. The merged
    /// options come back.
    pub(crate) fn check(&self, model: &Model) -> Result<Options, ApiError> {
        if self.think.enabled == Some(true) {
            need(model, "thinking", format!("{:?}", self.model))?;
        }
        self.check_format()?;
        let mut options = Options::merged(&model.manifest.parameters, &self.options)?;
        options.generate.logprobs = self.logprobs;
        Ok(options)
    }

    fn check_format(&self) -> Result<(), ApiError> {
        match &self.format {
            None => Ok(()),
            Some(Value::String(word)) if word.is_empty() => Ok(()),
            Some(Value::String(word)) if word == "json" => Err(ApiError::NotImplemented(NO_FORMAT)),
            Some(Value::Object(_)) => Err(ApiError::NotImplemented(NO_FORMAT)),
            Some(other) => Err(ApiError::InvalidFormat(other.to_string())),
        }
    }

    /// Whether the model thinks aloud for this request: what it says, else what the model's package says, else yes. `None` for a model that cannot.
    pub(crate) fn thinks(&self, model: &Model) -> Option<bool> {
        capabilities(model)
            .contains(&"thinking")
            .then(|| self.think.enabled.unwrap_or_else(|| model.manifest.thinks_by_default()))
    }

    /// What the chat template is told besides the messages.
    pub(crate) fn render_options(&self, model: &Model) -> RenderOptions {
        RenderOptions {
            think: self.thinks(model),
            think_level: self.think.level.clone(),
            ..RenderOptions::default()
        }
    }

    /// Answers a request without input: loads the model, or unloads it if `keep_alive` is 0.
    pub(crate) async fn load_or_unload(
        self,
        state: &AppState,
        model: Arc<Model>,
        route: Route,
    ) -> Result<Response, ApiError> {
        let unload = self.unloads();
        let writer = Writer::new(self.model, route, Thoughts::Untouched);
        if unload {
            state.engine.unload(&model.name).await?;
            return writer.loaded("unload");
        }
        state.engine.load(model, self.keep_alive).await?;
        writer.loaded("load")
    }

    /// Sees to it that the model's context is known, to which the prompt will be cut: files compiled for the NPU do not
    /// always tell it, and then the card has to. So the first request of all loads the model before its prompt is
    /// prepared, and not after; meanwhile others may prepare theirs.
    pub(crate) async fn learn_context(
        &mut self,
        state: &AppState,
        model: &Arc<Model>,
        turn: Turn,
    ) -> Result<Turn, ApiError> {
        if model.knows_context() || self.render_only {
            return Ok(turn);
        }
        let memory = turn.pause();
        self.loaded_in = state.engine.load(Arc::clone(model), None).await?.load;
        state.intake.turn(memory).await
    }

    /// Hands a prompt to the engine and answers with what comes back.
    pub(crate) async fn generate(
        self,
        state: &AppState,
        model: Arc<Model>,
        prompt: Prompt,
        options: Options,
        route: Route,
    ) -> Result<Response, ApiError> {
        let Prompt { tokens: prompt, thoughts, spelled_out } = prompt;
        if let Some(prompt) = spelled_out {
            return Writer::new(self.model, route, thoughts).rendered(prompt);
        }
        let request = Request { model, prompt, options: options.generate, keep_alive: self.keep_alive };
        let generation = state.engine.generate(request).await?;
        let writer = Writer { loaded_in: self.loaded_in, ..Writer::new(self.model, route, thoughts) };
        if self.stream { writer.stream(generation).await } else { writer.whole(generation).await }
    }
}

/// What a model can be asked for through this server. `tools` is not among it, whatever the template knows: calls in the
/// model's answer are not read yet, and a call that arrives as plain text is a call not made.
pub(crate) fn capabilities(model: &Model) -> Vec<&'static str> {
    let mut capabilities = model.capabilities();
    capabilities.retain(|capability| *capability != "tools");
    capabilities
}

/// Refuses a request that needs a capability the model lacks; `shown` is the model as this error names it.
pub(crate) fn need(model: &Model, capability: &'static str, shown: String) -> Result<(), ApiError> {
    if capabilities(model).contains(&capability) {
        return Ok(());
    }
    Err(ApiError::Unsupported { model: shown, capability })
}
