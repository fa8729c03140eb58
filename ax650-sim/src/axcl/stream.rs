//! Streams and events. A task runs when somebody waits for it; see `crate::stream`.

use std::ffi::c_void;

use super::{Out, address, call, opaque};
use crate::card::{Call, State};
use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::transfer;

const UNKNOWN: i32 = status::common(Part::Stream, Common::IllegalParam);

pub(super) unsafe extern "C" fn create(stream: *mut *mut c_void) -> i32 {
    call("axclrtCreateStream", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Stream, stream) }?;
        let handle = state.handle();
        state.streams.create(handle);
        out.set(opaque(handle));
        Ok(())
    })
}

/// Runs what is queued, then destroys the stream.
pub(super) unsafe extern "C" fn destroy(stream: *mut c_void) -> i32 {
    call("axclrtDestroyStream", |state, call| {
        state.require_context()?;
        let stream = address(stream);
        state.streams.check(stream, status::STREAM_DESTROY)?;
        transfer::drain(state, call);
        let outcome = state.streams.outcome(stream);
        state.streams.destroy(stream)?;
        outcome
    })
}

/// Destroys the stream and whatever is queued in it.
pub(super) unsafe extern "C" fn destroy_force(stream: *mut c_void) -> i32 {
    call("axclrtDestroyStreamForce", |state, _| {
        state.require_context()?;
        for dropped in state.streams.destroy(address(stream))? {
            transfer::release(state, &dropped);
        }
        Ok(())
    })
}

pub(super) unsafe extern "C" fn synchronize(stream: *mut c_void) -> i32 {
    call("axclrtSynchronizeStream", |state, call| wait(state, call, stream))
}

/// Never runs into the time limit: the work is done in the call.
pub(super) unsafe extern "C" fn synchronize_with_timeout(stream: *mut c_void, timeout_ms: i32) -> i32 {
    call("axclrtSynchronizeStreamWithTimeout", |state, call| {
        if timeout_ms < -1 {
            return Err(Fault::plain(UNKNOWN, format!("a time limit of {timeout_ms} ms")));
        }
        wait(state, call, stream)
    })
}

fn wait(state: &mut State, call: &Call<'_>, stream: *mut c_void) -> Result<(), Fault> {
    state.require_context()?;
    let stream = address(stream);
    state.streams.check(stream, UNKNOWN)?;
    transfer::drain(state, call);
    state.streams.outcome(stream)
}

pub(super) unsafe extern "C" fn create_event(event: *mut *mut c_void) -> i32 {
    call("axclrtCreateEvent", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Stream, event) }?;
        let handle = state.handle();
        state.streams.create_event(handle);
        out.set(opaque(handle));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn destroy_event(event: *mut c_void) -> i32 {
    call("axclrtDestroyEvent", |state, _| {
        state.require_context()?;
        state.streams.destroy_event(address(event))
    })
}

/// Needs no task: the one queue runs in the order of submission.
pub(super) unsafe extern "C" fn record_event(event: *mut c_void, stream: *mut c_void) -> i32 {
    call("axclrtRecordEvent", |state, _| check_both(state, event, stream))
}

/// Needs no task: what the event stands for was submitted earlier, so it runs earlier.
pub(super) unsafe extern "C" fn wait_event(stream: *mut c_void, event: *mut c_void) -> i32 {
    call("axclrtStreamWaitEvent", |state, _| check_both(state, event, stream))
}

fn check_both(state: &State, event: *mut c_void, stream: *mut c_void) -> Result<(), Fault> {
    state.require_context()?;
    state.streams.check_event(address(event))?;
    if stream.is_null() {
        return Ok(());
    }
    state.streams.check(address(stream), UNKNOWN)
}
