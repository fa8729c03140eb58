//! `oneOf`: exactly one of several schemas.
//!
//! A grammar can offer several schemas, but not refuse what more than one of them accepts. So it has to be seen beforehand
//! that no answer made for one option is accepted by another one. Generators of schemas make this easy: options differ in
//! type, in a constant, in a property that tells them apart, or in a property that only one of them knows. A property
//! that tells options apart becomes required, if it is not.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{GrammarError, Walk, close};

/// Steps along references before they are taken for a circle.
const MAX_REFERENCES: usize = 32;
/// Most options of a `oneOf`: each is compared with each.
const MAX_EXCLUSIVE: usize = 400;

/// Prepares the options of a `oneOf`.
pub(super) fn prepare<'a>(
    walk: &mut Walk<'a>,
    options: &'a Value,
    open: bool,
    prepared: &mut Map<String, Value>,
) -> Result<(), GrammarError> {
    let options = walk.list(options)?;
    if options.len() > MAX_EXCLUSIVE {
        return Err(GrammarError::TooLarge(format!("a oneOf has more than {MAX_EXCLUSIVE} options")));
    }
    let seen: Vec<&Value> = options.iter().map(|option| follow(walk, option)).collect();
    let mut schemas = Vec::with_capacity(options.len());
    for (index, option) in options.iter().enumerate() {
        walk.path.push(index.to_string());
        let mut required = BTreeSet::new();
        for (other_index, other) in seen.iter().enumerate().filter(|(other, _)| *other != index) {
            match apart(seen[index], other, open) {
                Some(Apart::As) => {}
                Some(Apart::With(property)) => {
                    required.insert(property);
                }
                None => {
                    let what =
                        format!("that only one of options {index} and {other_index} holds (anyOf can be)");
                    return Err(walk.unsupported(&what));
                }
            }
        }
        schemas.push(walk.requiring(option, open, &required.into_iter().collect::<Vec<_>>())?);
        walk.path.pop();
    }
    super::add_part(prepared, json!({ "anyOf": schemas }));
    Ok(())
}

/// Why an answer made for one schema is not accepted by another.
enum Apart<'a> {
    /// As the schemas are.
    As,
    /// If it has this property.
    With(&'a str),
}

fn apart<'a>(made: &'a Value, other: &'a Value, open: bool) -> Option<Apart<'a>> {
    if *made == Value::Bool(false) || *other == Value::Bool(false) {
        return Some(Apart::As);
    }
    if let (Some(made), Some(other)) = (types(made), types(other))
        && made.is_disjoint(&other)
    {
        return Some(Apart::As);
    }
    if let (Some(made), Some(other)) = (constants(made), constants(other))
        && differ(made, other)
    {
        return Some(Apart::As);
    }
    let is_object = made["type"] == "object";
    let (made_properties, other_properties) =
        (made["properties"].as_object(), other["properties"].as_object());
    if is_object && let (Some(mine), Some(theirs)) = (made_properties, other_properties) {
        let tells = mine.iter().find(|(name, schema)| {
            let constants = (constants(schema), theirs.get(*name).and_then(constants));
            matches!(constants, (Some(mine), Some(theirs)) if differ(mine, theirs))
        });
        if let Some((name, _)) = tells {
            return Some(Apart::With(name));
        }
    }
    let known = |name: &str| made_properties.is_some_and(|properties| properties.contains_key(name));
    let mut needs = other["required"].as_array()?.iter().filter_map(Value::as_str);
    (is_object && is_closed(made, open) && needs.any(|name| !known(name))).then_some(Apart::As)
}

/// Whether objects made for this schema have no properties but the named ones.
fn is_closed(schema: &Value, open: bool) -> bool {
    let Value::Object(map) = schema else { return false };
    if ["patternProperties", "$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| map.contains_key(*key)) {
        return false;
    }
    let mut map = map.clone();
    if !open {
        close(&mut map);
    }
    map.get("additionalProperties") == Some(&Value::Bool(false))
}

/// The schema itself, if it is nothing but a reference.
fn follow<'a>(walk: &Walk<'a>, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_REFERENCES {
        let Some(next) = schema["$ref"].as_str().and_then(|reference| walk.resolve(reference).ok()) else {
            break;
        };
        schema = next;
    }
    schema
}

/// The types that a schema accepts, whole numbers as numbers; `None` if it does not say.
fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => constants(schema)?.iter().map(type_of).collect(),
    };
    Some(names.into_iter().map(|name| if name == "integer" { "number" } else { name }).collect())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values that a schema lists; `None` if it lists none.
fn constants(schema: &Value) -> Option<&[Value]> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(constant), _) => Some(std::slice::from_ref(constant)),
        (None, Some(Value::Array(constants))) => Some(constants),
        _ => None,
    }
}

/// Whether no value of one list is in the other.
fn differ(left: &[Value], right: &[Value]) -> bool {
    // As numbers, 1 and 1.0 are the same.
    let same = |left: &Value, right: &Value| match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right).is_eq(),
        _ => left == right,
    };
    left.iter().all(|left| right.iter().all(|right| !same(left, right)))
}
