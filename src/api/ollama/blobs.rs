//! `HEAD` and `POST /api/blobs/{digest}`: files that `/api/create` makes models of.
//!
//! A body goes to the disk as it comes, whatever its length, as long as that has room; a thread made for that writes
//! and hashes. What is not whole, or not what was announced, is removed.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::api::error::ApiError;
use crate::api::{AppState, lookup};
use crate::engine::EngineError;
use crate::models::blobs::{BlobError, Digest, DigestError, Upload};

/// Pieces of a body that may wait for the disk.
const WAITING: usize = 16;
/// Longest time without any byte.
const STALL_TIME: Duration = Duration::from_mins(1);
/// A body that is not wanted is read for this long and thrown away, so that the client hears the answer.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Handler of HEAD.
pub(super) async fn head(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let digest = parse(path)?;
    let shown = digest.to_string();
    let found = lookup::with_store(&state, move |store| Ok(store.blobs().find(&digest))).await?;
    found.map(|_| ().into_response()).ok_or(ApiError::BlobNotFound(shown))
}

/// Handler of POST.
pub(super) async fn post(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let digest = parse(path)?;
    let mut body = request.into_body();
    let bytes = body.size_hint().exact();
    let (prunes, wanted) = (state.settings.prunes, digest.clone());
    let exists = lookup::with_store(&state, move |store| {
        let blobs = store.blobs();
        let exists = blobs.find(&wanted).is_some();
        if prunes && !exists {
            blobs.prune();
        }
        Ok(exists)
    })
    .await?;
    if exists {
        discard(body).await;
        return Ok(StatusCode::OK.into_response());
    }
    let Ok(_place) = state.uploads.clone().try_acquire_owned() else {
        discard(body).await;
        return Err(EngineError::Busy.into());
    };
    let begun =
        lookup::with_store(&state, move |store| store.blobs().upload(digest, bytes).map_err(failed)).await;
    let upload = match begun {
        Ok(upload) => upload,
        Err(error) => {
            discard(body).await;
            return Err(error);
        }
    };
    let (pieces, received) = mpsc::channel(WAITING);
    let written = tokio::spawn(lookup::blocking(move || write(upload, received)));
    let sent = forward(&mut body, &pieces).await;
    drop(pieces);
    let written = written.await.unwrap_or_else(|error| Err(ApiError::Internal(error.to_string())));
    match (sent, written) {
        (Err(error), Ok(())) => Err(error),
        (_, Err(error)) => {
            discard(body).await;
            Err(error)
        }
        (Ok(()), Ok(())) => Ok(StatusCode::CREATED.into_response()),
    }
}

/// Hands the pieces of a body on, at last that it is whole. Ends early where nobody takes them.
async fn forward(body: &mut Body, pieces: &mpsc::Sender<Piece>) -> Result<(), ApiError> {
    loop {
        let frame = tokio::time::timeout(STALL_TIME, body.frame()).await;
        let frame = frame.map_err(|_| ApiError::BodyUnreadable("it stopped coming".into()))?;
        let piece = match frame {
            None => Piece::End,
            Some(Err(error)) => return Err(ApiError::BodyUnreadable(error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => Piece::Bytes(bytes),
                Err(_trailers) => continue,
            },
        };
        let ends = matches!(piece, Piece::End);
        if pieces.send(piece).await.is_err() || ends {
            return Ok(());
        }
    }
}

enum Piece {
    Bytes(Bytes),
    /// The body was whole.
    End,
}

/// Writes what comes. Without an end nothing stays, and that is no fault of the disk.
fn write(mut upload: Upload, mut pieces: mpsc::Receiver<Piece>) -> Result<(), ApiError> {
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => upload.write(&bytes).map_err(failed)?,
            Piece::End => return upload.finish().map_err(failed),
        }
    }
    Ok(())
}

pub(super) fn failed(error: BlobError) -> ApiError {
    match error {
        BlobError::Mismatch { .. } => ApiError::BadRequest(error.to_string()),
        other => ApiError::model(other),
    }
}

/// The digest in a path. One that is no text is no digest either.
fn parse(path: Result<Path<String>, PathRejection>) -> Result<Digest, ApiError> {
    let text = path.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|error: DigestError| ApiError::BadRequest(error.to_string()))
}

async fn discard(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    tokio::time::timeout(DISCARD_TIME, rest).await.ok();
}
