//! Chat templates in the language of Go, as Ollama's clients and Modelfiles write them.
//!
//! Facts (what Ollama does): a template that mentions `.Messages` gets the whole conversation, with neighbouring
//! messages of one role joined (but for those of tools), all system messages also as `.System`, and `.Tools`, `.Think`,
//! `.ThinkLevel`, `.IsThinkSet`. An older one is rendered turn by turn with `.System`, `.Prompt`, `.Response`, and
//! ends, in the last turn, where the answer goes. With a prompt and a suffix any template is rendered once, with
//! `.Prompt` and `.Suffix`.
//!
//! A template comes from a stranger. The crate that runs it counts iterations and output and looks at the clock; what
//! it leaves open is bounded here: nesting before it parses (see `scan`), copies of the data that a template can hold
//! at a time ([`MEMORY_BYTES`]), and its panics and its stack by a thread for each rendering.

mod functions;
mod scan;
mod values;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use gtmpl_ng::{Context, ExecError, Limits, ParseError, Template, Value};

use self::functions::FUNCTIONS;
use self::scan::{COUNT, Scan};
use super::stack::on_large_stack;
use super::{Message, RenderOptions, TextError, ThinkingTags};

/// Longest time that one rendering may take, of all turns of an older template together. The longest templates need
/// some milliseconds per hundred messages.
const TIME: Duration = Duration::from_secs(4);
/// Turns of all loops together; those of an older template in each turn of the conversation.
const ITERATIONS: usize = 200_000;
/// Longest prompt, in bytes.
const OUTPUT_BYTES: usize = 64 << 20;
/// Most memory that copies of the data may take while a template runs. Each variable holds one, each open block two,
/// and each argument of a call one.
const MEMORY_BYTES: usize = 256 << 20;
/// Characters of an error's text: it may quote the data.
const MAX_ERROR_CHARS: usize = 400;

/// A checked template.
#[derive(Debug)]
pub(super) struct GoTemplate {
    scan: Scan,
    mentions_tags: bool,
}

impl GoTemplate {
    /// Checks a template.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`] with the line.
    pub(super) fn new(source: &str) -> Result<Self, TextError> {
        let scan = Scan::new(source).map_err(TextError::Template)?;
        let mentions_tags = ThinkingTags::in_text(&scan.said).is_some();
        on_large_stack(|| {
            compile(&scan.whole)?;
            scan.until_response.as_deref().map(compile).transpose()?;
            Ok(())
        })?;
        Ok(Self { scan, mentions_tags })
    }

    /// The prompt for a conversation.
    ///
    /// # Errors
    ///
    /// [`TextError::Template`], [`TextError::TemplateBudget`].
    pub(super) fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        on_large_stack(|| {
            let (system, messages) = collate(messages);
            if self.scan.is_old_style() {
                return self.render_turns(&messages, options);
            }
            let tools =
                options.tools.as_ref().filter(|tools| tools.as_array().is_none_or(|list| !list.is_empty()));
            let mut data = thinking(options);
            data.insert("System".to_owned(), system.into());
            data.insert(COUNT.to_owned(), messages.len().into());
            data.insert("Messages".to_owned(), Value::Array(messages.iter().map(values::message).collect()));
            data.insert("Tools".to_owned(), values::tools(tools));
            data.insert("Response".to_owned(), "".into());
            Run::new(self.scan.copies).once(&self.scan.whole, data)
        })
    }

    /// The prompt for text to be inserted between two others.
    ///
    /// # Errors
    ///
    /// As [`GoTemplate::render`].
    pub(super) fn render_insert(
        &self,
        prompt: &str,
        suffix: &str,
        options: &RenderOptions,
    ) -> Result<String, TextError> {
        on_large_stack(|| {
            let mut data = thinking(options);
            for (name, text) in [("Prompt", prompt), ("Suffix", suffix), ("Response", "")] {
                data.insert(name.to_owned(), text.into());
            }
            Run::new(self.scan.copies).once(&self.scan.whole, data)
        })
    }

    /// A system message, a prompt and an answer make a turn; each is rendered when the next begins. Other roles have no
    /// place in such a template.
    fn render_turns(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
        let mut turn = Turn::default();
        let mut run = Run::new(self.scan.copies);
        let mut whole = compile(&self.scan.whole)?;
        for message in messages {
            let begins = match message.role.as_str() {
                "system" => !turn.prompt.is_empty() || !turn.response.is_empty(),
                "user" => !turn.response.is_empty(),
                _ => false,
            };
            if begins {
                run.execute(&mut whole, std::mem::take(&mut turn).data(options))?;
            }
            match message.role.as_str() {
                "system" => turn.system.clone_from(&message.content),
                "user" => turn.prompt.clone_from(&message.content),
                "assistant" => turn.response.clone_from(&message.content),
                _ => {}
            }
        }
        match &self.scan.until_response {
            Some(last) => run.execute(&mut compile(last)?, turn.data(options))?,
            None => run.execute(&mut whole, turn.data(options))?,
        }
        run.text()
    }

    /// What it says, which is all of it but its comments.
    pub(super) fn said(&self) -> &str {
        &self.scan.said
    }

    /// Whether it offers tools to the model.
    pub(super) fn uses_tools(&self) -> bool {
        self.scan.names.contains("tools")
    }

    /// Whether it has a place for what follows the text to be written.
    pub(super) fn uses_suffix(&self) -> bool {
        self.scan.names.contains("suffix")
    }

    /// Whether it knows of thinking aloud.
    pub(super) fn uses_thinking(&self) -> bool {
        let names = ["think", "thinklevel", "isthinkset", "thinking"];
        self.mentions_tags || names.iter().any(|name| self.scan.names.contains(*name))
    }
}

/// One turn of a conversation, for older templates.
#[derive(Default)]
struct Turn {
    system: String,
    prompt: String,
    response: String,
}

impl Turn {
    fn data(self, options: &RenderOptions) -> HashMap<String, Value> {
        let mut data = thinking(options);
        data.insert("System".to_owned(), self.system.into());
        data.insert("Prompt".to_owned(), self.prompt.into());
        data.insert("Response".to_owned(), self.response.into());
        data
    }
}

/// Variables that say how to think.
fn thinking(options: &RenderOptions) -> HashMap<String, Value> {
    let level = options.think_level.clone().unwrap_or_default();
    HashMap::from([
        ("Think".to_owned(), options.think.unwrap_or(!level.is_empty()).into()),
        ("IsThinkSet".to_owned(), (options.think.is_some() || !level.is_empty()).into()),
        ("ThinkLevel".to_owned(), level.into()),
    ])
}

/// Joins neighbouring messages of one role, and collects what the system messages say.
fn collate(messages: &[Message]) -> (String, Vec<Message>) {
    let mut joined: Vec<Message> = Vec::with_capacity(messages.len());
    for message in messages {
        // A message with calls or thoughts of its own stays one.
        let joins = message.role != "tool" && message.extra.is_empty();
        match joined.last_mut().filter(|last| joins && last.role == message.role) {
            Some(_) if message.content.is_empty() => {}
            Some(last) => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            None => joined.push(message.clone()),
        }
    }
    let system = messages.iter().filter(|message| message.role == "system");
    (system.map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n"), joined)
}

fn compile(text: &str) -> Result<Template, TextError> {
    let mut template = Template::default();
    template.add_funcs(&FUNCTIONS);
    template.parse(text).map_err(|error| {
        TextError::Template(shorten(&match error {
            // Columns are those of the text with our functions in it.
            ParseError::WithContext(place, problem) => format!("line {}: {problem}", place.line),
            other => other.to_string(),
        }))
    })?;
    Ok(template)
}

/// One rendering: what it has written and may still spend.
struct Run {
    start: Instant,
    copies: usize,
    out: Vec<u8>,
}

impl Run {
    fn new(copies: usize) -> Self {
        Self { start: Instant::now(), copies, out: Vec::new() }
    }

    fn once(mut self, source: &str, data: HashMap<String, Value>) -> Result<String, TextError> {
        self.execute(&mut compile(source)?, data)?;
        self.text()
    }

    fn execute(&mut self, template: &mut Template, data: HashMap<String, Value>) -> Result<(), TextError> {
        let data = Value::Map(data);
        // What a function returns may be larger than the data: JSON escapes, `print` joins.
        let largest = 4 * values::weight(&data) + (64 << 10);
        if largest.saturating_mul(self.copies) > MEMORY_BYTES {
            return Err(TextError::TemplateBudget);
        }
        let left = TIME.saturating_sub(self.start.elapsed());
        template.limits = Limits::default()
            .with_deadline(left)
            .with_total_iterations(ITERATIONS)
            .with_output_bytes(OUTPUT_BYTES.saturating_sub(self.out.len()))
            .with_function_output(largest);
        template.execute(&mut self.out, &Context::from(data)).map_err(|error| failed(&error))
    }

    fn text(self) -> Result<String, TextError> {
        String::from_utf8(self.out).map_err(|error| TextError::Template(error.to_string()))
    }
}

/// The crate turns errors into text on their way out; those about its limits end alike.
fn failed(error: &ExecError) -> TextError {
    let text = match error.as_structured() {
        Some(structured) => {
            format!("line {}: {}", structured.context.line, structured.message)
        }
        None => error.to_string(),
    };
    if text.ends_with(" allowed") || text.contains("did not finish within") {
        return TextError::TemplateBudget;
    }
    TextError::Template(shorten(&text))
}

fn shorten(text: &str) -> String {
    let clean = text.replace('\0', "");
    match clean.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests;
