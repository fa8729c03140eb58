//! `options` of a request, over the `parameters` of the model, over Ollama's defaults.
//!
//! Unknown and retired options are ignored, `null` is skipped, and a wrong type is an error in upstream's words.
//! Options that choose how upstream loads a model (`num_gpu`, `use_mmap`, ...) mean nothing on a card with compiled
//! layers; their types are checked all the same, so that a request is good or bad on either server alike.

use serde_json::{Map, Value};

use crate::api::error::ApiError;
use crate::api::fields;
use crate::engine::GenerateOptions;

/// Smallest window that upstream allows, in tokens.
const MIN_NUM_CTX: usize = 4;
/// Most texts that end an answer.
const MAX_STOPS: usize = 256;
/// Most bytes of all of them.
const MAX_STOP_BYTES: usize = 64 << 10;
/// Tokens at the start of a prompt that survive when it must be cut.
const DEFAULT_NUM_KEEP: usize = 4;

/// What the options of a request come to.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// For the engine.
    pub(crate) generate: GenerateOptions,
    /// `num_ctx`: the window asked for, in tokens. The card's context is compiled, so it can only be narrowed.
    pub(crate) num_ctx: Option<usize>,
    /// `num_keep`: tokens at the start that survive when a prompt must be cut.
    pub(crate) num_keep: usize,
}

impl Options {
    /// Defaults, then the model's parameters, then the request's options.
    pub(crate) fn merged(
        model_parameters: &Map<String, Value>,
        request_options: &Map<String, Value>,
    ) -> Result<Self, ApiError> {
        let mut options =
            Self { generate: GenerateOptions::default(), num_ctx: None, num_keep: DEFAULT_NUM_KEEP };
        for (name, value) in model_parameters.iter().chain(request_options) {
            if !value.is_null() {
                options.set(name, value)?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), ApiError> {
        let sampling = &mut self.generate.sampling;
        match name {
            "temperature" => sampling.temperature = float(name, value)?,
            "top_k" => sampling.top_k = saturated(integer(name, value)?),
            "top_p" => sampling.top_p = float(name, value)?,
            "min_p" => sampling.min_p = float(name, value)?,
            "typical_p" => sampling.typical_p = float(name, value)?,
            "repeat_penalty" => sampling.repeat_penalty = float(name, value)?,
            "repeat_last_n" => sampling.repeat_last_n = saturated(integer(name, value)?),
            "presence_penalty" => sampling.presence_penalty = float(name, value)?,
            "frequency_penalty" => sampling.frequency_penalty = float(name, value)?,
            "seed" => sampling.seed = integer(name, value)?,
            "num_predict" => self.generate.num_predict = integer(name, value)?,
            "stop" => self.generate.stop = stops(strings(name, value)?)?,
            "num_ctx" => {
                self.num_ctx = Some(usize::try_from(integer(name, value)?).unwrap_or(0).max(MIN_NUM_CTX));
            }
            "num_keep" => self.num_keep = usize::try_from(integer(name, value)?).unwrap_or(0),
            "num_batch" | "num_gpu" | "main_gpu" | "num_thread" | "draft_num_predict" => {
                integer(name, value)?;
            }
            "use_mmap" if !value.is_boolean() => return Err(wrong(name, "of type boolean")),
            _ => {}
        }
        Ok(())
    }
}

/// Every token of an answer is compared with all of them, on the card's thread.
fn stops(texts: Vec<String>) -> Result<Vec<String>, ApiError> {
    if texts.len() > MAX_STOPS || texts.iter().map(String::len).sum::<usize>() > MAX_STOP_BYTES {
        return Err(ApiError::BadRequest(format!(
            "option \"stop\" has more than {MAX_STOPS} texts, or more than {MAX_STOP_BYTES} bytes"
        )));
    }
    Ok(texts)
}

fn wrong(name: &str, expected: &'static str) -> ApiError {
    ApiError::OptionType { name: name.to_owned(), expected }
}

fn integer(name: &str, value: &Value) -> Result<i64, ApiError> {
    fields::integer(value).ok_or_else(|| wrong(name, "of type integer"))
}

/// An integer in a narrower type; beyond its range the nearest value means the same to every option that has it.
fn saturated(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

fn float(name: &str, value: &Value) -> Result<f32, ApiError> {
    #[expect(clippy::cast_possible_truncation, reason = "options are float32 upstream, too")]
    let float = value.as_f64().map(|float| float as f32);
    float.ok_or_else(|| wrong(name, "of type float32"))
}

fn strings(name: &str, value: &Value) -> Result<Vec<String>, ApiError> {
    let items = value.as_array().ok_or_else(|| wrong(name, "of type array"))?;
    items
        .iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(name, "of an array of strings")))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::SamplingOptions;

    fn merged(model: &Value, request: &Value) -> Result<Options, ApiError> {
        Options::merged(model.as_object().unwrap(), request.as_object().unwrap())
    }

    #[test]
    fn the_request_wins_over_the_model_and_both_over_the_defaults() {
        let model = json!({"stop": ["<|end|>"], "temperature": 0.1, "top_k": 7});
        let options = merged(&model, &json!({"temperature": 0, "seed": 42.9, "num_ctx": 1})).unwrap();
        let expected = SamplingOptions { temperature: 0.0, top_k: 7, seed: 42, ..SamplingOptions::default() };
        assert_eq!(options.generate.sampling, expected);
        assert_eq!(options.generate.stop, ["<|end|>"]);
        assert_eq!((options.num_ctx, options.num_keep), (Some(4), 4));
        let replaced = merged(&model, &json!({"stop": ["a", "b"]})).unwrap();
        assert_eq!(replaced.generate.stop, ["a", "b"]);
    }

    #[test]
    fn wrong_types_are_named_and_unknown_options_ignored() {
        for (request, message) in [
            (json!({"temperature": "hot"}), r#"option "temperature" must be of type float32"#),
            (json!({"num_predict": "1"}), r#"option "num_predict" must be of type integer"#),
            (json!({"num_gpu": true}), r#"option "num_gpu" must be of type integer"#),
            (json!({"use_mmap": 1}), r#"option "use_mmap" must be of type boolean"#),
            (json!({"stop": "x"}), r#"option "stop" must be of type array"#),
            (json!({"stop": ["x", 1]}), r#"option "stop" must be of an array of strings"#),
        ] {
            let error = merged(&json!({}), &request).unwrap_err();
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (500, message));
        }
        assert!(
            merged(&json!({}), &json!({"mirostat": "x", "temperature": null, "use_mmap": false})).is_ok()
        );
    }

    #[test]
    fn texts_that_end_an_answer_are_bounded() {
        let stop = |count: usize, length: usize| json!({"stop": vec!["x".repeat(length); count]});
        assert_eq!(merged(&json!({}), &stop(256, 256)).unwrap().generate.stop.len(), 256);
        for too_much in [stop(257, 1), stop(2, 40_000)] {
            assert_eq!(merged(&json!({}), &too_much).unwrap_err().status().as_u16(), 400);
        }
    }
}
