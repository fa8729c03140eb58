//! What can go wrong on demand. [`Troubles`] reads it from text.

mod text;

use std::ops::{RangeFrom, RangeFull, RangeInclusive};
use std::time::Duration;

pub use text::{TroubleError, Troubles};

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Calls of a function fail, and do nothing else.
    Fail {
        /// Vendor name of the function.
        function: String,
        /// Which of the next calls.
        calls: Calls,
        /// What it returns.
        code: i32,
    },
    /// The card drops off the bus. From then on every call answers that no device is connected.
    Lost {
        /// Calls of which function count; `None`: of all functions.
        function: Option<String>,
        /// At which of the next calls, from 1.
        nth: u64,
        /// It is found again, empty, by the next program that begins anew (`axclInit`, `AX_SYS_Init`). Otherwise it
        /// stays away.
        returns: bool,
    },
    /// Calls of a function do not return until they are released.
    Hang {
        /// Vendor name of the function.
        function: String,
        /// Which of the next calls.
        calls: Calls,
        /// They do after this time, and go on as if nothing had been.
        limit: Option<Duration>,
    },
    /// Runs fail on the card: those that were queued are told where the program waits for them.
    FailRun {
        /// Which of the next runs, of all models.
        runs: Calls,
        /// What the call that waits for it returns.
        code: i32,
    },
    /// No memory for another model.
    MemoryFull {
        /// When so many are loaded.
        models: usize,
    },
    /// Runs cannot be queued.
    NoAsync,
    /// The card's own software is of another version than the host's: it says so in its properties, and does not
    /// understand what is asked of its engine: to be started, to load a model. What a real pair does is not
    /// documented beyond "unstable" (abi.md 6); this is our choice. The chip's own interface has no such pair.
    FirmwareMismatch,
    /// A result is NaN.
    NotANumber {
        /// Name of the tensor.
        tensor: String,
        /// In which of the next runs that have it.
        runs: Calls,
    },
    /// A fast path computes something else.
    Wrong(Mistake),
    /// It does in one shape group alone; a head has none.
    WrongIn {
        /// What it does.
        mistake: Mistake,
        /// Number of the group, from 0.
        group: usize,
    },
}

/// Which of the next calls of a function, counted from 1: `3.into()`, `(3..).into()`, `(3..=5).into()`, `(..).into()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// How many are left before the first one, with it.
    first: u64,
    /// How many are left until the last one, with it.
    last: Option<u64>,
}

impl Calls {
    /// Counts one call; returns whether it is meant.
    pub(crate) fn count(&mut self) -> bool {
        let meant = self.first <= 1 && !self.are_over();
        self.first = self.first.saturating_sub(1).max(1);
        self.last = self.last.map(|last| last.saturating_sub(1));
        meant
    }

    /// Whether no further call is meant.
    pub(crate) fn are_over(&self) -> bool {
        self.last == Some(0)
    }
}

impl From<u64> for Calls {
    fn from(nth: u64) -> Self {
        (nth..=nth).into()
    }
}

impl From<RangeInclusive<u64>> for Calls {
    fn from(range: RangeInclusive<u64>) -> Self {
        let last = if range.is_empty() { 0 } else { (*range.end()).max(1) };
        Self { first: *range.start(), last: Some(last) }
    }
}

impl From<RangeFrom<u64>> for Calls {
    fn from(range: RangeFrom<u64>) -> Self {
        Self { first: range.start, last: None }
    }
}

impl From<RangeFull> for Calls {
    fn from(_: RangeFull) -> Self {
        (1..).into()
    }
}

/// A way to compute something else, silently, that only a program on a fast path meets. Each is the kind of damage
/// that was seen or suspected on real versions (abi.md 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mistake {
    /// K and V rows of a decode step that are bound inside the cache are written to its base.
    KvDecodeAtBase,
    /// The same with the rows of a chunk (AXCL 3.6.5).
    KvPrefillAtBase,
    /// A hidden state is read as it was before the run that has just written it.
    StaleHidden,
    /// A mask that several models read is, for all but the first of them, the one of the run before.
    StaleMask,
    /// Queued runs change places.
    AsyncOrder,
    /// What is copied from pinned memory arrives after the next run.
    PinnedLate,
    /// Decode groups other than the largest have wrong results.
    SmallGroup,
    /// Decode groups round otherwise than prefill groups: a prompt whose last rows are decode steps has other rows. In
    /// one group alone, which may be a prefill group: that one rounds otherwise than all others. The one mistake that
    /// also changes what a program on the plain path computes.
    DecodeRounds,
    /// A decode step that follows another one without a head between them, as in the tail of a prompt, is computed
    /// at the position of that one.
    StalePosition,
    /// The layer that was loaded last gives a wrong hidden state for the first row of a chunk where it reads its input
    /// from the buffer that another layer has written. The head reads the last row alone, and no keys and values follow
    /// from it: only who asks for hidden states can see it.
    FirstRow,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::KvDecodeAtBase,
        Self::KvPrefillAtBase,
        Self::StaleHidden,
        Self::StaleMask,
        Self::AsyncOrder,
        Self::PinnedLate,
        Self::SmallGroup,
        Self::DecodeRounds,
        Self::StalePosition,
        Self::FirstRow,
    ];

    /// Its name in a text.
    pub fn name(self) -> &'static str {
        match self {
            Self::KvDecodeAtBase => "kv-decode-at-base",
            Self::KvPrefillAtBase => "kv-prefill-at-base",
            Self::StaleHidden => "stale-hidden",
            Self::StaleMask => "stale-mask",
            Self::AsyncOrder => "async-order",
            Self::PinnedLate => "pinned-late",
            Self::SmallGroup => "small-group",
            Self::DecodeRounds => "decode-rounds",
            Self::StalePosition => "stale-position",
            Self::FirstRow => "first-row",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_one() {
        let meant = |mut calls: Calls| (1..=6).filter(|_| calls.count()).count();
        let which = |mut calls: Calls| (1..=6).filter(|_| calls.count()).collect::<Vec<u64>>();
        assert_eq!(which(3.into()), [3]);
        assert_eq!(which((3..).into()), [3, 4, 5, 6]);
        assert_eq!(which((2..=4).into()), [2, 3, 4]);
        assert_eq!(which((..).into()), [1, 2, 3, 4, 5, 6]);
        assert_eq!(which(0.into()), [1], "the next one at the earliest");
        assert_eq!(meant((u64::MAX..).into()), 0);
        #[expect(clippy::reversed_empty_ranges, reason = "none")]
        let none = (4..=3).into();
        assert!(which(none).is_empty());
    }
}
