//! Any value, as far as every reader can read it.
//!
//! The compiler's own idea of any value has exponents that no float can hold and nests without end.

use serde_json::{Map, Value, json};

use super::Walk;
use super::numbers::LARGEST;
use super::reference::DEFINITIONS;

/// Levels of arrays and objects. With those of a schema they are fewer than readers give up at, some hundred.
pub(super) const LEVELS: usize = 24;

impl Walk<'_> {
    /// A schema of any value.
    pub(super) fn any(&mut self) -> Value {
        self.is_any_used = true;
        reference(LEVELS)
    }
}

fn name(levels: usize) -> String {
    format!("any{levels}")
}

fn reference(levels: usize) -> Value {
    json!({ "$ref": format!("{DEFINITIONS}{}", name(levels)) })
}

/// Adds the definitions that [`Walk::any`] refers to.
pub(super) fn define(definitions: &mut Map<String, Value>) {
    let types = ["null", "boolean", "number", "string"];
    definitions.insert(name(0), json!({ "type": types, "minimum": -LARGEST, "maximum": LARGEST }));
    for levels in 1..=LEVELS {
        let inner = reference(levels - 1);
        let nested = json!({ "type": ["array", "object"], "items": inner, "additionalProperties": inner });
        // What does not nest is compiled once for all levels.
        definitions.insert(name(levels), json!({ "anyOf": [reference(0), nested] }));
    }
}
