//! The one table from errors to HTTP.
//!
//! Rooms below know nothing of status codes; handlers return [`ApiError`] and nothing else. A variant exists per case
//! whose status or text differs on the wire. Texts are Ollama's where clients or its own tests match on them. What an
//! owner must see but a stranger should not (directories, causes of faults in this program) goes to the log.
//!
//! [`ApiError::status`] and `Display` are the table; [`IntoResponse`] is its native rendering, `{"error":"..."}`. Other
//! API families render the same two in their own envelope.

mod places;

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use self::places::without_directories;
use crate::engine::{EngineError, KeepAliveError};
use crate::models::import::ImportError;
use crate::models::model::ModelError;
use crate::models::store::StoreError;
use crate::text::{TextError, ToolError};

/// Why a request was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Nothing in the body.
    #[error("missing request body")]
    MissingBody,
    /// The body is larger than the server reads; holds the limit in bytes.
    #[error("request body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The connection broke while the body was read.
    #[error("cannot read the request body: {0}")]
    BodyUnreadable(String),
    /// Broken JSON, a wrong type, or a value out of range; the text says which.
    #[error("{0}")]
    BadRequest(String),
    /// `keep_alive` is no duration.
    #[error(transparent)]
    KeepAlive(#[from] KeepAliveError),
    /// The server wants a key and the request shows none, or not one of its keys.
    #[error("unauthorized: send a key of this server, as Authorization: Bearer KEY or as x-api-key: KEY")]
    Unauthorized,
    /// No model named.
    #[error("model is required")]
    ModelRequired,
    /// The name breaks the rules of model names.
    #[error("invalid model name")]
    InvalidModelName,
    /// As [`Self::InvalidModelName`], in the words of the delete route.
    #[error("name {0:?} is invalid")]
    InvalidName(String),
    /// No such model; holds the name as the route shows it.
    #[error("model '{0}' not found")]
    ModelNotFound(String),
    /// No such model to copy.
    #[error("model {0:?} not found")]
    SourceNotFound(String),
    /// Nobody is signed in to Ollama's cloud, and nobody can.
    #[error("{0}")]
    NotSignedIn(&'static str),
    /// Something that only Ollama's cloud has.
    #[error("ollama cloud is disabled: {0} is unavailable")]
    CloudDisabled(&'static str),
    /// No uploaded file has that digest.
    #[error("blob {0:?} not found; upload it first")]
    BlobNotFound(String),
    /// As [`Self::ModelNotFound`], in the words of the routes that give vectors.
    #[error("model {0:?} not found, try pulling it first")]
    ModelAbsent(String),
    /// The model lacks what the request needs.
    #[error("{model} does not support {capability}")]
    Unsupported {
        /// The model as the route shows it, with quotes where upstream has them.
        model: String,
        /// `generate`, `chat`, `insert`, `tools`, `thinking`, `vision`.
        capability: &'static str,
    },
    /// `raw` with something that raw mode cannot honour.
    #[error("raw mode does not support template, system, or context")]
    RawConflict,
    /// `top_logprobs` outside 0 to 20.
    #[error("top_logprobs must be between 0 and 20")]
    TopLogprobs,
    /// An option of the wrong type. Upstream answers 500 here, and clients' tests expect it.
    #[error("option {name:?} must be {expected}")]
    OptionType {
        /// Name of the option.
        name: String,
        /// What it must be: `of type integer`, `of type float32`, `of type array`, `of an array of strings`.
        expected: &'static str,
    },
    /// `format` is neither "json" nor an object; holds its JSON. 500 as upstream.
    #[error("invalid format: {0:?}; expected \"json\" or a valid JSON Schema object")]
    InvalidFormat(String),
    /// A model is not downloaded or uploaded; the text says why. 500 whatever the cause, as upstream.
    #[error("{0}")]
    Transfer(Cow<'static, str>),
    /// The prompt does not fit and must not or cannot be cut.
    #[error(
        "the prompt is longer than the context length currently available to the model; shorten the prompt, \
         adjust the context length in settings, or use a model with a longer context length"
    )]
    PromptTooLong,
    /// Texts that cannot become vectors.
    #[error(transparent)]
    Embed(EmbedError),
    /// What lies with the texts, on the one route whose upstream answers 500 to it.
    #[error(transparent)]
    EmbedFailed(EmbedError),
    /// The engine refused or failed.
    #[error("{0}")]
    Engine(EngineError),
    /// The files of a model are broken; the text names the file and what to do.
    #[error("{0}")]
    Model(String),
    /// A fault of this program; logged where it happened.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Texts that do not reach the engine, or vectors that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A text does not fit and must not be cut.
    #[error("the input length exceeds the context length")]
    TooLong,
    /// Not even one token of a text fits.
    #[error("input after truncation exceeds maximum context length")]
    NoRoom,
    /// A vector has values that are no numbers.
    #[error("embedding contains NaN or Inf values")]
    NotFinite,
}

impl From<EmbedError> for ApiError {
    fn from(error: EmbedError) -> Self {
        Self::Embed(error)
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::PromptTooLong { .. } => Self::PromptTooLong,
            EngineError::Internal(cause) => {
                tracing::error!(cause, "the engine failed");
                Self::fault()
            }
            EngineError::ModelLoad { model, reason } => {
                tracing::warn!(model, reason, "a model cannot be loaded");
                let reason = without_directories(&reason).into_owned();
                Self::Engine(EngineError::ModelLoad { model, reason })
            }
            other => Self::Engine(other),
        }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        Self::model(error)
    }
}

impl From<TextError> for ApiError {
    fn from(error: TextError) -> Self {
        match error {
            TextError::PromptTooLong { .. } => Self::PromptTooLong,
            // A template that leaves its budget has been given too much, if not by its messages then by its tools.
            TextError::TemplateRefused(_)
            | TextError::TemplateBudget
            | TextError::NoMessages
            | TextError::Encode(_)
            | TextError::Grammar(_) => Self::BadRequest(error.to_string()),
            other => Self::model(other),
        }
    }
}

impl From<ToolError> for ApiError {
    fn from(error: ToolError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

/// The status for a client that is gone; nobody reads it, logs do.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl ApiError {
    /// A fault of this program whose cause is in the log and nowhere else.
    pub(crate) fn fault() -> Self {
        Self::Internal("the request could not be handled; the server's log has the cause".into())
    }

    /// What is wrong with the files of a model; the log tells where they are.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an error becomes this one, nobody needs it afterwards"
    )]
    pub(crate) fn model(error: impl ToString) -> Self {
        let whole = error.to_string();
        let shown = without_directories(&whole);
        if shown != whole {
            tracing::warn!(error = whole, "a model cannot be used");
        }
        Self::Model(shown.into_owned())
    }

    /// An error of the store, with the model named as the route shows it.
    pub(crate) fn from_store(error: StoreError, shown: &str) -> Self {
        match error {
            StoreError::NotFound(_) => Self::ModelNotFound(shown.to_owned()),
            other => Self::model(other),
        }
    }

    /// An error of making a model, with the models named as the route shows them. What is wrong with an uploaded file
    /// is told without the place where it is kept.
    pub(crate) fn from_import(error: ImportError, shown: &str) -> Self {
        match error {
            ImportError::Store(error) => Self::from_store(error, shown),
            ImportError::Source { reason, .. } => Self::BadRequest(reason.to_string()),
            ImportError::Cancelled => Self::Engine(EngineError::Cancelled),
            other => Self::model(other),
        }
    }

    /// The HTTP status of the error.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingBody
            | Self::BodyUnreadable(_)
            | Self::BadRequest(_)
            | Self::KeepAlive(_)
            | Self::ModelRequired
            | Self::InvalidModelName
            | Self::InvalidName(_)
            | Self::Unsupported { .. }
            | Self::RawConflict
            | Self::TopLogprobs
            | Self::Embed(_)
            | Self::PromptTooLong => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::NotSignedIn(_) => StatusCode::UNAUTHORIZED,
            Self::CloudDisabled(_) => StatusCode::FORBIDDEN,
            Self::ModelNotFound(_)
            | Self::ModelAbsent(_)
            | Self::SourceNotFound(_)
            | Self::BlobNotFound(_) => StatusCode::NOT_FOUND,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::OptionType { .. }
            | Self::InvalidFormat(_)
            | Self::Transfer(_)
            | Self::EmbedFailed(_)
            | Self::Model(_)
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Engine(error) => engine_status(error),
        }
    }

    /// The native error object: `{"error":"..."}`.
    pub(crate) fn native(&self) -> NativeError {
        NativeError { error: self.to_string() }
    }

    /// The native error object as JSON, without a line end.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // A struct of one string always serialises; the empty object is never seen.
        serde_json::to_vec(&self.native()).unwrap_or_else(|_| b"{}".to_vec())
    }
}

/// What an error is on the native routes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NativeError {
    error: String,
}

fn engine_status(error: &EngineError) -> StatusCode {
    match error {
        EngineError::Busy
        | EngineError::ShuttingDown
        | EngineError::NoCard(_)
        | EngineError::CardLost(_)
        | EngineError::NotResponding { .. } => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::PromptTooLong { .. } | EngineError::EmptyPrompt | EngineError::InvalidToken { .. } => {
            StatusCode::BAD_REQUEST
        }
        EngineError::SlowClient { .. } => StatusCode::REQUEST_TIMEOUT,
        EngineError::Cancelled => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    /// Writes the error to the log: as a warning if the fault is on this side.
    pub(crate) fn log(&self) {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(%status, error = %self, "request failed");
        } else {
            tracing::debug!(%status, error = %self, "request refused");
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        (self.status(), [super::body::JSON], self.to_json()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 2.8 of the compatibility notes: status and text per cause.
    #[test]
    fn the_table() {
        let busy = "server busy, please try again.  maximum pending requests exceeded";
        let unsupported = ApiError::Unsupported { model: "\"m\"".into(), capability: "thinking" };
        let wrong = ApiError::OptionType { name: "temperature".into(), expected: "of type float32" };
        for (error, status, text) in [
            (ApiError::MissingBody, 400, "missing request body"),
            (ApiError::ModelNotFound("nope".into()), 404, "model 'nope' not found"),
            (ApiError::InvalidName("a b".into()), 400, "name \"a b\" is invalid"),
            (unsupported, 400, "\"m\" does not support thinking"),
            (wrong, 500, "option \"temperature\" must be of type float32"),
            (EngineError::Busy.into(), 503, busy),
            (EngineError::Cancelled.into(), 499, "request canceled"),
            (
                EngineError::PromptTooLong { tokens: 9, context: 8 }.into(),
                400,
                &ApiError::PromptTooLong.to_string(),
            ),
        ] {
            assert_eq!((error.status().as_u16(), error.to_string().as_str()), (status, text));
        }
    }

    #[test]
    fn what_broke_inside_is_for_the_log() {
        let error = ApiError::from(EngineError::Internal("panic: secret".into()));
        assert_eq!(error.status().as_u16(), 500);
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn rendering_is_one_key() {
        let error = ApiError::BadRequest("quote \" and\nline".into());
        assert_eq!(error.to_json(), br#"{"error":"quote \" and\nline"}"#);
    }
}
