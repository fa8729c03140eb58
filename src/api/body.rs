//! Bodies in and out: bounded reading, JSON answers.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;

use super::error::ApiError;
use super::intake::{Intake, Memory};

/// Largest request body in bytes. Pictures in base64 make chat requests of tens of megabytes normal.
pub const MAX_BODY_BYTES: usize = 128 << 20;

/// Longest time without any byte of a body that is being read.
const STALL_TIME: Duration = Duration::from_mins(1);

/// After a body has gone over the limit it is still read for this long, and thrown away: a client that is cut off while
/// it writes sees a broken connection instead of the 413 that tells it why.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Content type of every native JSON answer.
pub(crate) const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json; charset=utf-8");
/// Content type of JSON answers of the other families, and of the native routes that answer with one object in the
/// place of a stream.
pub(crate) const BARE_JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");
/// Content type of native streams: one JSON object per line.
pub(crate) const NDJSON: (HeaderName, &str) = (CONTENT_TYPE, "application/x-ndjson");
/// Content type of the few plain texts.
pub(crate) const TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; charset=utf-8");

/// Reads a whole request body, whatever its content type says; the memory it takes comes with it.
///
/// # Errors
/// [`ApiError::BodyTooLarge`] above [`MAX_BODY_BYTES`], busy if all bodies together are too large,
/// [`ApiError::BodyUnreadable`] if the connection breaks or stalls.
pub(crate) async fn read(intake: &Intake, body: Body) -> Result<(Vec<u8>, Memory), ApiError> {
    read_up_to(intake, body, MAX_BODY_BYTES).await
}

async fn read_up_to(intake: &Intake, mut body: Body, limit: usize) -> Result<(Vec<u8>, Memory), ApiError> {
    let (mut bytes, mut memory) = (Vec::new(), Memory::default());
    loop {
        let frame = tokio::time::timeout(STALL_TIME, body.frame()).await;
        let frame = frame.map_err(|_| ApiError::BodyUnreadable("it stopped coming".into()))?;
        let Some(frame) = frame else { return Ok((bytes, memory)) };
        let frame = frame.map_err(|error| ApiError::BodyUnreadable(error.to_string()))?;
        let Some(chunk) = frame.data_ref() else { continue };
        let length = bytes.len() + chunk.len();
        let room = if length > limit {
            Err(ApiError::BodyTooLarge(limit))
        } else {
            intake.reserve(&mut memory, length)
        };
        if let Err(error) = room {
            drop((bytes, memory));
            let discard = async { while let Some(Ok(_)) = body.frame().await {} };
            tokio::time::timeout(DISCARD_TIME, discard).await.ok();
            return Err(error);
        }
        bytes.extend_from_slice(chunk);
    }
}

/// A native JSON answer with status 200.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    Ok(([JSON], bytes(value)?).into_response())
}

/// A JSON answer with status 200 whose content type says no more than that.
pub(crate) fn bare_json<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    Ok(([BARE_JSON], bytes(value)?).into_response())
}

/// The JSON text of an answer.
pub(crate) fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_limit_is_exact() {
        let intake = Intake::new(1);
        assert_eq!(read_up_to(&intake, Body::from("abcd"), 4).await.unwrap().0, b"abcd");
        let error = read_up_to(&intake, Body::from("abcde"), 4).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 413);
    }
}
