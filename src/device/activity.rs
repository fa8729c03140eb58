//! Which of the vendor's calls is under way: for a watchdog on another thread.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

use ax650_sys::axloop as c;

/// Tells which call of the vendor's library is under way. Clones share one; any thread may read it. Given to
/// [`DriverOptions`](super::DriverOptions), the driver keeps it up to date.
#[derive(Clone, Default)]
pub struct Activity(Arc<Shared>);

/// The memory that the loop writes: its `axl_activity`, whose fields it accesses atomically.
#[repr(C)]
#[derive(Default)]
struct Shared {
    call: AtomicPtr<c_char>,
    since_ns: AtomicU64,
    layer: AtomicI32,
    serial: AtomicU64,
}

const _: () = {
    assert!(size_of::<Shared>() == size_of::<c::axl_activity>());
    assert!(align_of::<Shared>() == align_of::<c::axl_activity>());
    assert!(std::mem::offset_of!(Shared, call) == std::mem::offset_of!(c::axl_activity, call));
    assert!(std::mem::offset_of!(Shared, since_ns) == std::mem::offset_of!(c::axl_activity, since_ns));
    assert!(std::mem::offset_of!(Shared, layer) == std::mem::offset_of!(c::axl_activity, layer));
    assert!(std::mem::offset_of!(Shared, serial) == std::mem::offset_of!(c::axl_activity, serial));
};

/// A call that has begun and not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorCall {
    /// The vendor's function.
    pub name: &'static str,
    /// Index of the file of the model that it is about; the head follows the last layer. `None`: none is.
    pub file: Option<usize>,
    /// Differs from that of every other call of the driver.
    pub serial: u64,
}

impl VendorCall {
    /// Whether it may take as long as loading a file does, or bringing up the card.
    pub fn is_long(&self) -> bool {
        ["Load", "CreateHandle", "CreateContext", "Init", "SetDevice"]
            .iter()
            .any(|part| self.name.contains(part))
    }
}

/// `axclrtEngineExecute (file 4 of the model)`.
impl fmt::Display for VendorCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        // The loop does not know which file is the head; people count files as they are listed.
        self.file.map_or(Ok(()), |file| write!(f, " (file {} of the model)", file + 1))
    }
}

impl Activity {
    /// Nothing is under way yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The call that is under way now.
    pub fn current(&self) -> Option<VendorCall> {
        let shared = &*self.0;
        let serial = shared.serial.load(Ordering::Acquire);
        let call = shared.call.load(Ordering::Acquire);
        let layer = shared.layer.load(Ordering::Acquire);
        // Changed meanwhile: that call has returned, and so will the next one, or it is seen next time.
        if call.is_null() || shared.serial.load(Ordering::Acquire) != serial {
            return None;
        }
        // SAFETY: not null, so the loop has stored it: a string constant of the loop (axloop.h: "static text").
        let name = unsafe { CStr::from_ptr(call) };
        let file = usize::try_from(layer).ok();
        Some(VendorCall { name: name.to_str().unwrap_or("a call"), file, serial })
    }

    /// What the loop writes to; valid as long as `self` or a clone is.
    pub(super) fn as_ptr(&self) -> *mut c::axl_activity {
        Arc::as_ptr(&self.0).cast_mut().cast()
    }

    /// Says that a call begins, as the loop does.
    #[cfg(test)]
    pub(crate) fn begin(&self, name: &'static CStr, layer: i32) {
        self.0.serial.fetch_add(1, Ordering::AcqRel);
        self.0.layer.store(layer, Ordering::Release);
        self.0.call.store(name.as_ptr().cast_mut(), Ordering::Release);
    }

    /// Says that the call has returned.
    #[cfg(test)]
    pub(crate) fn end(&self) {
        self.0.call.store(std::ptr::null_mut(), Ordering::Release);
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Activity").field(&self.current()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_seen_until_it_returns() {
        let activity = Activity::new();
        let reader = activity.clone();
        assert_eq!(reader.current(), None);
        activity.begin(c"axclrtEngineExecute", 3);
        let call = reader.current().unwrap();
        assert_eq!((call.name, call.file, call.is_long()), ("axclrtEngineExecute", Some(3), false));
        assert_eq!(call.to_string(), "axclrtEngineExecute (file 4 of the model)");
        activity.end();
        assert_eq!(reader.current(), None);
        activity.begin(c"axclrtEngineLoadFromFile", -1);
        let next = reader.current().unwrap();
        assert!(next.serial != call.serial && next.is_long() && next.file.is_none());
    }
}
