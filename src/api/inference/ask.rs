//! What the families of routes ask for, in native terms.

use serde_json::{Map, Value};

use super::{Format, Think};
use crate::engine::KeepAlive;
use crate::text::{Message, TokenId, Tool, ToolChoice};

/// A conversation and a request for its next message.
#[derive(Debug)]
pub(crate) struct ChatAsk {
    /// The model's name as requested.
    pub(crate) model: String,
    /// The conversation; none at all asks to load or unload the model. Pictures stand in `extra["images"]`.
    pub(crate) messages: Vec<Message>,
    /// What the model may call.
    pub(crate) tools: Vec<Tool>,
    /// Whether it must.
    pub(crate) tool_choice: ToolChoice,
    /// Everything else.
    pub(crate) settings: AskSettings,
}

/// One prompt and a request for its continuation.
#[derive(Debug, Default)]
pub(crate) struct GenerateAsk {
    /// The model's name as requested.
    pub(crate) model: String,
    /// The prompt; an empty one asks to load or unload the model.
    pub(crate) prompt: String,
    /// What stands after the gap that is to be filled; empty for a plain continuation.
    pub(crate) suffix: String,
    /// In the place of the model's own system message, unless it is empty.
    pub(crate) system: String,
    /// In the place of the model's own template, unless it is empty.
    pub(crate) template: String,
    /// Tokens of an earlier exchange, which go before the prompt.
    pub(crate) context: Vec<TokenId>,
    /// The prompt goes to the model as it is.
    pub(crate) raw: bool,
    /// Whether pictures came with the prompt.
    pub(crate) has_images: bool,
    /// Everything else.
    pub(crate) settings: AskSettings,
}

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
