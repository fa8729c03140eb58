//! Errors in Anthropic's envelope: `{"type":"error","error":{"type","message"},"request_id"}`.
//!
//! Status and text are those of [`ApiError`]; this file only adds the envelope.

use std::any::Any;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::body;
use crate::api::error::ApiError;
use crate::api::openai::error::message;
use crate::api::request_id::RequestId;

/// Begin of the names of requests.
const PREFIX: &str = "req_";
/// Anthropic's status for "overloaded".
const OVERLOADED: u16 = 529;

/// An error of a route of this family.
#[derive(Debug)]
pub(crate) struct AnthropicError {
    status: StatusCode,
    envelope: ErrorEnvelope,
}

/// The body of an error, also of one that ends a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    #[serde(rename = "type")]
    kind: &'static str,
    error: ErrorObject,
    /// As in the header and in the log; behind `req_` if the client has named it otherwise.
    request_id: String,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

impl ErrorEnvelope {
    fn new(status: StatusCode, message: String) -> Self {
        let kind = match status.as_u16() {
            400 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | OVERLOADED => "overloaded_error",
            _ => "api_error",
        };
        Self { kind: "error", error: ErrorObject { kind, message }, request_id: request_id() }
    }
}

/// The name of the current request in the form of this family.
fn request_id() -> String {
    let name = RequestId::current().to_string();
    if name.starts_with(PREFIX) { name } else { format!("{PREFIX}{name}") }
}

impl From<&ApiError> for ErrorEnvelope {
    fn from(error: &ApiError) -> Self {
        Self::new(error.status(), message(error))
    }
}

impl AnthropicError {
    /// The answer on a path that this family does not have.
    pub(crate) fn not_found(message: &str) -> Self {
        let status = StatusCode::NOT_FOUND;
        Self { status, envelope: ErrorEnvelope::new(status, message.to_owned()) }
    }
}

impl<E: Into<ApiError>> From<E> for AnthropicError {
    fn from(error: E) -> Self {
        let error = error.into();
        error.log();
        Self { status: error.status(), envelope: ErrorEnvelope::from(&error) }
    }
}

impl IntoResponse for AnthropicError {
    fn into_response(self) -> Response {
        // The envelope has texts only, which always serialise.
        let bytes = body::bytes(&self.envelope).unwrap_or_default();
        (self.status, [body::BARE_JSON], bytes).into_response()
    }
}

/// The answer when a handler of this family panicked.
#[expect(clippy::needless_pass_by_value, reason = "the signature the layer asks for")]
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Response {
    AnthropicError::from(crate::api::panic_error(payload.as_ref())).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::api::request_id::X_REQUEST_ID;
    use crate::engine::EngineError;

    #[test]
    fn names_of_requests_have_the_form_of_the_family() {
        for (name, shown) in [("trace-1", "req_trace-1"), ("req_0a", "req_0a")] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(name))]);
            let envelope = RequestId::of(&headers).enter(|| ErrorEnvelope::from(&ApiError::MissingBody));
            assert_eq!(envelope.request_id, shown);
        }
    }

    #[test]
    fn the_envelope_of_each_status() {
        for (error, message, kind) in [
            (ApiError::MissingBody, "EOF", "invalid_request_error"),
            (ApiError::ModelNotFound("x".into()), "model 'x' not found", "not_found_error"),
            (ApiError::BodyTooLarge(1), "request body is larger than 1 bytes", "request_too_large"),
            (
                EngineError::Busy.into(),
                "server busy, please try again.  maximum pending requests exceeded",
                "overloaded_error",
            ),
            (ApiError::Model("broken".into()), "broken", "api_error"),
        ] {
            let envelope = serde_json::to_value(ErrorEnvelope::from(&error)).unwrap();
            assert_eq!(envelope["type"], "error");
            assert_eq!(envelope["error"], serde_json::json!({"type": kind, "message": message}));
            assert!(envelope["request_id"].as_str().unwrap().starts_with("req_"));
        }
    }
}
