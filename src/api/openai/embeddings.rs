//! `POST /v1/embeddings`: texts to vectors.

use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::OpenAiError;
use crate::api::error::ApiError;
use crate::api::fields::Fields;
use crate::api::inference::{self, EmbedAsk, Embedded};
use crate::api::{AppState, body};

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EmbeddingList {
    object: &'static str,
    data: Vec<EmbeddingItem>,
    /// The model's name as requested.
    model: String,
    usage: EmbeddingUsage,
}

/// The vector of one text.
#[derive(Debug, Serialize, ToSchema)]
struct EmbeddingItem {
    object: &'static str,
    embedding: Vector,
    /// The text's place among the inputs.
    index: usize,
}

/// A vector in the encoding that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    /// Little-endian f32, in base64.
    Base64(String),
}

/// Tokens of all texts.
#[derive(Debug, Serialize, ToSchema)]
struct EmbeddingUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Floats,
    Base64,
}

#[derive(Debug)]
struct EmbeddingsRequest {
    ask: EmbedAsk,
    encoding: Encoding,
}

impl EmbeddingsRequest {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("EmbedRequest", body)?;
        let encoding = Encoding::parse(&fields.string("encoding_format")?)?;
        let inputs = inference::texts(fields.take("input"))?;
        if inputs.is_empty() {
            return Err(ApiError::BadRequest("invalid input".to_owned()));
        }
        let dimensions = fields.integer("dimensions")?.unwrap_or(0);
        let ask = EmbedAsk {
            model: fields.string("model")?,
            inputs,
            truncate: true,
            dimensions: usize::try_from(dimensions).unwrap_or(0),
            normalise: true,
            ..EmbedAsk::default()
        };
        Ok(Self { ask, encoding })
    }
}

impl Encoding {
    fn parse(text: &str) -> Result<Self, ApiError> {
        match text.to_lowercase().as_str() {
            "" | "float" => Ok(Self::Floats),
            "base64" => Ok(Self::Base64),
            _ => Err(ApiError::BadRequest(format!(
                "Invalid value for 'encoding_format' = {text}. Supported values: ['float', 'base64']."
            ))),
        }
    }

    fn write(self, vector: Vec<f32>) -> Vector {
        match self {
            Self::Floats => Vector::Floats(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        }
    }
}

/// The handler.
pub(super) async fn create(State(state): State<AppState>, request: Request) -> Result<Response, OpenAiError> {
    let (request, turn) = inference::receive(&state, request, EmbeddingsRequest::parse).await?;
    let EmbeddingsRequest { ask, encoding } = request;
    let model = ask.model.clone();
    let Embedded { vectors, prompt_tokens, memory, .. } = inference::embed(&state, turn, ask).await?;
    let answer = move || {
        let item =
            |(index, vector)| EmbeddingItem { object: "embedding", embedding: encoding.write(vector), index };
        EmbeddingList {
            object: "list",
            data: vectors.into_iter().enumerate().map(item).collect(),
            model,
            usage: EmbeddingUsage { prompt_tokens, total_tokens: prompt_tokens },
        }
    };
    Ok(body::long_json(body::BARE_JSON, memory, answer).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn encodings_are_told_apart_whatever_their_case() {
        for (text, wanted) in
            [("", Encoding::Floats), ("Float", Encoding::Floats), ("BASE64", Encoding::Base64)]
        {
            assert_eq!(Encoding::parse(text).unwrap(), wanted);
        }
        let error = Encoding::parse("Hex").unwrap_err().to_string();
        assert_eq!(
            error,
            "Invalid value for 'encoding_format' = Hex. Supported values: ['float', 'base64']."
        );
        let written = |encoding: Encoding| serde_json::to_value(encoding.write(vec![1.0, -0.5])).unwrap();
        assert_eq!(written(Encoding::Floats), json!([1.0, -0.5]));
        assert_eq!(written(Encoding::Base64), json!("AACAPwAAAL8="));
    }

    #[test]
    fn there_must_be_a_text_though_it_may_be_empty() {
        let parse = |input: Value| {
            EmbeddingsRequest::parse(json!({"model": "m", "input": input}).to_string().as_bytes())
        };
        assert_eq!(parse(json!("")).unwrap().ask.inputs, [""]);
        for (input, wanted) in [
            (Value::Null, "invalid input"),
            (json!([]), "invalid input"),
            (json!([1, 2]), "invalid input type"),
            (json!([[1]]), "invalid input type"),
        ] {
            assert_eq!(parse(input).unwrap_err().to_string(), wanted);
        }
    }
}
