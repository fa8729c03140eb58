//! How much work may be under way for requests that have not reached the engine yet.
//!
//! Reading, parsing, rendering and tokenising cost memory and time before a request counts in the engine's queue. Three
//! limits keep them bounded however many clients there are: memory of bodies and of what is read out of them (see
//! `weight`), requests prepared at a time, and requests that wait to be prepared. Beyond that a prompt takes what the
//! limits of templates allow while it is rendered, and what the model's window needs when it is tokenised (see
//! `text::fit`), once for each request that is prepared. Whoever is over a limit hears the same "busy" as from a full
//! queue; who could never be within it hears that. A client that leaves gives its share back at once, except for a step
//! that is being computed: that runs to its end and holds its share until then.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::body::MAX_BODY_BYTES;
use super::error::ApiError;
use super::lookup;
use super::usage::IntakeUse;
use crate::engine::EngineError;

/// Bytes that all requests may take: the longest body of text with the most values takes three quarters of them, and
/// thousands of usual ones have room.
const BODY_BYTES: usize = 8 * MAX_BODY_BYTES;
/// Bytes are reserved in steps of this size.
const STEP: usize = 64 << 10;
/// Bounds on the number of requests prepared at a time; between them there is one per core.
const WORKERS: std::ops::RangeInclusive<usize> = 2..=8;

/// The limits, shared by all requests.
#[derive(Debug)]
pub(crate) struct Intake {
    steps: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// All there is of the three above.
    whole: [usize; 3],
}

/// Memory set aside for the body of a request.
#[derive(Debug, Default)]
pub(crate) struct Memory(Option<OwnedSemaphorePermit>);

/// The right to prepare one request, with its memory.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    share: Arc<(Mutex<Memory>, OwnedSemaphorePermit)>,
}

impl Intake {
    /// Limits for this machine; as many requests wait as wait for the card.
    pub(crate) fn new(max_waiting: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(BODY_BYTES, cores.clamp(*WORKERS.start(), *WORKERS.end()), max_waiting)
    }

    fn with_limits(bytes: usize, workers: usize, max_waiting: usize) -> Self {
        let whole = [bytes / STEP, workers, max_waiting.min(Semaphore::MAX_PERMITS)];
        let [steps, workers, places] = whole.map(Semaphore::new).map(Arc::new);
        Self { steps, workers, places, whole }
    }

    /// What is in use right now.
    pub(crate) fn in_use(&self) -> IntakeUse {
        let [steps, workers, places] = self.whole;
        IntakeUse {
            body_bytes: (steps - self.steps.available_permits()) * STEP,
            preparing: workers - self.workers.available_permits(),
            waiting: places - self.places.available_permits(),
        }
    }

    /// Sees to it that `memory` covers `bytes`.
    ///
    /// # Errors
    /// Busy if the other requests leave too little. Waiting for it could make large requests wait for each other. 400
    /// if it is more than there is for all of them.
    pub(crate) fn reserve(&self, memory: &mut Memory, bytes: usize) -> Result<(), ApiError> {
        let wanted = bytes.div_ceil(STEP);
        if wanted > self.whole[0] {
            return Err(ApiError::BadRequest(format!(
                "the request would take {} MiB of memory; {} MiB are there for all requests together",
                bytes >> 20,
                (self.whole[0] * STEP) >> 20
            )));
        }
        let missing = wanted.saturating_sub(memory.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let missing = u32::try_from(missing).map_err(|_| EngineError::Busy)?;
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.steps).try_acquire_many_owned(missing).map_err(|_| EngineError::Busy)?;
        match &mut memory.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Waits until a request may be prepared.
    ///
    /// # Errors
    /// Busy if too many wait already.
    pub(crate) async fn turn(&self, memory: Memory) -> Result<Turn, ApiError> {
        let worker = match Arc::clone(&self.workers).try_acquire_owned() {
            Ok(worker) => worker,
            Err(TryAcquireError::Closed) => return Err(EngineError::ShuttingDown.into()),
            Err(TryAcquireError::NoPermits) => {
                let _place = self.places.try_acquire().map_err(|_| EngineError::Busy)?;
                let worker = Arc::clone(&self.workers).acquire_owned().await;
                worker.map_err(|_| EngineError::ShuttingDown)?
            }
        };
        Ok(Turn { share: Arc::new((Mutex::new(memory), worker)) })
    }
}

impl Turn {
    /// Gives up the right for as long as the request waits for something else. It keeps its memory.
    pub(crate) fn pause(self) -> Memory {
        // Every step has ended, so nobody else holds the share.
        Arc::try_unwrap(self.share).map_or_else(
            |_| Memory::default(),
            |(memory, _)| memory.into_inner().unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Sees to it that the request's memory covers `bytes`. It keeps its right meanwhile.
    ///
    /// # Errors
    /// As [`Intake::reserve`].
    pub(crate) fn reserve(&self, intake: &Intake, bytes: usize) -> Result<(), ApiError> {
        intake.reserve(&mut self.share.0.lock().unwrap_or_else(PoisonError::into_inner), bytes)
    }

    /// Computes a step of the preparation off the async threads. It counts as under way until it has ended, even if
    /// nobody waits for it any more.
    pub(crate) async fn run<T, F>(&self, step: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    {
        let turn = self.clone();
        lookup::blocking(move || {
            let result = step();
            drop(turn);
            result
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn is_busy<T>(result: &Result<T, ApiError>) -> bool {
        matches!(result, Err(error) if error.status().as_u16() == 503)
    }

    #[test]
    fn memory_is_shared_by_all_and_given_back() {
        let intake = Intake::with_limits(4 * STEP, 1, 1);
        let (mut first, mut second) = (Memory::default(), Memory::default());
        intake.reserve(&mut first, 1).unwrap();
        intake.reserve(&mut first, STEP).unwrap();
        intake.reserve(&mut second, 3 * STEP).unwrap();
        assert!(is_busy(&intake.reserve(&mut first, STEP + 1)));
        drop(second);
        intake.reserve(&mut first, 4 * STEP).unwrap();
        // No use in trying that again.
        let never = intake.reserve(&mut first, 4 * STEP + 1).unwrap_err();
        assert_eq!(never.status().as_u16(), 400);
        drop(first);
        assert_eq!(intake.steps.available_permits(), 4);
    }

    #[tokio::test]
    async fn who_cannot_even_wait_is_told_so() {
        let intake = Arc::new(Intake::with_limits(STEP, 1, 1));
        let turn = intake.turn(Memory::default()).await.unwrap();
        let waiting = tokio::spawn({
            let intake = Arc::clone(&intake);
            async move { intake.turn(Memory::default()).await.map(drop) }
        });
        while intake.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(is_busy(&intake.turn(Memory::default()).await));
        drop(turn);
        waiting.await.unwrap().unwrap();
        // One who leaves while waiting leaves the place, too.
        let turn = intake.turn(Memory::default()).await.unwrap();
        let left = tokio::time::timeout(Duration::from_millis(5), intake.turn(Memory::default())).await;
        assert!(left.is_err());
        assert_eq!(intake.in_use(), IntakeUse { body_bytes: 0, preparing: 1, waiting: 0 });
        drop(turn);
    }

    #[tokio::test]
    async fn a_step_under_way_counts_although_its_client_left() {
        let intake = Intake::with_limits(STEP, 1, 1);
        let mut memory = Memory::default();
        intake.reserve(&mut memory, 1).unwrap();
        let turn = intake.turn(memory).await.unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let step = turn.run(move || {
            wait.recv().ok();
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(5), step).await.is_err());
        drop(turn);
        assert_eq!(intake.in_use(), IntakeUse { body_bytes: STEP, preparing: 1, waiting: 0 });
        go_on.send(()).unwrap();
        drop(
            tokio::time::timeout(Duration::from_secs(10), intake.turn(Memory::default()))
                .await
                .unwrap()
                .unwrap(),
        );
        assert_eq!(intake.steps.available_permits(), 1);
    }
}
