//! How families of models write calls, as data.
//!
//! Three forms cover them: an object with name and arguments, the name followed by an object of arguments, and elements
//! in the manner of XML. Around them stand marks, which are often tokens of their own. The same data serves two sides:
//! the [`parser`](super::ToolParser), which reads more than it says here because models err, and the grammar, which
//! makes a model write calls and has it write them exactly so.

use serde_json::{Value, json};

use super::Tool;
use super::argument::{self, Arguments, Writing};

/// Longest text between a mark and the arguments: a name, and what stands around it.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// How one family writes calls.
#[derive(Debug, PartialEq, Eq)]
pub struct ToolFormat {
    name: &'static str,
    /// What stands before the first call of a turn, between two calls, and after the last one.
    begin: &'static str,
    between: &'static str,
    end: &'static str,
    form: Form,
    /// Marks that begin a call wherever they stand.
    pub(super) opens: &'static [&'static str],
    /// Marks that begin a call wherever they stand and belong to its text.
    pub(super) elements: &'static [&'static str],
    /// Words that begin a call only where nothing stands before them.
    pub(super) words: &'static [&'static str],
    /// Marks around calls: they never belong to the answer.
    pub(super) closes: &'static [&'static str],
    /// Marks between the name of a function and its arguments.
    pub(super) separators: &'static [&'static str],
    /// Texts of a chat template that tell this format: all of them.
    signs: &'static [&'static str],
    /// A token that only vocabularies of this format have; for templates without signs.
    token: Option<&'static str>,
}

/// The form of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `{"name": NAME, ARGUMENTS: {...}}`, with this key for the arguments.
    Object { arguments: &'static str },
    /// The name between the first two texts, then the object of arguments, then the third text.
    Named { before: &'static str, after_name: &'static str, after: &'static str },
    /// `<function=NAME>`, a `<parameter=KEY>` element for each argument, `</function>`.
    Elements,
}

/// A part of a call that a model is made to write.
#[derive(Debug, Clone, PartialEq)]
pub enum CallPart<'a> {
    /// Exactly this text. It may hold marks that are special tokens of the vocabulary.
    Literal(String),
    /// The object of all arguments, as JSON that fits this schema.
    Arguments(Value),
    /// One argument, as JSON that fits a schema; the references of `schema` lead into `root`.
    Argument {
        /// What it must fit.
        schema: &'a Value,
        /// The schema of all arguments.
        root: &'a Value,
    },
    /// Any text in which neither the literal after it occurs nor any of these.
    Text {
        /// What would be taken for the end of the text.
        without: &'static [&'static str],
    },
    /// One of these texts.
    OneOf(Vec<String>),
    /// These parts, or nothing.
    Optional(Vec<CallPart<'a>>),
    /// These parts, any number of times.
    Repeated(Vec<CallPart<'a>>),
    /// The tag that begins an argument: a name that is none of `except`, between two texts.
    Name {
        /// Before the name.
        before: &'static str,
        /// After it; the name does not hold its first character.
        after: &'static str,
        /// Names that have a tag of their own.
        except: Vec<&'a str>,
    },
}

const BASE: ToolFormat = ToolFormat {
    name: "json",
    begin: "[",
    between: ", ",
    end: "]",
    form: Form::Object { arguments: "arguments" },
    opens: &[],
    elements: &[],
    words: &[],
    closes: &[],
    separators: &[],
    signs: &[],
    token: None,
};

/// A model whose template shows tools and does not say how to call them: an object or a list of them as the whole
/// answer.
static JSON: ToolFormat = BASE;

/// The first whose signs are all in the template counts, so special ones stand before general ones.
static FORMATS: &[ToolFormat] = &[
    // Qwen3-Coder, Qwen3.5.
    ToolFormat {
        name: "elements",
        begin: "<tool_call>\n",
        between: "\n</tool_call>\n<tool_call>\n",
        end: "\n</tool_call>",
        form: Form::Elements,
        opens: &["<tool_call>"],
        elements: &["<function="],
        closes: &["</tool_call>"],
        signs: &["<function=", "<parameter="],
        ..BASE
    },
    // DeepSeek-R1 and V3, whose arguments stand in a fence.
    ToolFormat {
        name: "deepseek-fenced",
        begin: "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
        between: "<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>",
        end: "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        form: Form::Named { before: "function<｜tool▁sep｜>", after_name: "\n```json\n", after: "\n```" },
        opens: &["<｜tool▁call▁begin｜>"],
        closes: &["<｜tool▁calls▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
        separators: &["<｜tool▁sep｜>"],
        signs: &["<｜tool▁call▁begin｜>", "```json"],
        ..BASE
    },
    // DeepSeek-V3.1.
    ToolFormat {
        name: "deepseek",
        begin: "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>",
        between: "<｜tool▁call▁end｜><｜tool▁call▁begin｜>",
        end: "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        form: Form::Named { before: "", after_name: "<｜tool▁sep｜>", after: "" },
        opens: &["<｜tool▁call▁begin｜>"],
        closes: &["<｜tool▁calls▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
        separators: &["<｜tool▁sep｜>"],
        signs: &["<｜tool▁call▁begin｜>"],
        token: Some("<｜tool▁call▁begin｜>"),
        ..BASE
    },
    // Mistral since tokenizer 11: Ministral 3, Magistral, Mistral Small 3.2.
    ToolFormat {
        name: "mistral-named",
        begin: "[TOOL_CALLS]",
        between: "[TOOL_CALLS]",
        end: "",
        form: Form::Named { before: "", after_name: "[ARGS]", after: "" },
        opens: &["[TOOL_CALLS]"],
        separators: &["[CALL_ID]", "[ARGS]"],
        signs: &["[TOOL_CALLS]", "[ARGS]"],
        token: Some("[ARGS]"),
        ..BASE
    },
    // Mistral before that.
    ToolFormat {
        name: "mistral",
        begin: "[TOOL_CALLS] [",
        opens: &["[TOOL_CALLS]"],
        signs: &["[TOOL_CALLS]"],
        token: Some("[TOOL_CALLS]"),
        ..BASE
    },
    // Phi-4-mini.
    ToolFormat {
        name: "phi4-mini",
        begin: "<|tool_call|>[",
        end: "]<|/tool_call|>",
        opens: &["<|tool_call|>"],
        closes: &["<|/tool_call|>"],
        signs: &["<|tool_call|>", "<|/tool_call|>"],
        token: Some("<|/tool_call|>"),
        ..BASE
    },
    // Granite 3.
    ToolFormat {
        name: "granite",
        begin: "<|tool_call|>[",
        opens: &["<|tool_call|>", "<tool_call>"],
        closes: &["</tool_call>"],
        signs: &["<|tool_call|>"],
        token: Some("<|tool_call|>"),
        ..BASE
    },
    ToolFormat {
        name: "functools",
        begin: "functools[",
        words: &["functools"],
        signs: &["functools["],
        ..BASE
    },
    // SmolLM2, xLAM and others: all calls of a turn in one list.
    ToolFormat {
        name: "hermes-list",
        begin: "<tool_call>[",
        end: "]</tool_call>",
        opens: &["<tool_call>"],
        closes: &["</tool_call>"],
        signs: &["<tool_call>["],
        ..BASE
    },
    // Hermes, Qwen2.5, Qwen3, SmolLM3, Granite 4 and many more.
    ToolFormat {
        name: "hermes",
        begin: "<tool_call>\n",
        between: "\n</tool_call>\n<tool_call>\n",
        end: "\n</tool_call>",
        opens: &["<tool_call>"],
        closes: &["</tool_call>"],
        signs: &["<tool_call>"],
        token: Some("<tool_call>"),
        ..BASE
    },
    // Llama 3.1 and 3.2.
    ToolFormat {
        name: "llama3",
        begin: "",
        between: "; ",
        end: "",
        form: Form::Object { arguments: "parameters" },
        opens: &["<|python_tag|>"],
        signs: &["<|python_tag|>"],
        token: Some("<|python_tag|>"),
        ..BASE
    },
];

impl ToolFormat {
    /// Returns the format of the models that have this chat template (Jinja or Go) and this vocabulary: by what the
    /// template writes, else by the tokens there are, else the generic one. Whether the template knows of tools at all
    /// is not asked here.
    pub fn find(template: &str, has_token: impl Fn(&str) -> bool) -> &'static Self {
        let says = |format: &&Self| {
            !format.signs.is_empty() && format.signs.iter().all(|sign| template.contains(sign))
        };
        let by_template = FORMATS.iter().find(says);
        let by_token = || FORMATS.iter().find(|format| format.token.is_some_and(&has_token));
        by_template.or_else(by_token).unwrap_or(&JSON)
    }

    /// Returns the format of this name; the names are stable, for tests and logs.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|format| format.name == name)
    }

    /// Returns all formats.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        FORMATS.iter().chain([&JSON])
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The text before the first call of a turn. Where it is empty, text before a call cannot be told from one.
    pub fn begin(&self) -> &'static str {
        self.begin
    }

    /// The text between two calls of a turn.
    pub fn between(&self) -> &'static str {
        self.between
    }

    /// The text after the last call of a turn.
    pub fn end(&self) -> &'static str {
        self.end
    }

    /// Returns the first name in a call of `tool` that could not be told from what stands around it: the tool's, or one
    /// of its arguments. Objects take any.
    pub fn unwritable<'a>(&self, tool: &'a Tool) -> Option<&'a str> {
        let is_apart = |name: &&str| {
            name.trim() == *name
                && !name.is_empty()
                && !name.contains(['>', '\n'])
                && name.len() <= MAX_NAME_BYTES
        };
        match self.form {
            Form::Object { .. } => None,
            Form::Named { before, after_name, .. } => {
                let len = before.len() + tool.name.len() + after_name.len();
                let is_plain = is_apart(&tool.name.as_str())
                    && !tool.name.contains(|c: char| "<>[]{}`".contains(c) || c.is_control());
                (!is_plain || len > MAX_NAME_BYTES).then_some(&tool.name)
            }
            Form::Elements => {
                let arguments = Arguments::of(&tool.parameters).listed.into_iter().map(|(name, _)| name);
                std::iter::once(tool.name.as_str()).chain(arguments).find(|name| !is_apart(name))
            }
        }
    }

    /// Whether the parts of a call make all that the tool's schema says come true. Elements know each argument by
    /// itself.
    pub fn holds(&self, tool: &Tool) -> bool {
        self.form != Form::Elements || argument::are_listed(&tool.parameters)
    }

    /// Returns what stands in a call of `tool`, between the texts above.
    pub fn call<'a>(&self, tool: &'a Tool) -> Vec<CallPart<'a>> {
        let literal = |text: &str| CallPart::Literal(text.to_owned());
        let parts = match self.form {
            Form::Object { arguments } => vec![
                CallPart::Literal(format!(
                    "{{\"name\": {}, \"{arguments}\": ",
                    Value::from(tool.name.as_str())
                )),
                CallPart::Arguments(arguments_schema(tool)),
                literal("}"),
            ],
            Form::Named { before, after_name, after } => vec![
                CallPart::Literal(format!("{before}{}{after_name}", tool.name)),
                CallPart::Arguments(arguments_schema(tool)),
                literal(after),
            ],
            Form::Elements => elements(tool),
        };
        parts.into_iter().filter(|part| *part != literal("")).collect()
    }

    /// All marks that the parser takes for the beginning or the end of a call, wherever they stand.
    pub(crate) fn read_anywhere(&self) -> impl Iterator<Item = &'static str> {
        [self.opens, self.elements, self.closes].into_iter().flatten().copied()
    }

    /// What the parser takes for the beginning of a call where nothing stands before it.
    pub(crate) fn read_at_beginning(&self) -> impl Iterator<Item = &'static str> {
        ["{", "["].into_iter().chain(self.words.iter().copied())
    }

    /// All marks that a vocabulary may have as special tokens, and whose text the parser needs.
    pub(crate) fn marks(&self) -> impl Iterator<Item = &'static str> {
        [self.opens, self.closes, self.separators].into_iter().flatten().copied()
    }
}

/// The schema that a forced call's arguments must fit: the tool's, and nothing that it does not mention.
fn arguments_schema(tool: &Tool) -> Value {
    let Value::Object(mut schema) = tool.parameters.clone() else {
        return json!({"type": "object", "properties": {}, "additionalProperties": false});
    };
    schema.entry("type").or_insert_with(|| "object".into());
    let composed =
        ["$ref", "allOf", "anyOf", "oneOf", "patternProperties"].iter().any(|key| schema.contains_key(*key));
    if !composed {
        schema.entry("properties").or_insert_with(|| json!({}));
        schema.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    Value::Object(schema)
}

/// A call in elements. Texts stand bare, everything else as JSON. Behind the arguments that are listed may come others,
/// where the schema lets them and need not be followed exactly.
fn elements(tool: &Tool) -> Vec<CallPart<'_>> {
    let arguments = Arguments::of(&tool.parameters);
    let element =
        |tag, schema| vec![tag, value(schema, tool), CallPart::Literal("\n</parameter>\n".to_owned())];
    let mut parts = vec![CallPart::Literal(format!("<function={}>\n", tool.name))];
    for (name, schema) in &arguments.listed {
        let element = element(CallPart::Literal(format!("<parameter={name}>\n")), schema);
        if arguments.required.contains(name) {
            parts.extend(element);
        } else {
            parts.push(CallPart::Optional(element));
        }
    }
    if let Some(schema) = arguments.others.filter(|_| !tool.strict) {
        let except = arguments.listed.iter().map(|(name, _)| *name).collect();
        let tag = CallPart::Name { before: "<parameter=", after: ">\n", except };
        parts.push(CallPart::Repeated(element(tag, schema)));
    }
    parts.push(CallPart::Literal("</function>".to_owned()));
    parts
}

/// The value of one argument in an element.
fn value<'a>(schema: &'a Value, tool: &'a Tool) -> CallPart<'a> {
    let root = &tool.parameters;
    match Writing::of(schema, root, tool.strict) {
        Writing::Text => CallPart::Text { without: argument::ENDS },
        Writing::OneOf(texts) => CallPart::OneOf(texts),
        Writing::Json => CallPart::Argument { schema, root },
    }
}

#[cfg(test)]
mod tests;
