//! Tools: what a request offers to the model, and the calls the model makes of it.
//!
//! A [`Tool`] comes out of a request's JSON and goes into the chat template; a [`ToolCall`] comes out of the model's
//! text and goes into the answer. Both are plain: which family writes calls in which way is a matter of its format.

mod argument;
mod format;
mod number;
mod parser;

use std::collections::HashSet;

use serde_json::{Map, Value};

pub use self::format::{CallPart, ToolFormat};
pub use self::parser::{ToolParser, ToolParts};
use super::kind::kind;

/// More tools than any client offers; their descriptions alone would fill the context.
const MAX_TOOLS: usize = 1024;

/// A function that the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name; never empty.
    pub name: String,
    /// What it does; empty if the client does not say.
    pub description: String,
    /// JSON schema of its arguments, an object; `Null` if the client gives none.
    pub parameters: Value,
    /// As chat templates expect it: `{"type": "function", "function": {"name", "description", "parameters"}}`, with
    /// whatever else the client wrote there, except `strict`.
    pub raw: Value,
    /// Whether its arguments must fit `parameters`, by force.
    pub strict: bool,
}

/// Which tools the model may or must call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// None: the model does not get to see them.
    None,
    /// At least one, whichever.
    Required,
    /// The one of this name.
    Named(String),
}

/// A call that the model makes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolCall {
    /// Name of the function.
    pub name: String,
    /// Its arguments by name, in the order in which the model wrote them.
    pub arguments: Map<String, Value>,
}

/// Why a request's tools are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// A value of another type than its place needs.
    #[error("{path} is {found}; it must be {wanted}")]
    WrongType {
        /// Where: `tools[0].function.name`.
        path: String,
        /// The type found there, with its article.
        found: &'static str,
        /// The type needed there, with its article.
        wanted: &'static str,
    },
    /// A tool without a name could not be called.
    #[error("{path} is missing or empty; every tool needs a name")]
    NoName {
        /// Where: `tools[0].function.name`.
        path: String,
    },
    /// More tools than are read.
    #[error("the request offers {0} tools; at most {MAX_TOOLS} can be offered at once")]
    TooMany(usize),
    /// `tool_choice` names a tool that is not offered.
    #[error("tool_choice names {0:?}, which is not among the request's tools")]
    Unknown(String),
    /// `tool_choice` demands a call where there is nothing to call.
    #[error("tool_choice demands a call, but the request offers no tools")]
    NothingToCall,
}

impl Tool {
    /// Returns a tool made of its parts; an empty description and `Null` parameters are left out of what templates see.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        strict: bool,
    ) -> Self {
        let mut function = Map::new();
        function.insert("description".into(), Value::String(description.into()));
        function.insert("parameters".into(), parameters);
        Self::of_function(name.into(), function, strict)
    }

    /// Refuses more tools than are read, for requests whose tools have another form.
    ///
    /// # Errors
    ///
    /// [`ToolError::TooMany`].
    pub fn check_number(tools: usize) -> Result<(), ToolError> {
        if tools > MAX_TOOLS { Err(ToolError::TooMany(tools)) } else { Ok(()) }
    }

    /// Reads the `tools` of a request: `[{"type": "function", "function": {...}}, ...]`. `null` is as absent.
    ///
    /// # Errors
    ///
    /// [`ToolError`] names the place of the first value that cannot be a tool.
    pub fn parse_all(tools: Vec<Value>) -> Result<Vec<Self>, ToolError> {
        Self::check_number(tools.len())?;
        tools
            .into_iter()
            .enumerate()
            .map(|(index, tool)| Self::parse(tool, &format!("tools[{index}]")))
            .collect()
    }

    /// Reads one tool, `{"type": "function", "function": {...}}`; `path` says in errors where it stands.
    pub fn parse(tool: Value, path: &str) -> Result<Self, ToolError> {
        let mut tool = object(tool, path.to_owned())?;
        let path = format!("{path}.function");
        let mut function = object(tool.remove("function").unwrap_or_default(), path.clone())?;
        let name = text(function.get("name"), || format!("{path}.name"))?.to_owned();
        if name.is_empty() {
            return Err(ToolError::NoName { path: format!("{path}.name") });
        }
        text(function.get("description"), || format!("{path}.description"))?;
        let parameters = function.get("parameters").unwrap_or(&Value::Null);
        if !parameters.is_object() && !parameters.is_null() {
            let path = format!("{path}.parameters");
            return Err(ToolError::WrongType { path, found: kind(parameters), wanted: "an object" });
        }
        let strict = function.remove("strict").or_else(|| tool.remove("strict"));
        Ok(Self::of_function(name, function, strict == Some(Value::Bool(true))))
    }

    /// Returns the first tool of each name: a call names a tool, and can mean one only.
    pub(crate) fn distinct(tools: &[Self]) -> impl Iterator<Item = &Self> {
        let mut names = HashSet::new();
        tools.iter().filter(move |tool| names.insert(tool.name.as_str()))
    }

    /// Returns what chat templates get as `tools`; `None` without tools.
    pub fn for_template(tools: &[Self]) -> Option<Value> {
        (!tools.is_empty()).then(|| tools.iter().map(|tool| tool.raw.clone()).collect())
    }

    /// Puts the fields into the order that models were trained on: name, description, parameters, then others.
    fn of_function(name: String, mut function: Map<String, Value>, strict: bool) -> Self {
        let mut take = |field: &str| function.shift_remove(field).unwrap_or_default();
        let (_, description, parameters) = (take("name"), take("description"), take("parameters"));
        let description = description.as_str().unwrap_or_default().to_owned();
        let mut ordered = Map::new();
        ordered.insert("name".into(), name.clone().into());
        if !description.is_empty() {
            ordered.insert("description".into(), description.clone().into());
        }
        if !parameters.is_null() {
            ordered.insert("parameters".into(), parameters.clone());
        }
        ordered.extend(function.into_iter().filter(|(_, value)| !value.is_null()));
        let mut raw = Map::new();
        raw.insert("type".into(), "function".into());
        raw.insert("function".into(), Value::Object(ordered));
        Self { name, description, parameters, raw: Value::Object(raw), strict }
    }
}

impl ToolChoice {
    /// Checks that what is demanded can be called.
    ///
    /// # Errors
    ///
    /// [`ToolError::Unknown`] and [`ToolError::NothingToCall`].
    pub fn check(&self, tools: &[Tool]) -> Result<(), ToolError> {
        match self {
            Self::Required if tools.is_empty() => Err(ToolError::NothingToCall),
            Self::Auto | Self::None | Self::Required => Ok(()),
            Self::Named(name) if tools.iter().any(|tool| tool.name == *name) => Ok(()),
            Self::Named(name) => Err(ToolError::Unknown(name.clone())),
        }
    }
}

/// The fields of an object; `null` has none.
fn object(value: Value, path: String) -> Result<Map<String, Value>, ToolError> {
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        other => Err(ToolError::WrongType { path, found: kind(&other), wanted: "an object" }),
    }
}

/// A text; `null` and absent are empty.
fn text(value: Option<&Value>, path: impl Fn() -> String) -> Result<&str, ToolError> {
    match value {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Ok(""),
        Some(other) => Err(ToolError::WrongType { path: path(), found: kind(other), wanted: "a string" }),
    }
}

#[cfg(test)]
mod tests;
