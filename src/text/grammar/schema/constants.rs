//! `const` and `enum`: values that are written as they are.

use std::collections::HashSet;

use serde_json::Value;

use super::numbers;
use super::parts::{Source, list};
use super::path::Path;
use super::types::Types;
use super::{GrammarError, Walk};

/// The values that schemas list and that have one of these types; `None` if no schema lists any.
///
/// # Errors
///
/// For values that cannot be written as they are.
pub(super) fn of<'a>(
    walk: &mut Walk<'a>,
    sources: &[Source<'a>],
    types: Types,
) -> Result<Option<Vec<&'a Value>>, GrammarError> {
    let mut found: Option<Vec<&'a Value>> = None;
    for source in sources {
        for key in ["const", "enum"] {
            let Some((value, path)) = source.get(key) else { continue };
            let values = if key == "enum" { list(value, &path)? } else { std::slice::from_ref(value) };
            for value in values {
                check(value, &path)?;
                walk.spend(size(value))?;
            }
            found = Some(match found {
                None => values.iter().filter(|value| types.have(Types::of(value))).collect(),
                Some(others) => {
                    let values: HashSet<String> = values.iter().map(canonical).collect();
                    others.into_iter().filter(|value| values.contains(&canonical(value))).collect()
                }
            });
        }
    }
    Ok(found)
}

/// A text that is the same for values that are the same as JSON: numbers by what they are worth, objects in any order.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(
            || number.to_string(),
            |number| {
                // Zero has no sign.
                (number + 0.0).to_string()
            },
        ),
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            entries.sort_unstable();
            format!("{{{}}}", entries.join(","))
        }
        other => other.to_string(),
    }
}

/// What a value costs where it is written: its values, and more for long texts.
fn size(value: &Value) -> usize {
    const TEXT: usize = 64;
    1 + match value {
        Value::String(text) => text.len() / TEXT,
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() / TEXT + size(value)).sum(),
        _ => 0,
    }
}

/// Checks that a value can be written as it is.
fn check(value: &Value, path: &Path<'_>) -> Result<(), GrammarError> {
    match value {
        Value::Number(number) => numbers::check_exact(path, number),
        Value::String(text) => {
            let unwritable = |c: char| (c < ' ' && !"\n\r\t\u{8}\u{c}".contains(c)) || c == '\u{7f}';
            if text.contains(unwritable) {
                Err(path.unsupported("a text with control characters"))
            } else {
                Ok(())
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| check(item, path)),
        Value::Object(map) => map.values().try_for_each(|item| check(item, path)),
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_the_same_is_the_same_text() {
        for (left, right) in [
            (json!(1), json!(1.0)),
            (json!(0), json!(-0.0)),
            (json!({ "a": 1, "b": [2] }), json!({ "b": [2.0], "a": 1 })),
        ] {
            assert_eq!(canonical(&left), canonical(&right));
        }
        for (left, right) in
            [(json!(1), json!("1")), (json!(null), json!("null")), (json!(["a,b"]), json!(["a", "b"]))]
        {
            assert_ne!(canonical(&left), canonical(&right));
        }
    }
}
