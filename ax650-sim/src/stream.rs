//! Streams and events: tasks are kept until somebody waits for them, then run in the order of submission.
//!
//! One queue serves all streams. Running every task in the order in which it was submitted keeps the promise
//! of each stream (first in, first out) and of events (a wait refers to something submitted earlier), and
//! is one of the orders a real card may choose. Because nothing runs before a synchronisation, a
//! caller that forgets one reads old data every time instead of sometimes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::fault::Fault;
use crate::run::Run;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// Work for the card.
#[derive(Debug)]
pub(crate) enum Task {
    /// Run a model.
    Run(Run),
    /// Fill `len` bytes of device memory with `value`.
    Fill {
        /// Device address.
        address: u64,
        /// The byte.
        value: u8,
        /// Bytes.
        len: u64,
    },
    /// Copy, as `axclrtMemcpy`. The submitter keeps the host side valid until the stream is synchronised.
    Copy {
        /// Device or exposed host address.
        to: u64,
        /// Device or exposed host address.
        from: u64,
        /// Bytes.
        len: u64,
        /// Vendor number of the kind.
        kind: u32,
    },
}

/// A task in the queue.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) stream: u64,
    pub(crate) call: &'static str,
    pub(crate) task: Task,
}

/// The streams of one card.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    live: BTreeSet<u64>,
    events: BTreeSet<u64>,
    queue: VecDeque<Queued>,
    /// First error of each stream since it was last synchronised.
    failed: BTreeMap<u64, Fault>,
}

impl Streams {
    pub(crate) fn streams(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn create(&mut self, handle: u64) {
        self.live.insert(handle);
    }

    /// Removes a stream and the tasks that are left in it, which it returns.
    pub(crate) fn destroy(&mut self, stream: u64) -> Result<Vec<Queued>, Fault> {
        self.check(stream, status::STREAM_DESTROY)?;
        self.live.remove(&stream);
        self.failed.remove(&stream);
        let (dropped, kept): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|queued| queued.stream == stream);
        self.queue = kept.into();
        Ok(dropped)
    }

    /// Fails for a null or unknown stream with `code`. The default stream has no handle to synchronise or
    /// destroy.
    pub(crate) fn check(&self, stream: u64, code: i32) -> Result<(), Fault> {
        if stream == 0 {
            return Err(Fault::null(Part::Stream, "the stream"));
        }
        if self.live.contains(&stream) {
            return Ok(());
        }
        Err(Fault::breach(code, Rule::UnknownHandle, format!("no stream {stream:#x}")))
    }

    /// Appends a task and returns the handle of its stream. `stream` 0 is the default stream of `context`,
    /// which has the handle of the context.
    pub(crate) fn submit(
        &mut self,
        stream: u64,
        context: u64,
        call: &'static str,
        task: Task,
    ) -> Result<u64, Fault> {
        let stream = if stream == 0 { context } else { stream };
        if stream != context {
            self.check(stream, status::common(Part::Stream, Common::IllegalParam))?;
        }
        self.queue.push_back(Queued { stream, call, task });
        Ok(stream)
    }

    /// The next task that is to run; tasks behind a failed one of their stream are dropped.
    pub(crate) fn next(&mut self) -> Option<Queued> {
        self.queue.pop_front()
    }

    pub(crate) fn has_failed(&self, stream: u64) -> bool {
        self.failed.contains_key(&stream)
    }

    pub(crate) fn fail(&mut self, stream: u64, fault: Fault) {
        self.failed.entry(stream).or_insert(fault);
    }

    /// The outcome of a stream since the last time it was asked for.
    pub(crate) fn outcome(&mut self, stream: u64) -> Result<(), Fault> {
        self.failed.remove(&stream).map_or(Ok(()), Err)
    }

    /// The outcome of all streams.
    pub(crate) fn outcome_of_all(&mut self) -> Result<(), Fault> {
        std::mem::take(&mut self.failed).into_values().next().map_or(Ok(()), Err)
    }

    pub(crate) fn create_event(&mut self, handle: u64) {
        self.events.insert(handle);
    }

    pub(crate) fn destroy_event(&mut self, event: u64) -> Result<(), Fault> {
        self.check_event(event)?;
        self.events.remove(&event);
        Ok(())
    }

    pub(crate) fn check_event(&self, event: u64) -> Result<(), Fault> {
        if event == 0 {
            return Err(Fault::null(Part::Stream, "the event"));
        }
        if self.events.contains(&event) {
            return Ok(());
        }
        let code = status::common(Part::Stream, Common::IllegalParam);
        Err(Fault::breach(code, Rule::UnknownHandle, format!("no event {event:#x}")))
    }
}
