//! Initialisation, versions, devices and contexts.

use std::ffi::{c_char, c_void};
use std::sync::atomic::Ordering;

use ax650_sys::vendor::{axclrtDeviceList, axclrtDeviceProperties};

use super::{Out, address, call, opaque, stream, value};
use crate::call::{Call, Progress, waiting};
use crate::card::{Card, State};
use crate::fault::Fault;
use crate::log;
use crate::status::{self, Common, Part};
use crate::transfer;
use crate::violations::Rule;

/// The interface version that the card implements.
const VERSION: (i32, i32, i32) = (3, 10, 2);
const FULL_VERSION: &std::ffi::CStr = c"V3.10.2 (software card)";
/// What a card says whose software is not of the host's version.
#[cfg(any(test, feature = "testing"))]
const OTHER_VERSION: &std::ffi::CStr = c"V3.6.5 (software card)";
const SOC_NAME: &std::ffi::CStr = c"AX650N";
const KIB: u64 = 1024;

/// The version of the card's own software.
#[cfg_attr(
    not(any(test, feature = "testing")),
    expect(unused_variables, reason = "only tests make it differ")
)]
fn firmware(card: &Card) -> &'static std::ffi::CStr {
    #[cfg(any(test, feature = "testing"))]
    if card.log.lock().injection.firmware_differs() {
        return OTHER_VERSION;
    }
    FULL_VERSION
}

/// The configuration is not looked at: real programs pass null, absent files and pointers to garbage.
pub(super) unsafe extern "C" fn init(_config: *const c_char) -> i32 {
    call("axclInit", |state, _| {
        state.users += 1;
        Ok(())
    })
}

/// The last one reclaims everything and writes down what was left. Without `axclInit` it does nothing, as
/// the vendor's does after a failed one.
pub(super) unsafe extern "C" fn finalize() -> i32 {
    call("axclFinalize", |state, call| {
        let any = state.users > 0;
        state.users = state.users.saturating_sub(1);
        if any && state.users == 0 {
            for leak in state.finalize(call.card.fatal.load(Ordering::Relaxed)) {
                call.warn(Rule::Leak, leak)?;
            }
        }
        Ok(())
    })
}

/// Takes any number, as the vendor's does: what is no level drops everything or nothing.
pub(super) unsafe extern "C" fn set_log_level(level: i32) -> i32 {
    call("axclSetLogLevel", |_, _| {
        log::set_axcl_level(level);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn version(major: *mut i32, minor: *mut i32, patch: *mut i32) -> i32 {
    call("axclrtGetVersion", |_, _| {
        for (out, number) in [(major, VERSION.0), (minor, VERSION.1), (patch, VERSION.2)] {
            // SAFETY: the caller passes null or a place for an integer.
            let out = unsafe { Out::new(Part::Device, out) };
            // The bare error, as the vendor's library has it (axcl-runtime, host/runtime/axcl_rt.cpp).
            out.map_err(|fault| Fault { code: Common::NullPointer as i32, ..fault })?.set(number);
        }
        Ok(())
    })
}

pub(super) unsafe extern "C" fn full_version() -> *const c_char {
    value("axclrtGetFullVersion", FULL_VERSION.as_ptr(), |_, _| Ok(FULL_VERSION.as_ptr()))
}

pub(super) unsafe extern "C" fn soc_name() -> *const c_char {
    value("axclrtGetSocName", SOC_NAME.as_ptr(), |_, _| Ok(SOC_NAME.as_ptr()))
}

pub(super) unsafe extern "C" fn set_device(device: i32) -> i32 {
    call("axclrtSetDevice", |state, _| {
        state.require_live()?;
        let fresh = state.handle();
        state.contexts.activate(device, fresh)
    })
}

/// The last one takes the contexts of the device with it, their streams, and what is queued in them: the host memory of
/// a queued copy is the caller's again.
pub(super) unsafe extern "C" fn reset_device(device: i32) -> i32 {
    call("axclrtResetDevice", |state, call| {
        state.require_live()?;
        let index = state.contexts.index_of(device)?;
        let contexts = state.contexts.reset(device)?;
        state.select(index);
        call.follow(state);
        let mut left = 0;
        for context in contexts {
            let streams = state.streams.of_context(context);
            for stream in streams.into_iter().chain([context]) {
                left += transfer::abandon(state, stream);
                call.forget(stream);
            }
        }
        if left == 0 {
            return Ok(());
        }
        call.warn(Rule::Leak, format!("{left} tasks were not synchronised before the device was reset"))
    })
}

/// Asking is no breach: a thread without a device gets the vendor's code and nothing is written down.
pub(super) unsafe extern "C" fn device(device: *mut i32) -> i32 {
    call("axclrtGetDevice", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Device, device) }?;
        let found = state.contexts.current_device().and_then(|index| state.contexts.ids().nth(index));
        let none = || Fault::plain(status::DEVICE_NONE_ACTIVE, "the thread has set no device");
        out.set(found.ok_or_else(none)?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn device_count(count: *mut u32) -> i32 {
    call("axclrtGetDeviceCount", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { Out::new(Part::Device, count) }?.set(listed(state).num);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn device_list(list: *mut axclrtDeviceList) -> i32 {
    call("axclrtGetDeviceList", |state, _| {
        // SAFETY: the caller passes null or a place for a list.
        unsafe { Out::new(Part::Device, list) }?.set(listed(state));
        Ok(())
    })
}

/// Before `axclInit` the list is empty and asking succeeds (measured with V3.10.2 without a card).
fn listed(state: &State) -> axclrtDeviceList {
    let mut list = axclrtDeviceList { num: 0, devices: [0; 256] };
    if state.users > 0 {
        for (place, id) in list.devices.iter_mut().zip(state.contexts.ids()) {
            *place = id;
            list.num += 1;
        }
    }
    list
}

/// Waits for every stream of every device that the process has set, of any thread (axcl-runtime,
/// `host/runtime/device/device_manager.cpp`).
pub(super) unsafe extern "C" fn synchronize() -> i32 {
    waiting("axclrtSynchronizeDevice", |state, call| {
        state.require_live()?;
        let active: Vec<_> =
            (0..state.contexts.ids().count()).filter(|index| state.contexts.is_active(*index)).collect();
        let mut held = None;
        for &index in &active {
            state.select(index);
            call.follow(state);
            transfer::drain(state, call);
            held = held.into_iter().chain(state.streams.deadline()).min();
        }
        if let Some(until) = held {
            return Ok(Progress::Blocked(until));
        }
        call.wait_for_all();
        let mut outcome = Ok(());
        for index in active {
            state.select(index);
            outcome = outcome.and(state.streams.outcome_of_all());
        }
        outcome.map(Progress::Done)
    })
}

/// Device memory that is left for others.
#[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables, reason = "only tests fill it up"))]
fn free_bytes(state: &State, call: &Call<'_>) -> u64 {
    #[cfg(any(test, feature = "testing"))]
    if call.card.log.lock().injection.is_full(state.engines.models.len()) {
        return 0;
    }
    state.memory.limit().saturating_sub(state.memory.used())
}

/// Memory and CMM are one and the same here. Temperature, loads and the PCIe address are those of no card: 0.
pub(super) unsafe extern "C" fn properties(device: i32, properties: *mut axclrtDeviceProperties) -> i32 {
    call("axclrtGetDeviceProperties", |state, call| {
        state.require_live()?;
        state.select(state.contexts.index_of(device)?);
        call.follow(state);
        // SAFETY: the caller passes null or a place for the properties.
        let out = unsafe { Out::new(Part::Device, properties) }?;
        let kib = |bytes: u64| u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        let total = kib(state.memory.limit());
        let free = kib(free_bytes(state, call));
        let mut filled = axclrtDeviceProperties {
            swVersion: [0; 64],
            uid: 0,
            pciDomain: 0,
            pciBusID: device.cast_unsigned(),
            pciDeviceID: 0,
            temperature: 0,
            totalMemSize: total,
            freeMemSize: free,
            totalCmmSize: total,
            freeCmmSize: free,
            cpuLoading: 0,
            npuLoading: 0,
            reserved: [0; 32],
        };
        for (place, byte) in filled.swVersion.iter_mut().zip(firmware(call.card).to_bytes()) {
            *place = c_char::from_ne_bytes([*byte]);
        }
        out.set(filled);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn create_context(context: *mut *mut c_void, device: i32) -> i32 {
    call("axclrtCreateContext", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Context, context) }?;
        let (fresh, default) = (state.handle(), state.handle());
        out.set(opaque(state.contexts.create(device, fresh, default)?));
        Ok(())
    })
}

/// Runs what is queued in the context, then destroys it and its streams.
pub(super) unsafe extern "C" fn destroy_context(context: *mut c_void) -> i32 {
    call("axclrtDestroyContext", |state, call| {
        state.require_live()?;
        let context = address(context);
        state.select(state.contexts.check_destroyable(context)?);
        call.follow(state);
        transfer::drain(state, call);
        let mut left = transfer::drop_tasks(state, context);
        call.outlast(context);
        for stream in state.streams.of_context(context) {
            left += transfer::drop_tasks(state, stream);
            call.outlast(stream);
            state.streams.destroy(stream)?;
        }
        state.contexts.destroy(context)?;
        stream::held_back(call, left)
    })
}

pub(super) unsafe extern "C" fn set_current_context(context: *mut c_void) -> i32 {
    call("axclrtSetCurrentContext", |state, _| {
        state.require_live()?;
        state.contexts.bind(address(context))
    })
}

/// Asking is no breach: an unbound thread gets the vendor's code and nothing is written down.
pub(super) unsafe extern "C" fn current_context(context: *mut *mut c_void) -> i32 {
    call("axclrtGetCurrentContext", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Context, context) }?;
        let current = state.contexts.require().map_err(|fault| Fault { rule: None, ..fault })?;
        out.set(opaque(current));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn default_context(context: *mut *mut c_void, device: i32) -> i32 {
    call("axclrtGetDefaultContext", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Context, context) }?;
        out.set(opaque(state.contexts.default_of(device)?));
        Ok(())
    })
}
