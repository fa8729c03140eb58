//! Answers that tell how far something is: records of `{"status":...}`, streamed or in one piece.
//!
//! What happens before the first record fails with a status of its own; later, the last line is an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::{body, lookup, stream as frames};

/// Records that may wait for a slow client; more are left out.
const WAITING: usize = 64;

/// One record.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(super) struct Record {
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed: Option<u64>,
}

impl Record {
    /// A record that only says something.
    pub(super) fn new(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }
}

/// Where work tells how far it is.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    records: mpsc::Sender<Result<Record, ApiError>>,
    cancel: Arc<AtomicBool>,
}

impl Reporter {
    /// Tells something that must not be left out. Waits for a slow client; one that is gone cancels the work.
    pub(super) fn say(&self, record: Record) {
        if self.records.blocking_send(Ok(record)).is_err() {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Tells something that the next record tells as well.
    pub(super) fn mention(&self, record: Record) {
        if let Err(mpsc::error::TrySendError::Closed(_)) = self.records.try_send(Ok(record)) {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// One for tests, with what hears it: the records, and what cancels the work when it is dropped.
    #[cfg(test)]
    pub(super) fn heard() -> (Self, mpsc::Receiver<Result<Record, ApiError>>) {
        let (records, heard) = mpsc::channel(WAITING);
        (Self { records, cancel: Arc::default() }, heard)
    }

    /// Whether nobody listens any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Set when nobody listens any more.
    pub(super) fn cancel(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancel)
    }
}

/// Cancels the work when the answer is dropped.
struct Listening {
    records: mpsc::Receiver<Result<Record, ApiError>>,
    cancel: Arc<AtomicBool>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
    }
}

/// An error in the place of records, of the same content type as one record.
fn refused(error: &ApiError) -> Response {
    error.log();
    (error.status(), [body::BARE_JSON], error.to_json()).into_response()
}

/// Does `work` on a thread made for that and answers with what it tells, at last `success`.
pub(super) async fn answer<F>(streamed: bool, work: F) -> Result<Response, ApiError>
where
    F: FnOnce(&Reporter) -> Result<(), ApiError> + Send + 'static,
{
    let (sender, records) = mpsc::channel(WAITING);
    let cancel = Arc::new(AtomicBool::new(false));
    let mut listening = Listening { records, cancel: Arc::clone(&cancel) };
    let reporter = Reporter { records: sender, cancel };
    let ends = reporter.records.clone();
    tokio::spawn(async move {
        let result = lookup::blocking(move || work(&reporter)).await;
        // A client that left does not want to know.
        ends.send(result.map(|()| Record::new("success"))).await.ok();
    });
    if !streamed {
        let mut last = Record::default();
        while let Some(record) = listening.records.recv().await {
            match record {
                Ok(record) => last = record,
                Err(error) => return Ok(refused(&error)),
            }
        }
        return body::bare_json(&Record::new(last.status));
    }
    let first = match listening.records.recv().await {
        Some(Err(error)) => return Ok(refused(&error)),
        Some(first) => first,
        None => return Err(ApiError::Internal("the work ended without a result".into())),
    };
    let lines = stream::unfold(Some((Some(first), listening)), |state| async move {
        let (pending, mut listening) = state?;
        let record = match pending {
            Some(record) => record,
            None => listening.records.recv().await?,
        };
        match record.and_then(|record| frames::line(&record)) {
            Ok(line) => Some((line, Some((None, listening)))),
            Err(error) => {
                tracing::warn!(%error, "work for a client ends with an error");
                let mut line = error.to_json();
                line.push(b'\n');
                Some((line, None))
            }
        }
    });
    Ok(frames::ndjson(lines))
}
