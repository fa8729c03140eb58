//! Checks a schema and gives it the shape that the compiler takes.
//!
//! Schemas come from strangers and from generators of every kind. What is prepared here accepts nothing that the given
//! schema does not accept; it may accept less, where a looser reading would let answers through that are hard to read:
//!
//! - objects that name properties have no others unless the schema speaks of them (as clients of Ollama are used to);
//! - whole numbers fit 64 bits;
//! - bounds are such that no value between them rounds to one outside.
//!
//! What cannot be enforced token by token is an error that names the place. Keywords that assert nothing are left out,
//! and so are formats that the standard leaves to the reader.

mod choice;
mod formats;
mod numbers;
mod reference;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::GrammarError;
use reference::{Definition, check_cycles};

/// Most values (objects, strings, numbers, ...) in a schema.
const MAX_VALUES: usize = 20_000;
/// Most levels of nesting.
const MAX_DEPTH: usize = 64;
/// Most properties of one object.
const MAX_PROPERTIES: usize = 1_000;
/// Most items, characters or properties that a schema may demand.
const MAX_DEMANDED: u64 = 2_000;
/// Longest regular expression, bytes.
const MAX_PATTERN_BYTES: usize = 2_000;
/// White space between two tokens of JSON: one blank, or line ends and an indentation.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";
/// Escapes in strings. Without `u`, as `"\u0061"` would be a second way to write the key `"a"`.
const ESCAPES: &str = "nrbtf\\\"";

/// Keywords that assert what no grammar can follow.
const UNSUPPORTED: &[&str] = &[
    "if",
    "not",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "$dynamicRef",
    "$recursiveRef",
];
const TYPES: &[&str] = &["null", "boolean", "integer", "number", "string", "array", "object"];

/// Returns a schema that is safe to compile and accepts nothing that the given one does not accept.
///
/// # Errors
///
/// [`GrammarError::Invalid`], [`GrammarError::Unsupported`] and [`GrammarError::TooLarge`].
pub(super) fn prepare(schema: &Value) -> Result<Value, GrammarError> {
    check_size(schema, 0, &mut 0)?;
    let mut walk = Walk {
        root: schema,
        path: Vec::new(),
        names: HashMap::new(),
        waiting: Vec::new(),
        combined_steps: 0,
    };
    let mut prepared = match walk.schema(schema, false)? {
        Value::Object(prepared) => prepared,
        Value::Bool(true) => Map::new(),
        _ => return Err(walk.invalid("no value is accepted")),
    };
    let mut definitions = Map::new();
    while let Some(Definition { name, pointer, schema, open, required }) = walk.waiting.pop() {
        walk.path = vec![pointer];
        let definition = walk.requiring(schema, open, &required)?;
        definitions.insert(name, definition);
    }
    check_cycles(&definitions)?;
    prepared.insert("$defs".into(), definitions.into());
    let options = json!({ "whitespace_pattern": WHITE_SPACE, "json_allowed_escapes": ESCAPES });
    prepared.insert("x-guidance".into(), options);
    Ok(prepared.into())
}

fn check_size(value: &Value, depth: usize, values: &mut usize) -> Result<(), GrammarError> {
    *values += 1;
    if *values > MAX_VALUES {
        return Err(GrammarError::TooLarge(format!("it has more than {MAX_VALUES} values")));
    }
    if depth > MAX_DEPTH {
        return Err(GrammarError::TooLarge(format!("it is nested more than {MAX_DEPTH} levels deep")));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_size(item, depth + 1, values)),
        Value::Object(map) => map.values().try_for_each(|item| check_size(item, depth + 1, values)),
        _ => Ok(()),
    }
}

/// The way through a schema.
struct Walk<'a> {
    root: &'a Value,
    /// Where it is, for errors.
    path: Vec<String>,
    /// Names given to what is referred to, by pointer and what else makes the definition.
    names: HashMap<(String, bool, Vec<&'a str>), String>,
    waiting: Vec<Definition<'a>>,
    /// Steps of numbers that are combined with others.
    combined_steps: usize,
}

impl<'a> Walk<'a> {
    /// Prepares a schema. In an `open` one, objects may have properties that are not named: it is to be combined with
    /// others that name them.
    fn schema(&mut self, schema: &'a Value, open: bool) -> Result<Value, GrammarError> {
        match schema {
            Value::Bool(_) => Ok(schema.clone()),
            Value::Object(map) => self.object(map, open),
            other => Err(self.invalid(&format!("a schema is an object or a boolean, not {}", kind(other)))),
        }
    }

    fn object(&mut self, map: &'a Map<String, Value>, open: bool) -> Result<Value, GrammarError> {
        if map.get("not").is_some_and(accepts_all) {
            return Ok(Value::Bool(false));
        }
        let combined = ["$ref", "anyOf", "oneOf"].iter().filter(|key| map.contains_key(**key)).count()
            + usize::from(map.keys().any(|key| is_about_values(key)));
        // What is accepted by several schemas at once is what all of them leave open.
        let parts_open = open || map.contains_key("allOf") || combined > 1;
        let mut prepared = Map::new();
        for (key, value) in map {
            self.path.push(escape(key));
            self.keyword(map, key, value, parts_open, &mut prepared)?;
            self.path.pop();
        }
        numbers::prepare(self, map, parts_open, &mut prepared)?;
        if let Some(names) = map.get("propertyNames") {
            self.within("propertyNames", |walk| walk.property_names(map, names, parts_open, &mut prepared))?;
        }
        if !parts_open {
            close(&mut prepared);
        }
        Ok(prepared.into())
    }

    /// Prepares one keyword of a schema.
    fn keyword(
        &mut self,
        map: &'a Map<String, Value>,
        key: &str,
        value: &'a Value,
        open: bool,
        prepared: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        let done = match key {
            "$ref" => json!(self.reference(value, open, &[])?),
            "type" => self.types(value)?,
            "const" => {
                self.constant(value)?;
                value.clone()
            }
            "enum" => {
                let values = self.list(value)?;
                values.iter().try_for_each(|value| self.constant(value))?;
                value.clone()
            }
            "properties" | "patternProperties" => self.named(value, open, key == "patternProperties")?,
            // Only old schemas have it, beside a list of items.
            "additionalItems" if !map.get("items").is_some_and(Value::is_array) => return Ok(()),
            "items" if value.is_array() => self.schemas(value, open)?.into(),
            "items" | "additionalItems" | "additionalProperties" => self.schema(value, open)?,
            "prefixItems" | "anyOf" => self.schemas(value, open)?.into(),
            "allOf" => {
                let parts = self.schemas(value, open)?;
                for part in parts {
                    add_part(prepared, part);
                }
                return Ok(());
            }
            "oneOf" => return choice::prepare(self, value, open, prepared),
            "required" => {
                let names = self.list(value)?;
                if !names.iter().all(Value::is_string) {
                    return Err(self.invalid("names must be strings"));
                }
                value.clone()
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                self.count(map, key, value)?
            }
            "pattern" => self.pattern(value)?,
            "format" => {
                formats::prepare(self, value, prepared)?;
                return Ok(());
            }
            "uniqueItems"
                if *value == Value::Bool(true) && map.get("maxItems").is_none_or(|most| *most != 1) =>
            {
                return Err(self.unsupported("that items differ"));
            }
            "unevaluatedProperties" if *value != Value::Bool(true) => {
                return Err(self.unsupported("unevaluatedProperties (additionalProperties can be)"));
            }
            key if UNSUPPORTED.contains(&key) => return Err(self.unsupported(&format!("{key:?}"))),
            _ => return Ok(()),
        };
        prepared.insert(key.to_owned(), done);
        Ok(())
    }

    fn schemas(&mut self, value: &'a Value, open: bool) -> Result<Vec<Value>, GrammarError> {
        let schemas = self.list(value)?;
        let mut prepared = Vec::with_capacity(schemas.len());
        for (index, schema) in schemas.iter().enumerate() {
            self.path.push(index.to_string());
            prepared.push(self.schema(schema, open)?);
            self.path.pop();
        }
        Ok(prepared)
    }

    /// Schemas by name, or by a pattern of names.
    fn named(&mut self, value: &'a Value, open: bool, by_pattern: bool) -> Result<Value, GrammarError> {
        let Value::Object(map) = value else { return Err(self.invalid("expected an object of schemas")) };
        if map.len() > MAX_PROPERTIES {
            return Err(GrammarError::TooLarge(format!(
                "an object has more than {MAX_PROPERTIES} properties"
            )));
        }
        let mut prepared = Map::with_capacity(map.len());
        for (name, schema) in map {
            self.path.push(escape(name));
            if by_pattern {
                self.check_pattern(name)?;
            }
            prepared.insert(name.clone(), self.schema(schema, open)?);
            self.path.pop();
        }
        Ok(prepared.into())
    }

    /// Names of properties become properties, as far as they are listed or follow a pattern.
    fn property_names(
        &mut self,
        map: &'a Map<String, Value>,
        value: &'a Value,
        open: bool,
        prepared: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        if accepts_all(value)
            || value.as_object().is_some_and(|names| names.keys().all(|key| !is_about_strings(key)))
        {
            return Ok(());
        }
        if open || map.contains_key("properties") || map.contains_key("patternProperties") {
            return Err(self.unsupported("propertyNames beside other properties"));
        }
        let each = prepared.get("additionalProperties").cloned().unwrap_or(Value::Bool(true));
        let constants = value.get("const").map(std::slice::from_ref);
        let names = value["enum"].as_array().map(Vec::as_slice).or(constants);
        if let Some(names) = names {
            // Every name gets a copy.
            check_size(&each, 0, &mut (MAX_VALUES - MAX_VALUES / names.len().max(1)))?;
            let names = names.iter().filter_map(Value::as_str);
            let properties: Map<String, Value> = names.map(|name| (name.to_owned(), each.clone())).collect();
            prepared.insert("properties".into(), properties.into());
        } else if let (Some(pattern), 1 | 2) =
            (value["pattern"].as_str(), value.as_object().map_or(0, Map::len))
        {
            self.check_pattern(pattern)?;
            prepared.insert("patternProperties".into(), json!({ pattern: each }));
        } else {
            return Err(self.unsupported("names that are not listed and follow no pattern"));
        }
        prepared.insert("additionalProperties".into(), Value::Bool(false));
        Ok(())
    }

    fn types(&self, value: &Value) -> Result<Value, GrammarError> {
        let names = if value.is_array() { self.list(value)? } else { std::slice::from_ref(value) };
        match names.iter().find(|name| !name.as_str().is_some_and(|name| TYPES.contains(&name))) {
            None => Ok(value.clone()),
            Some(other) => Err(self.invalid(&format!("{other} is not one of {}", TYPES.join(", ")))),
        }
    }

    /// Checks that a value can be written as it is.
    fn constant(&self, value: &Value) -> Result<(), GrammarError> {
        match value {
            Value::Number(number) => numbers::check_exact(self, number),
            Value::String(text) => {
                let unwritable = |c: char| (c < ' ' && !"\n\r\t\u{8}\u{c}".contains(c)) || c == '\u{7f}';
                if text.contains(unwritable) {
                    Err(self.unsupported("a text with control characters"))
                } else {
                    Ok(())
                }
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.constant(item)),
            Value::Object(map) => map.values().try_for_each(|item| self.constant(item)),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn count(&self, map: &Map<String, Value>, key: &str, value: &Value) -> Result<Value, GrammarError> {
        // 2.0 is as good as 2.
        let whole =
            value.as_u64().or_else(|| value.as_f64().filter(|count| count.fract() == 0.0).and_then(to_u64));
        let Some(count) = whole else { return Err(self.invalid("expected a whole number, at least 0")) };
        if key.starts_with("min") && count > MAX_DEMANDED {
            return Err(GrammarError::TooLarge(format!(
                "it demands {count}; at most {MAX_DEMANDED} can be demanded"
            )));
        }
        let required = map.get("required").and_then(Value::as_array).map_or(0, Vec::len);
        let closed = map.get("additionalProperties") == Some(&Value::Bool(false))
            && !map.contains_key("patternProperties");
        if key == "minProperties" && count > required as u64 + 1 && !closed {
            // The same name may come twice, and would count once.
            return Err(self.unsupported("a number of properties that are not named"));
        }
        Ok(count.into())
    }

    fn pattern(&self, value: &Value) -> Result<Value, GrammarError> {
        let Value::String(pattern) = value else { return Err(self.invalid("expected a string")) };
        self.check_pattern(pattern)?;
        Ok(value.clone())
    }

    fn check_pattern(&self, pattern: &str) -> Result<(), GrammarError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(GrammarError::TooLarge(format!("a pattern has more than {MAX_PATTERN_BYTES} bytes")));
        }
        if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) {
            return Err(self.unsupported("a pattern that looks ahead or behind"));
        }
        Ok(())
    }

    fn list(&self, value: &'a Value) -> Result<&'a [Value], GrammarError> {
        match value {
            Value::Array(list) => Ok(list),
            other => Err(self.invalid(&format!("expected an array, got {}", kind(other)))),
        }
    }

    /// Does something one step further in.
    fn within<T>(
        &mut self,
        key: &str,
        then: impl FnOnce(&mut Self) -> Result<T, GrammarError>,
    ) -> Result<T, GrammarError> {
        self.path.push(escape(key));
        let result = then(self)?;
        self.path.pop();
        Ok(result)
    }

    fn invalid(&self, reason: &str) -> GrammarError {
        GrammarError::Invalid { path: self.pointer(), reason: reason.to_owned() }
    }

    fn unsupported(&self, what: &str) -> GrammarError {
        GrammarError::Unsupported { path: self.pointer(), what: what.to_owned() }
    }

    /// Where it is, as a JSON pointer.
    fn pointer(&self) -> String {
        match self.path.first() {
            Some(first) if first.starts_with('#') => self.path.join("/"),
            Some(_) => format!("#/{}", self.path.join("/")),
            None => "#".to_owned(),
        }
    }
}

/// Adds a schema that has to hold as well.
fn add_part(prepared: &mut Map<String, Value>, part: Value) {
    let parts = prepared.entry("allOf").or_insert_with(|| json!([]));
    if let Some(parts) = parts.as_array_mut() {
        parts.push(part);
    }
}

/// Says that there are no properties but the named ones, where the schema says nothing about others.
fn close(prepared: &mut Map<String, Value>) {
    let Some(properties) = prepared.get("properties").and_then(Value::as_object) else { return };
    let required = prepared.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let all_named = required.iter().filter_map(Value::as_str).all(|name| properties.contains_key(name));
    let says_more = ["additionalProperties", "patternProperties", "minProperties"];
    if all_named && !properties.is_empty() && !says_more.iter().any(|key| prepared.contains_key(*key)) {
        prepared.insert("additionalProperties".into(), Value::Bool(false));
    }
}

fn accepts_all(schema: &Value) -> bool {
    *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty)
}

/// Whether a keyword says something about strings, other than that they are some.
fn is_about_strings(key: &str) -> bool {
    is_about_values(key) && key != "type"
}

/// Whether a keyword by itself accepts some values and not others.
fn is_about_values(key: &str) -> bool {
    const KEYS: &[&str] = &[
        "type",
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
        "propertyNames",
        "items",
        "prefixItems",
        "additionalItems",
        "minItems",
        "maxItems",
        "const",
        "enum",
        "pattern",
        "format",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "not",
    ];
    KEYS.contains(&key)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn to_u64(number: f64) -> Option<u64> {
    (0.0..9e15).contains(&number).then_some(number as u64)
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
