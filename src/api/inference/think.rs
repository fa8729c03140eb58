//! The `think` field: a boolean, or how hard to think.

use serde_json::Value;

use crate::api::error::ApiError;

const LEVELS: [&str; 4] = ["low", "medium", "high", "max"];

/// What a request says about thinking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Think {
    /// On, off, or not said.
    pub(crate) enabled: Option<bool>,
    /// `low`, `medium`, `high` or `max`, if a level was given; thinking is on then.
    pub(crate) level: Option<String>,
    /// Silently dropped where the model cannot think, instead of refused.
    pub(crate) lenient: bool,
    /// Most tokens that the model may think.
    pub(crate) budget: Option<usize>,
}

impl Think {
    /// Reads the field; absent says nothing.
    pub(crate) fn parse(value: Option<Value>) -> Result<Self, ApiError> {
        match value {
            None => Ok(Self::default()),
            Some(Value::Bool(enabled)) => Ok(Self { enabled: Some(enabled), ..Self::default() }),
            Some(Value::String(level)) if LEVELS.contains(&level.as_str()) => {
                Ok(Self { enabled: Some(true), level: Some(level), ..Self::default() })
            }
            Some(Value::String(other)) => Err(ApiError::BadRequest(format!(
                "invalid think value: {other:?} (must be \"high\", \"medium\", \"low\", \"max\", true, or false)"
            ))),
            Some(_) => Err(ApiError::BadRequest(
                "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or false)"
                    .into(),
            )),
        }
    }

    /// The level in the words that templates know; none of them has one above `high`.
    pub(super) fn template_level(&self) -> Option<&str> {
        self.level.as_deref().map(|level| if level == "max" { "high" } else { level })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn forms() {
        assert_eq!(Think::parse(None).unwrap(), Think::default());
        assert_eq!(Think::parse(Some(json!(false))).unwrap().enabled, Some(false));
        let high = Think::parse(Some(json!("high"))).unwrap();
        assert_eq!((high.enabled, high.level.as_deref()), (Some(true), Some("high")));
        assert_eq!(Think::parse(Some(json!("max"))).unwrap().template_level(), Some("high"));
        let error = Think::parse(Some(json!("hard"))).unwrap_err().to_string();
        assert!(error.starts_with("invalid think value: \"hard\" (must be"), "{error}");
        assert!(
            Think::parse(Some(json!(1)))
                .unwrap_err()
                .to_string()
                .starts_with("think must be a boolean or string")
        );
    }
}
