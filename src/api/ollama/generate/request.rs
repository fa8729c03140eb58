//! The request of `/api/generate`.

use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::fields::{self, Fields};
use crate::api::inference::GenerateAsk;
use crate::api::ollama::request::{Common, images};
use crate::text::TokenId;

/// The request in native terms.
#[derive(Debug)]
pub(crate) struct GenerateRequest {
    pub(crate) ask: GenerateAsk,
    /// Whether the answer comes record by record.
    pub(crate) stream: bool,
}

impl GenerateRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// 400 in the words of Go's decoder.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let mut fields = Fields::parse("GenerateRequest", body)?;
        let context = fields.array("context")?;
        let Common { model, stream, settings } = Common::take(&mut fields)?;
        let ask = GenerateAsk {
            model,
            prompt: fields.string("prompt")?,
            suffix: fields.string("suffix")?,
            system: fields.string("system")?,
            template: fields.string("template")?,
            context: context.iter().map(|id| token(&fields, id)).collect::<Result<_, _>>()?,
            raw: fields.boolean("raw")?.unwrap_or(false),
            has_images: !images(&mut fields)?.is_empty(),
            settings,
        };
        Ok(Self { ask, stream })
    }
}

fn token(owner: &Fields, value: &Value) -> Result<TokenId, ApiError> {
    let id = fields::integer(value).and_then(|id| TokenId::try_from(id).ok());
    id.ok_or_else(|| owner.mismatch("context", value, "int"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<GenerateRequest, ApiError> {
        GenerateRequest::parse(body.as_bytes())
    }

    #[test]
    fn null_is_absent_for_every_field() {
        let ask = parse(
            r#"{"model":"m","prompt":null,"suffix":null,"system":null,"template":null,"context":null,"stream":null,
                "raw":null,"format":null,"keep_alive":null,"images":null,"options":null,"think":null,"truncate":null,
                "shift":null,"logprobs":null,"top_logprobs":null,"width":64}"#,
        )
        .unwrap();
        let GenerateRequest { ask, stream } = ask;
        assert!(stream && ask.settings.truncate && ask.settings.shift && !ask.raw && !ask.has_images);
        assert_eq!(ask.settings.keep_alive, None);
    }

    #[test]
    fn wrong_types_are_refused_by_field() {
        for (body, part) in [
            (r#"{"prompt":1}"#, "GenerateRequest.prompt of type string"),
            (r#"{"context":["a"]}"#, "cannot unmarshal string into Go struct field GenerateRequest.context"),
            (r#"{"context":[-1]}"#, "GenerateRequest.context"),
            (r#"{"options":[]}"#, "GenerateRequest.options"),
            (r#"{"top_logprobs":21}"#, "top_logprobs must be between 0 and 20"),
            (r#"{"top_logprobs":-1}"#, "top_logprobs must be between 0 and 20"),
            (r#"{"keep_alive":"10"}"#, "time: missing unit in duration \"10\""),
        ] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.status().as_u16(), 400);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
