//! What a request says, applied to a model.

use super::options::Options;
use super::{AskSettings, Think, need, quoted};
use crate::api::error::ApiError;
use crate::engine::KeepAlive;
use crate::models::model::Model;
use crate::text::RenderOptions;

impl AskSettings {
    /// Whether a request without input asks to unload the model.
    pub(super) fn unloads(&self) -> bool {
        self.keep_alive.is_some_and(KeepAlive::is_now)
    }

    /// The options over the model's parameters, for the engine.
    pub(super) fn options(&self, model: &Model) -> Result<Options, ApiError> {
        let mut options = Options::merged(&model.manifest.parameters, &self.options)?;
        options.generate.logprobs = self.logprobs;
        Ok(options)
    }

    /// What the chat template is told besides the messages.
    pub(super) fn render_options(&self, model: &Model) -> RenderOptions {
        RenderOptions {
            think: self.think.applies(model),
            think_level: self.think.template_level().map(str::to_owned),
            ..RenderOptions::default()
        }
    }
}

impl Think {
    /// Refuses thinking where the model, requested as `asked`, cannot.
    pub(super) fn check(&self, asked: &str, model: &Model) -> Result<(), ApiError> {
        if self.enabled != Some(true) || self.lenient {
            return Ok(());
        }
        need(model, "thinking", "thinking", || quoted(asked))
    }

    /// Whether the model thinks aloud for this request: what the request says, else what the model's package says, else
    /// yes. `None` for a model that cannot.
    pub(super) fn applies(&self, model: &Model) -> Option<bool> {
        model
            .capabilities()
            .contains(&"thinking")
            .then(|| self.enabled.unwrap_or_else(|| model.manifest.thinks_by_default()))
    }
}
