//! How long an answer may be and how its tokens are chosen: fields that `/v1/chat/completions` and `/v1/completions`
//! share.

use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::api::fields::Fields;

/// `OpenAI`'s default of `temperature` and `top_p`. It goes over what the model's own parameters say, as upstream has
/// it.
const DEFAULT: f64 = 1.0;

/// The fields as they came.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    /// At most this many tokens.
    pub(crate) max_tokens: Option<i64>,
    /// Randomness; 0 takes the likeliest token.
    pub(crate) temperature: Option<f64>,
    /// The share of probability that is chosen from.
    pub(crate) top_p: Option<f64>,
    /// Makes an answer repeatable.
    pub(crate) seed: Option<i64>,
    /// Penalty for tokens by how often they have occurred.
    pub(crate) frequency_penalty: Option<f64>,
    /// Penalty for tokens that have occurred.
    pub(crate) presence_penalty: Option<f64>,
    /// Texts that end the answer. On the wire also a single text.
    pub(crate) stop: Option<Vec<String>>,
}

impl Sampling {
    /// Takes the fields out of a request. What in `stop` is no text is passed over.
    pub(crate) fn take(fields: &mut Fields) -> Result<Self, ApiError> {
        Ok(Self {
            max_tokens: fields.integer("max_tokens")?,
            temperature: fields.float("temperature")?,
            top_p: fields.float("top_p")?,
            seed: fields.integer("seed")?,
            frequency_penalty: fields.float("frequency_penalty")?,
            presence_penalty: fields.float("presence_penalty")?,
            stop: match fields.take("stop") {
                Some(Value::String(text)) => Some(vec![text]),
                Some(Value::Array(texts)) => {
                    Some(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                }
                _ => None,
            },
        })
    }

    /// The same under the native names.
    pub(crate) fn into_options(self) -> Map<String, Value> {
        let numbers = [
            ("temperature", Some(self.temperature.unwrap_or(DEFAULT))),
            ("top_p", Some(self.top_p.unwrap_or(DEFAULT))),
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
        ];
        let integers = [("num_predict", self.max_tokens), ("seed", self.seed)];
        let numbers = numbers.into_iter().filter_map(|(name, value)| Some((name, value?.into())));
        let integers = integers.into_iter().filter_map(|(name, value)| Some((name, value?.into())));
        let stop = self.stop.map(|stop| ("stop", stop.into()));
        numbers.chain(integers).chain(stop).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// `stream_options.include_usage`.
pub(crate) fn include_usage(fields: &mut Fields) -> Result<bool, ApiError> {
    match fields.nested("stream_options", "StreamOptions")? {
        None => Ok(false),
        Some(mut options) => Ok(options.boolean("include_usage")?.unwrap_or(false)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(body: &str) -> Value {
        let mut fields = Fields::parse("ChatCompletionRequest", body.as_bytes()).unwrap();
        Value::Object(Sampling::take(&mut fields).unwrap().into_options())
    }

    #[test]
    fn defaults_are_those_of_the_family() {
        assert_eq!(options("{}"), json!({"temperature": 1.0, "top_p": 1.0}));
        let all = options(
            r#"{"max_tokens":5.0,"temperature":0,"top_p":0.5,"seed":7,"frequency_penalty":1,"presence_penalty":-1,
                "stop":["a",1,"b"]}"#,
        );
        let expected = json!({
            "temperature": 0.0, "top_p": 0.5, "frequency_penalty": 1.0, "presence_penalty": -1.0,
            "num_predict": 5, "seed": 7, "stop": ["a", "b"]
        });
        assert_eq!(all, expected);
        assert_eq!(options(r#"{"stop":"x","temperature":null}"#)["stop"], json!(["x"]));
        assert!(options(r#"{"stop":7}"#).get("stop").is_none());
    }
}
