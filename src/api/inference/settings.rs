//! What a request may say besides its input.

use serde_json::{Map, Value};

use super::options::Options;
use super::{Format, Think};
use crate::api::error::ApiError;
use crate::engine::KeepAlive;
use crate::models::model::Model;
use crate::text::RenderOptions;

/// Everything but the input. The default is what Ollama's own routes take where nothing is said.
#[derive(Debug)]
pub(crate) struct AskSettings {
    /// Options by their native names, unmerged: the model's own parameters go below them.
    pub(crate) options: Map<String, Value>,
    /// How long the model stays loaded; `None` leaves it as it is.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Whether and how hard the model thinks.
    pub(crate) think: Think,
    /// What form the answer must have.
    pub(crate) format: Format,
    /// Cut a prompt that does not fit instead of refusing it.
    pub(crate) truncate: bool,
    /// Whether the window may slide; see [`super::window`] for what that means on a compiled context.
    pub(crate) shift: bool,
    /// Log-probabilities: `None` for none, else how many alternatives.
    pub(crate) logprobs: Option<usize>,
    /// Show the prompt instead of answering it.
    pub(crate) render_only: bool,
}

impl Default for AskSettings {
    fn default() -> Self {
        Self {
            options: Map::new(),
            keep_alive: None,
            think: Think::default(),
            format: Format::None,
            truncate: true,
            shift: true,
            logprobs: None,
            render_only: false,
        }
    }
}

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
