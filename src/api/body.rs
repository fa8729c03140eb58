//! Bodies in and out: bounded reading, JSON answers.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;

use super::error::ApiError;
use super::intake::{Intake, Memory, Turn};
use super::lookup;
use super::weight::Weight;

/// Largest request body in bytes. Pictures in base64 make chat requests of tens of megabytes normal.
pub const MAX_BODY_BYTES: usize = 128 << 20;

/// Longest time without any byte of a body that is being read.
const STALL_TIME: Duration = Duration::from_mins(1);

/// What comes in drops, never quite stalling, has this much time and more with every byte at the rate below.
const LEAST_TIME: Duration = Duration::from_mins(2);
const LEAST_BYTES_PER_SECOND: u64 = 4 << 10;

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
/// Content type of what is said of paths and methods that are not there.
pub(crate) const BARE_TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain");

/// Reads a whole request body, whatever its content type says; with it comes the memory that it takes, also when it is
/// taken apart.
///
/// # Errors
/// [`ApiError::BodyTooLarge`] above [`MAX_BODY_BYTES`], [`ApiError::BadRequest`] for more values than a request can
/// mean, and for more memory than there is, busy if all bodies together take too much, [`ApiError::BodyUnreadable`] if
/// the connection breaks or stalls.
pub(crate) async fn read(intake: &Intake, body: Body) -> Result<(Vec<u8>, Memory), ApiError> {
    read_up_to(intake, body, MAX_BODY_BYTES, Content::Json).await
}

/// As [`read`], for a body of that content.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_as(
    intake: &Intake,
    body: Body,
    content: Content,
) -> Result<(Vec<u8>, Memory), ApiError> {
    read_up_to(intake, body, MAX_BODY_BYTES, content).await
}

/// What a body is made of: by that it is weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// JSON, of which values are made.
    Json,
    /// Bytes that stay as they are: a form with a file, something compressed.
    Bytes,
}

async fn read_up_to(
    intake: &Intake,
    mut body: Body,
    limit: usize,
    content: Content,
) -> Result<(Vec<u8>, Memory), ApiError> {
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        // It says so itself: nothing of it is kept.
        discard(body).await;
        return Err(ApiError::BodyTooLarge(limit));
    }
    let began = Instant::now();
    let (mut bytes, mut memory, mut weight) = (Vec::new(), Memory::default(), Weight::default());
    loop {
        let patience = patience(bytes.len(), began.elapsed());
        let frame = tokio::time::timeout(patience, body.frame()).await;
        let frame = frame.map_err(|_| ApiError::BodyUnreadable("it comes too slowly".into()))?;
        let Some(frame) = frame else { return Ok((bytes, memory)) };
        let frame = frame.map_err(|error| ApiError::BodyUnreadable(error.to_string()))?;
        let Some(chunk) = frame.data_ref() else { continue };
        let length = bytes.len() + chunk.len();
        let room = if length > limit {
            Err(ApiError::BodyTooLarge(limit))
        } else {
            let bytes = match content {
                Content::Json => weight.add(chunk).map(|()| weight.bytes()),
                Content::Bytes => Ok(length),
            };
            bytes.and_then(|bytes| intake.reserve(&mut memory, bytes))
        };
        if let Err(error) = room {
            drop((bytes, memory));
            discard(body).await;
            return Err(error);
        }
        bytes.extend_from_slice(chunk);
    }
}

/// Makes JSON of a body that came in another form.
pub(crate) type Unfold = fn(&[u8]) -> Result<Vec<u8>, ApiError>;

/// Unfolds a body. What it takes then is set aside as for one that came as it is.
///
/// # Errors
/// What `unfold` says, and as [`read`].
pub(crate) async fn unfold(
    intake: &Intake,
    body: Vec<u8>,
    turn: Turn,
    unfold: Unfold,
) -> Result<(Vec<u8>, Turn), ApiError> {
    let step = move || {
        let body = unfold(&body)?;
        let weight = Weight::of(&body)?;
        Ok((body, weight))
    };
    let (body, weight) = turn.run(step).await?;
    turn.reserve(intake, weight.bytes())?;
    Ok((body, turn))
}

/// How long to wait for more of a body of which `read` bytes have come in `elapsed`.
fn patience(read: usize, elapsed: Duration) -> Duration {
    let earned = Duration::from_secs(u64::try_from(read).unwrap_or(u64::MAX) / LEAST_BYTES_PER_SECOND);
    STALL_TIME.min(LEAST_TIME.saturating_add(earned).saturating_sub(elapsed))
}

/// Reads what still comes, and throws it away.
async fn discard(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::time::timeout(DISCARD_TIME, rest).await.ok();
}

/// A native JSON answer with status 200.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    Ok(([JSON], bytes(value)?).into_response())
}

/// A JSON answer with status 200 whose content type says no more than that.
pub(crate) fn bare_json<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    Ok(([BARE_JSON], bytes(value)?).into_response())
}

/// A JSON answer that takes longer than a moment to write, of that content type. It is written off the async threads;
/// `memory` is what has been set aside for it, until the client has read it.
pub(crate) async fn long_json<T>(
    kind: (HeaderName, &'static str),
    memory: Memory,
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, ApiError>
where
    T: Serialize,
{
    let write = move || Ok(HeldText { text: bytes(&make())?, _memory: memory });
    let held = lookup::blocking(write).await?;
    Ok(([kind], Bytes::from_owner(held)).into_response())
}

/// The text of an answer, with what has been set aside for it.
struct HeldText {
    text: Vec<u8>,
    _memory: Memory,
}

impl AsRef<[u8]> for HeldText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// The JSON text of an answer.
pub(crate) fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_limit_is_exact() {
        let intake = Intake::new(1);
        let read = async |body| read_up_to(&intake, body, 4, Content::Json).await;
        assert_eq!(read(Body::from("abcd")).await.unwrap().0, b"abcd");
        let error = read(Body::from("abcde")).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 413);
        // One that does not tell its length beforehand.
        let chunks = futures_util::stream::iter(["abc", "de"].map(Ok::<_, std::io::Error>));
        let error = read(Body::from_stream(chunks)).await.unwrap_err();
        assert_eq!(error.status().as_u16(), 413);
        assert_eq!(intake.in_use().body_bytes, 0);
    }

    #[tokio::test]
    async fn what_is_not_json_weighs_its_length() {
        let intake = Intake::new(1);
        let audio = || Body::from(b",\xff".repeat(1 << 20));
        let (_, memory) = read_as(&intake, audio(), Content::Bytes).await.unwrap();
        assert_eq!(intake.in_use().body_bytes, 2 << 20);
        drop(memory);
        let (_, memory) = read_as(&intake, audio(), Content::Json).await.unwrap();
        assert!(intake.in_use().body_bytes > 100 << 20);
        drop(memory);
    }

    #[tokio::test]
    async fn what_a_body_unfolds_to_is_set_aside() {
        let intake = Intake::new(1);
        let (_, memory) = read(&intake, Body::from("{}")).await.unwrap();
        let before = intake.in_use().body_bytes;
        let turn = intake.turn(memory).await.unwrap();
        // All turns are taken and somebody waits for this one: given up, it would not come back.
        let mut others = Vec::new();
        while let Some(other) = intake.turn(Memory::default()).now_or_never() {
            others.push(other.unwrap());
        }
        let mut waiting = Box::pin(intake.turn(Memory::default()));
        assert!(waiting.as_mut().now_or_never().is_none());
        let list = |_: &[u8]| Ok(format!("[0{}]", ",0".repeat(10_000)).into_bytes());
        let (body, turn) = unfold(&intake, Vec::new(), turn, list).await.unwrap();
        assert_eq!(body.len(), 20_003);
        let after = intake.in_use().body_bytes;
        assert!(after - before > 10_000 * size_of::<serde_json::Value>(), "{before} {after}");
        drop(turn);
        assert_eq!(intake.in_use().body_bytes, 0);
    }

    #[tokio::test]
    async fn memory_is_set_aside_until_an_answer_is_read() {
        let intake = Intake::new(1);
        let (_, memory) = read(&intake, Body::from("{}")).await.unwrap();
        let taken = intake.in_use().body_bytes;
        let mut body = long_json(JSON, memory, || "text").await.unwrap().into_body();
        assert_eq!((body.size_hint().exact(), intake.in_use().body_bytes), (Some(6), taken));
        let frame = body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!((frame.data_ref().unwrap().as_ref(), taken > 0), (&b"\"text\""[..], true));
        assert_eq!(intake.in_use().body_bytes, taken, "it is still to be written");
        drop(frame);
        assert_eq!(intake.in_use().body_bytes, 0);
        // Nor is it kept where nobody reads.
        let (_, memory) = read(&intake, Body::from("{}")).await.unwrap();
        drop(long_json(JSON, memory, || "text").await.unwrap());
        assert_eq!(intake.in_use().body_bytes, 0);
    }

    #[test]
    fn patience_ends_for_a_body_that_comes_in_drops() {
        let seconds = Duration::from_secs;
        assert_eq!(patience(0, seconds(0)), STALL_TIME);
        assert_eq!(patience(100, seconds(100)), seconds(20));
        assert_eq!(patience(150, seconds(130)), Duration::ZERO);
        assert_eq!(patience(100 << 20, seconds(1000)), STALL_TIME);
    }
}
