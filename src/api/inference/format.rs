//! The `format` field: what form an answer must have.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::text::GrammarSpec;

/// What form an answer must have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Format {
    /// Any.
    #[default]
    None,
    /// One JSON object.
    Json,
    /// A JSON value that fits a schema.
    Schema {
        schema: Value,
        /// What of the schema cannot be enforced is refused, and not left to the model.
        strict: bool,
    },
    /// What is no format, as JSON. It is refused where it would be applied, after everything that goes before: a load
    /// without input, a model that is not there.
    Invalid(String),
}

impl Format {
    /// Reads the field; absent and `""` say nothing. Schemas are not strict: see [`Format::strictly`].
    pub(crate) fn parse(value: Option<Value>) -> Self {
        match value {
            None => Self::None,
            Some(Value::String(word)) if word.is_empty() => Self::None,
            Some(Value::String(word)) if word == "json" => Self::Json,
            Some(schema @ Value::Object(_)) => Self::Schema { schema, strict: false },
            Some(other) => Self::Invalid(other.to_string()),
        }
    }

    /// The same, with the strictness that is asked of a schema.
    pub(crate) fn strictly(self, strict: bool) -> Self {
        match self {
            Self::Schema { schema, .. } => Self::Schema { schema, strict },
            other => other,
        }
    }

    /// The grammar that forces an answer into the form; `None` if any will do.
    ///
    /// # Errors
    /// [`ApiError::InvalidFormat`] for what is no format.
    pub(super) fn grammar(&self) -> Result<Option<GrammarSpec>, ApiError> {
        match self {
            Self::None => Ok(None),
            Self::Json => Ok(Some(GrammarSpec::JsonObject)),
            Self::Schema { schema, strict } => {
                Ok(Some(GrammarSpec::JsonSchema { schema: schema.clone(), strict: *strict }))
            }
            Self::Invalid(text) => Err(ApiError::InvalidFormat(text.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms() {
        assert_eq!(Format::parse(None), Format::None);
        assert_eq!(Format::parse(Some(json!(""))), Format::None);
        assert_eq!(Format::parse(Some(json!("json"))), Format::Json);
        let schema = json!({"type": "object"});
        assert_eq!(
            Format::parse(Some(schema.clone())),
            Format::Schema { schema: schema.clone(), strict: false }
        );
        assert_eq!(
            Format::parse(Some(schema.clone())).strictly(true),
            Format::Schema { schema, strict: true }
        );
        assert_eq!(Format::Json.strictly(true), Format::Json);
        for (value, shown) in
            [(json!("xml"), r#""\"xml\"""#), (json!([1, "a"]), r#""[1,\"a\"]""#), (json!(true), r#""true""#)]
        {
            let error = Format::parse(Some(value)).grammar().unwrap_err();
            assert_eq!(error.status().as_u16(), 500);
            assert_eq!(
                error.to_string(),
                format!("invalid format: {shown}; expected \"json\" or a valid JSON Schema object")
            );
        }
    }
}
