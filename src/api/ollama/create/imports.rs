//! The line of files that wait to be converted.
//!
//! Converting takes all cores and a lot of disk, so it is done one file at a time. Who has to wait is told so; when too
//! many wait, the next one hears that the server is busy. A client that leaves leaves the line, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::ApiError;
use crate::api::ollama::progress::{Record, Reporter};
use crate::engine::EngineError;

/// Files in the line, the one that is converted included. Each has a thread.
const LINE: usize = 5;
/// Time between two looks at whether a client that waits is still there.
const LOOK: Duration = Duration::from_millis(200);

/// The line, shared by all requests.
#[derive(Debug)]
pub(crate) struct Imports {
    line: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

/// A place in the line.
#[derive(Debug)]
pub(super) struct Place {
    permit: OwnedSemaphorePermit,
    turn: Arc<Semaphore>,
    runtime: Handle,
}

/// The right to convert a file.
#[derive(Debug)]
pub(super) struct Turn {
    _permits: [OwnedSemaphorePermit; 2],
}

impl Default for Imports {
    fn default() -> Self {
        Self { line: Arc::new(Semaphore::new(LINE)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Imports {
    /// Takes a place in the line. To be called on the async runtime.
    ///
    /// # Errors
    /// Busy if it is too long.
    pub(super) fn line_up(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.line).try_acquire_owned().map_err(|_| EngineError::Busy)?;
        Ok(Place { permit, turn: Arc::clone(&self.turn), runtime: Handle::current() })
    }
}

impl Place {
    /// Waits until it is this file's turn. Not for an async thread.
    ///
    /// # Errors
    /// Cancelled if nobody listens any more.
    pub(super) fn wait(self, reporter: &Reporter) -> Result<Turn, ApiError> {
        let Self { permit, turn, runtime } = self;
        if let Ok(turn) = Arc::clone(&turn).try_acquire_owned() {
            return Ok(Turn { _permits: [turn, permit] });
        }
        reporter.say(Record::new("waiting for another model to be converted"));
        runtime.block_on(async {
            // One future, so that its place in the line stays.
            let mut next = std::pin::pin!(turn.acquire_owned());
            loop {
                match tokio::time::timeout(LOOK, &mut next).await {
                    Ok(turn) => {
                        let turn = turn.map_err(|_| EngineError::ShuttingDown)?;
                        return Ok(Turn { _permits: [turn, permit] });
                    }
                    Err(_) if reporter.is_cancelled() => return Err(EngineError::Cancelled.into()),
                    Err(_) => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_the_line_ends_somewhere() {
        let imports = Imports::default();
        let places: Vec<Place> = (0..LINE).map(|_| imports.line_up().unwrap()).collect();
        assert_eq!(imports.line_up().unwrap_err().status().as_u16(), 503);
        let mut places = places.into_iter();
        let (reporter, mut heard) = Reporter::heard();
        let first = places.next().unwrap().wait(&reporter).unwrap();
        assert!(heard.try_recv().is_err(), "there was nothing to wait for");

        let second = places.next().unwrap();
        let waiter = reporter.clone();
        let second = tokio::task::spawn_blocking(move || second.wait(&waiter));
        let told = heard.recv().await.unwrap().unwrap();
        assert!(told.status.starts_with("waiting"), "{}", told.status);
        // The third leaves.
        let (third, (left, gone)) = (places.next().unwrap(), Reporter::heard());
        left.cancel().store(true, std::sync::atomic::Ordering::Relaxed);
        drop(gone);
        let third = tokio::task::spawn_blocking(move || third.wait(&left)).await.unwrap();
        assert_eq!(third.unwrap_err().status().as_u16(), 499);
        imports.line_up().unwrap();
        drop(first);
        drop(second.await.unwrap().unwrap());
    }
}
