//! The card's own time, as the figures of a profile make it.
//!
//! # What takes how long
//!
//! - A **run** keeps the NPU busy: a fixed cost, then its weights and its K/V cache at the bandwidth of layers
//!   (of heads, for a head), then the matrix products of a chunk at the rate of large ones. A decode step
//!   has one row and is bound by memory: its products cost nothing.
//! - A **copy** between host and device keeps the link busy for its bytes; a copy within the device only takes time.
//! - A call that **waits** for the card costs a round trip more than what it waits for. A copy whose
//!   host side is not pinned costs the host the pinning.
//! - **Queued** work starts when it was submitted, when what was queued before it in its stream is over, and
//!   when the NPU or the link is free, whichever is last. Queueing costs nothing but the host's own time.
//!
//! # Two paces
//!
//! With [`Pace::Virtual`] the clock runs with the host's monotonic clock between the calls. During a
//! call it stands still and moves on by what the call is charged: the time that the software card needs itself
//! (arithmetic, copying) does not count. With [`Pace::Real`] the clock is the host's, and a call that would take longer
//! sleeps.
//!
//! A card without a profile has no clock, and calls of it take no notice of time.

mod cost;
mod source;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::card;
use crate::options::Pace;
use crate::profile::Profile;

use cost::Resource;
use timeline::Timeline;

pub(crate) use cost::Work;
pub(crate) use source::Source;

/// What the clock of one card has counted since the card was made. Times are nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// The card's time, from 0.
    pub now_ns: u64,
    /// Time in runs.
    pub npu_busy_ns: u64,
    /// Time of copies outside runs: the next run waited for them.
    pub npu_stall_ns: u64,
    /// The rest: time in which the NPU had nothing to do.
    pub npu_idle_ns: u64,
    /// Time in copies between host and device.
    pub link_busy_ns: u64,
    /// Bytes copied to the device.
    pub bytes_to_device: u64,
    /// Bytes copied from the device.
    pub bytes_from_device: u64,
    /// Bytes of weights that runs read.
    pub weight_bytes_read: u64,
    /// Bytes of K/V caches that runs read.
    pub cache_bytes_read: u64,
    /// Runs.
    pub runs: u64,
}

/// Reads the clock of the card that the calling thread reaches. `None` if that card has no profile.
pub fn clock() -> Option<ClockReading> {
    let card = card::current();
    let device = {
        let mut state = card.state.lock();
        state.select_of_thread();
        state.device()
    };
    card.clock.as_ref().map(|clock| clock.reading(device))
}

/// The clock of one card.
pub(crate) struct Clock {
    profile: Arc<Profile>,
    pace: Pace,
    source: Source,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Card time less the source's time; changes only while nobody is in a call.
    offset_ns: i128,
    /// Calls in progress, during which the clock of a virtual pace stands still.
    calls: u32,
    /// Card time when a call was last begun or ended.
    frozen_ns: u64,
    devices: Vec<DeviceTime>,
    /// When the work queued in a stream (by handle) is over, and what an event (by handle) waits for.
    ends: BTreeMap<u64, u64>,
}

/// What one device of the card is busy with.
#[derive(Default)]
struct DeviceTime {
    npu: Timeline,
    link: Timeline,
    /// Copies, as far as no run keeps the NPU busy meanwhile.
    stalls: Timeline,
    counted: ClockReading,
}

impl Clock {
    pub(crate) fn new(profile: Arc<Profile>, pace: Pace, devices: usize, source: Source) -> Self {
        let devices = (0..devices).map(|_| DeviceTime::default()).collect();
        let inner = Inner { offset_ns: 0, calls: 0, frozen_ns: 0, devices, ends: BTreeMap::new() };
        Self { profile, pace, source, inner: Mutex::new(inner) }
    }

    /// Begins a call and returns the card's time.
    pub(crate) fn enter(&self) -> u64 {
        let mut inner = self.inner.lock();
        let now = self.now(&inner);
        if inner.calls == 0 {
            inner.frozen_ns = now;
        }
        inner.calls += 1;
        now
    }

    /// Ends a call that lasts until `end_ns` of card time; with a real pace it sleeps until then.
    pub(crate) fn leave(&self, end_ns: u64) {
        let mut inner = self.inner.lock();
        inner.calls = inner.calls.saturating_sub(1);
        inner.frozen_ns = inner.frozen_ns.max(end_ns);
        match self.pace {
            Pace::Virtual if inner.calls == 0 => {
                inner.offset_ns = i128::from(inner.frozen_ns) - i128::from(self.source.now_ns());
            }
            Pace::Virtual => {}
            Pace::Real => {
                drop(inner);
                self.source.sleep_until(end_ns);
            }
        }
    }

    fn now(&self, inner: &Inner) -> u64 {
        match self.pace {
            Pace::Real => self.source.now_ns(),
            Pace::Virtual if inner.calls > 0 => inner.frozen_ns,
            Pace::Virtual => {
                u64::try_from(i128::from(self.source.now_ns()) + inner.offset_ns).unwrap_or_default()
            }
        }
    }

    /// Work that the caller waits for, from `at_ns` on; returns when the call is over.
    pub(crate) fn charge(&self, device: usize, at_ns: u64, work: &Work) -> u64 {
        let begin = at_ns + cost::round_trip_ns(&self.profile) + work.host_ns(&self.profile);
        self.inner.lock().perform(&self.profile, device, begin, work)
    }

    /// Work queued at `at_ns` in the stream `stream`; returns when the submission is over.
    pub(crate) fn enqueue(&self, device: usize, stream: u64, at_ns: u64, work: &Work) -> u64 {
        let submitted = at_ns + work.host_ns(&self.profile);
        let mut inner = self.inner.lock();
        let begin = submitted.max(inner.end(stream));
        let end = inner.perform(&self.profile, device, begin, work);
        inner.ends.insert(stream, end);
        submitted
    }

    /// A wait from `at_ns` on for everything queued in `stream`; returns when it is over.
    pub(crate) fn wait(&self, stream: u64, at_ns: u64) -> u64 {
        let end = self.inner.lock().ends.remove(&stream).unwrap_or_default();
        at_ns.max(end) + cost::round_trip_ns(&self.profile)
    }

    /// The later of `at_ns` and the end of what is queued in a stream that goes away, or stands for an event that does.
    pub(crate) fn outlast(&self, handle: u64, at_ns: u64) -> u64 {
        self.inner.lock().ends.remove(&handle).unwrap_or_default().max(at_ns)
    }

    /// Forgets what is queued in a stream, or before an event. What the device was busy with stays counted.
    pub(crate) fn forget(&self, handle: u64) {
        self.inner.lock().ends.remove(&handle);
    }

    /// Streams and events of which something is known.
    #[cfg(test)]
    pub(crate) fn known(&self) -> usize {
        self.inner.lock().ends.len()
    }

    /// As [`Self::wait`], but for `limit_ns` at most: `Err` is when that is over.
    pub(crate) fn wait_at_most(&self, stream: u64, at_ns: u64, limit_ns: u64) -> Result<u64, u64> {
        let limit = at_ns.saturating_add(limit_ns);
        if self.inner.lock().end(stream) > limit { Err(limit) } else { Ok(self.wait(stream, at_ns)) }
    }

    /// As [`Self::wait`], for every stream.
    pub(crate) fn wait_for_all(&self, at_ns: u64) -> u64 {
        let ends = std::mem::take(&mut self.inner.lock().ends);
        ends.into_values().fold(at_ns, u64::max) + cost::round_trip_ns(&self.profile)
    }

    /// Makes `later` (a stream or an event) wait for what `earlier` (an event or a stream) stands for.
    pub(crate) fn order(&self, earlier: u64, later: u64) {
        let mut inner = self.inner.lock();
        let end = inner.end(earlier).max(inner.end(later));
        inner.ends.insert(later, end);
    }

    pub(crate) fn reading(&self, device: usize) -> ClockReading {
        let mut inner = self.inner.lock();
        let now = self.now(&inner);
        inner.devices.get_mut(device).map_or_else(ClockReading::default, |device| device.reading(now))
    }
}

impl Inner {
    fn end(&self, stream: u64) -> u64 {
        self.ends.get(&stream).copied().unwrap_or_default()
    }

    /// Does `work` from `begin_ns` on, as soon as what it needs is free; returns its end.
    fn perform(&mut self, profile: &Profile, device: usize, begin_ns: u64, work: &Work) -> u64 {
        let duration = work.device_ns(profile);
        let now_ns = self.frozen_ns;
        let Some(device) = self.devices.get_mut(device) else { return begin_ns + duration };
        match work.resource() {
            Resource::Npu => device.run(now_ns, begin_ns, duration, work),
            Resource::Link => device.copy(now_ns, begin_ns, duration, work),
            Resource::None => begin_ns + duration,
            Resource::Memory => {
                let end = begin_ns + duration;
                device.waited_for(now_ns, begin_ns, end);
                end
            }
        }
    }
}

impl DeviceTime {
    fn run(&mut self, now_ns: u64, begin_ns: u64, duration: u64, work: &Work) -> u64 {
        let end = self.npu.add(now_ns, begin_ns, duration);
        self.stalls.cut(now_ns, end - duration, end);
        work.count(&mut self.counted);
        end
    }

    fn copy(&mut self, now_ns: u64, begin_ns: u64, duration: u64, work: &Work) -> u64 {
        let end = self.link.add(now_ns, begin_ns, duration);
        self.waited_for(now_ns, end - duration, end);
        work.count(&mut self.counted);
        end
    }

    /// A copy from `begin_ns` to `end_ns`: the part of it after the last run is what the next run waits for.
    fn waited_for(&mut self, now_ns: u64, begin_ns: u64, end_ns: u64) {
        self.stalls.cover(now_ns, begin_ns.max(self.npu.free_ns()), end_ns);
    }

    fn reading(&mut self, now_ns: u64) -> ClockReading {
        let npu_busy_ns = self.npu.busy_ns(now_ns);
        let npu_stall_ns = self.stalls.busy_ns(now_ns);
        ClockReading {
            now_ns,
            npu_busy_ns,
            npu_stall_ns,
            npu_idle_ns: now_ns.saturating_sub(npu_busy_ns + npu_stall_ns),
            link_busy_ns: self.link.busy_ns(now_ns),
            ..self.counted
        }
    }
}

#[cfg(test)]
mod tests;
