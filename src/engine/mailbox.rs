//! How other threads talk to the card thread.
//!
//! Two lists behind a mutex: commands, which the card thread obeys as soon as it looks, and the line of requests that
//! wait to begin, which it lets in one by one. They are no channels, because the card thread also has to wake up for
//! things that are neither (a client has left, a slow client has read, shutdown) and at a given time (a keep-alive runs
//! out), and because who leaves must be able to leave the line by himself: the card thread may be away for minutes, in
//! a load, and meanwhile clients that are gone would keep others out of a full line. The number of both is bounded by
//! the
//! [`Gate`]: a request takes a place before it is posted and holds it until it has ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::device::CancelFlag;

/// Commands `C` for the card thread, the line of those who wait (`W`), and the reasons for it to wake up.
#[derive(Debug)]
pub(crate) struct Mailbox<C, W> {
    state: Mutex<State<C, W>>,
    bell: Bell,
}

#[derive(Debug)]
struct State<C, W> {
    commands: Vec<C>,
    /// In the order of arrival.
    line: VecDeque<W>,
    /// The first in line has left since the card thread looked.
    first_left: bool,
    closed: bool,
    /// Stops the step that the card computes right now.
    step: Option<CancelFlag>,
}

/// Wakes the card thread. Cheap to clone; any thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<(Mutex<bool>, Condvar)>);

/// What the card thread found in its mailbox.
pub(crate) struct Mail<C> {
    /// New commands, oldest first.
    pub(crate) commands: Vec<C>,
    /// The first in line has left: the next one may well find what that one did not.
    pub(crate) first_left: bool,
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

impl<C, W> Mailbox<C, W> {
    pub(crate) fn new() -> Self {
        let state = State {
            commands: Vec::new(),
            line: VecDeque::new(),
            first_left: false,
            closed: false,
            step: None,
        };
        Self { state: Mutex::new(state), bell: Bell::default() }
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Posts a command; gives it back if the engine shuts down.
    pub(crate) fn post(&self, command: C) -> Result<(), C> {
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

    /// Joins the end of the line; gives the request back if the engine shuts down.
    pub(crate) fn join(&self, waiting: W) -> Result<(), W> {
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(waiting);
            }
            state.line.push_back(waiting);
        }
        self.bell.ring();
        Ok(())
    }

    /// Takes those who have `left` out of the line.
    pub(crate) fn sweep(&self, left: impl Fn(&W) -> bool) {
        let mut state = self.state.lock();
        if !state.line.iter().any(&left) {
            return;
        }
        if state.line.front().is_some_and(&left) {
            state.first_left = true;
        }
        let (gone, line): (Vec<W>, Vec<W>) = std::mem::take(&mut state.line).into_iter().partition(left);
        state.line = line.into();
        // What they hold is given back without the lock: it may be much.
        drop(state);
        drop(gone);
    }

    /// Takes the first out of the line.
    pub(crate) fn next_in_line(&self) -> Option<W> {
        self.state.lock().line.pop_front()
    }

    /// Puts the one taken out last back to its place: it has to wait.
    pub(crate) fn put_back(&self, waiting: W) {
        self.state.lock().line.push_front(waiting);
    }

    /// Whether anybody is in the line.
    pub(crate) fn someone_waits(&self) -> bool {
        !self.state.lock().line.is_empty()
    }

    /// Takes everybody out of the line.
    pub(crate) fn dissolve_line(&self) -> VecDeque<W> {
        std::mem::take(&mut self.state.lock().line)
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

    /// Takes the commands, without waiting for any.
    pub(crate) fn take(&self) -> Mail<C> {
        let mut state = self.state.lock();
        Mail {
            commands: std::mem::take(&mut state.commands),
            first_left: std::mem::take(&mut state.first_left),
            closed: state.closed,
        }
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

/// One place behind the gate, given back when its last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its drop")] Arc<Taken>);

#[derive(Debug)]
struct Taken(Arc<Gate>);

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
            .map(|_| Place(Arc::new(Taken(Arc::clone(self)))))
    }

    /// Requests that hold a place.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
    }
}
