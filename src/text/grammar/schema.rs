//! Checks a schema and gives it the shape that the compiler takes.
//!
//! Schemas come from strangers and from generators of every kind. What is prepared here accepts nothing that the given
//! schema does not accept; it may accept less, where a looser reading would let answers through that are hard to read:
//!
//! - objects that name properties have no others unless the schema speaks of them (as clients of Ollama are used to);
//! - what is said of properties only, or of items only, is said of objects or arrays, though no `type` says so (as
//!   above);
//! - numbers have no exponents, and whole ones fit 64 bits;
//! - bounds are such that no value between them rounds to one outside;
//! - values of which nothing is said nest only so deep.
//!
//! What cannot be enforced token by token is an error that names the place, if the schema is to be followed strictly.
//! Otherwise it is left out as far as it only narrows, and the model is trusted with it. Keywords that assert nothing
//! are always left out, and so are formats that the standard leaves to the reader.
//!
//! A place of an answer is prepared as a whole: all schemas that speak of it are gathered first (`parts`), along `$ref`
//! and `allOf`, and of several options (`choice`) each with all else that holds. They become one schema (`merge`),
//! which combines nothing: the compiler need not intersect objects, which it cannot do if they refer to themselves.

mod any;
mod arrays;
mod choice;
mod constants;
mod formats;
mod merge;
mod names;
mod numbers;
mod objects;
mod parts;
mod path;
mod patterns;
mod range;
mod reference;
mod refused;
mod strings;
mod types;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::GrammarError;
use parts::Identity;
use path::Path;
use reference::Definition;

/// Most values (objects, strings, numbers, ...) in a schema.
const MAX_VALUES: usize = 20_000;
/// Most of them in what it becomes, and most work that goes into it: values and keys that are looked at.
const MAX_PRODUCED: usize = 5 * MAX_VALUES;
/// Most levels of nesting.
const MAX_DEPTH: usize = 64;
/// Most properties of one object.
const MAX_PROPERTIES: usize = 1_000;
/// White space between two tokens of JSON: one blank, or line ends and an indentation.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";
/// Escapes in strings. Without `u`, as `"\u0061"` would be a second way to write the key `"a"`.
const ESCAPES: &str = "nrbtf\\\"";

/// Returns a schema that is safe to compile. It accepts nothing that the given one does not accept, but for what cannot
/// be enforced where it need not be (`strict`).
///
/// # Errors
///
/// [`GrammarError::Invalid`], [`GrammarError::Unsupported`] and [`GrammarError::TooLarge`].
pub(super) fn prepare(schema: &Value, strict: bool) -> Result<Value, GrammarError> {
    prepare_in(schema, schema, strict, &mut 0)
}

/// Does so for a schema whose references lead into `root`. What was looked at or written is added to `spent`, in
/// values, also if it fails.
pub(super) fn prepare_in(
    schema: &Value,
    root: &Value,
    strict: bool,
    spent: &mut usize,
) -> Result<Value, GrammarError> {
    check_size(schema, 0, &mut 0)?;
    let mut walk = Walk {
        root,
        strict,
        names: HashMap::new(),
        patterns: HashMap::new(),
        waiting: Vec::new(),
        is_any_used: false,
        produced: 0,
    };
    let prepared = walk.prepare(schema);
    *spent += walk.produced;
    prepared
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
    /// What cannot be enforced is an error.
    strict: bool,
    /// Names of definitions.
    names: HashMap<Identity<'a>, String>,
    /// Whether a pattern can be followed, of those met so far.
    patterns: HashMap<&'a str, bool>,
    waiting: Vec<Definition<'a>>,
    /// Some place takes any value.
    is_any_used: bool,
    /// What was looked at or written so far, in values.
    produced: usize,
}

impl<'a> Walk<'a> {
    fn prepare(&mut self, schema: &'a Value) -> Result<Value, GrammarError> {
        let place = Path::default();
        let parts = self.parts_of(schema, &place)?;
        let prepared = if parts.are_free() { self.any() } else { self.all(&parts)? };
        let Value::Object(mut prepared) = prepared else { return Err(place.invalid("no value is accepted")) };
        let mut definitions = Map::new();
        while let Some(Definition { name, parts }) = self.waiting.pop() {
            let definition = self.all(&parts)?;
            definitions.insert(name, definition);
        }
        if self.is_any_used {
            any::define(&mut definitions);
        }
        prepared.insert("$defs".into(), definitions.into());
        let options = json!({ "whitespace_pattern": WHITE_SPACE, "json_allowed_escapes": ESCAPES });
        prepared.insert("x-guidance".into(), options);
        Ok(prepared.into())
    }

    /// Counts values that are looked at or written. What a schema becomes may be much larger than it is.
    fn spend(&mut self, values: usize) -> Result<(), GrammarError> {
        self.produced += values;
        if self.produced > MAX_PRODUCED {
            let reason = format!("it comes to more than {MAX_PRODUCED} values once references are followed");
            return Err(GrammarError::TooLarge(reason));
        }
        Ok(())
    }

    /// Something that only narrows cannot be enforced: an error, or passed over.
    fn cannot(&self, path: &Path<'_>, what: String) -> Result<(), GrammarError> {
        if self.strict { Err(path.unsupported(what)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
