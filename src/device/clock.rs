//! How much time has passed for a card, and what it did meanwhile.

use std::time::Duration;

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

/// A reading of a card's clock. Figures count from the opening of the card; `None` is unknown.
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
