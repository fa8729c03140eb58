//! Calls in elements: `<function=NAME>`, `<parameter=KEY>` with a value on lines of its own, their ends.
//!
//! Values stand bare, so their types come from the tool's schema.

use serde_json::{Map, Value};

use super::Match;
use super::body::{MAX_NAME_BYTES, Outcome, skip_space};
use crate::text::{ToolCall, ToolFormat};

const FUNCTION_END: &str = "</function>";
const PARAMETER: &str = "<parameter=";
const PARAMETER_END: &str = "</parameter>";
/// Schemas in schemas that are looked at for the types of a value; they may refer to each other in circles.
const MAX_SCHEMAS: usize = 100;

/// A call under way.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    name: String,
    arguments: Map<String, Value>,
    place: Place,
}

/// Where in the call; places are bytes of its text.
#[derive(Debug, Clone)]
enum Place {
    /// In the name that begins here.
    Name(usize),
    /// Between elements.
    Between,
    /// In the key that begins here.
    Key(usize),
    /// In the value of `key` that begins at `from`.
    Value { key: String, from: usize },
}

impl Elements {
    /// A call whose name begins at byte `from`.
    pub(super) fn new(from: usize) -> Self {
        Self { name: String::new(), arguments: Map::new(), place: Place::Name(from) }
    }

    /// Reads on in `text`, from byte `at`.
    pub(super) fn advance(
        &mut self,
        text: &str,
        at: &mut usize,
        format: &ToolFormat,
        tools: &[(String, Value)],
    ) -> Outcome {
        loop {
            let step = match &self.place {
                Place::Name(from) => name(text, at, *from).map(|name| {
                    name.clone_into(&mut self.name);
                    Place::Between
                }),
                Place::Key(from) => {
                    name(text, at, *from).map(|key| Place::Value { key: key.to_owned(), from: *at })
                }
                Place::Between => match between(text, at, format) {
                    Ok(place) => Ok(place),
                    Err(Outcome::Calls(_)) => return Outcome::Calls(vec![self.take()]),
                    Err(outcome) => Err(outcome),
                },
                Place::Value { key, from } => value(text, at).map(|end| {
                    let schema = tools.iter().find(|(name, _)| *name == self.name).map(|(_, schema)| schema);
                    let value = convert(bare(&text[*from..end]), key, schema);
                    self.arguments.insert(key.clone(), value);
                    Place::Between
                }),
            };
            match step {
                Ok(place) => self.place = place,
                Err(outcome) => return outcome,
            }
        }
    }

    fn take(&mut self) -> ToolCall {
        ToolCall { name: std::mem::take(&mut self.name), arguments: std::mem::take(&mut self.arguments) }
    }
}

/// Finds the next element, or the end of the call.
fn between(text: &str, at: &mut usize, format: &ToolFormat) -> Result<Place, Outcome> {
    *at = skip_space(text, *at);
    let rest = &text[*at..];
    let ended = || Err(Outcome::Calls(Vec::new()));
    match (Match::of(rest, PARAMETER), Match::of(rest, FUNCTION_END)) {
        (Match::Full, _) => {
            *at += PARAMETER.len();
            return Ok(Place::Key(*at));
        }
        (_, Match::Full) => {
            *at += FUNCTION_END.len();
            return ended();
        }
        (Match::Partial, _) | (_, Match::Partial) => return Err(Outcome::More),
        (Match::No, Match::No) => {}
    }
    // The mark after the call ends it, too.
    let closes = format.closes.iter().map(|mark| Match::of(rest, mark));
    match closes
        .min_by_key(|found| [Match::Full, Match::Partial, Match::No].iter().position(|other| other == found))
    {
        Some(Match::Full) => ended(),
        Some(Match::Partial) => Err(Outcome::More),
        Some(Match::No) | None => Err(Outcome::Nothing),
    }
}

/// Reads a name up to the bracket that ends its tag.
fn name<'a>(text: &'a str, at: &mut usize, from: usize) -> Result<&'a str, Outcome> {
    while let Some(character) = text[*at..].chars().next() {
        if character == '>' {
            let name = text[from..*at].trim();
            if name.is_empty() {
                break;
            }
            *at += 1;
            return Ok(name);
        }
        if character == '\n' || *at - from >= MAX_NAME_BYTES {
            return Err(Outcome::Nothing);
        }
        *at += character.len_utf8();
    }
    Err(if *at < text.len() { Outcome::Nothing } else { Outcome::More })
}

/// Reads up to the end of a value and returns where it ends.
fn value(text: &str, at: &mut usize) -> Result<usize, Outcome> {
    while let Some(offset) = text[*at..].find('<') {
        *at += offset;
        let rest = &text[*at..];
        let end = *at;
        match Match::of(rest, PARAMETER_END) {
            Match::Full => {
                *at += PARAMETER_END.len();
                return Ok(end);
            }
            Match::Partial => return Err(Outcome::More),
            Match::No => {}
        }
        // A model that forgets the end of its last parameter.
        if text[..end].ends_with('\n') {
            match Match::of(rest, FUNCTION_END) {
                Match::Full => return Ok(end),
                Match::Partial => return Err(Outcome::More),
                Match::No => {}
            }
        }
        *at += 1;
    }
    *at = text.len();
    Err(Outcome::More)
}

/// A value without the line ends that only set it apart.
fn bare(text: &str) -> &str {
    let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text);
    text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
}

/// The value that a text stands for, by the schema of the tool: a text where that allows one and nothing else fits.
fn convert(text: &str, key: &str, tool: Option<&Value>) -> Value {
    let (mut types, mut budget) = (Vec::new(), MAX_SCHEMAS);
    if let Some(tool) = tool {
        collect_types(&tool["properties"][key], tool, &mut budget, &mut types);
    }
    let other = types.iter().any(|name| *name != "string");
    if !other {
        return Value::from(text);
    }
    let trimmed = text.trim();
    let written = match trimmed {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        other => other,
    };
    let value = serde_json::from_str::<Value>(written).ok();
    value.filter(|value| types.iter().any(|name| is_of(value, name))).unwrap_or_else(|| Value::from(text))
}

/// Collects the types that a schema allows.
fn collect_types<'a>(schema: &'a Value, root: &'a Value, budget: &mut usize, types: &mut Vec<&'a str>) {
    let Some(rest) = budget.checked_sub(1) else { return };
    *budget = rest;
    match &schema["type"] {
        Value::String(name) => types.push(name),
        Value::Array(names) => types.extend(names.iter().filter_map(Value::as_str)),
        _ => {}
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        for inner in schema[key].as_array().into_iter().flatten() {
            collect_types(inner, root, budget, types);
        }
    }
    let target = schema["$ref"].as_str().and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    if let Some(target) = target {
        collect_types(target, root, budget, types);
    }
    for value in schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")) {
        types.push(type_of(value));
    }
}

/// Whether a value is of a type, in JSON schema's words.
fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        name => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
