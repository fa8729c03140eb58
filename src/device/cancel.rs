//! The flag that ends a step early.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Asks a running step to stop. Clones share one flag; any thread may set it. The loop reads it before
/// every layer and after every wait. A step ends within one layer's run where runs are waited for one by one; where
/// they are queued, within one token or a few layers of a chunk.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicI32>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag, for good.
    pub fn cancel(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// The integer that the loop reads atomically; valid as long as `self` is.
    pub(super) fn as_ptr(&self) -> *const i32 {
        self.0.as_ptr()
    }
}
