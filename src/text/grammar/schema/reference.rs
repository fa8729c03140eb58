//! References and what they lead to.
//!
//! Every place that is referred to becomes a definition with a name of its own, whatever its pointer looked like: the
//! compiler knows pointers of the simplest kind only.

use serde_json::{Map, Value, json};

use super::{GrammarError, Walk, is_about_values};

/// Where definitions are in a prepared schema.
pub(super) const DEFINITIONS: &str = "#/$defs/";

/// A definition that is referred to and not prepared yet.
pub(super) struct Definition<'a> {
    pub(super) name: String,
    pub(super) pointer: String,
    pub(super) schema: &'a Value,
    pub(super) open: bool,
    /// Properties that it needs beside those that it says it does.
    pub(super) required: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    /// Prepares a schema whose values have certain properties.
    pub(super) fn requiring(
        &mut self,
        schema: &'a Value,
        open: bool,
        required: &[&'a str],
    ) -> Result<Value, GrammarError> {
        if required.is_empty() {
            return self.schema(schema, open);
        }
        match schema.as_object() {
            // Combined with others, it could not be followed where it refers to itself.
            Some(map) if map.contains_key("$ref") && !map.keys().any(|key| is_about_values(key)) => {
                Ok(json!({ "$ref": self.reference(&map["$ref"], open, required)? }))
            }
            _ => {
                let mut prepared = self.schema(schema, open)?;
                let names =
                    prepared.as_object_mut().map(|map| map.entry("required").or_insert_with(|| json!([])));
                if let Some(names) = names.and_then(Value::as_array_mut) {
                    names.extend(required.iter().map(|name| json!(name)));
                }
                Ok(prepared)
            }
        }
    }

    /// Returns where the prepared definition will be.
    pub(super) fn reference(
        &mut self,
        value: &Value,
        open: bool,
        required: &[&'a str],
    ) -> Result<String, GrammarError> {
        let Value::String(reference) = value else { return Err(self.invalid("expected a string")) };
        let schema = self.resolve(reference)?;
        let key = (reference.clone(), open, required.to_vec());
        if let Some(name) = self.names.get(&key) {
            return Ok(format!("{DEFINITIONS}{name}"));
        }
        let name = format!("d{}", self.names.len());
        self.names.insert(key, name.clone());
        let (pointer, required) = (reference.clone(), required.to_vec());
        self.waiting.push(Definition { name: name.clone(), pointer, schema, open, required });
        Ok(format!("{DEFINITIONS}{name}"))
    }

    /// Returns what a reference points to.
    pub(super) fn resolve(&self, reference: &str) -> Result<&'a Value, GrammarError> {
        let Some(pointer) =
            reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Err(self.unsupported("a $ref to outside of the schema; it must be of the form #/..."));
        };
        let pointer = decode_percent(pointer);
        let target = if pointer == "/" { Some(self.root) } else { self.root.pointer(&pointer) };
        target.ok_or_else(|| self.invalid("nothing is there"))
    }
}

/// Refuses definitions that are nothing but references to each other.
pub(super) fn check_cycles(definitions: &Map<String, Value>) -> Result<(), GrammarError> {
    for name in definitions.keys() {
        let mut current = name.as_str();
        for _ in 0..=definitions.len() {
            let target = definitions
                .get(current)
                .filter(|schema| schema.as_object().is_some_and(|map| map.len() == 1));
            let target = target.and_then(|schema| schema["$ref"].as_str());
            let Some(next) = target.and_then(|target| target.strip_prefix(DEFINITIONS)) else { break };
            if next == name {
                let reason = "a $ref leads back to itself and nothing else".into();
                return Err(GrammarError::Invalid { path: "#".into(), reason });
            }
            current = next;
        }
    }
    Ok(())
}

/// Undoes the escapes of a URI fragment. What is no escape stays.
fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%');
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
