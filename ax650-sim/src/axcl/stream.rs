//! Streams and events. A task runs when somebody waits for it; see `crate::stream`.

use std::ffi::c_void;
use std::time::Duration;

use super::{Out, address, call, opaque};
use crate::call::Call;
use crate::card::State;
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
        call.wait(stream);
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
    call("axclrtSynchronizeStream", |state, call| wait(state, call, stream, None))
}

/// Runs into the time limit only if the card has a clock and the work is not over by then.
pub(super) unsafe extern "C" fn synchronize_with_timeout(stream: *mut c_void, timeout_ms: i32) -> i32 {
    call("axclrtSynchronizeStreamWithTimeout", |state, call| {
        if timeout_ms < -1 {
            return Err(Fault::plain(UNKNOWN, format!("a time limit of {timeout_ms} ms")));
        }
        let limit = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        wait(state, call, stream, limit)
    })
}

fn wait(
    state: &mut State,
    call: &Call<'_>,
    stream: *mut c_void,
    limit: Option<Duration>,
) -> Result<(), Fault> {
    state.require_context()?;
    let stream = address(stream);
    state.streams.check(stream, UNKNOWN)?;
    match limit {
        None => call.wait(stream),
        Some(limit) => {
            if !call.wait_at_most(stream, limit) {
                let reason = format!("the stream is busy for more than {} ms", limit.as_millis());
                return Err(Fault::plain(status::STREAM_TIMEOUT, reason));
            }
        }
    }
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
    call("axclrtRecordEvent", |state, call| {
        let stream = check_both(state, event, stream)?;
        call.order(stream, address(event));
        Ok(())
    })
}

/// Needs no task: what the event stands for was submitted earlier, so it runs earlier.
pub(super) unsafe extern "C" fn wait_event(stream: *mut c_void, event: *mut c_void) -> i32 {
    call("axclrtStreamWaitEvent", |state, call| {
        let stream = check_both(state, event, stream)?;
        call.order(address(event), stream);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn wait_event_with_timeout(
    stream: *mut c_void,
    event: *mut c_void,
    _timeout_ms: i32,
) -> i32 {
    call("axclrtStreamWaitEventWithTimeout", |state, call| {
        let stream = check_both(state, event, stream)?;
        call.order(address(event), stream);
        Ok(())
    })
}

/// Returns the handle of the stream, which for the default stream is that of the context.
fn check_both(state: &State, event: *mut c_void, stream: *mut c_void) -> Result<u64, Fault> {
    let context = state.require_context()?;
    state.streams.check_event(address(event))?;
    if stream.is_null() {
        return Ok(context);
    }
    state.streams.check(address(stream), UNKNOWN)?;
    Ok(address(stream))
}
