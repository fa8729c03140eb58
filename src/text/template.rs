//! Chat templates: Jinja2 as Hugging Face renders it.
//!
//! A template is part of a model, so it comes from a stranger. It runs without a file system and without a loader, on a
//! budget of work that bounds its time and, but for the gap below, its memory ([`FUEL`]), and on a stack that nothing it
//! builds within that budget can exhaust ([`STACK_BYTES`]). Each text that our own code makes of a value, by `tojson` or
//! by printing it, has limits of its own, on the values it is made of and on its bytes (see `python`).
//!
//! Known gap: minijinja (3.1) does not charge for joining lists by `+`, and copies them when some thirty joins are
//! nested. A template that doubles a list that often (`x = x + x`) makes it copy billions of items and can exhaust the
//! machine's memory; nothing here stops it. Serve models of strangers under a memory limit of the system.
//!
//! The dialect (facts: `transformers`, `chat_template_utils`): `trim_blocks` and `lstrip_blocks`, no escaping, loop
//! controls, `{% generation %}` blocks, the filter `tojson` as `json.dumps` writes it, the functions `raise_exception`
//! and `strftime_now`, the variables `messages`, `tools`, `add_generation_prompt`, `bos_token`, `eos_token`.

use std::{collections::HashSet, fmt, fmt::Write as _};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, Value, syntax::SyntaxConfig, value::Serde,
};
use serde_json::{Map, Value as Json, json};

use super::{Message, RenderOptions, TextError, python};

/// Name of the one template in its environment.
const NAME: &str = "chat_template";
/// Work that one rendering may cost: about one unit per step and per 64 bytes of what minijinja charges for, some 128 MB
/// in all. The longest templates need a few hundred units per message.
const FUEL: u64 = 2_000_000;

/// Stack of the thread that renders. Dropping a list in a list in a list... takes some 100 bytes of stack per level, and
/// the budget pays for a few hundred thousand levels. Only the pages that are used take memory.
const STACK_BYTES: usize = 128 << 20;

/// A compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    bos_text: Option<String>,
    eos_text: Option<String>,
    variables: HashSet<String>,
}

/// Marks an error as made by the template's own `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] with the line if its syntax is not understood.
    pub fn new(
        source: String,
        bos_text: Option<String>,
        eos_text: Option<String>,
    ) -> Result<Self, TextError> {
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
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, replace_generation_tags(&source))
            .map_err(|error| template_error(&error))?;
        let variables = environment
            .get_template(NAME)
            .map_err(|error| template_error(&error))?
            .undeclared_variables(false);
        Ok(Self { environment, source, bos_text, eos_text, variables })
    }

    /// Returns the prompt for a conversation.
    ///
    /// # Errors
    ///
    /// [`TextError::TemplateRefused`] with the template's own words, [`TextError::TemplateBudget`],
    /// [`TextError::Template`].
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        let mut context = Map::new();
        context.insert("messages".into(), messages.iter().map(Message::to_template_value).collect());
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

    /// Renders on a thread of its own, for its stack.
    fn render_context(&self, context: Map<String, Json>) -> Result<String, TextError> {
        let render = || {
            let template = self.environment.get_template(NAME).map_err(|error| template_error(&error))?;
            template.render(Value::from(Serde(context))).map_err(|error| template_error(&error))
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("chat-template".into())
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, render)
                .map_err(|error| {
                    TextError::Template(format!("cannot start a thread to render it: {error}"))
                })?;
            thread.join().unwrap_or_else(|_| Err(TextError::Template("the renderer panicked".into())))
        })
    }

    /// Returns the template as the model came with it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns whether the template offers tools to the model.
    pub fn uses_tools(&self) -> bool {
        self.variables.contains("tools")
    }

    /// Returns whether the template knows of thinking aloud, by a variable or by a tag outside of its comments.
    pub fn uses_thinking(&self) -> bool {
        ["enable_thinking", "thinking", "reasoning_effort"].iter().any(|name| self.variables.contains(*name))
            || self.source.split("{#").enumerate().any(|(index, part)| {
                let part = if index == 0 { part } else { part.split_once("#}").map_or("", |(_, rest)| rest) };
                part.contains("<think>") || part.contains("</think>")
            })
    }
}

impl fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatTemplate").field("source", &self.source).finish_non_exhaustive()
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
