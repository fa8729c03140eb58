//! Streams and events. A task runs when somebody waits for it; see `crate::stream`.
//!
//! A stream knows its device, so any thread may use it, bound to a context or not; events are looked up on the
//! device of the calling thread (axcl-runtime, `host/runtime/stream/axcl_stream.cpp`, `event/axcl_event.cpp`).

use std::ffi::c_void;
use std::time::{Duration, Instant};

use super::{Out, address, call, opaque};
use crate::call::{Call, Progress, waiting};
use crate::card::State;
use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::stream::Task;
use crate::transfer;
use crate::violations::Rule;

const ILLEGAL: i32 = status::common(Part::Stream, Common::IllegalParam);

/// Makes the call about the device of a stream or an event, which any thread may use. Returns the context whose
/// default stream it is, if it is one: that has the handle of its context.
pub(super) fn select_stream(state: &mut State, call: &Call<'_>, handle: u64) -> Option<u64> {
    let default = state.contexts.device_of(handle);
    match default {
        Some(device) => state.select(device),
        None => state.select_owner(|device| device.streams.knows(handle)),
    }
    call.follow(state);
    default.map(|_| handle)
}

/// The stream belongs to the context of the calling thread and dies with it.
pub(super) unsafe extern "C" fn create(stream: *mut *mut c_void) -> i32 {
    call("axclrtCreateStream", |state, _| {
        let context = state.require_context()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Stream, stream) }?;
        let handle = state.handle();
        state.streams.create(handle, context);
        out.set(opaque(handle));
        Ok(())
    })
}

/// Runs what is queued, then destroys the stream. What still waits for an event is dropped.
pub(super) unsafe extern "C" fn destroy(stream: *mut c_void) -> i32 {
    call("axclrtDestroyStream", |state, call| {
        state.require_live()?;
        let stream = address(stream);
        if select_stream(state, call, stream).is_some() {
            return Err(Fault::plain(status::STREAM_DESTROY, "a default stream cannot be destroyed"));
        }
        state.streams.check(stream, status::STREAM_DESTROY)?;
        transfer::drain(state, call);
        call.wait(stream);
        let outcome = state.streams.outcome(stream);
        let left = transfer::drop_tasks(state, stream);
        state.streams.destroy(stream)?;
        outcome.and_then(|()| held_back(call, left))
    })
}

/// Writes down that tasks were dropped because what they waited for did not come.
pub(super) fn held_back(call: &Call<'_>, tasks: usize) -> Result<(), Fault> {
    if tasks == 0 {
        return Ok(());
    }
    call.warn(Rule::Leak, format!("{tasks} tasks waited for an event that nobody recorded"))
}

/// Destroys the stream and whatever is queued in it.
pub(super) unsafe extern "C" fn destroy_force(stream: *mut c_void) -> i32 {
    call("axclrtDestroyStreamForce", |state, call| {
        state.require_live()?;
        let stream = address(stream);
        if select_stream(state, call, stream).is_some() {
            return Err(Fault::plain(status::STREAM_DESTROY, "a default stream cannot be destroyed"));
        }
        for dropped in state.streams.destroy(stream)? {
            transfer::release(state, &dropped);
        }
        call.forget(stream);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn synchronize(stream: *mut c_void) -> i32 {
    wait("axclrtSynchronizeStream", address(stream), None)
}

/// Runs into the time limit only if the card has a clock and the work is not over by then, or if the stream waits
/// for an event.
pub(super) unsafe extern "C" fn synchronize_with_timeout(stream: *mut c_void, timeout_ms: i32) -> i32 {
    const NAME: &str = "axclrtSynchronizeStreamWithTimeout";
    match limit_of(timeout_ms) {
        Ok(limit) => wait(NAME, address(stream), limit),
        Err(fault) => call(NAME, |_, _| Err(fault)),
    }
}

/// A time limit in milliseconds, -1 for none.
fn limit_of(timeout_ms: i32) -> Result<Option<Duration>, Fault> {
    if timeout_ms < -1 {
        return Err(Fault::plain(ILLEGAL, format!("a time limit of {timeout_ms} ms")));
    }
    Ok(u64::try_from(timeout_ms).ok().map(Duration::from_millis))
}

fn wait(name: &'static str, stream: u64, limit: Option<Duration>) -> i32 {
    let deadline = limit.map(|limit| Instant::now() + limit);
    waiting(name, |state, call| {
        state.require_live()?;
        if select_stream(state, call, stream).is_some() {
            return Err(Fault::plain(status::REFUSED, "a default stream cannot be synchronised"));
        }
        state.streams.check(stream, status::REFUSED)?;
        let timed_out = |limit: Duration| {
            let reason = format!("the stream is busy for more than {} ms", limit.as_millis());
            Err(Fault::plain(status::STREAM_TIMEOUT, reason))
        };
        if let Some(limit) = limit
            && !call.wait_at_most(stream, limit)
        {
            return timed_out(limit);
        }
        transfer::drain(state, call);
        if !state.streams.has_queued(stream) {
            if limit.is_none() {
                call.wait(stream);
            }
            return state.streams.outcome(stream).map(Progress::Done);
        }
        if let (Some(limit), Some(deadline)) = (limit, deadline)
            && deadline <= Instant::now()
        {
            return timed_out(limit);
        }
        // Held back by a wait for an event: another thread may record it.
        let until = deadline.into_iter().chain(state.streams.deadline()).min();
        Ok(Progress::Blocked(until.unwrap_or_else(Instant::now)))
    })
}

pub(super) unsafe extern "C" fn create_event(event: *mut *mut c_void) -> i32 {
    call("axclrtCreateEvent", |state, _| {
        require_device(state)?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Stream, event) }?;
        let handle = state.handle();
        state.streams.create_event(handle);
        out.set(opaque(handle));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn destroy_event(event: *mut c_void) -> i32 {
    call("axclrtDestroyEvent", |state, call| {
        require_device(state)?;
        select_stream(state, call, address(event));
        let event = address(event);
        state.streams.destroy_event(event).map_err(|fault| unless_null(fault, status::EVENT_DESTROY))?;
        call.forget(event);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn record_event(event: *mut c_void, stream: *mut c_void) -> i32 {
    call("axclrtRecordEvent", |state, call| {
        let context = context_of(state, call, stream)?;
        let task =
            state.streams.record(address(event)).map_err(|fault| unless_null(fault, status::EVENT_RECORD))?;
        let stream = queue(state, call, stream, context, task)?;
        call.order(stream, address(event));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn wait_event(stream: *mut c_void, event: *mut c_void) -> i32 {
    call("axclrtStreamWaitEvent", |state, call| wait_for(state, call, stream, event, None))
}

/// The time starts when the stream reaches the wait.
pub(super) unsafe extern "C" fn wait_event_with_timeout(
    stream: *mut c_void,
    event: *mut c_void,
    timeout_ms: i32,
) -> i32 {
    call("axclrtStreamWaitEventWithTimeout", |state, call| {
        wait_for(state, call, stream, event, limit_of(timeout_ms)?)
    })
}

fn wait_for(
    state: &mut State,
    call: &Call<'_>,
    stream: *mut c_void,
    event: *mut c_void,
    limit: Option<Duration>,
) -> Result<(), Fault> {
    let context = context_of(state, call, stream)?;
    let task =
        state.streams.wait(address(event), limit).map_err(|fault| unless_null(fault, status::EVENT_WAIT))?;
    let stream = queue(state, call, stream, context, task)?;
    call.order(address(event), stream);
    Ok(())
}

/// Makes the call about the device of `stream`, which the vendor's library wants named; returns the context to
/// which a default stream belongs.
fn context_of(state: &mut State, call: &Call<'_>, stream: *mut c_void) -> Result<u64, Fault> {
    let context = require_device(state)?;
    if stream.is_null() {
        return Err(Fault::null(Part::Stream, "the stream"));
    }
    Ok(select_stream(state, call, address(stream)).unwrap_or(context))
}

/// The context of the calling thread; a thread without one has no device to look for events on.
fn require_device(state: &State) -> Result<u64, Fault> {
    state.require_live()?;
    state.contexts.require_device().map_err(|fault| Fault { code: status::DEVICE_NONE_ACTIVE, ..fault })
}

/// The function's own code for an event that is not known.
fn unless_null(fault: Fault, code: i32) -> Fault {
    if fault.rule.is_some() { Fault { code, ..fault } } else { fault }
}

fn queue(
    state: &mut State,
    call: &Call<'_>,
    stream: *mut c_void,
    context: u64,
    task: Task,
) -> Result<u64, Fault> {
    state.streams.submit(address(stream), context, call.name, task)
}
