//! From messages or a prompt to the tokens that the card gets.

use super::answer::Reader;
use super::window::Window;
use super::{ChatAsk, GenerateAsk};
use crate::api::error::ApiError;
use crate::models::model::Model;
use crate::text::{Message, TextModel, TokenId};

/// Why a client's template is refused: rendering the prompt some other way than asked would answer another question.
const NO_TEMPLATE: &str = "template is not available in this version: models here carry Jinja chat templates and a Go \
    template cannot be applied; leave template out, or set raw and render the prompt yourself";

/// What the card gets, and how its answer is read.
#[derive(Debug)]
pub(super) struct Prompt {
    /// Tokens, cut to the window.
    pub(super) tokens: Vec<TokenId>,
    /// Takes the answer apart.
    pub(super) reader: Reader,
}

impl Prompt {
    /// The prompt of a conversation.
    pub(super) fn of_chat(
        ask: ChatAsk,
        model: &Model,
        text: &TextModel,
        window: &Window,
    ) -> Result<Self, ApiError> {
        let ChatAsk { mut messages, settings, .. } = ask;
        let system = model.manifest.system.as_deref().unwrap_or_default();
        if !system.is_empty() && messages.first().is_some_and(|first| first.role != "system") {
            messages.insert(0, Message::new("system", system));
        }
        let tokens = window.fit_chat(text, &messages, &settings.render_options(model))?;
        let reader = Reader::new(&tokens, text, settings.think.applies(model));
        Ok(Self { tokens, reader })
    }

    /// The prompt of a continuation.
    pub(super) fn of_generate(
        ask: &GenerateAsk,
        model: &Model,
        text: &TextModel,
        window: &Window,
    ) -> Result<Self, ApiError> {
        // A client may hand back what `/api/show` gave it.
        if !ask.template.is_empty() && text.template_source().map(str::trim) != Some(ask.template.trim()) {
            return Err(ApiError::NotImplemented(NO_TEMPLATE));
        }
        if ask.raw {
            let tokens = window.fit_tokens(text.encode_prompt(&ask.prompt)?)?;
            // Raw mode knows no template, and so no tags.
            return Ok(Self { reader: Reader::new(&tokens, text, None), tokens });
        }
        let tokens = continuation(ask, model, text, window)?;
        let reader = Reader::new(&tokens, text, ask.settings.think.applies(model));
        Ok(Self { tokens, reader })
    }
}

/// The tokens of a prompt in the model's template. `context` goes before it as it is: its tokens are exactly what the
/// model saw and said.
fn continuation(
    ask: &GenerateAsk,
    model: &Model,
    text: &TextModel,
    window: &Window,
) -> Result<Vec<TokenId>, ApiError> {
    let system = if ask.system.is_empty() {
        model.manifest.system.as_deref().unwrap_or_default()
    } else {
        &ask.system
    };
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message::new("system", system));
    }
    messages.push(Message::new("user", ask.prompt.as_str()));
    let render = ask.settings.render_options(model);
    if ask.context.is_empty() {
        return window.fit_chat(text, &messages, &render);
    }
    if let Some(unknown) = ask.context.iter().find(|&&id| id as usize >= model.vocab()) {
        let vocab = model.vocab();
        return Err(ApiError::BadRequest(format!(
            "context: token {unknown} is not below the vocabulary size {vocab}"
        )));
    }
    let rendered = text.encode(&text.render(&messages, &render)?, false)?;
    window.fit_tokens([ask.context.as_slice(), &rendered].concat())
}
