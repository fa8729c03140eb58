//! Where a clock takes the host's time from.

use std::time::{Duration, Instant};

#[cfg(any(test, feature = "testing"))]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The host's monotonic time.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The system's, from this moment on.
    System(Instant),
    /// Stands still until a test moves it.
    #[cfg(any(test, feature = "testing"))]
    Manual(Arc<AtomicU64>),
}

impl Source {
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(crate) fn now_ns(&self) -> u64 {
        match self {
            Self::System(start) => u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            #[cfg(any(test, feature = "testing"))]
            Self::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Returns when the time has come.
    pub(crate) fn sleep_until(&self, end_ns: u64) {
        match self {
            Self::System(start) => {
                std::thread::sleep(Duration::from_nanos(end_ns).saturating_sub(start.elapsed()));
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Manual(now) => {
                now.fetch_max(end_ns, Ordering::SeqCst);
            }
        }
    }
}
