//! How much time has passed for a card, and what it did meanwhile.

use std::time::{Duration, Instant};

use ax650_sim::clock::ClockReading;

use super::Stats;

/// How a software card with a profile passes its time. Without a profile, and on a real card, it means nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// A call returns when the card of the profile would have returned: people feel its speed.
    #[default]
    Real,
    /// Calls return at once and the card's clock runs ahead: for measuring.
    Virtual,
}

/// Where a [`CardClock`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSource {
    /// The clock of a software card with a profile: exact.
    Card,
    /// The host's clock; what the NPU did is estimated by the time spent in runs and waits.
    Host,
}

/// A reading of a card's clock: compare two of them. `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardClock {
    /// Where the figures come from.
    pub source: ClockSource,
    /// Time that has passed.
    pub now: Duration,
    /// Time in which the NPU computed.
    pub npu_busy: Option<Duration>,
    /// Time in which it waited for transfers between runs.
    pub npu_stall: Option<Duration>,
    /// Time in which it had nothing to do.
    pub npu_idle: Option<Duration>,
    /// Time in which the link to the host was used.
    pub link_busy: Option<Duration>,
    /// Bytes of weights read from the card's memory.
    pub weight_bytes_read: Option<u64>,
}

impl CardClock {
    /// What the host knows of a card that tells nothing itself.
    pub(super) fn of_host(opened: Instant, stats: &Stats) -> Self {
        Self {
            source: ClockSource::Host,
            now: opened.elapsed(),
            npu_busy: Some(Duration::from_nanos(stats.run_ns)),
            npu_stall: None,
            npu_idle: None,
            link_busy: None,
            weight_bytes_read: None,
        }
    }
}

impl From<&ClockReading> for CardClock {
    fn from(reading: &ClockReading) -> Self {
        let time = Duration::from_nanos;
        Self {
            source: ClockSource::Card,
            now: time(reading.now_ns),
            npu_busy: Some(time(reading.npu_busy_ns)),
            npu_stall: Some(time(reading.npu_stall_ns)),
            npu_idle: Some(time(reading.npu_idle_ns)),
            link_busy: Some(time(reading.link_busy_ns)),
            weight_bytes_read: Some(reading.weight_bytes_read),
        }
    }
}
