//! Chat templates: Jinja2 as Hugging Face renders it; those in the language of Go are in `go_template`.
//!
//! A template is part of a model, so it comes from a stranger. It runs without a file system and without other
//! templates, on a budget of work that bounds its time and its memory ([`FUEL`]; `joins` for what that leaves out), and
//! on a stack that nothing it builds within that budget can exhaust (see `stack`). Each text that our own code makes of
//! a value, by `tojson` or by printing it, has limits of its own, on the values it is made of and on its bytes (see
//! `python`).
//!
//! The dialect (facts: `transformers`, `chat_template_utils`): `trim_blocks` and `lstrip_blocks`, no escaping, loop
//! controls, `{% generation %}` blocks, the filter `tojson` as `json.dumps` writes it, the functions `raise_exception`
//! and `strftime_now`, the variables `messages`, `tools`, `add_generation_prompt`, `bos_token`, `eos_token`.

mod joins;
mod messages;

use std::{borrow::Cow, collections::HashSet, fmt, fmt::Write as _, sync::OnceLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, Value, syntax::SyntaxConfig, value::Serde,
};
use serde_json::{Map, Value as Json, json};

use self::messages::Habits;
use super::{
    Message, RenderOptions, TextError, ThinkingTags, go_template::GoTemplate, python, stack::on_large_stack,
};

/// Name of the one template in its environment.
const NAME: &str = "chat_template";
/// Work that one rendering may cost: about one unit per step and per 64 bytes of what minijinja charges for, some 128
/// MB in all. The longest templates need a few hundred units per message.
const FUEL: u64 = 2_000_000;

/// A compiled chat template, of either language.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    language: Language,
}

#[derive(Debug)]
enum Language {
    Jinja(Box<JinjaTemplate>),
    Go(GoTemplate),
}

/// A template in Jinja.
struct JinjaTemplate {
    environment: Environment<'static>,
    bos_text: Option<String>,
    eos_text: Option<String>,
    variables: HashSet<String>,
    mentions_tags: bool,
    /// Found out with the first conversation that has calls.
    habits: OnceLock<Habits>,
}

/// Marks an error as made by the template's own `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl ChatTemplate {
    /// Compiles a template that came with a model: one in Jinja.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] with the line if its syntax is not understood.
    pub fn new(
        source: String,
        bos_text: Option<String>,
        eos_text: Option<String>,
    ) -> Result<Self, TextError> {
        let jinja = JinjaTemplate::new(&source, bos_text, eos_text)?;
        Ok(Self { source, language: Language::Jinja(Box::new(jinja)) })
    }

    /// Compiles a template that a client or a Modelfile gave: one in the language of Go, or one in Jinja, as clients
    /// send back what they were shown. Text without any action is a template, too.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] with the line if its syntax is not understood.
    pub fn given(
        source: String,
        bos_text: Option<String>,
        eos_text: Option<String>,
    ) -> Result<Self, TextError> {
        // Only Jinja has statements between these.
        if source.contains("{%")
            && let Ok(jinja) = JinjaTemplate::new(&source, bos_text, eos_text)
        {
            return Ok(Self { source, language: Language::Jinja(Box::new(jinja)) });
        }
        let go = GoTemplate::new(&source)?;
        Ok(Self { source, language: Language::Go(go) })
    }

    /// Returns whether it is in Jinja.
    pub fn is_jinja(&self) -> bool {
        matches!(self.language, Language::Jinja(_))
    }

    /// Returns the prompt for a conversation.
    ///
    /// # Errors
    ///
    /// [`TextError::TemplateRefused`] with the template's own words, [`TextError::TemplateBudget`],
    /// [`TextError::Template`].
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        match &self.language {
            Language::Jinja(template) => template.render(messages, options),
            Language::Go(template) => template.render(messages, options),
        }
    }

    /// Returns the prompt for text that is to stand between `prompt` and `suffix`; `None` if the template has no place
    /// for a suffix.
    ///
    /// # Errors
    ///
    /// As [`ChatTemplate::render`].
    pub fn render_insert(
        &self,
        prompt: &str,
        suffix: &str,
        options: &RenderOptions,
    ) -> Result<Option<String>, TextError> {
        match &self.language {
            Language::Go(template) if template.uses_suffix() => {
                template.render_insert(prompt, suffix, options).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns the template as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the template without its comments.
    pub fn said(&self) -> Cow<'_, str> {
        match &self.language {
            Language::Jinja(_) => without_comments(&self.source).into(),
            Language::Go(template) => template.said().into(),
        }
    }

    /// Returns whether the template offers tools to the model.
    pub fn uses_tools(&self) -> bool {
        match &self.language {
            Language::Jinja(template) => template.variables.contains("tools"),
            Language::Go(template) => template.uses_tools(),
        }
    }

    /// Returns whether the template has a place for what follows the text to be written (`.Suffix`).
    pub fn uses_suffix(&self) -> bool {
        matches!(&self.language, Language::Go(template) if template.uses_suffix())
    }

    /// Returns the tags between which the model thinks; `None` if the template knows nothing of thinking aloud.
    pub fn thinking_tags(&self) -> Option<&'static ThinkingTags> {
        let tags = || ThinkingTags::in_text(&self.said()).unwrap_or(ThinkingTags::usual());
        self.uses_thinking().then(tags)
    }

    /// Returns whether the template knows of thinking aloud, by a variable or by a tag outside of its comments.
    pub fn uses_thinking(&self) -> bool {
        match &self.language {
            Language::Jinja(template) => template.uses_thinking(),
            Language::Go(template) => template.uses_thinking(),
        }
    }
}

/// A template in Jinja without its comments.
fn without_comments(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    for (index, part) in source.split("{#").enumerate() {
        let kept = if index == 0 { part } else { part.split_once("#}").map_or("", |(_, rest)| rest) };
        text.push_str(kept);
    }
    text
}

impl JinjaTemplate {
    fn new(source: &str, bos_text: Option<String>, eos_text: Option<String>) -> Result<Self, TextError> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .build()
                .map_err(|error| template_error(&error))?,
        );
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(python::call_method);
        environment.set_formatter(format_value);
        environment.add_filter("tojson", python::tojson);
        joins::install(&mut environment);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, replace_generation_tags(source))
            .map_err(|error| template_error(&error))?;
        let variables = environment
            .get_template(NAME)
            .map_err(|error| template_error(&error))?
            .undeclared_variables(false);
        let mentions_tags = ThinkingTags::in_text(&without_comments(source)).is_some();
        Ok(Self { environment, bos_text, eos_text, variables, mentions_tags, habits: OnceLock::new() })
    }

    fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        let habits = if messages::has_calls(messages) {
            *self.habits.get_or_init(|| Habits::of(|sample, options| self.render_objects(sample, options)))
        } else {
            Habits::default()
        };
        self.render_objects(messages::objects(messages, habits), options)
    }

    fn render_objects(&self, messages: Vec<Json>, options: &RenderOptions) -> Result<String, TextError> {
        let mut context = Map::new();
        context.insert("messages".into(), Json::Array(messages));
        context.insert("add_generation_prompt".into(), options.add_generation_prompt.into());
        let tools =
            options.tools.as_ref().filter(|tools| tools.as_array().is_none_or(|list| !list.is_empty()));
        context.insert("tools".into(), tools.cloned().unwrap_or_default());
        for (name, text) in [("bos_token", &self.bos_text), ("eos_token", &self.eos_text)] {
            context.insert(name.into(), text.as_deref().unwrap_or_default().into());
        }
        if let Some(think) = options.think {
            context.insert("enable_thinking".into(), think.into());
            context.insert("thinking".into(), think.into());
        }
        if let Some(level) = &options.think_level {
            context.insert("reasoning_effort".into(), json!(level));
        }
        self.render_context(context)
    }

    fn render_context(&self, context: Map<String, Json>) -> Result<String, TextError> {
        on_large_stack(|| {
            let template = self.environment.get_template(NAME).map_err(|error| template_error(&error))?;
            joins::render(&self.environment, &template, Value::from(Serde(context)))
                .map_err(|error| template_error(&error))
        })
    }

    fn uses_thinking(&self) -> bool {
        let names = ["enable_thinking", "thinking", "reasoning_effort"];
        self.mentions_tags || names.iter().any(|name| self.variables.contains(*name))
    }
}

impl fmt::Debug for JinjaTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JinjaTemplate").field("variables", &self.variables).finish_non_exhaustive()
    }
}

fn template_error(error: &Error) -> TextError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(Raised(message)) = cause.downcast_ref() {
            return TextError::TemplateRefused(message.clone());
        }
        if cause.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::OutOfFuel) {
            return TextError::TemplateBudget;
        }
        source = cause.source();
    }
    TextError::Template(error.to_string())
}

/// Prints values as Python does: `True`, `None`, `['a']`; an undefined value prints nothing.
fn format_value(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Ok(());
    }
    match value.as_str() {
        Some(text) => out.write_str(text)?,
        None => out.write_str(&python::display(value)?)?,
    }
    Ok(())
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// The local time in a format of C's `strftime`.
fn strftime_now(format: &str) -> Result<String, Error> {
    let mut text = String::new();
    write!(text, "{}", chrono::Local::now().format(format)).map_err(|_| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now does not understand the format {format:?}"),
        )
    })?;
    Ok(text)
}

/// Turns `{% generation %}` blocks, which mark what is trained on, into blocks that always render.
fn replace_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start + 2);
        out.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let inner = &tag[..end];
        match inner.trim_matches(['-', '+', ' ', '\t', '\r', '\n']) {
            "generation" => out.push_str(&inner.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&inner.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(inner),
        }
        rest = &tag[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
