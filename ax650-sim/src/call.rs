//! One vendor call, whatever the interface: found its card, counted, delayed or failed on demand, timed, run
//! under the card's lock, and stopped from unwinding into C.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::card::{self, Card, State};
use crate::clock::Work;
use crate::fault::{self, CardError, Fault};
use crate::process;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// Functions that ask the card for something, and cost a round trip if there is a clock. The others work on
/// the host alone (IO objects and descriptions live there: abi.md 3.7), or say themselves what they cost.
const MESSAGES: [&str; 25] = [
    "axclrtSetDevice",
    "axclrtResetDevice",
    "axclrtGetDeviceProperties",
    "axclrtCreateContext",
    "axclrtDestroyContext",
    "axclrtMalloc",
    "axclrtMallocCached",
    "axclrtFree",
    "axclrtMemcmp",
    "axclrtCreateStream",
    "axclrtDestroyStream",
    "axclrtDestroyStreamForce",
    "axclrtCreateEvent",
    "axclrtDestroyEvent",
    "axclrtEngineInit",
    "axclrtEngineGetVNpuKind",
    "axclrtEngineFinalize",
    "axclrtEngineUnload",
    "axclrtEngineCreateContext",
    "axclrtEngineGetModelCompilerVersion",
    "axclrtEngineSetAffinity",
    "axclrtEngineGetAffinity",
    "axclrtEngineGetUsageFromModelId",
    "axclrtEngineGetModelTypeFromModelId",
    "axclrtEngineGetIOInfo",
];

/// A call in progress: on which card, of which function.
pub(crate) struct Call<'a> {
    pub(crate) card: &'a Card,
    pub(crate) name: &'static str,
    /// The device that it concerns.
    device: Cell<usize>,
    /// Time of the card, if it has a clock.
    at_ns: Cell<u64>,
    /// Whether another thread was in a run when the call began: it holds the card's lock until it is over.
    others_ran: bool,
}

/// Counts a run as long as it takes.
pub(crate) struct Running<'a>(&'a AtomicU32);

impl<'a> Running<'a> {
    pub(crate) fn start(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<'a> Call<'a> {
    fn new(card: &'a Card, name: &'static str) -> Self {
        let others_ran = card.running.load(Ordering::SeqCst) > 0;
        Self { card, name, device: Cell::new(0), at_ns: Cell::new(0), others_ran }
    }

    /// The call as which a queued task was submitted.
    pub(crate) fn named(&self, name: &'static str) -> Self {
        Self { name, device: self.device.clone(), at_ns: self.at_ns.clone(), ..*self }
    }

    /// Writes down a breach that a real card would not notice. In fatal mode the call fails for it.
    pub(crate) fn warn(&self, rule: Rule, detail: String) -> Result<(), Fault> {
        let fatal = self.card.fatal.load(Ordering::Relaxed);
        let reason = if fatal { detail.clone() } else { String::new() };
        self.card.record(self.name, rule, detail);
        if fatal {
            return Err(Fault::plain(status::common(Part::Engine, Common::Fail), reason));
        }
        Ok(())
    }

    /// Notices a call that loads a model while the card runs one, or is about to.
    pub(crate) fn check_idle(&self, state: &State) -> Result<(), Fault> {
        if self.others_ran {
            return self
                .warn(Rule::LoadDuringRun, "a model is loaded while another thread runs one".to_owned());
        }
        if state.streams.has_runs() {
            return self.warn(Rule::LoadDuringRun, "a model is loaded while runs are queued".to_owned());
        }
        Ok(())
    }

    /// The call does `work` and waits for it.
    pub(crate) fn charge(&self, work: Work) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.charge(self.device.get(), self.at_ns.get(), &work));
        }
    }

    /// The call queues `work` in a stream, given by its handle (a context stands for its default stream).
    pub(crate) fn enqueue(&self, stream: u64, work: Work) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.enqueue(self.device.get(), stream, self.at_ns.get(), &work));
        }
    }

    /// The call waits for what is queued in a stream.
    pub(crate) fn wait(&self, stream: u64) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.wait(stream, self.at_ns.get()));
        }
    }

    /// The call waits for what is queued in a stream, but no longer than `limit`; returns whether that was enough.
    pub(crate) fn wait_at_most(&self, stream: u64, limit: Duration) -> bool {
        let Some(clock) = &self.card.clock else { return true };
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let outcome = clock.wait_at_most(stream, self.at_ns.get(), limit_ns);
        self.at_ns.set(outcome.unwrap_or_else(|end_ns| end_ns));
        outcome.is_ok()
    }

    /// The call is not over before what is queued in a stream, which goes away with it.
    pub(crate) fn outlast(&self, stream: u64) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.outlast(stream, self.at_ns.get()));
        }
    }

    /// What is queued in a stream is dropped, or an event destroyed.
    pub(crate) fn forget(&self, handle: u64) {
        if let Some(clock) = &self.card.clock {
            clock.forget(handle);
        }
    }

    /// The call waits for what is queued in any stream.
    pub(crate) fn wait_for_all(&self) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.wait_for_all(self.at_ns.get()));
        }
    }

    /// `later` (a stream or an event, by handle) waits for what is queued before `earlier` (an event or a stream).
    pub(crate) fn order(&self, earlier: u64, later: u64) {
        if let Some(clock) = &self.card.clock {
            clock.order(earlier, later);
        }
    }

    fn begin(&self) {
        if let Some(clock) = &self.card.clock {
            self.at_ns.set(clock.enter());
        }
    }

    fn end(&self) {
        if let Some(clock) = &self.card.clock {
            clock.leave(self.at_ns.get());
        }
    }

    /// The call is about the device that `state` stands for now.
    pub(crate) fn follow(&self, state: &State) {
        self.device.set(state.device());
    }

    fn body<T>(
        &self,
        mut body: impl FnMut(&mut State, &Call<'_>) -> Result<Progress<T>, Fault>,
    ) -> Result<T, i32> {
        if let Some(reason) = &self.card.refused {
            return Err(self.report(process::refusal(self.name, reason)));
        }
        *self.card.log.lock().calls.entry(self.name).or_default() += 1;
        #[cfg(any(test, feature = "testing"))]
        if let Err(fault) = crate::control::injection::interfere(self) {
            return Err(self.report(fault));
        }
        let mut state = self.card.state.lock();
        let mut result = loop {
            state.select_of_thread();
            self.follow(&state);
            match body(&mut state, self) {
                Ok(Progress::Done(value)) => break Ok(value),
                Err(fault) => break Err(fault),
                Ok(Progress::Blocked(until)) => {
                    // The caller of the call waits; other threads go on, and notify when they have.
                    self.card.changed.wait_until(&mut state, until);
                }
            }
        };
        if state.contexts.take_presumed() {
            let detail = "the thread has set the device, which binds no context to any but the first one; it \
                          needs axclrtSetCurrentContext or axclrtCreateContext";
            let told = self.warn(Rule::UnboundThread, detail.to_owned());
            result = result.and_then(|value| told.map(|()| value));
        }
        drop(state);
        self.card.changed.notify_all();
        if MESSAGES.contains(&self.name) {
            self.charge(Work::Message);
        }
        result.map_err(|fault| self.report(self.answered(fault)))
    }

    /// The fault as this function tells it.
    fn answered(&self, fault: Fault) -> Fault {
        if fault.code == status::CMM_EXHAUSTED {
            return Fault { code: status::exhausted(self.name), ..fault };
        }
        fault
    }

    /// Writes a fault down and returns its code.
    fn report(&self, fault: Fault) -> i32 {
        if let Some(rule) = fault.rule {
            self.card.record(self.name, rule, fault.reason.clone());
        }
        fault::remember(Some(CardError { call: self.name, code: fault.code, reason: fault.reason }));
        fault.code
    }
}

/// How far a call has come that may have to wait for other threads.
pub(crate) enum Progress<T> {
    /// It is over.
    Done(T),
    /// It is to be tried again when another call is over, or at that time.
    Blocked(Instant),
}

/// Makes a call of function `name` on the card that the calling thread reaches.
pub(crate) fn enter<T>(
    name: &'static str,
    body: impl FnOnce(&mut State, &Call<'_>) -> Result<T, Fault>,
) -> Result<T, i32> {
    let mut body = Some(body);
    enter_waiting(name, |state, call| {
        // A body that says `Done` is not asked again.
        let defect = || Fault::plain(status::common(Part::Engine, Common::Fail), "a call was made twice");
        body.take().ok_or_else(defect)?(state, call).map(Progress::Done)
    })
}

/// As [`enter`], for a call that may have to wait for what other threads do: meanwhile the card is theirs.
fn enter_waiting<T>(
    name: &'static str,
    body: impl FnMut(&mut State, &Call<'_>) -> Result<Progress<T>, Fault>,
) -> Result<T, i32> {
    let card = card::reached(name);
    let call = Call::new(&card, name);
    call.begin();
    let attempt = catch_unwind(AssertUnwindSafe(|| call.body(body)));
    let result = attempt.unwrap_or_else(|_payload| {
        Err(call.report(Fault::breach(
            status::common(Part::Engine, Common::Fail),
            Rule::Panic,
            "the software card failed; this is a defect of it, not of the caller",
        )))
    });
    call.end();
    result
}

/// Makes a call of function `name` that returns a vendor code.
pub(crate) fn code(name: &'static str, body: impl FnOnce(&mut State, &Call<'_>) -> Result<(), Fault>) -> i32 {
    match enter(name, body) {
        Ok(()) => status::OK,
        Err(code) => code,
    }
}

/// As [`code`], for a call that may have to wait for what other threads do.
pub(crate) fn waiting(
    name: &'static str,
    body: impl FnMut(&mut State, &Call<'_>) -> Result<Progress<()>, Fault>,
) -> i32 {
    match enter_waiting(name, body) {
        Ok(()) => status::OK,
        Err(code) => code,
    }
}

/// Makes a call of function `name` that returns a plain value, `otherwise` if it fails.
pub(crate) fn value<T>(
    name: &'static str,
    otherwise: T,
    body: impl FnOnce(&mut State, &Call<'_>) -> Result<T, Fault>,
) -> T {
    enter(name, body).unwrap_or(otherwise)
}
