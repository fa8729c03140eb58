//! A plain reading of JSON schema, with nothing in common with the code under test.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate};
use regex::Regex;
use serde_json::{Map, Value};

/// A schema that judges values.
pub(crate) struct Validator<'a> {
    root: &'a Value,
    steps: Cell<usize>,
    depth: Cell<usize>,
}

impl<'a> Validator<'a> {
    /// Steps after which a schema that leads everywhere is given up.
    const MAX_STEPS: usize = 2_000_000;
    /// Schemas within each other after which one that leads back to itself is given up.
    const MAX_DEPTH: usize = 1_000;

    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root, steps: Cell::new(0), depth: Cell::new(0) }
    }

    /// Why a value is not accepted by the schema; `Ok` if it is, or if that takes too long to tell.
    pub(crate) fn judge(&self, value: &Value) -> Result<(), String> {
        let judgement = self.check(self.root, value);
        if self.steps.get() > Self::MAX_STEPS { Ok(()) } else { judgement }
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        self.steps.set(self.steps.get() + 1);
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > Self::MAX_DEPTH {
            self.give_up();
        }
        let judgement = match schema {
            Value::Object(map) if self.steps.get() <= Self::MAX_STEPS => self.check_all(map, value),
            Value::Object(_) | Value::Bool(true) => Ok(()),
            _ => Err(format!("{value} meets {schema}")),
        };
        self.depth.set(self.depth.get() - 1);
        judgement
    }

    fn check_all(&self, map: &Map<String, Value>, value: &Value) -> Result<(), String> {
        for (key, rule) in map {
            let accepted = match key.as_str() {
                "$ref" => self.check(self.target(rule), value).is_ok(),
                "allOf" => self.list(rule).iter().all(|part| self.check(part, value).is_ok()),
                "anyOf" => self.count(rule, value) > 0,
                "oneOf" => self.count(rule, value) == 1,
                "not" => self.check(rule, value).is_err(),
                "type" => has_type(rule, value),
                "const" => same(rule, value),
                "enum" => self.list(rule).iter().any(|constant| same(constant, value)),
                _ => match value {
                    Value::Object(object) => self.check_object(map, key, object)?,
                    Value::Array(items) => self.check_array(map, key, items)?,
                    Value::String(text) => self.check_text(key, rule, text),
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

    fn target(&self, reference: &Value) -> &'a Value {
        let pointer = self.text(reference).strip_prefix('#').unwrap_or("?");
        let target = if pointer == "/" { Some(self.root) } else { self.root.pointer(pointer) };
        target.unwrap_or_else(|| {
            // Pointers may have escapes that are not read here.
            self.give_up();
            self.root
        })
    }

    fn list<'v>(&self, value: &'v Value) -> &'v [Value] {
        value.as_array().map_or_else(|| self.malformed(), Vec::as_slice)
    }

    fn text<'v>(&self, value: &'v Value) -> &'v str {
        value.as_str().unwrap_or_else(|| self.malformed())
    }

    /// A count; 2.0 is as good as 2.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "there is not so much of anything"
    )]
    fn whole(&self, count: &Value) -> usize {
        count.as_f64().unwrap_or_else(|| self.malformed()) as usize
    }

    /// Some place that no answer leads to may hold anything.
    fn malformed<T: Default>(&self) -> T {
        self.give_up();
        T::default()
    }

    fn give_up(&self) {
        self.steps.set(Self::MAX_STEPS + 1);
    }

    fn count(&self, options: &Value, value: &Value) -> usize {
        self.list(options).iter().filter(|option| self.check(option, value).is_ok()).count()
    }

    fn check_object(
        &self,
        schema: &Map<String, Value>,
        key: &str,
        object: &Map<String, Value>,
    ) -> Result<bool, String> {
        let rule = &schema[key];
        match key {
            "required" => {
                return Ok(self.list(rule).iter().all(|name| object.contains_key(self.text(name))));
            }
            "minProperties" => return Ok(object.len() >= self.whole(rule)),
            "maxProperties" => return Ok(object.len() <= self.whole(rule)),
            "propertyNames" => {
                return Ok(object.keys().all(|name| self.check(rule, &name.as_str().into()).is_ok()));
            }
            _ => {}
        }
        for (name, value) in object {
            let named = schema.get("properties").and_then(|named| named.get(name));
            let patterns = schema.get("patternProperties").and_then(Value::as_object);
            let mut matching =
                patterns.into_iter().flatten().filter(|(pattern, _)| self.finds(pattern, name));
            match key {
                "properties" => named.map_or(Ok(()), |schema| self.check(schema, value))?,
                "patternProperties" => matching.try_for_each(|(_, schema)| self.check(schema, value))?,
                "additionalProperties" if named.is_none() && matching.next().is_none() => {
                    self.check(rule, value)?;
                }
                _ => {}
            }
        }
        Ok(true)
    }

    fn check_array(&self, schema: &Map<String, Value>, key: &str, items: &[Value]) -> Result<bool, String> {
        let rule = &schema[key];
        let old = schema.get("items").filter(|items| items.is_array());
        let first = old.or_else(|| schema.get("prefixItems")).map_or(&[][..], |items| self.list(items));
        match key {
            "minItems" => return Ok(items.len() >= self.whole(rule)),
            "maxItems" => return Ok(items.len() <= self.whole(rule)),
            "items" | "prefixItems" if rule.is_array() => {
                first.iter().zip(items).try_for_each(|(schema, item)| self.check(schema, item))?;
            }
            "additionalItems" if old.is_none() => {}
            "items" | "additionalItems" => {
                items.iter().skip(first.len()).try_for_each(|item| self.check(rule, item))?;
            }
            _ => {}
        }
        Ok(true)
    }

    fn check_text(&self, key: &str, rule: &Value, text: &str) -> bool {
        let length = text.chars().count();
        match key {
            "minLength" => length >= self.whole(rule),
            "maxLength" => length <= self.whole(rule),
            "pattern" => self.finds(self.text(rule), text),
            "format" => has_format(self.text(rule), text),
            _ => true,
        }
    }

    fn finds(&self, pattern: &str, text: &str) -> bool {
        self.steps.set(self.steps.get() + 1_000);
        let Ok(pattern) = Regex::new(&ascii(pattern)) else { return self.malformed() };
        pattern.is_match(text)
    }
}

/// A pattern with classes of ASCII, as in ECMA 262.
fn ascii(pattern: &str) -> String {
    let mut ascii = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            ascii.push(character);
            continue;
        }
        match characters.next() {
            Some('d') => ascii.push_str("[0-9]"),
            Some('w') => ascii.push_str("[0-9A-Za-z_]"),
            Some('D') => ascii.push_str("[^0-9]"),
            Some('W') => ascii.push_str("[^0-9A-Za-z_]"),
            other => ascii.extend(['\\'].into_iter().chain(other)),
        }
    }
    ascii
}

fn has_type(names: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
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
