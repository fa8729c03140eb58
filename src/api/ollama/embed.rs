//! `POST /api/embed` and the older `POST /api/embeddings`: texts to vectors.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{self, EmbedAsk, Embedded};
use crate::api::{AppState, body, time};
use crate::engine::KeepAlive;

/// Answer of `/api/embed`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EmbedResponse {
    /// The model's name as requested.
    model: String,
    /// A vector of length 1 per text.
    embeddings: Vec<Vec<f32>>,
    /// Nanoseconds; absent where nothing was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<u64>,
    /// Nanoseconds; absent where nothing was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_duration: Option<u64>,
    /// Tokens of all texts; absent where nothing was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<usize>,
}

/// Answer of `/api/embeddings`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EmbeddingsResponse {
    /// The vector as the model gives it.
    embedding: Vec<f64>,
}

/// Handler of `/api/embed`.
pub(super) async fn embed(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (ask, turn) = inference::receive(&state, request, parse).await?;
    let model = ask.model.clone();
    let computes = !ask.inputs.is_empty();
    let Embedded { vectors, prompt_tokens, load, total, memory } =
        inference::embed(&state, turn, ask).await?;
    let shown = move |duration: Duration| computes.then(|| time::nanos(duration));
    let answer = move || EmbedResponse {
        model,
        embeddings: vectors,
        total_duration: shown(total),
        load_duration: shown(load),
        prompt_eval_count: computes.then_some(prompt_tokens),
    };
    body::long_json(body::JSON, memory, answer).await
}

pub(super) fn parse(body: &[u8]) -> Result<EmbedAsk, ApiError> {
    let mut fields = Fields::parse("EmbedRequest", body)?;
    let common = common(&mut fields)?;
    if common.model.trim().is_empty() {
        // Upstream looks for the model before it looks at the texts.
        return Err(ApiError::ModelNotFound(common.model));
    }
    let inputs = match fields.take("input") {
        // Nothing to compute: the model is loaded.
        Some(Value::String(text)) if text.is_empty() => Vec::new(),
        input => inference::texts(input)?,
    };
    let dimensions = fields.integer("dimensions")?.unwrap_or(0);
    Ok(EmbedAsk {
        inputs,
        truncate: fields.boolean("truncate")?.unwrap_or(true),
        dimensions: usize::try_from(dimensions).unwrap_or(0),
        normalise: true,
        ..common
    })
}

fn common(fields: &mut Fields) -> Result<EmbedAsk, ApiError> {
    Ok(EmbedAsk {
        model: fields.string("model")?,
        options: fields.object("options")?,
        keep_alive: fields.take("keep_alive").map(|value| KeepAlive::parse_json(&value)).transpose()?,
        ..EmbedAsk::default()
    })
}

/// Handler of `/api/embeddings`. Upstream cuts nothing here and answers 500 to what lies with the text.
pub(super) async fn embeddings(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, ApiError> {
    let (ask, turn) = inference::receive(&state, request, parse_one).await?;
    if ask.model.trim().is_empty() {
        return Err(ApiError::ModelRequired);
    }
    let embedded = inference::embed(&state, turn, ask).await.map_err(|error| match error {
        ApiError::Embed(error) => ApiError::EmbedFailed(error),
        other => other,
    })?;
    let Embedded { vectors, memory, .. } = embedded;
    let answer =
        move || EmbeddingsResponse { embedding: vectors.into_iter().flatten().map(f64::from).collect() };
    body::long_json(body::JSON, memory, answer).await
}

pub(super) fn parse_one(body: &[u8]) -> Result<EmbedAsk, ApiError> {
    let mut fields = Fields::parse("EmbeddingRequest", body)?;
    let prompt = fields.string("prompt")?;
    let inputs = if prompt.is_empty() { Vec::new() } else { vec![prompt] };
    Ok(EmbedAsk { inputs, ..common(&mut fields)? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_are_texts_and_nothing_else() {
        let parsed = |input: Value| parse(json!({"model": "m", "input": input}).to_string().as_bytes());
        for (input, wanted) in [
            (Value::Null, vec![]),
            (json!(""), vec![]),
            (json!([]), vec![]),
            (json!("a"), vec!["a"]),
            (json!([""]), vec![""]),
            (json!(["a", "", "b"]), vec!["a", "", "b"]),
        ] {
            assert_eq!(parsed(input).unwrap().inputs, wanted);
        }
        for input in [json!(1), json!([1]), json!([["a"]]), json!(["a", null]), json!({"a": 1}), json!(true)]
        {
            let error = parsed(input).unwrap_err();
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (400, "invalid input type"));
        }
    }

    #[test]
    fn without_a_model_nothing_else_is_looked_at() {
        for body in [json!({"input": 1}), json!({"model": " ", "input": [1]}), json!({})] {
            let error = parse(body.to_string().as_bytes()).unwrap_err();
            assert_eq!(error.status().as_u16(), 404, "{body}");
        }
    }

    #[test]
    fn null_is_absent_for_every_field() {
        let ask = parse(
            br#"{"model":"m","input":null,"truncate":null,"dimensions":null,"keep_alive":null,"options":null}"#,
        )
        .unwrap();
        assert!(ask.truncate && ask.normalise && ask.dimensions == 0 && ask.keep_alive.is_none());
        let ask = parse_one(br#"{"model":"m","prompt":null}"#).unwrap();
        assert!(!ask.truncate && !ask.normalise && ask.inputs.is_empty());
    }
}
