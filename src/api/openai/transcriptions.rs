//! `POST /v1/audio/transcriptions`: speech to text. No model of this server hears, so a form that is whole is refused
//! by what its model lacks, in the order in which upstream looks at it.

mod form;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::error::OpenAiError;
use crate::api::error::ApiError;
use crate::api::{AppState, inference, lookup};

/// The handler.
pub(super) async fn transcriptions(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, OpenAiError> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let parse = move |body: &[u8]| model(&content_type, body);
    let (requested, turn) = inference::receive_bytes(&state, request, parse).await?;
    drop(turn);
    lookup::model(&state, &requested).await?;
    Err(ApiError::Unsupported { model: format!("{requested:?}"), capability: "audio" }.into())
}

/// The model that a form asks, once there is something to transcribe.
fn model(content_type: &str, body: &[u8]) -> Result<String, ApiError> {
    let fields = form::fields(content_type, body)
        .map_err(|error| ApiError::BadRequest(format!("failed to parse multipart form: {error}")))?;
    let field = |name: &str, is_file: bool| {
        fields.iter().find(|field| field.name == name && field.is_file == is_file).map(|field| field.value)
    };
    let model = String::from_utf8_lossy(field("model", false).unwrap_or_default()).into_owned();
    if model.is_empty() {
        return Err(ApiError::ModelRequired);
    }
    match field("file", true) {
        None => Err(ApiError::BadRequest("file is required: the form has no file of that name".into())),
        Some([]) => Err(ApiError::BadRequest("audio file is empty".into())),
        Some(_) => Ok(model),
    }
}
