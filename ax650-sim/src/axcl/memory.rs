//! Device and pinned host memory.

use std::ffi::c_void;

use super::stream::select_stream;
use super::{Out, address, call, opaque};
use crate::call::Call;
use crate::card::State;
use crate::clock::Work;
use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::stream::Task;
use crate::transfer;
use crate::violations::Rule;

pub(super) unsafe extern "C" fn malloc(pointer: *mut *mut c_void, size: usize, _policy: u32) -> i32 {
    call("axclrtMalloc", |state, _| {
        // SAFETY: the caller passes null or a place for an address.
        allocate(state, unsafe { Out::new(Part::Memory, pointer) }?, size)
    })
}

/// The same memory: the cache in question is the device's own, and the card has none.
pub(super) unsafe extern "C" fn malloc_cached(pointer: *mut *mut c_void, size: usize, _policy: u32) -> i32 {
    call("axclrtMallocCached", |state, _| {
        // SAFETY: the caller passes null or a place for an address.
        allocate(state, unsafe { Out::new(Part::Memory, pointer) }?, size)
    })
}

/// The card counts the bytes in 32 bits: what is longer would get less memory than it asked for, and no error
/// (axcl-runtime, device/worker/runtime/memory/memory.cpp). Here it is refused.
fn allocate(state: &mut State, out: Out<*mut c_void>, size: usize) -> Result<(), Fault> {
    state.require_context()?;
    if u32::try_from(size).is_err() {
        let reason = format!("an allocation of {size} bytes, which the card would cut to 32 bits");
        return Err(Fault::breach(
            status::common(Part::Memory, Common::IllegalParam),
            Rule::OutOfRange,
            reason,
        ));
    }
    out.set(opaque(state.memory.allocate(size as u64)?));
    Ok(())
}

pub(super) unsafe extern "C" fn free(pointer: *mut c_void) -> i32 {
    call("axclrtFree", |state, _| {
        state.require_context()?;
        let address = address(pointer);
        if address == 0 {
            return Err(Fault::null(Part::Memory, "the address"));
        }
        state.memory.free(address).map(drop)
    })
}

pub(super) unsafe extern "C" fn flush(pointer: *mut c_void, size: usize) -> i32 {
    call("axclrtMemFlush", |state, call| maintain(state, call, pointer, size))
}

pub(super) unsafe extern "C" fn invalidate(pointer: *mut c_void, size: usize) -> i32 {
    call("axclrtMemInvalidate", |state, call| maintain(state, call, pointer, size))
}

/// Cache maintenance has nothing to do but its range must be right: from the beginning of an allocation, because the
/// vendor's library looks the address up (axcl-runtime, host/runtime/memory/memory.cpp).
fn maintain(state: &State, call: &Call<'_>, pointer: *mut c_void, size: usize) -> Result<(), Fault> {
    state.require_context()?;
    let address = address(pointer);
    state.memory.bytes(address, size as u64)?;
    if state.memory.containing(address).is_some_and(|(base, _)| base != address) {
        let reason = format!("{address:#x} is inside an allocation, not where it begins");
        return Err(Fault::breach(status::MEMORY_NOT_DEVICE, Rule::UnknownAddress, reason));
    }
    call.charge(Work::Cache { bytes: size as u64 });
    Ok(())
}

/// With [`free_host`], of any thread and at any time, before `axclInit` and after `axclFinalize` too: to the vendor's
/// library it is the memory of C's own `malloc` and `free`, null included (axcl-runtime,
/// `host/runtime/memory/axcl_memory.cpp`).
pub(super) unsafe extern "C" fn malloc_host(pointer: *mut *mut c_void, size: usize) -> i32 {
    call("axclrtMallocHost", |state, _| {
        // SAFETY: the caller passes null or a place for an address.
        let out = unsafe { Out::new(Part::Memory, pointer) }?;
        out.set(state.host.allocate(size as u64)?.cast());
        Ok(())
    })
}

pub(super) unsafe extern "C" fn free_host(pointer: *mut c_void) -> i32 {
    call(
        "axclrtFreeHost",
        |state, _| {
            if pointer.is_null() { Ok(()) } else { state.host.free(pointer.addr()) }
        },
    )
}

pub(super) unsafe extern "C" fn memset(pointer: *mut c_void, value: u8, count: usize) -> i32 {
    call("axclrtMemset", |state, call| {
        state.require_context()?;
        let (to, len) = (address(pointer), count as u64);
        call.charge(Work::OnDevice { bytes: len });
        transfer::check_unused(state, call, to, len)?;
        state.memory.fill(to, len, value)
    })
}

pub(super) unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, count: usize, kind: u32) -> i32 {
    call("axclrtMemcpy", |state, call| {
        // On the host alone it is a copy like any other.
        if kind != transfer::HOST_TO_HOST {
            state.require_context()?;
        }
        call.charge(transfer::work(&state.host, address(to), address(from), count as u64, kind));
        let (to, from, len) = (address(to), address(from), count as u64);
        transfer::check_settled(state, call, to, from, len, kind)?;
        // SAFETY: the caller promises its side of the copy valid for `count` bytes.
        unsafe { transfer::transfer(state, call, to, from, len, kind) }
    })
}

pub(super) unsafe extern "C" fn memcmp(first: *const c_void, second: *const c_void, count: usize) -> i32 {
    call("axclrtMemcmp", |state, _| {
        state.require_context()?;
        transfer::compare(&state.memory, address(first), address(second), count as u64)
    })
}

pub(super) unsafe extern "C" fn memset_async(
    pointer: *mut c_void,
    value: u8,
    count: usize,
    stream: *mut c_void,
) -> i32 {
    call("axclrtMemsetAsync", |state, call| {
        let len = count as u64;
        let task = Task::Fill { address: address(pointer), value, len };
        submit(state, call, stream, task, Work::OnDevice { bytes: len })
    })
}

pub(super) unsafe extern "C" fn memcpy_async(
    to: *mut c_void,
    from: *const c_void,
    count: usize,
    kind: u32,
    stream: *mut c_void,
) -> i32 {
    call("axclrtMemcpyAsync", |state, call| {
        transfer::check_queueable(kind)?;
        let (to, from, len) = (address(to), address(from), count as u64);
        let work = transfer::work(&state.host, to, from, len, kind);
        submit(state, call, stream, Task::Copy { to, from, len, kind }, work)
    })
}

/// A difference is the outcome of the stream.
pub(super) unsafe extern "C" fn memcmp_async(
    first: *const c_void,
    second: *const c_void,
    count: usize,
    stream: *mut c_void,
) -> i32 {
    call("axclrtMemcmpAsync", |state, call| {
        let (first, second, len) = (address(first), address(second), count as u64);
        submit(state, call, stream, Task::Compare { first, second, len }, Work::Message)
    })
}

/// Queues a task in a stream of the caller's. These functions know no default stream by null, and the thread needs
/// no context: the stream has one (axcl-runtime, host/runtime/memory/memory.cpp).
fn submit(
    state: &mut State,
    call: &Call<'_>,
    stream: *mut c_void,
    task: Task,
    work: Work,
) -> Result<(), Fault> {
    state.require_live()?;
    let stream = address(stream);
    if stream == 0 {
        return Err(Fault::null(Part::Stream, "the stream"));
    }
    // A default stream has the handle of its context.
    let context = select_stream(state, call, stream).unwrap_or_default();
    let stream = state.streams.submit(stream, context, call.name, task)?;
    call.enqueue(stream, work);
    Ok(())
}
