//! What tools ask: numbers of contexts and streams, the bus address of a device, its processes.

use std::ffi::c_void;
use std::ptr;

use ax650_sys::vendor::{axclrtDeviceBusInfo, axclrtDevicePidInfo, axclrtEnvironment};

use super::stream::select_stream;
use super::{Out, address, call, opaque};
use crate::fault::Fault;
use crate::status::{self, Common, Part};

/// Handles are far apart; their low part counts objects and fits.
fn number(handle: u64) -> i32 {
    i32::try_from(handle & 0x7FFF_FFFF).unwrap_or(i32::MAX)
}

pub(super) unsafe extern "C" fn context_id(context: *mut c_void, id: *mut i32) -> i32 {
    call("axclrtGetContextId", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Context, id) }?;
        state.contexts.check(address(context))?;
        out.set(number(address(context)));
        Ok(())
    })
}

/// A default stream has the handle of its context: it can be queued to, but neither synchronised nor destroyed.
pub(super) unsafe extern "C" fn default_stream(context: *mut c_void, stream: *mut *mut c_void) -> i32 {
    call("axclrtGetDefaultStream", |state, _| {
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Stream, stream) }?;
        state.contexts.check(address(context))?;
        out.set(opaque(address(context)));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn environment(stream: *mut c_void, environment: *mut axclrtEnvironment) -> i32 {
    call("axclrtGetEnviromentByStream", |state, call| {
        // SAFETY: the caller passes null or a place for the numbers.
        let out = unsafe { Out::new(Part::Stream, environment) }?;
        let stream = address(stream);
        let context = select_stream(state, call, stream).or_else(|| state.streams.context_of(stream));
        let unknown = status::common(Part::Stream, Common::IllegalParam);
        let Some(context) = context else { return state.streams.check(stream, unknown) };
        let device = state.contexts.ids().nth(state.device()).unwrap_or_default();
        out.set(axclrtEnvironment { device, context: number(context), stream: number(stream) });
        Ok(())
    })
}

/// The bus number is the device's id, as the vendor's driver has it.
pub(super) unsafe extern "C" fn bus_info(device: i32, info: *mut axclrtDeviceBusInfo) -> i32 {
    call("axclrtGetDeviceBusInfo", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for the address.
        let out = unsafe { Out::new(Part::Device, info) }?;
        state.contexts.index_of(device)?;
        out.set(axclrtDeviceBusInfo { domain: 0, bus: device.cast_unsigned(), slot: 0, func: 0 });
        Ok(())
    })
}

/// This process alone can use the card; it is listed while it has the device active.
pub(super) unsafe extern "C" fn pid_info(device: i32, info: *mut axclrtDevicePidInfo) -> i32 {
    call("axclrtGetDevicePidInfo", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for the record.
        let out = unsafe { Out::new(Part::Device, info) }?;
        let index = state.contexts.index_of(device)?;
        let mut found = axclrtDevicePidInfo { device: device.cast_unsigned(), num: 0, pid: ptr::null_mut() };
        if state.contexts.is_active(index) {
            // SAFETY: a size that is not zero; the result is checked. The caller frees it, hence malloc.
            let place = unsafe { libc::malloc(size_of::<u32>()) }.cast::<u32>();
            if place.is_null() {
                return Err(Fault::plain(
                    status::common(Part::Device, Common::NoMemory),
                    "the host has no memory",
                ));
            }
            // SAFETY: four bytes were just allocated, aligned for any type.
            unsafe { place.write(std::process::id()) };
            found.num = 1;
            found.pid = place;
        }
        out.set(found);
        Ok(())
    })
}

/// There is no Linux on the card that could start anew.
pub(super) unsafe extern "C" fn reboot(device: i32) -> i32 {
    call("axclrtRebootDevice", |state, _| {
        state.require_live()?;
        state.contexts.index_of(device)?;
        let code = status::common(Part::Device, Common::Unsupported);
        Err(Fault::plain(code, "the software card has nothing to reboot"))
    })
}
