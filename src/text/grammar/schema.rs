//! Checks a schema and gives it the shape that the compiler takes.

use serde_json::{Map, Value, json};

use super::GrammarError;

/// Most values (objects, strings, numbers, ...) in a schema.
const MAX_VALUES: usize = 20_000;
/// Most levels of nesting.
const MAX_DEPTH: usize = 64;
/// White space between two tokens of JSON: one blank, or line ends and an indentation.
const WHITE_SPACE: &str = r" |\n{1,2}[ \t]{0,20}";
/// Escapes in strings. Without `u`, as `"\u0061"` would be a second way to write the key `"a"`.
const ESCAPES: &str = "nrbtf\\\"";

/// Returns a schema that is safe to compile and accepts nothing that the given one does not accept.
pub(super) fn prepare(schema: &Value) -> Result<Value, GrammarError> {
    check_size(schema, 0, &mut 0)?;
    let mut prepared = match schema {
        Value::Object(schema) => schema.clone(),
        Value::Bool(true) => Map::new(),
        _ => {
            let reason = format!("expected an object, got {schema}");
            return Err(GrammarError::Invalid { path: "#".into(), reason });
        }
    };
    let options = json!({ "whitespace_pattern": WHITE_SPACE, "json_allowed_escapes": ESCAPES });
    prepared.insert("x-guidance".into(), options);
    Ok(Value::Object(prepared))
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
