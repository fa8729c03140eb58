//! Answers that go out in pieces: NDJSON and server-sent events.
//!
//! A frame is what goes out at once: one line, one event, or several that belong together. The first frame decides
//! nothing any more: whatever fails before it is an error of the handler, with a status of its own; what fails later is
//! told in a frame, in the family's words. Dropping the response's body drops the stream and what it holds.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;

use super::body::NDJSON;
use super::error::ApiError;
use super::inference::{Answer, Piece};

/// Tells proxies in front of us to pass each frame on at once.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// A response of lines of JSON, each of which [`line()`] made.
pub(crate) fn ndjson(frames: impl Stream<Item = Vec<u8>> + Send + 'static) -> Response {
    ([NDJSON], [NO_BUFFERING], body(frames)).into_response()
}

/// A response of server-sent events, each of which [`event`] made.
pub(crate) fn sse(frames: impl Stream<Item = Vec<u8>> + Send + 'static) -> Response {
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
    (headers, [NO_BUFFERING], body(frames)).into_response()
}

fn body(frames: impl Stream<Item = Vec<u8>> + Send + 'static) -> Body {
    Body::from_stream(frames.map(|frame| Ok::<_, Infallible>(Bytes::from(frame))))
}

/// One line of NDJSON.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let mut line = serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// One server-sent event whose data is a JSON value; `name` goes into its `event` field.
pub(crate) fn event(name: Option<&str>, data: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    let mut event = Vec::new();
    if let Some(name) = name {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(name.as_bytes());
        event.push(b'\n');
    }
    event.extend_from_slice(b"data: ");
    // Compact JSON has no line ends of its own.
    serde_json::to_writer(&mut event, data).map_err(|error| ApiError::Internal(error.to_string()))?;
    event.extend_from_slice(b"\n\n");
    Ok(event)
}

/// The frames of an answer: `opening` (nothing, if it is empty), then what `render` makes of each piece, the end and a
/// failure included. A piece rendered to nothing sends nothing.
///
/// `render` also gets what went wrong in its own rendering, as a [`Piece::Error`]; the answer ends with that.
pub(crate) fn frames<R>(
    answer: Answer,
    opening: Vec<u8>,
    render: R,
) -> impl Stream<Item = Vec<u8>> + Send + 'static
where
    R: FnMut(Piece) -> Result<Vec<u8>, ApiError> + Send + 'static,
{
    let pieces = stream::unfold(Some((answer, render)), |state| async move {
        let (mut answer, mut render) = state?;
        let piece = answer.next().await;
        let mut last = !matches!(piece, Piece::Delta(_));
        if let Piece::Error(error) = &piece {
            tracing::warn!(%error, "answer ends with an error");
        }
        let frame = render(piece).or_else(|error| {
            last = true;
            tracing::error!(%error, "cannot write an answer");
            render(Piece::Error(error))
        });
        Some((frame.unwrap_or_default(), (!last).then_some((answer, render))))
    });
    stream::iter([opening]).chain(pieces).filter(|frame| std::future::ready(!frame.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_where_the_framing_says() {
        let value = serde_json::json!({"a": "x\ny"});
        assert_eq!(line(&value).unwrap(), b"{\"a\":\"x\\ny\"}\n");
        assert_eq!(event(None, &value).unwrap(), b"data: {\"a\":\"x\\ny\"}\n\n");
        assert_eq!(event(Some("done"), &1).unwrap(), b"event: done\ndata: 1\n\n");
    }
}
