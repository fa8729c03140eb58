//! `POST /v1/responses`, without memory: every request brings the whole conversation along.

mod events;
mod input;
pub(crate) mod records;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod zstd;

use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::response::Response;

use self::events::Items;
pub(crate) use self::request::ResponsesRequest;
use super::error::OpenAiError;
use crate::api::error::ApiError;
use crate::api::inference::{self, Answer, Done, Outcome, Whole};
use crate::api::{AppState, body, stream};

/// The handler.
pub(crate) async fn responses(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, OpenAiError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let is_zstd = encoding.is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"zstd"));
    let unfold: Option<body::Unfold> = if is_zstd { Some(zstd::decompress) } else { None };
    let (request, turn) = inference::receive_folded(&state, request, unfold, ResponsesRequest::parse).await?;
    let ResponsesRequest { ask, stream: is_streamed, grouped, echo } = request;
    ask.require_messages("input is empty: there is nothing to respond to")?;
    let items = Items::new(echo, grouped);
    match inference::chat(&state, turn, ask).await? {
        Outcome::Answer(answer) if is_streamed => Ok(stream(items, *answer)?),
        Outcome::Answer(answer) => Ok(whole(items, *answer).await?),
        Outcome::Loaded(_) | Outcome::Rendered(_) => {
            Err(ApiError::Internal("a conversation has become no answer".into()).into())
        }
    }
}

fn stream(mut items: Items, answer: Answer) -> Result<Response, ApiError> {
    let opening = items.opening()?;
    Ok(stream::sse(stream::frames(answer, opening, move |piece| items.render(piece))))
}

async fn whole(mut items: Items, answer: Answer) -> Result<Response, ApiError> {
    let Whole { all, summary, loaded_in, .. } = answer.whole().await?;
    items.complete(Done { last: all, summary, loaded_in })?;
    body::bare_json(&items.into_response())
}
