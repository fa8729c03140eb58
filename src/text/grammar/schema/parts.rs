//! What holds at one place of an answer.
//!
//! Several schemas may speak of the same place: one refers to others, demands all of several, or names a property that
//! another one names, too. They are gathered here, along `$ref` and `allOf`, before any of them is prepared: so what
//! one says and another does not is known.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::path::Path;
use super::{GrammarError, Walk};
use crate::text::kind::kind;

/// Most schemas within each other at one place, references included.
const MAX_TRAIL: usize = 96;
/// Most choices at one place, made one after the other.
const MAX_CHOICES: usize = 12;

/// A schema's own keywords, without those that lead to other schemas for the same place.
#[derive(Clone)]
pub(super) struct Source<'a> {
    pub(super) map: &'a Map<String, Value>,
    pub(super) path: Path<'a>,
}

impl<'a> Source<'a> {
    /// The value of a keyword and where it is.
    pub(super) fn get(&self, key: &'a str) -> Option<(&'a Value, Path<'a>)> {
        self.map.get(key).map(|value| (value, self.path.at(key)))
    }
}

/// An `anyOf` or `oneOf` of several options.
#[derive(Clone)]
pub(super) struct Choice<'a> {
    pub(super) options: &'a [Value],
    pub(super) path: Path<'a>,
    /// It is a `oneOf`.
    pub(super) exclusive: bool,
    /// The schemas that it is in, by address.
    pub(super) trail: Vec<usize>,
}

/// All that holds at one place.
#[derive(Clone, Default)]
pub(super) struct Parts<'a> {
    pub(super) sources: Vec<Source<'a>>,
    pub(super) choices: Vec<Choice<'a>>,
    /// Properties that are required beside those that the schemas require.
    pub(super) required: Vec<&'a str>,
    /// No value is accepted.
    pub(super) impossible: bool,
    /// It is used in several places, or in itself.
    pub(super) shared: bool,
    /// Schemas that are in it, by address.
    pub(super) seen: HashSet<usize>,
}

/// What makes two places the same.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Identity<'a> {
    sources: Vec<usize>,
    choices: Vec<usize>,
    required: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    /// Whether nothing is said.
    pub(super) fn are_free(&self) -> bool {
        self.sources.is_empty() && self.choices.is_empty() && !self.impossible
    }

    pub(super) fn identity(&self) -> Identity<'a> {
        Identity {
            sources: self.sources.iter().map(|source| std::ptr::from_ref(source.map).addr()).collect(),
            choices: self.choices.iter().map(|choice| choice.options.as_ptr().addr()).collect(),
            required: self.required.clone(),
        }
    }
}

impl<'a> Walk<'a> {
    /// Gathers what one schema says.
    pub(super) fn parts_of(&mut self, schema: &'a Value, path: &Path<'a>) -> Result<Parts<'a>, GrammarError> {
        let mut parts = Parts::default();
        self.gather(schema, path, &mut Vec::new(), &mut parts)?;
        Ok(parts)
    }

    /// Adds what a schema says. `trail` is the way to it, from schema to schema for the same place.
    pub(super) fn gather(
        &mut self,
        schema: &'a Value,
        path: &Path<'a>,
        trail: &mut Vec<usize>,
        parts: &mut Parts<'a>,
    ) -> Result<(), GrammarError> {
        self.spend(1)?;
        let map = match schema {
            Value::Bool(accepts) => {
                parts.impossible |= !accepts;
                return Ok(());
            }
            Value::Object(map) => map,
            other => {
                let reason = format!("a schema is an object or a boolean, not {}", kind(other));
                return Err(path.invalid(reason));
            }
        };
        let address = std::ptr::from_ref(schema).addr();
        if trail.contains(&address) {
            return Err(path.invalid("a $ref leads back to itself and nothing else"));
        }
        if trail.len() == MAX_TRAIL {
            let reason = format!("a $ref leads to another one, and so on, more than {MAX_TRAIL} times");
            return Err(GrammarError::TooLarge(reason));
        }
        if !parts.seen.insert(address) {
            return Ok(());
        }
        trail.push(address);
        // All of them are looked at, those that assert nothing, too.
        self.spend(map.len())?;
        let mut has_own = false;
        for (key, value) in map {
            match key.as_str() {
                "$ref" => {
                    let Value::String(reference) = value else {
                        return Err(path.at(key).invalid("expected a string"));
                    };
                    let target = self.resolve(reference, &path.at(key))?;
                    parts.shared = true;
                    self.gather(target, &Path::of_reference(reference), trail, parts)?;
                }
                "allOf" => {
                    let path = path.at(key);
                    for (index, part) in list(value, &path)?.iter().enumerate() {
                        self.gather(part, &path.item(index), trail, parts)?;
                    }
                }
                "anyOf" | "oneOf" => self.gather_choice(value, key, path, trail, parts)?,
                "not" if accepts_all(value) => parts.impossible = true,
                key if !has_own && is_assertion(key) => {
                    has_own = true;
                    parts.sources.push(Source { map, path: path.clone() });
                }
                _ => {}
            }
        }
        trail.pop();
        Ok(())
    }

    fn gather_choice(
        &mut self,
        value: &'a Value,
        key: &'a str,
        path: &Path<'a>,
        trail: &mut Vec<usize>,
        parts: &mut Parts<'a>,
    ) -> Result<(), GrammarError> {
        let path = path.at(key);
        match list(value, &path)? {
            [] => parts.impossible = true,
            [only] => self.gather(only, &path.item(0), trail, parts)?,
            options => {
                if parts.choices.len() == MAX_CHOICES {
                    let reason = format!("more than {MAX_CHOICES} choices (anyOf, oneOf) are made at once");
                    return Err(GrammarError::TooLarge(reason));
                }
                let choice = Choice { options, path, exclusive: key == "oneOf", trail: trail.clone() };
                parts.choices.push(choice);
            }
        }
        Ok(())
    }
}

/// The list that a keyword has for a value.
pub(super) fn list<'a>(value: &'a Value, path: &Path<'_>) -> Result<&'a [Value], GrammarError> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(path.invalid(format!("expected an array, got {}", kind(other)))),
    }
}

fn accepts_all(schema: &Value) -> bool {
    *schema == Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty)
}

/// Whether a keyword by itself accepts some values and not others.
fn is_assertion(key: &str) -> bool {
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
    ];
    KEYS.contains(&key) || super::refused::is_refused(key)
}
