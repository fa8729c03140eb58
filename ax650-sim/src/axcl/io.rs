//! Which buffers a run uses. IO objects live on the host and need no context.

use std::ffi::{c_char, c_void};

use super::{Out, address, call, opaque, string};
use crate::call::Call;
use crate::card::State;
use crate::fault::Fault;
use crate::io::{Binding, Io};
use crate::signature::Side;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

pub(super) unsafe extern "C" fn create(info: *mut c_void, io: *mut *mut c_void) -> i32 {
    call("axclrtEngineCreateIO", |state, _| {
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Engine, io) }?;
        let fresh = Io::new(state.info(address(info))?.clone());
        state.select_owner(|device| device.engines.infos.contains_key(&address(info)));
        let handle = state.handle();
        state.engines.ios.insert(handle, fresh);
        out.set(opaque(handle));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn destroy(io: *mut c_void) -> i32 {
    call("axclrtEngineDestroyIO", |state, _| {
        state.io(address(io))?;
        state.select_owner(|device| device.engines.ios.contains_key(&address(io)));
        state.engines.ios.remove(&address(io));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn set_input(
    io: *mut c_void,
    index: u32,
    buffer: *const c_void,
    size: u64,
) -> i32 {
    call("axclrtEngineSetInputBufferByIndex", |state, call| {
        bind(state, call, io, Side::Input, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn set_output(
    io: *mut c_void,
    index: u32,
    buffer: *const c_void,
    size: u64,
) -> i32 {
    call("axclrtEngineSetOutputBufferByIndex", |state, call| {
        bind(state, call, io, Side::Output, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn set_input_by_name(
    io: *mut c_void,
    name: *const c_char,
    buffer: *const c_void,
    size: u64,
) -> i32 {
    call("axclrtEngineSetInputBufferByName", |state, call| {
        // SAFETY: the caller passes null or a string.
        let index = unsafe { index_of(state, io, Side::Input, name) }?;
        bind(state, call, io, Side::Input, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn set_output_by_name(
    io: *mut c_void,
    name: *const c_char,
    buffer: *const c_void,
    size: u64,
) -> i32 {
    call("axclrtEngineSetOutputBufferByName", |state, call| {
        // SAFETY: the caller passes null or a string.
        let index = unsafe { index_of(state, io, Side::Output, name) }?;
        bind(state, call, io, Side::Output, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn input(
    io: *mut c_void,
    index: u32,
    buffer: *mut *mut c_void,
    size: *mut u64,
) -> i32 {
    call("axclrtEngineGetInputBufferByIndex", |state, _| {
        // SAFETY: the caller passes null or a place for an address.
        let buffer = unsafe { Out::new(Part::Engine, buffer) }?;
        // SAFETY: the caller passes null or a place for a size.
        let size = unsafe { Out::new(Part::Engine, size) }?;
        tell(state, io, Side::Input, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn output(
    io: *mut c_void,
    index: u32,
    buffer: *mut *mut c_void,
    size: *mut u64,
) -> i32 {
    call("axclrtEngineGetOutputBufferByIndex", |state, _| {
        // SAFETY: the caller passes null or a place for an address.
        let buffer = unsafe { Out::new(Part::Engine, buffer) }?;
        // SAFETY: the caller passes null or a place for a size.
        let size = unsafe { Out::new(Part::Engine, size) }?;
        tell(state, io, Side::Output, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn input_by_name(
    io: *mut c_void,
    name: *const c_char,
    buffer: *mut *mut c_void,
    size: *mut u64,
) -> i32 {
    call("axclrtEngineGetInputBufferByName", |state, _| {
        // SAFETY: the caller passes null or a string.
        let index = unsafe { index_of(state, io, Side::Input, name) }?;
        // SAFETY: the caller passes null or a place for an address.
        let buffer = unsafe { Out::new(Part::Engine, buffer) }?;
        // SAFETY: the caller passes null or a place for a size.
        let size = unsafe { Out::new(Part::Engine, size) }?;
        tell(state, io, Side::Input, index, buffer, size)
    })
}

pub(super) unsafe extern "C" fn output_by_name(
    io: *mut c_void,
    name: *const c_char,
    buffer: *mut *mut c_void,
    size: *mut u64,
) -> i32 {
    call("axclrtEngineGetOutputBufferByName", |state, _| {
        // SAFETY: the caller passes null or a string.
        let index = unsafe { index_of(state, io, Side::Output, name) }?;
        // SAFETY: the caller passes null or a place for an address.
        let buffer = unsafe { Out::new(Part::Engine, buffer) }?;
        // SAFETY: the caller passes null or a place for a size.
        let size = unsafe { Out::new(Part::Engine, size) }?;
        tell(state, io, Side::Output, index, buffer, size)
    })
}

/// Any number is kept (axcl-runtime, `host/runtime/engine/engine_io.cpp`); what cannot be done with it is refused when
/// it is to be done.
pub(super) unsafe extern "C" fn set_batch_size(io: *mut c_void, batch_size: u32) -> i32 {
    call("axclrtEngineSetDynamicBatchSize", |state, _| {
        state.io(address(io))?.batch = batch_size;
        Ok(())
    })
}

/// Binds a buffer. Null and nothing are refused, as by the vendor's library (axcl-runtime,
/// `host/runtime/engine/engine_io.cpp`), and that is no breach: real programs bind null to groups that they never
/// run, and ignore the answer. Everything else is checked when it is used.
fn bind(
    state: &mut State,
    call: &Call<'_>,
    io: *mut c_void,
    side: Side,
    index: u32,
    buffer: *const c_void,
    bytes: u64,
) -> Result<(), Fault> {
    let io = state.io(address(io))?;
    let place = io.binding(side, index)?;
    if buffer.is_null() {
        return Err(Fault::null(Part::Engine, "the buffer"));
    }
    if bytes == 0 {
        let code = status::common(Part::Engine, Common::IllegalParam);
        return Err(Fault::plain(code, "a buffer of 0 bytes"));
    }
    *place = Binding { address: address(buffer), size: bytes };
    if io.queued > 0 {
        let detail = format!("{side:?} tensor {index} is bound while {} runs are queued", io.queued);
        call.warn(Rule::BoundWhileQueued, detail)?;
    }
    Ok(())
}

fn tell(
    state: &mut State,
    io: *mut c_void,
    side: Side,
    index: u32,
    buffer: Out<*mut c_void>,
    bytes: Out<u64>,
) -> Result<(), Fault> {
    let binding = *state.io(address(io))?.binding(side, index)?;
    buffer.set(opaque(binding.address));
    bytes.set(binding.size);
    Ok(())
}

/// # Safety
///
/// `name` is null or a terminated string.
unsafe fn index_of(
    state: &mut State,
    io: *mut c_void,
    side: Side,
    name: *const c_char,
) -> Result<u32, Fault> {
    // SAFETY: null or a terminated string by the promise of the caller; `string` looks for null.
    let name = unsafe { string(Part::Engine, name) }?;
    let io = state.io(address(io))?;
    let position = io.signature.tensors(side).iter().position(|tensor| tensor.is(name));
    position.and_then(|position| u32::try_from(position).ok()).ok_or_else(|| {
        let reason = format!("no {side:?} tensor named {}", name.to_string_lossy());
        Fault::plain(status::common(Part::Engine, Common::IllegalParam), reason)
    })
}
