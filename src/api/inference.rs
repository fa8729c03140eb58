//! One way from a request to an answer, for every API family.
//!
//! A family turns its request into a [`ChatAsk`] or a [`GenerateAsk`] and renders the [`Outcome`]; what lies between is
//! here and nowhere else: the checks of what the model can do, loading it, the prompt in tokens, the engine, and the
//! answer taken apart into thoughts, text and tool calls.
//!
//! | file | what it owns |
//! |---|---|
//! | `ask` | what a request may ask for; `think`, `format`: parts of it |
//! | `settings`, `options` | what of that applies to a model |
//! | `prompt`, `window` | from messages or a prompt to tokens, cut to the window |
//! | `embed` | from texts to vectors |
//! | `answer` | from the events of the engine to pieces of an answer |

mod answer;
mod ask;
mod embed;
mod format;
mod options;
mod prompt;
mod settings;
mod think;
mod window;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;

pub(crate) use self::answer::{Answer, AnswerCall, Delta, Done, Piece, Whole};
pub(crate) use self::ask::{AskSettings, ChatAsk, GenerateAsk};
pub(crate) use self::embed::{EmbedAsk, Embedded, embed, texts};
pub(crate) use self::format::Format;
pub(crate) use self::think::Think;

use self::options::Options;
use self::prompt::Prompt;
use self::window::Window;
use super::body::{Content, Unfold};
use super::error::ApiError;
use super::intake::Turn;
use super::{AppState, body, lookup};
use crate::engine;
use crate::models::model::Model;
use crate::text::{Message, TextModel, ToolChoice};

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There was no input: the model was loaded (`load`) or unloaded (`unload`).
    Loaded(&'static str),
    /// The prompt as the model would see it, cut to the window, special tokens written out.
    Rendered(String),
    /// The model answers.
    Answer(Box<Answer>),
}

/// Reads the body of a request and parses it off the async threads. The turn that comes with it is for [`chat`] or
/// [`generate`].
///
/// # Errors
/// What [`body::read`] and the parser say; busy if too many requests are being prepared.
pub(crate) async fn receive<T, F>(state: &AppState, request: Request, parse: F) -> Result<(T, Turn), ApiError>
where
    T: Send + 'static,
    F: FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
{
    receive_as(state, request, Content::Json, None, parse).await
}

/// As [`receive`], for a body that is not JSON.
///
/// # Errors
/// As [`receive`].
pub(crate) async fn receive_bytes<T, F>(
    state: &AppState,
    request: Request,
    parse: F,
) -> Result<(T, Turn), ApiError>
where
    T: Send + 'static,
    F: FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
{
    receive_as(state, request, Content::Bytes, None, parse).await
}

/// As [`receive`], for a body that `unfold` turns into JSON first.
///
/// # Errors
/// As [`receive`], and what `unfold` says.
pub(crate) async fn receive_folded<T, F>(
    state: &AppState,
    request: Request,
    unfold: Option<Unfold>,
    parse: F,
) -> Result<(T, Turn), ApiError>
where
    T: Send + 'static,
    F: FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
{
    let content = if unfold.is_some() { Content::Bytes } else { Content::Json };
    receive_as(state, request, content, unfold, parse).await
}

async fn receive_as<T, F>(
    state: &AppState,
    request: Request,
    content: Content,
    unfold: Option<Unfold>,
    parse: F,
) -> Result<(T, Turn), ApiError>
where
    T: Send + 'static,
    F: FnOnce(&[u8]) -> Result<T, ApiError> + Send + 'static,
{
    let (mut body, memory) = body::read_as(&state.intake, request.into_body(), content).await?;
    let mut turn = state.intake.turn(memory).await?;
    if let Some(unfold) = unfold {
        (body, turn) = body::unfold(&state.intake, body, turn, unfold).await?;
    }
    let ask = turn.run(move || parse(&body)).await?;
    Ok((ask, turn))
}

/// Answers the last message of a conversation. Returns when the first event of the answer is there, so that every
/// failure before it has its status.
///
/// # Errors
/// The table of [`ApiError`].
pub(crate) async fn chat(state: &AppState, turn: Turn, ask: ChatAsk) -> Result<Outcome, ApiError> {
    if ask.model.trim().is_empty() {
        return Err(ApiError::ModelRequired);
    }
    let model = lookup::model(state, &ask.model).await?;
    let is_empty = ask.messages.is_empty();
    if is_empty && ask.settings.unloads() {
        return unload(state, turn, &model).await;
    }
    ask.check(&model)?;
    let options = ask.settings.options(&model)?;
    if is_empty {
        return load(state, turn, model, &ask.settings, &options).await;
    }
    let job = Job::new(model, &ask.settings, options);
    job.run(state, turn, move |model, text, window| Prompt::of_chat(ask, model, text, window)).await
}

/// Continues a prompt. Returns when the first event of the answer is there, as [`chat`] does.
///
/// # Errors
/// The table of [`ApiError`].
pub(crate) async fn generate(state: &AppState, turn: Turn, ask: GenerateAsk) -> Result<Outcome, ApiError> {
    if ask.model.trim().is_empty() {
        return Err(ApiError::ModelNotFound(ask.model));
    }
    let model = lookup::model(state, &ask.model).await?;
    let is_empty = ask.prompt.is_empty();
    if is_empty && ask.settings.unloads() {
        return unload(state, turn, &model).await;
    }
    ask.check(&model)?;
    let options = ask.settings.options(&model)?;
    if is_empty {
        return load(state, turn, model, &ask.settings, &options).await;
    }
    let job = Job::new(model, &ask.settings, options);
    job.run(state, turn, move |model, text, window| Prompt::of_generate(&ask, model, text, window)).await
}

async fn unload(state: &AppState, turn: Turn, model: &Arc<Model>) -> Result<Outcome, ApiError> {
    drop(turn);
    state.engine.unload(model).await?;
    Ok(Outcome::Loaded("unload"))
}

async fn load(
    state: &AppState,
    turn: Turn,
    model: Arc<Model>,
    settings: &AskSettings,
    options: &Options,
) -> Result<Outcome, ApiError> {
    drop(turn);
    state.engine.load(Arc::clone(&model), settings.keep_alive).await?;
    state.windows.note(&model, options.num_ctx.or(state.settings.context_length));
    Ok(Outcome::Loaded("load"))
}

impl ChatAsk {
    /// Refuses a request without messages, in these words: what loads a model on the native routes is a mistake on
    /// others.
    pub(crate) fn require_messages(&self, refusal: &str) -> Result<(), ApiError> {
        if self.model.trim().is_empty() {
            return Err(ApiError::ModelRequired);
        }
        if self.messages.is_empty() {
            return Err(ApiError::BadRequest(refusal.to_owned()));
        }
        Ok(())
    }

    /// Refuses what the model cannot do: thinking first, as upstream.
    fn check(&self, model: &Model) -> Result<(), ApiError> {
        self.settings.think.check(&self.model, model)?;
        need(model, "completion", "chat", || quoted(&self.model))?;
        self.tool_choice.check(&self.tools)?;
        if !self.tools.is_empty() && self.tool_choice != ToolChoice::None {
            need(model, "tools", "tools", || model.name.canonical())?;
        }
        let has_images = |message: &Message| {
            message
                .extra
                .get("images")
                .and_then(serde_json::Value::as_array)
                .is_some_and(|all| !all.is_empty())
        };
        if self.messages.iter().any(has_images) {
            need(model, "vision", "vision", || quoted(&self.model))?;
        }
        Ok(())
    }
}

impl GenerateAsk {
    /// Refuses what raw mode or the model cannot do: of that thinking first, as upstream.
    fn check(&self, model: &Model) -> Result<(), ApiError> {
        if self.raw && !(self.template.is_empty() && self.system.is_empty() && self.context.is_empty()) {
            return Err(ApiError::RawConflict);
        }
        self.settings.think.check(&self.model, model)?;
        need(model, "completion", "generate", || quoted(&self.model))?;
        if !self.suffix.is_empty() {
            need(model, "insert", "insert", || model.name.canonical())?;
        }
        if self.has_images {
            need(model, "vision", "vision", || quoted(&self.model))?;
        }
        Ok(())
    }
}

/// A name between quotes, as some errors show it.
fn quoted(name: &str) -> String {
    format!("{name:?}")
}

/// Refuses a request that needs a capability the model lacks, in the word that `missing` has for it; `shown` is the
/// model as this error names it.
fn need(
    model: &Model,
    capability: &str,
    missing: &'static str,
    shown: impl FnOnce() -> String,
) -> Result<(), ApiError> {
    if model.capabilities().contains(&capability) {
        return Ok(());
    }
    Err(ApiError::Unsupported { model: shown(), capability: missing })
}

/// A request that has passed all checks.
struct Job {
    model: Arc<Model>,
    options: Options,
    keep_alive: Option<engine::KeepAlive>,
    truncate: bool,
    shift: bool,
    render_only: bool,
}

impl Job {
    fn new(model: Arc<Model>, settings: &AskSettings, options: Options) -> Self {
        Self {
            model,
            options,
            keep_alive: settings.keep_alive,
            truncate: settings.truncate,
            shift: settings.shift,
            render_only: settings.render_only,
        }
    }

    /// Prepares the prompt and hands it to the engine.
    async fn run<F>(mut self, state: &AppState, turn: Turn, prepare: F) -> Result<Outcome, ApiError>
    where
        F: FnOnce(&Model, &TextModel, &Window) -> Result<Prompt, ApiError> + Send + 'static,
    {
        let (turn, loaded_in) = if self.render_only {
            (turn, Duration::ZERO)
        } else {
            learn_context(state, turn, &self.model).await?
        };
        let (context_len, default) = (self.model.context_len(), state.settings.context_length);
        let window = Window::new(context_len, default, &self.options, self.truncate, self.shift);
        let (model, render_only) = (Arc::clone(&self.model), self.render_only);
        let prepare = move || {
            let text = model.text()?;
            let prompt = prepare(&model, &text, &window)?;
            let spelled_out = render_only.then(|| text.spell_out(&prompt.tokens)).transpose()?;
            Ok((prompt, spelled_out))
        };
        let (prompt, spelled_out) = turn.run(prepare).await?;
        drop(turn);
        if let Some(prompt) = spelled_out {
            return Ok(Outcome::Rendered(prompt));
        }
        window.limit_answer(prompt.tokens.len(), &mut self.options);
        self.options.generate.grammar.clone_from(&prompt.grammar);
        self.options.generate.spelled = prompt.spelled.clone();
        self.options.generate.thoughts.clone_from(&prompt.thoughts);
        let request = engine::Request {
            model: Arc::clone(&self.model),
            prompt: prompt.tokens.clone(),
            options: self.options.generate,
            keep_alive: self.keep_alive,
        };
        let generation = state.engine.generate(request).await?;
        state.windows.note(&self.model, self.options.num_ctx.or(default));
        let answer = Answer::begin(prompt, generation, loaded_in).await?;
        Ok(Outcome::Answer(Box::new(answer)))
    }
}

/// Sees to it that the model's context is known, to which the prompt will be cut: files compiled for the NPU do not
/// always tell it, and then the card has to. So the first request of all loads the model before its prompt is
/// prepared, and not after; meanwhile others may prepare theirs. What the loading took comes back, too.
async fn learn_context(
    state: &AppState,
    turn: Turn,
    model: &Arc<Model>,
) -> Result<(Turn, Duration), ApiError> {
    if model.knows_context() {
        return Ok((turn, Duration::ZERO));
    }
    let memory = turn.pause();
    let loaded_in = state.engine.load(Arc::clone(model), None).await?.load;
    Ok((state.intake.turn(memory).await?, loaded_in))
}
