//! Keywords that assert what no grammar can follow.

use serde_json::Value;

use super::parts::Source;
use super::{GrammarError, Walk};

const KEYS: &[&str] = &[
    "if",
    "not",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "$dynamicRef",
    "$recursiveRef",
];

/// Whether a keyword may say what cannot be enforced.
pub(super) fn is_refused(key: &str) -> bool {
    KEYS.contains(&key)
}

/// Refuses the keywords of a schema that cannot be enforced, or passes over them: all of them only narrow.
pub(super) fn check<'a>(walk: &mut Walk<'a>, source: &Source<'a>) -> Result<(), GrammarError> {
    walk.spend(source.map.len())?;
    for (key, value) in source.map.iter().filter(|(key, _)| is_refused(key)) {
        let what = match key.as_str() {
            "uniqueItems" => {
                let few = source.map.get("maxItems").and_then(Value::as_f64).is_some_and(|most| most <= 1.0);
                if *value != Value::Bool(true) || few {
                    continue;
                }
                "that items differ".to_owned()
            }
            "unevaluatedProperties" | "unevaluatedItems" if *value == Value::Bool(true) => continue,
            "unevaluatedProperties" => "unevaluatedProperties (additionalProperties can be)".to_owned(),
            key => format!("{key:?}"),
        };
        walk.cannot(&source.path.at(key), what)?;
    }
    Ok(())
}
