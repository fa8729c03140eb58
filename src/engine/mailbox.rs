//! How other threads talk to the card thread.
//!
//! A list of commands behind a mutex and a condition variable. It is not a channel, because the card thread also has
//! to wake up for things that are not commands (a client has left, a slow client has read, shutdown) and at a given
//! time (a keep-alive runs out). The number of commands is bounded by the [`Gate`]: a request takes a place before it
//! is posted and holds it until it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::device::CancelFlag;

/// Commands for the card thread, and the reasons for it to wake up.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    bell: Bell,
}

#[derive(Debug)]
struct State<T> {
    commands: Vec<T>,
    closed: bool,
    /// Stops the step that the card computes right now.
    step: Option<CancelFlag>,
}

/// Wakes the card thread. Cheap to clone; any thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<(Mutex<bool>, Condvar)>);

/// What the card thread found in its mailbox.
pub(crate) struct Mail<T> {
    /// New commands, oldest first.
    pub(crate) commands: Vec<T>,
    /// The engine shuts down: no command will follow.
    pub(crate) closed: bool,
}

impl Bell {
    /// Wakes the card thread now, or keeps it from falling asleep the next time.
    pub(crate) fn ring(&self) {
        let (rung, condition) = &*self.0;
        *rung.lock() = true;
        condition.notify_one();
    }

    /// Sleeps until the bell has rung since the last call, or until `deadline`.
    fn wait(&self, deadline: Option<Instant>) {
        let (rung, condition) = &*self.0;
        let mut rung = rung.lock();
        while !*rung {
            match deadline {
                None => condition.wait(&mut rung),
                Some(deadline) => {
                    if condition.wait_until(&mut rung, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        *rung = false;
    }
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        let state = State { commands: Vec::new(), closed: false, step: None };
        Self { state: Mutex::new(state), bell: Bell::default() }
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Posts a command; gives it back if the engine shuts down.
    pub(crate) fn post(&self, command: T) -> Result<(), T> {
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(command);
            }
            state.commands.push(command);
        }
        self.bell.ring();
        Ok(())
    }

    /// Refuses further commands and stops the step under way before its next layer, a model load before its next file.
    pub(crate) fn close(&self) {
        {
            let mut state = self.state.lock();
            state.closed = true;
            if let Some(step) = &state.step {
                step.cancel();
            }
        }
        self.bell.ring();
    }

    /// Whether the engine shuts down.
    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Empties the mailbox without waiting.
    pub(crate) fn take(&self) -> Mail<T> {
        let mut state = self.state.lock();
        Mail { commands: std::mem::take(&mut state.commands), closed: state.closed }
    }

    /// Sleeps until something has happened or until `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>) {
        self.bell.wait(deadline);
    }

    /// Announces that a step runs which [`close`](Self::close) is to stop; false if it is too late to begin one.
    pub(crate) fn begin_step(&self, cancel: &CancelFlag) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            state.step = Some(cancel.clone());
        }
        !state.closed
    }

    /// The step announced last has ended.
    pub(crate) fn end_step(&self) {
        self.state.lock().step = None;
    }
}

/// Bounds how many requests there are, waiting and running.
#[derive(Debug)]
pub(crate) struct Gate {
    taken: AtomicUsize,
    places: usize,
}

/// One place behind the gate, given back on drop.
#[derive(Debug)]
pub(crate) struct Place(Arc<Gate>);

impl Gate {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), places })
    }

    /// Takes a place; `None` when all are taken.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        self.taken
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                (taken < self.places).then_some(taken + 1)
            })
            .ok()
            .map(|_| Place(Arc::clone(self)))
    }

    /// Requests that hold a place.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
    }
}
