//! A plain reading of JSON schema, with nothing in common with the code under test.

use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate};
use regex::Regex;
use serde_json::{Map, Value};

/// Why a value is not accepted by a schema; `Ok` if it is.
pub(crate) fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let map = match schema {
        Value::Bool(true) => return Ok(()),
        Value::Object(map) => map,
        _ => return Err(format!("{value} meets {schema}")),
    };
    for (key, rule) in map {
        let accepted = match key.as_str() {
            "$ref" => check(root, root.pointer(&rule.as_str().unwrap()[1..]).unwrap(), value).is_ok(),
            "allOf" => list(rule).iter().all(|part| check(root, part, value).is_ok()),
            "anyOf" => count(root, rule, value) > 0,
            "oneOf" => count(root, rule, value) == 1,
            "type" => has_type(rule, value),
            "const" => same(rule, value),
            "enum" => list(rule).iter().any(|constant| same(constant, value)),
            _ => match value {
                Value::Object(object) => check_object(root, map, key, object)?,
                Value::Array(items) => check_array(root, map, key, items)?,
                Value::String(text) => check_text(key, rule, text),
                Value::Number(number) => check_number(key, rule, number.as_f64().unwrap()),
                Value::Null | Value::Bool(_) => true,
            },
        };
        if !accepted {
            return Err(format!("{value} breaks {key}: {rule}"));
        }
    }
    Ok(())
}

fn count(root: &Value, options: &Value, value: &Value) -> usize {
    list(options).iter().filter(|option| check(root, option, value).is_ok()).count()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn has_type(names: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    };
    names.as_array().map_or_else(|| is(names), |names| names.iter().any(is))
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

fn check_object(
    root: &Value,
    schema: &Map<String, Value>,
    key: &str,
    object: &Map<String, Value>,
) -> Result<bool, String> {
    let rule = &schema[key];
    match key {
        "required" => return Ok(list(rule).iter().all(|name| object.contains_key(name.as_str().unwrap()))),
        "minProperties" => return Ok(object.len() as u64 >= rule.as_u64().unwrap()),
        "maxProperties" => return Ok(object.len() as u64 <= rule.as_u64().unwrap()),
        "propertyNames" => {
            return Ok(object.keys().all(|name| check(root, rule, &name.as_str().into()).is_ok()));
        }
        _ => {}
    }
    for (name, value) in object {
        let named = schema.get("properties").and_then(|named| named.get(name));
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        let mut matching = patterns.into_iter().flatten().filter(|(pattern, _)| finds(pattern, name));
        match key {
            "properties" => named.map_or(Ok(()), |schema| check(root, schema, value))?,
            "patternProperties" => matching.try_for_each(|(_, schema)| check(root, schema, value))?,
            "additionalProperties" if named.is_none() && matching.next().is_none() => {
                check(root, rule, value)?;
            }
            _ => {}
        }
    }
    Ok(true)
}

fn check_array(
    root: &Value,
    schema: &Map<String, Value>,
    key: &str,
    items: &[Value],
) -> Result<bool, String> {
    let rule = &schema[key];
    let old = schema.get("items").and_then(Value::as_array);
    let first = old.or_else(|| schema.get("prefixItems").and_then(Value::as_array));
    let first = first.map_or(&[][..], Vec::as_slice);
    match key {
        "minItems" => return Ok(items.len() as u64 >= rule.as_u64().unwrap()),
        "maxItems" => return Ok(items.len() as u64 <= rule.as_u64().unwrap()),
        "items" | "prefixItems" if rule.is_array() => {
            first.iter().zip(items).try_for_each(|(schema, item)| check(root, schema, item))?;
        }
        "items" | "additionalItems" => {
            items.iter().skip(first.len()).try_for_each(|item| check(root, rule, item))?;
        }
        _ => {}
    }
    Ok(true)
}

fn check_text(key: &str, rule: &Value, text: &str) -> bool {
    let length = text.chars().count() as u64;
    match key {
        "minLength" => length >= rule.as_u64().unwrap(),
        "maxLength" => length <= rule.as_u64().unwrap(),
        "pattern" => finds(rule.as_str().unwrap(), text),
        "format" => has_format(rule.as_str().unwrap(), text),
        _ => true,
    }
}

fn finds(pattern: &str, text: &str) -> bool {
    // Classes are those of ASCII, as in ECMA 262.
    let pattern = pattern.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]");
    Regex::new(&pattern).unwrap().is_match(text)
}

fn has_format(format: &str, text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match format {
        "date" => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() && text.len() == 10,
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "time" => DateTime::parse_from_rfc3339(&format!("2024-05-05T{text}")).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "hostname" => text.len() <= 253 && text.split('.').all(label),
        "email" => text.split_once('@').is_some_and(|(local, host)| {
            (1..=64).contains(&local.len()) && !local.contains('"') && host.split('.').all(label)
        }),
        "uuid" => {
            text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
                && !text.contains(|c: char| !c.is_ascii_hexdigit() && c != '-')
        }
        "duration" => {
            Regex::new(r"^P(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)$")
                .unwrap()
                .is_match(text)
                && text.ends_with(|c: char| c != 'T' && c != 'P')
        }
        "uri" => text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && !rest.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
        }),
        _ => true,
    }
}

fn check_number(key: &str, rule: &Value, number: f64) -> bool {
    let Some(bound) = rule.as_f64() else { return true };
    match key {
        "minimum" => number >= bound,
        "maximum" => number <= bound,
        "exclusiveMinimum" => number > bound,
        "exclusiveMaximum" => number < bound,
        "multipleOf" => {
            let steps = number / bound;
            (steps - steps.round()).abs() < 1e-6 * steps.abs().max(1.0)
        }
        _ => true,
    }
}
