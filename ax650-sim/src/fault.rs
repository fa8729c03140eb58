//! Why a call failed: the vendor's code for the caller, a reason for people, and the rule that was broken.

use std::cell::RefCell;

use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// A failed call inside the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i32,
    pub(crate) reason: String,
    pub(crate) rule: Option<Rule>,
}

impl Fault {
    /// An error that a correct caller may meet: no memory, an unreadable file.
    pub(crate) fn plain(code: i32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), rule: None }
    }

    /// An error that only an incorrect caller meets.
    pub(crate) fn breach(code: i32, rule: Rule, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), rule: Some(rule) }
    }

    /// A null pointer where the vendor requires one to something.
    pub(crate) fn null(part: Part, what: &str) -> Self {
        Self::plain(status::common(part, Common::NullPointer), format!("{what} is null"))
    }
}

/// The last failed call of a thread: what the vendor's code alone cannot tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {reason}")]
pub struct CardError {
    /// Vendor name of the function.
    pub call: &'static str,
    /// The code that the function returned.
    pub code: i32,
    /// The cause, lower case, for people.
    pub reason: String,
}

thread_local! {
    static LAST: RefCell<Option<CardError>> = const { RefCell::new(None) };
}

/// Returns the most recent failed call of the calling thread, or `None` if none failed since
/// [`clear_last_error`]. A later success does not clear it, so the reason survives the clean-up that
/// follows a failure; compare `code` before showing it.
pub fn last_error() -> Option<CardError> {
    LAST.try_with(|last| last.borrow().clone()).ok().flatten()
}

/// Forgets the last error of the calling thread.
pub fn clear_last_error() {
    remember(None);
}

pub(crate) fn remember(error: Option<CardError>) {
    // Fails only while the thread's storage is being destroyed; nobody can ask for the reason then.
    LAST.try_with(|last| *last.borrow_mut() = error).ok();
}
