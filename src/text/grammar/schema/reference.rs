//! References and what they lead to.
//!
//! What is referred to becomes a definition with a name of its own, whatever its pointer looked like: the compiler
//! knows pointers of the simplest kind only.

use serde_json::{Value, json};

use super::parts::Parts;
use super::path::Path;
use super::{GrammarError, Walk};

/// Where definitions are in a prepared schema.
pub(super) const DEFINITIONS: &str = "#/$defs/";

/// A definition that is referred to and not prepared yet.
pub(super) struct Definition<'a> {
    pub(super) name: String,
    pub(super) parts: Parts<'a>,
}

impl<'a> Walk<'a> {
    /// Prepares what holds at a place, in itself or as a definition that several places refer to.
    pub(super) fn place(&mut self, parts: Parts<'a>) -> Result<Value, GrammarError> {
        if parts.are_free() {
            return Ok(self.any());
        }
        if !parts.shared || parts.impossible {
            return self.all(&parts);
        }
        let identity = parts.identity();
        let next = format!("d{}", self.names.len());
        let name = self.names.entry(identity).or_insert_with(|| {
            self.waiting.push(Definition { name: next.clone(), parts });
            next
        });
        Ok(json!({ "$ref": format!("{DEFINITIONS}{name}") }))
    }

    /// Returns what a reference points to.
    pub(super) fn resolve(&self, reference: &str, path: &Path<'_>) -> Result<&'a Value, GrammarError> {
        let Some(pointer) =
            reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Err(path.unsupported("a $ref to outside of the schema; it must be of the form #/..."));
        };
        let pointer = decode_percent(pointer);
        let target = if pointer == "/" { Some(self.root) } else { self.root.pointer(&pointer) };
        target.ok_or_else(|| path.invalid("nothing is there"))
    }
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
