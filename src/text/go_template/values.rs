//! What a Go template sees: messages, tools and calls under the names of Ollama's own types, and back to JSON.
//!
//! Ollama hands its templates Go structures. Their fields have other names than those in JSON (`.ToolName` is
//! `tool_name`), fields that a client left out are there and empty, and to ask for one that does not exist is an error.
//! The tables below say so for each structure. A structure remembers the order of its JSON keys under a key that no
//! template can write; maps (arguments, properties) come in the order of their keys, in Go too.

use std::collections::HashMap;
use std::fmt::Write as _;

use gtmpl_ng::{Number, Value};
use serde_json::Value as Json;

use super::super::Message;

/// Key of a structure with its JSON keys and field names, in order: `json_key\0FieldName`.
const ORDER: &str = "\0order";
const SEPARATOR: char = '\0';

/// A field of a structure: its key in JSON, its name in templates, and what is in it.
type Field = (&'static str, &'static str, Kind);

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    /// A text; empty by default.
    Text,
    /// A number; 0 by default.
    Number,
    /// A list of anything; empty by default.
    List,
    /// A map of anything; empty by default.
    Map,
    /// Anything; nil by default.
    Any,
    /// A structure.
    Struct(&'static [Field]),
    /// A list of structures.
    ListOf(&'static [Field]),
    /// A map from names to structures.
    MapOf(&'static [Field]),
}

static TOOL: [Field; 3] = [
    ("type", "Type", Kind::Text),
    ("items", "Items", Kind::Any),
    ("function", "Function", Kind::Struct(&TOOL_FUNCTION)),
];
static TOOL_FUNCTION: [Field; 3] = [
    ("name", "Name", Kind::Text),
    ("description", "Description", Kind::Text),
    ("parameters", "Parameters", Kind::Struct(&PARAMETERS)),
];
static PARAMETERS: [Field; 5] = [
    ("type", "Type", Kind::Text),
    ("$defs", "Defs", Kind::Any),
    ("items", "Items", Kind::Any),
    ("required", "Required", Kind::List),
    ("properties", "Properties", Kind::MapOf(&PROPERTY)),
];
static PROPERTY: [Field; 7] = [
    ("anyOf", "AnyOf", Kind::ListOf(&PROPERTY)),
    ("type", "Type", Kind::Text),
    ("items", "Items", Kind::Any),
    ("description", "Description", Kind::Text),
    ("enum", "Enum", Kind::List),
    ("properties", "Properties", Kind::MapOf(&PROPERTY)),
    ("required", "Required", Kind::List),
];
static CALL: [Field; 2] = [("id", "ID", Kind::Text), ("function", "Function", Kind::Struct(&CALL_FUNCTION))];
static CALL_FUNCTION: [Field; 3] =
    [("index", "Index", Kind::Number), ("name", "Name", Kind::Text), ("arguments", "Arguments", Kind::Map)];
/// Fields of a message besides role and content.
static MESSAGE: [Field; 5] = [
    ("thinking", "Thinking", Kind::Text),
    ("images", "Images", Kind::List),
    ("tool_calls", "ToolCalls", Kind::ListOf(&CALL)),
    ("tool_name", "ToolName", Kind::Text),
    ("tool_call_id", "ToolCallID", Kind::Text),
];

/// The value of `.Tools`.
pub(super) fn tools(tools: Option<&Json>) -> Value {
    of_kind(tools, Kind::ListOf(&TOOL))
}

/// One element of `.Messages`.
pub(super) fn message(message: &Message) -> Value {
    let mut fields = HashMap::from([
        ("Role".to_owned(), message.role.as_str().into()),
        ("Content".to_owned(), message.content.as_str().into()),
    ]);
    let mut order = vec![pair("role", "Role"), pair("content", "Content")];
    for (json, name, kind) in &MESSAGE {
        let given = message.extra.get(*json);
        fields.insert((*name).to_owned(), of_kind(given, *kind));
        if given.is_some() {
            order.push(pair(json, name));
        }
    }
    finish(fields, order)
}

fn finish(mut fields: HashMap<String, Value>, order: Vec<Value>) -> Value {
    fields.insert(ORDER.to_owned(), Value::Array(order));
    Value::Object(fields)
}

fn pair(json: &str, name: &str) -> Value {
    Value::String(format!("{json}{SEPARATOR}{name}"))
}

fn of_kind(given: Option<&Json>, kind: Kind) -> Value {
    let given = given.filter(|given| !given.is_null());
    match (kind, given) {
        (Kind::Struct(table), given) => structure(given, table),
        (Kind::ListOf(table), given) => {
            let items = given.and_then(Json::as_array);
            Value::Array(items.into_iter().flatten().map(|item| structure(Some(item), table)).collect())
        }
        (Kind::MapOf(table), Some(Json::Object(map))) => {
            Value::Map(map.iter().map(|(key, item)| (key.clone(), structure(Some(item), table))).collect())
        }
        (Kind::Text, None) => Value::from(""),
        (Kind::Number, None) => Value::from(0_u64),
        (Kind::List, None) => Value::Array(Vec::new()),
        (Kind::Map | Kind::MapOf(_), None) => Value::Map(HashMap::new()),
        (Kind::Any, None) => Value::Nil,
        (_, Some(given)) => plain(given),
    }
}

/// A structure with all fields of its table, and under their own keys those that it does not know. What is no object
/// stays what it is: a schema may be `true`.
fn structure(given: Option<&Json>, table: &'static [Field]) -> Value {
    let empty = serde_json::Map::new();
    let given = match given {
        Some(Json::Object(given)) => given,
        None => &empty,
        Some(other) => return plain(other),
    };
    let mut fields: HashMap<String, Value> = HashMap::new();
    let mut order = Vec::new();
    for (key, value) in given {
        let known = table.iter().find(|(json, _, _)| json == key);
        let (name, value) = match known {
            Some((_, name, kind)) => (*name, of_kind(Some(value), *kind)),
            None => (key.as_str(), plain(value)),
        };
        order.push(pair(key, name));
        fields.insert(name.to_owned(), value);
    }
    for (_, name, kind) in table {
        if !fields.contains_key(*name) {
            fields.insert((*name).to_owned(), of_kind(None, *kind));
        }
    }
    finish(fields, order)
}

/// A JSON value as it is.
fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Value::from(number),
            (_, Some(number), _) => Value::from(number),
            (_, _, number) => Value::Number(Number::float(number.unwrap_or_default())),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Json::Object(map) => Value::Map(map.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
    }
}

/// The JSON text of a value.
pub(super) fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Nil | Value::NoValue | Value::Function(_) => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) | Value::Map(fields) => {
            out.push('{');
            for (index, (key, value)) in in_order(fields).into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
    }
}

/// JSON keys and values: a structure's in the order they were given, a map's in the order of the keys.
fn in_order(fields: &HashMap<String, Value>) -> Vec<(&str, &Value)> {
    if let Some(Value::Array(order)) = fields.get(ORDER) {
        let given = order.iter().filter_map(|pair| {
            let Value::String(pair) = pair else { return None };
            let (json, name) = pair.split_once(SEPARATOR)?;
            Some((json, fields.get(name)?))
        });
        return given.collect();
    }
    let mut sorted: Vec<_> = fields.iter().map(|(key, value)| (key.as_str(), value)).collect();
    sorted.sort_by_key(|(key, _)| *key);
    sorted
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&Json::from(text).to_string());
}

/// Bytes that a value takes, about.
pub(super) fn weight(value: &Value) -> usize {
    /// A value, its place in a table, and the table's.
    const ENTRY: usize = 96;
    match value {
        Value::String(text) => ENTRY + text.len(),
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + ENTRY,
        Value::Object(fields) | Value::Map(fields) => {
            fields.iter().map(|(key, value)| key.len() + ENTRY + weight(value)).sum::<usize>() + ENTRY
        }
        _ => ENTRY,
    }
}
