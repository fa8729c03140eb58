//! Notices a vendor call that does not return.
//!
//! A call that hangs cannot be ended: the vendor's library has no means for it, and a process killed in the middle of
//! a call may leave a card that only a power cycle brings back. But it can be said, and new requests can be told at
//! once instead of waiting for ever behind it. When the call does return, everything goes on.
//!
//! The watchdog is a thread of its own that looks a few times within the shortest limit at which call is under way.
//! It measures from its own first look, so a call is judged a little late and never too early.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::error::EngineError;
use crate::device::{Activity, VendorCall};

/// Name of the thread.
const THREAD_NAME: &str = "ax650-watchdog";
/// Looks within the shortest limit.
const LOOKS: u32 = 8;
/// At most this long between two looks: what is said of a call should not be older.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a vendor call may take before it is said to hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Runs, copies and everything else that does not load or open. Milliseconds on a working card.
    pub call: Duration,
    /// Loads of one file, and opening the card. Seconds on a working card.
    pub load: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { call: Duration::from_secs(10), load: Duration::from_mins(2) }
    }
}

impl CallLimits {
    fn of(&self, call: &VendorCall) -> Duration {
        if call.is_long() { self.load } else { self.call }
    }

    fn pause(&self) -> Duration {
        (self.call.min(self.load) / LOOKS).clamp(Duration::from_millis(1), LONGEST_PAUSE)
    }
}

/// The thread and what it has seen. Dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    activity: Activity,
    limits: CallLimits,
    seen: Mutex<Seen>,
    stop: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    call: Option<SeenCall>,
    stopped: bool,
}

#[derive(Debug, Clone, Copy)]
struct SeenCall {
    call: VendorCall,
    since: Instant,
    overdue: bool,
}

impl Watchdog {
    pub(crate) fn start(activity: Activity, limits: CallLimits) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { activity, limits, seen: Mutex::default(), stop: Condvar::new() });
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.watch()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The answer to new requests while a call hangs.
    pub(crate) fn refusal(&self) -> Option<EngineError> {
        let seen = self.shared.seen.lock().call.filter(|seen| seen.overdue)?;
        Some(EngineError::NotResponding {
            call: seen.call.to_string(),
            seconds: seen.since.elapsed().as_secs(),
        })
    }

    /// The call under way and for how long, for people who wait for it.
    pub(crate) fn current(&self) -> Option<String> {
        let call = self.shared.activity.current()?;
        let seen = self.shared.seen.lock().call.filter(|seen| seen.call.serial == call.serial);
        let seconds = seen.map_or(0, |seen| seen.since.elapsed().as_secs());
        Some(if seconds == 0 { call.to_string() } else { format!("{call}, for {seconds} s now") })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.seen.lock().stopped = true;
        self.shared.stop.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn watch(&self) {
        let pause = self.limits.pause();
        let mut seen = self.seen.lock();
        while !seen.stopped {
            seen.look(self.activity.current(), Instant::now(), &self.limits);
            self.stop.wait_for(&mut seen, pause);
        }
    }
}

impl Seen {
    fn look(&mut self, current: Option<VendorCall>, now: Instant, limits: &CallLimits) {
        if let Some(seen) = &mut self.call {
            let spent = now.saturating_duration_since(seen.since);
            if current.is_some_and(|call| call.serial == seen.call.serial) {
                if !seen.overdue && spent >= limits.of(&seen.call) {
                    seen.overdue = true;
                    tracing::error!(
                        call = %seen.call,
                        seconds = spent.as_secs_f64(),
                        "a call into the card's driver does not return; new requests are refused until it does"
                    );
                }
                return;
            }
            if seen.overdue {
                tracing::warn!(call = %seen.call, seconds = spent.as_secs_f64(), "the call has returned; going on");
            }
        }
        self.call = current.map(|call| SeenCall { call, since: now, overdue: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &'static str, serial: u64) -> VendorCall {
        VendorCall { name, file: Some(0), serial }
    }

    #[test]
    fn a_call_is_overdue_after_its_own_limit_and_until_it_returns() {
        let limits = CallLimits { call: Duration::from_secs(10), load: Duration::from_mins(2) };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Seen::default();
        let overdue = |seen: &Seen| seen.call.is_some_and(|seen| seen.overdue);
        seen.look(Some(call("axclrtEngineExecute", 1)), at(0), &limits);
        seen.look(Some(call("axclrtEngineExecute", 1)), at(9), &limits);
        assert!(!overdue(&seen));
        // The next call of the same function is another one.
        seen.look(Some(call("axclrtEngineExecute", 2)), at(12), &limits);
        assert!(!overdue(&seen));
        seen.look(Some(call("axclrtEngineExecute", 2)), at(22), &limits);
        assert!(overdue(&seen));
        seen.look(None, at(30), &limits);
        assert!(!overdue(&seen) && seen.call.is_none());
        seen.look(Some(call("axclrtEngineLoadFromFile", 3)), at(40), &limits);
        seen.look(Some(call("axclrtEngineLoadFromFile", 3)), at(159), &limits);
        assert!(!overdue(&seen));
        seen.look(Some(call("axclrtEngineLoadFromFile", 3)), at(160), &limits);
        assert!(overdue(&seen));
    }
}
