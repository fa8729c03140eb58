//! From messages or a prompt to the tokens that the card gets.

use super::answer::Reader;
use super::window::Window;
use super::{AskSettings, ChatAsk, GenerateAsk};
use crate::api::error::ApiError;
use crate::models::model::Model;
use crate::text::{
    Calls, Grammar, GrammarSpec, Message, RenderOptions, SpelledTokens, TextModel, ThoughtLimit, TokenId,
    Tool, ToolChoice,
};

/// What the card gets, and how its answer is read.
#[derive(Debug)]
pub(super) struct Prompt {
    /// Tokens, cut to the window.
    pub(super) tokens: Vec<TokenId>,
    /// Takes the answer apart.
    pub(super) reader: Reader,
    /// The form that the answer is forced into.
    pub(super) grammar: Option<Grammar>,
    /// Special tokens that the reader needs to see.
    pub(super) spelled: SpelledTokens,
    /// Ends thoughts that take too long.
    pub(super) thoughts: Option<ThoughtLimit>,
}

impl Prompt {
    /// The prompt of a conversation.
    pub(super) fn of_chat(
        ask: ChatAsk,
        model: &Model,
        text: &TextModel,
        window: &Window,
    ) -> Result<Self, ApiError> {
        let ChatAsk { mut messages, mut tools, tool_choice, settings, .. } = ask;
        if tool_choice == ToolChoice::None {
            tools.clear();
        }
        let system = model.manifest.system.as_deref().unwrap_or_default();
        let lacks_system = messages.first().is_some_and(|first| first.role != "system");
        messages.splice(0..0, model.history());
        if !system.is_empty() && lacks_system {
            messages.insert(0, Message::new("system", system));
        }
        let render = RenderOptions { tools: Tool::for_template(&tools), ..settings.render_options(model) };
        let tokens = window.fit_chat(text, &messages, &render)?;
        let form = form_of_chat(&settings, &tools, &tool_choice, text)?;
        Self::new(tokens, text, &settings, settings.think.applies(model), &tools, form)
    }

    /// The prompt of a continuation.
    pub(super) fn of_generate(
        ask: &GenerateAsk,
        model: &Model,
        text: &TextModel,
        window: &Window,
    ) -> Result<Self, ApiError> {
        let settings = &ask.settings;
        if ask.raw {
            // Without a template there are no tags, and nothing that marks a gap.
            let tokens = window.fit_text(text, &ask.prompt)?;
            return Self::new(tokens, text, settings, None, &[], settings.format.grammar()?);
        }
        let given;
        let text = if ask.template.is_empty() {
            text
        } else {
            given = text.with_template_of_request(&ask.template)?;
            &given
        };
        let render = settings.render_options(model);
        if let Some(tokens) = insert(ask, text, &render, model, window)? {
            // A gap is filled without thoughts.
            let tokens = window.fit_tokens(after_context(ask, model, tokens)?)?;
            return Self::new(tokens, text, settings, None, &[], settings.format.grammar()?);
        }
        let messages = exchange(ask, model);
        let tokens = if ask.context.is_empty() {
            window.fit_chat(text, &messages, &render)?
        } else {
            let messages = window.shorten_chat(&messages.iter().collect::<Vec<_>>())?;
            let rendered = text.render(&messages, &render)?;
            let tokens = text.encode(&window.shorten(&rendered)?, false)?;
            window.fit_tokens(after_context(ask, model, tokens)?)?
        };
        Self::new(tokens, text, settings, settings.think.applies(model), &[], settings.format.grammar()?)
    }

    /// `thinks` says whether the model thinks aloud, has been told not to, or (`None`) cannot.
    fn new(
        tokens: Vec<TokenId>,
        text: &TextModel,
        settings: &AskSettings,
        thinks: Option<bool>,
        tools: &[Tool],
        form: Option<GrammarSpec>,
    ) -> Result<Self, ApiError> {
        let reader = Reader::new(&tokens, text, thinks, tools);
        let grammar = form.map(|spec| text.grammar(&spec, reader.thoughts_before())).transpose()?;
        let spelled = text.spelled(!tools.is_empty(), grammar.is_some());
        let budget = settings.think.budget.filter(|_| thinks == Some(true));
        let thoughts = budget.map(|most| ThoughtLimit::new(most, &tokens, text)).transpose()?;
        Ok(Self { tokens, reader, grammar, spelled, thoughts })
    }
}

/// The form that an answer is forced into: calls if there must be one, else what `format` asks for, else calls of
/// strict tools if there are any calls; `None` if it is free.
fn form_of_chat(
    settings: &AskSettings,
    tools: &[Tool],
    choice: &ToolChoice,
    text: &TextModel,
) -> Result<Option<GrammarSpec>, ApiError> {
    let format = settings.format.grammar()?;
    let must_call = matches!(choice, ToolChoice::Required | ToolChoice::Named(_));
    let is_strict = tools.iter().any(|tool| tool.strict);
    if !must_call && (format.is_some() || !is_strict) {
        return Ok(format);
    }
    let named = |tool: &&Tool| !matches!(choice, ToolChoice::Named(name) if *name != tool.name);
    let calls = text.tool_format().map(|format| Calls {
        format,
        tools: tools.iter().filter(named).cloned().collect(),
        text: !must_call,
        many: !matches!(choice, ToolChoice::Named(_)),
    });
    Ok(calls.map(GrammarSpec::Calls))
}

/// The tokens that ask for what stands between prompt and suffix; `None` without a suffix.
fn insert(
    ask: &GenerateAsk,
    text: &TextModel,
    render: &RenderOptions,
    model: &Model,
    window: &Window,
) -> Result<Option<Vec<TokenId>>, ApiError> {
    if ask.suffix.is_empty() {
        return Ok(None);
    }
    let (prompt, suffix) = (window.shorten(&ask.prompt)?, window.shorten(&ask.suffix)?);
    let rendered = text.render_insert(&prompt, &suffix, render)?;
    let rendered = rendered
        .ok_or_else(|| ApiError::Unsupported { model: model.name.canonical(), capability: "insert" })?;
    Ok(Some(text.encode_prompt(&window.shorten(&rendered)?)?))
}

/// A prompt as the conversation that it is.
fn exchange(ask: &GenerateAsk, model: &Model) -> Vec<Message> {
    let system = if ask.system.is_empty() {
        model.manifest.system.as_deref().unwrap_or_default()
    } else {
        &ask.system
    };
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message::new("system", system));
    }
    if ask.context.is_empty() {
        messages.extend(model.history());
    }
    messages.push(Message::new("user", ask.prompt.as_str()));
    messages
}

/// A prompt with `context` before it, which stays as it is: its tokens are exactly what the model saw and said.
fn after_context(ask: &GenerateAsk, model: &Model, prompt: Vec<TokenId>) -> Result<Vec<TokenId>, ApiError> {
    let vocab = model.vocab();
    if let Some(unknown) = ask.context.iter().find(|&&id| id as usize >= vocab) {
        return Err(ApiError::BadRequest(format!(
            "context: token {unknown} is not below the vocabulary size {vocab}"
        )));
    }
    let mut tokens = ask.context.clone();
    tokens.extend(prompt);
    Ok(tokens)
}
