//! Errors in the envelope of `OpenAI`: `{"error":{"message","type","param","code"}}`.
//!
//! Status and text are those of [`ApiError`]; this file only adds the envelope.

use std::any::Any;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::body;
use crate::api::error::ApiError;

/// An error of a route of this family.
#[derive(Debug)]
pub(crate) struct OpenAiError(pub(crate) ApiError);

impl<E: Into<ApiError>> From<E> for OpenAiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The body of an error, also of one that ends a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    error: ErrorObject,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Which parameter; never known.
    param: Option<String>,
    /// A word for programs; there is none.
    code: Option<String>,
}

impl From<&ApiError> for ErrorEnvelope {
    fn from(error: &ApiError) -> Self {
        let kind = match error.status() {
            StatusCode::BAD_REQUEST => "invalid_request_error",
            StatusCode::NOT_FOUND => "not_found_error",
            _ => "api_error",
        };
        Self { error: ErrorObject { message: message(error), kind, param: None, code: None } }
    }
}

/// The text of an error. Of a request without a body these routes say what Go's decoder says.
pub(crate) fn message(error: &ApiError) -> String {
    match error {
        ApiError::MissingBody => "EOF".to_owned(),
        other => other.to_string(),
    }
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        self.0.log();
        // The envelope has texts only, which always serialise.
        let bytes = body::bytes(&ErrorEnvelope::from(&self.0)).unwrap_or_default();
        (self.0.status(), [body::BARE_JSON], bytes).into_response()
    }
}

/// The answer when a handler of this family panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature the layer asks for")]
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    OpenAiError(crate::api::panic_error(payload.as_ref())).into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::engine::EngineError;

    #[test]
    fn the_envelope_of_each_status() {
        for (error, message, kind) in [
            (ApiError::MissingBody, "EOF", "invalid_request_error"),
            (ApiError::ModelRequired, "model is required", "invalid_request_error"),
            (ApiError::ModelNotFound("x".into()), "model 'x' not found", "not_found_error"),
            (
                EngineError::Busy.into(),
                "server busy, please try again.  maximum pending requests exceeded",
                "api_error",
            ),
        ] {
            let envelope = serde_json::to_value(ErrorEnvelope::from(&error)).unwrap();
            let expected = json!({"message": message, "type": kind, "param": null, "code": null});
            assert_eq!(envelope, json!({"error": expected}));
        }
    }

    #[tokio::test]
    async fn a_panic_has_the_envelope_and_not_its_text() {
        let response = panicked(Box::new("secret"));
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["error"]["type"], "api_error");
        assert!(!value.to_string().contains("secret"));
    }
}
