//! Streams and events: tasks are kept until somebody waits for them, then run in the order of submission.
//!
//! One queue serves all streams of a device. Running every task in the order in which it was submitted keeps the
//! promise of each stream (first in, first out), and is one of the orders a real card may choose. Only a wait for
//! an event that is not recorded yet holds its stream back: the others pass it, so that the record, once some
//! thread submits it, is reached. Because nothing runs before a synchronisation, a caller that forgets one reads
//! old data every time instead of sometimes.
//!
//! A wait refers to the latest record submitted before it; if there is none, to the first that follows. A record
//! that is lost, because its stream failed or was destroyed, fails the waits for it: they would never end.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::memory;
use crate::run::Run;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// A wait without a time limit ends with an error after this. Our choice: a real card waits for ever.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

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
    /// Fail unless two ranges of device memory are equal.
    Compare {
        /// Device address.
        first: u64,
        /// Device address.
        second: u64,
        /// Bytes.
        len: u64,
    },
    /// Record an event.
    Record(Moment),
    /// Go on when an event is recorded.
    Wait {
        /// What to wait for.
        moment: Moment,
        /// How long at most.
        limit: Duration,
    },
}

impl Task {
    fn reads(&self, address: u64, len: u64) -> bool {
        let shares = |from: u64, bytes: u64| memory::overlap(from, bytes, address, len);
        match *self {
            Self::Run(ref run) => run.reads(address, len),
            Self::Copy { from, len: bytes, .. } => shares(from, bytes),
            Self::Compare { first, second, len: bytes } => shares(first, bytes) || shares(second, bytes),
            Self::Fill { .. } | Self::Record(_) | Self::Wait { .. } => false,
        }
    }

    fn writes(&self, address: u64, len: u64) -> bool {
        match *self {
            Self::Run(ref run) => run.writes(address, len),
            Self::Fill { address: to, len: bytes, .. } | Self::Copy { to, len: bytes, .. } => {
                memory::overlap(to, bytes, address, len)
            }
            Self::Compare { .. } | Self::Record(_) | Self::Wait { .. } => false,
        }
    }
}

/// One record of an event: the event's handle, and which of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    event: u64,
    serial: u64,
}

/// A task in the queue.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) stream: u64,
    pub(crate) call: &'static str,
    pub(crate) task: Task,
}

/// Records of an event, counted by their submission.
#[derive(Debug, Default)]
struct Event {
    submitted: u64,
    reached: u64,
    lost: u64,
}

/// The streams of one device.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// Each stream and the context that was current when it was created.
    live: BTreeMap<u64, u64>,
    /// Streams that were not destroyed before their device was reset.
    abandoned: usize,
    events: BTreeMap<u64, Event>,
    queue: VecDeque<Queued>,
    /// First error of each stream since it was last synchronised.
    failed: BTreeMap<u64, Fault>,
    /// Streams that are held back by a wait at their head, and since when.
    held: BTreeMap<u64, Instant>,
}

impl Streams {
    /// Streams that were created and not destroyed.
    pub(crate) fn streams(&self) -> usize {
        self.live.len() + self.abandoned
    }

    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether runs are queued.
    pub(crate) fn has_runs(&self) -> bool {
        self.queue.iter().any(|queued| matches!(queued.task, Task::Run(_)))
    }

    /// Whether a stream has tasks left.
    pub(crate) fn has_queued(&self, stream: u64) -> bool {
        self.queue.iter().any(|queued| queued.stream == stream)
    }

    pub(crate) fn create(&mut self, handle: u64, context: u64) {
        self.live.insert(handle, context);
    }

    /// The context of a stream.
    pub(crate) fn context_of(&self, stream: u64) -> Option<u64> {
        self.live.get(&stream).copied()
    }

    /// The streams that were created in a context.
    pub(crate) fn of_context(&self, context: u64) -> Vec<u64> {
        self.live.iter().filter(|(_, of)| **of == context).map(|(stream, _)| *stream).collect()
    }

    /// Whether `handle` is a stream or an event of this device.
    pub(crate) fn knows(&self, handle: u64) -> bool {
        self.live.contains_key(&handle) || self.events.contains_key(&handle)
    }

    /// Removes a stream and the tasks that are left in it, which it returns.
    pub(crate) fn destroy(&mut self, stream: u64) -> Result<Vec<Queued>, Fault> {
        self.check(stream, status::STREAM_DESTROY)?;
        self.live.remove(&stream);
        Ok(self.drop_tasks(stream))
    }

    /// Removes a stream whose context is gone, or the default stream of one; returns the tasks that are left in it.
    pub(crate) fn abandon(&mut self, stream: u64) -> Vec<Queued> {
        self.abandoned += usize::from(self.live.remove(&stream).is_some());
        self.drop_tasks(stream)
    }

    /// Removes and returns what is left in a stream, and forgets its outcome.
    pub(crate) fn drop_tasks(&mut self, stream: u64) -> Vec<Queued> {
        self.failed.remove(&stream);
        self.held.remove(&stream);
        let (dropped, kept): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|queued| queued.stream == stream);
        self.queue = kept.into();
        for queued in &dropped {
            self.lose(&queued.task);
        }
        dropped
    }

    /// Fails for a null or unknown stream with `code`. The default stream has no handle of its own to synchronise
    /// or destroy.
    pub(crate) fn check(&self, stream: u64, code: i32) -> Result<(), Fault> {
        if stream == 0 {
            return Err(Fault::null(Part::Stream, "the stream"));
        }
        if self.live.contains_key(&stream) {
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

    /// The call that queued a task which may write to a range of device memory now. What waits for an event that
    /// nobody has begun to record yet does not.
    pub(crate) fn writer_of(&self, address: u64, len: u64) -> Option<&'static str> {
        self.first_with(|task| task.writes(address, len))
    }

    /// As [`Self::writer_of`], the call that queued a task which may read or write the range.
    pub(crate) fn user_of(&self, address: u64, len: u64) -> Option<&'static str> {
        self.first_with(|task| task.reads(address, len) || task.writes(address, len))
    }

    fn first_with(&self, does: impl Fn(&Task) -> bool) -> Option<&'static str> {
        let mut held = Vec::new();
        for queued in &self.queue {
            match &queued.task {
                Task::Wait { moment, .. } if !self.is_submitted(*moment) => held.push(queued.stream),
                task if does(task) && !held.contains(&queued.stream) => return Some(queued.call),
                _ => {}
            }
        }
        None
    }

    /// Each two of the queued runs that are meant change places.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn swap_runs(&mut self, meant: impl Fn(&Run) -> bool) {
        let is_meant = |task: &Task| matches!(task, Task::Run(run) if meant(run));
        let runs = self.queue.iter().enumerate().filter(|(_, queued)| is_meant(&queued.task));
        let positions: Vec<usize> = runs.map(|(position, _)| position).collect();
        for pair in positions.as_chunks().0 {
            let [first, second] = *pair;
            self.queue.swap(first, second);
        }
    }

    /// The next task that is to run. Tasks behind a failed one of their stream are to be dropped by the caller,
    /// and a wait that is over without its event fails when it is run.
    pub(crate) fn next(&mut self) -> Option<Queued> {
        self.next_at(Instant::now)
    }

    fn next_at(&mut self, now: impl Fn() -> Instant) -> Option<Queued> {
        let mut held = Vec::new();
        let mut position = 0;
        while let Some(queued) = self.queue.get(position) {
            let stream = queued.stream;
            if !held.contains(&stream) {
                match &queued.task {
                    Task::Wait { moment, limit } if !self.has_failed(stream) && self.is_ahead(*moment) => {
                        let since = *self.held.entry(stream).or_insert_with(&now);
                        if since + *limit <= now() {
                            return self.take(position);
                        }
                        held.push(stream);
                    }
                    _ => return self.take(position),
                }
            }
            position += 1;
        }
        None
    }

    fn take(&mut self, position: usize) -> Option<Queued> {
        let queued = self.queue.remove(position)?;
        self.held.remove(&queued.stream);
        Some(queued)
    }

    /// When the first of the waits that hold streams back is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let limit = |stream: &u64| {
            let head = self.queue.iter().find(|queued| queued.stream == *stream)?;
            if let Task::Wait { limit, .. } = head.task { Some(limit) } else { None }
        };
        self.held.iter().filter_map(|(stream, since)| Some(*since + limit(stream)?)).min()
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
        self.events.insert(handle, Event::default());
    }

    /// Removes an event. Waits for it fail.
    pub(crate) fn destroy_event(&mut self, event: u64) -> Result<(), Fault> {
        self.check_event(event)?;
        self.events.remove(&event);
        Ok(())
    }

    pub(crate) fn check_event(&self, event: u64) -> Result<(), Fault> {
        if event == 0 {
            return Err(Fault::null(Part::Stream, "the event"));
        }
        if self.events.contains_key(&event) {
            return Ok(());
        }
        let code = status::common(Part::Stream, Common::IllegalParam);
        Err(Fault::breach(code, Rule::UnknownHandle, format!("no event {event:#x}")))
    }

    /// The task that records `event`.
    pub(crate) fn record(&mut self, event: u64) -> Result<Task, Fault> {
        self.check_event(event)?;
        let found = self.events.entry(event).or_default();
        found.submitted += 1;
        Ok(Task::Record(Moment { event, serial: found.submitted }))
    }

    /// The task that waits for `event`, no longer than `limit`.
    pub(crate) fn wait(&mut self, event: u64, limit: Option<Duration>) -> Result<Task, Fault> {
        self.check_event(event)?;
        let serial = self.events.entry(event).or_default().submitted.max(1);
        let limit = limit.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        Ok(Task::Wait { moment: Moment { event, serial }, limit })
    }

    /// A record that is reached.
    pub(crate) fn reach(&mut self, moment: Moment) {
        if let Some(event) = self.events.get_mut(&moment.event) {
            event.reached = event.reached.max(moment.serial);
        }
    }

    /// A wait that is over: with the event, or with an error.
    pub(crate) fn end_wait(&self, moment: Moment) -> Result<(), Fault> {
        let reason = match self.events.get(&moment.event) {
            Some(event) if event.reached >= moment.serial => return Ok(()),
            Some(event) if event.lost >= moment.serial => "the stream that was to record the event failed",
            Some(_) => "the event was not recorded in time",
            None => "the event was destroyed",
        };
        Err(Fault::plain(status::EVENT_WAIT, reason))
    }

    /// What a task would have recorded is lost.
    pub(crate) fn lose(&mut self, task: &Task) {
        if let Task::Record(moment) = task
            && let Some(event) = self.events.get_mut(&moment.event)
        {
            event.lost = event.lost.max(moment.serial);
        }
    }

    /// Whether nothing but the card holds back who waits for `moment`.
    fn is_submitted(&self, moment: Moment) -> bool {
        self.events.get(&moment.event).is_none_or(|event| event.submitted >= moment.serial)
    }

    /// Whether a record may still come.
    fn is_ahead(&self, moment: Moment) -> bool {
        self.events
            .get(&moment.event)
            .is_some_and(|event| event.reached < moment.serial && event.lost < moment.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 1;
    const SECOND: u64 = 2;
    const EVENT: u64 = 9;

    fn streams() -> Streams {
        let mut streams = Streams::default();
        streams.create(FIRST, 7);
        streams.create(SECOND, 7);
        streams.create_event(EVENT);
        streams
    }

    fn fill(streams: &mut Streams, stream: u64, value: u8) {
        streams.submit(stream, 7, "test", Task::Fill { address: 0, value, len: 0 }).unwrap();
    }

    fn wait(streams: &mut Streams, stream: u64, limit: Option<Duration>) {
        let task = streams.wait(EVENT, limit).unwrap();
        streams.submit(stream, 7, "test", task).unwrap();
    }

    fn record(streams: &mut Streams, stream: u64) {
        let task = streams.record(EVENT).unwrap();
        streams.submit(stream, 7, "test", task).unwrap();
    }

    /// Runs what can run: values of fills, 100 for a record, 200 for a wait that is over, 255 for one that failed.
    fn run(streams: &mut Streams) -> Vec<u8> {
        let mut done = Vec::new();
        while let Some(queued) = streams.next() {
            done.push(match queued.task {
                Task::Fill { value, .. } => value,
                Task::Record(moment) => {
                    streams.reach(moment);
                    100
                }
                Task::Wait { moment, .. } => streams.end_wait(moment).map_or(255, |()| 200),
                other => panic!("{other:?}"),
            });
        }
        done
    }

    #[test]
    fn a_wait_for_a_later_record_holds_only_its_stream_back() {
        let mut streams = streams();
        fill(&mut streams, FIRST, 1);
        wait(&mut streams, FIRST, None);
        fill(&mut streams, FIRST, 2);
        fill(&mut streams, SECOND, 3);
        assert_eq!(run(&mut streams), [1, 3]);
        assert!(streams.has_queued(FIRST) && streams.deadline().is_some());
        record(&mut streams, SECOND);
        fill(&mut streams, SECOND, 4);
        assert_eq!(run(&mut streams), [100, 200, 2, 4]);
        assert_eq!((streams.queued(), streams.deadline()), (0, None));
    }

    #[test]
    fn a_wait_refers_to_the_latest_record_before_it() {
        let mut streams = streams();
        record(&mut streams, FIRST);
        assert_eq!(run(&mut streams), [100]);
        wait(&mut streams, SECOND, None);
        assert_eq!(run(&mut streams), [200]);
        // Recorded anew behind a wait of its own: an old record is not enough.
        streams.create_event(8);
        let task = streams.wait(8, None).unwrap();
        streams.submit(FIRST, 7, "test", task).unwrap();
        record(&mut streams, FIRST);
        wait(&mut streams, SECOND, None);
        assert!(run(&mut streams).is_empty());
    }

    #[test]
    fn a_time_limit_ends_a_wait_and_no_limit_is_for_ever() {
        let mut streams = streams();
        wait(&mut streams, FIRST, Some(Duration::from_millis(5)));
        wait(&mut streams, SECOND, None);
        let start = Instant::now();
        assert!(streams.next_at(|| start).is_none());
        assert_eq!(streams.deadline(), Some(start + Duration::from_millis(5)));
        let late = start + Duration::from_millis(5);
        let Some(Queued { stream: FIRST, task: Task::Wait { moment, .. }, .. }) = streams.next_at(|| late)
        else {
            panic!("the wait is over");
        };
        assert_eq!(streams.end_wait(moment).unwrap_err().code, status::EVENT_WAIT);
        assert!(streams.next_at(|| late).is_none());
        assert!(streams.next_at(|| start + LONGEST_WAIT).is_some());
    }

    #[test]
    fn lost_records_fail_the_waits_for_them() {
        let mut streams = streams();
        record(&mut streams, FIRST);
        wait(&mut streams, SECOND, None);
        assert_eq!(streams.destroy(FIRST).unwrap().len(), 1);
        assert_eq!(run(&mut streams), [255]);
        wait(&mut streams, SECOND, None);
        streams.destroy_event(EVENT).unwrap();
        assert_eq!(run(&mut streams), [255]);
    }
}
