//! Types of values.

use serde_json::Value;

use super::GrammarError;
use super::parts::Source;
use super::path::Path;

/// A set of types. Numbers are two: whole ones and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

const NAMES: [(&str, Types); 7] = [
    ("null", Types(1)),
    ("boolean", Types(2)),
    ("integer", Types::WHOLE),
    ("number", Types::NUMBER),
    ("string", Types::STRING),
    ("array", Types::ARRAY),
    ("object", Types::OBJECT),
];

impl Types {
    pub(super) const NONE: Self = Self(0);
    pub(super) const WHOLE: Self = Self(4);
    pub(super) const NUMBER: Self = Self(4 | 8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const ALL: Self = Self(127);

    /// Reads the keyword `type`.
    pub(super) fn parse(value: &Value, path: &Path<'_>) -> Result<Self, GrammarError> {
        let names = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        names.iter().try_fold(Self::NONE, |types, name| {
            if let Some((_, known)) = NAMES.iter().find(|(known, _)| name.as_str() == Some(known)) {
                return Ok(types.or(*known));
            }
            let known = NAMES.map(|(name, _)| name).join(", ");
            Err(path.invalid(format!("{name} is not one of {known}")))
        })
    }

    /// The types that all of these schemas accept.
    pub(super) fn of_all(sources: &[Source<'_>]) -> Result<Self, GrammarError> {
        sources
            .iter()
            .filter_map(|source| source.get("type"))
            .try_fold(Self::ALL, |all, (value, path)| Ok(all.and(Self::parse(value, &path)?)))
    }

    /// The type of one value.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self(1),
            Value::Bool(_) => Self(2),
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
                Self::WHOLE
            }
            Value::Number(_) => Self(8),
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// The types that are in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The types that are in one of them.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether some of the other types are among these.
    pub(super) fn have(self, other: Self) -> bool {
        self.and(other) != Self::NONE
    }

    /// Whether there are numbers and all of them are whole.
    pub(super) fn are_whole(self) -> bool {
        self.and(Self::NUMBER) == Self::WHOLE
    }

    /// What the keyword `type` says for them.
    pub(super) fn keyword(self) -> Value {
        let has = |name: &str, types: Self| {
            // What a schema can name: whole numbers or all.
            self.and(types) == types && (name != "integer" || self.are_whole())
        };
        let mut names: Vec<Value> =
            NAMES.iter().filter(|(name, types)| has(name, *types)).map(|(name, _)| (*name).into()).collect();
        match names.pop() {
            Some(only) if names.is_empty() => only,
            last => names.into_iter().chain(last).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types(value: &Value) -> Types {
        Types::parse(value, &Path::default()).unwrap()
    }

    #[test]
    fn whole_numbers_are_numbers() {
        let (whole, number) = (types(&json!("integer")), types(&json!(["number", "null"])));
        assert!(whole.are_whole() && !number.are_whole() && !types(&json!("string")).are_whole());
        assert_eq!(whole.and(number).keyword(), json!("integer"));
        assert_eq!(whole.or(number).keyword(), json!(["null", "number"]));
        assert_eq!(Types::of(&json!(2.0)), whole);
        assert!(number.have(Types::of(&json!(0.5))) && !whole.have(Types::of(&json!(0.5))));
        assert_eq!(types(&json!([])).keyword(), json!([]));
    }
}
