//! What a model is and takes, loaded or not, and the cores of its contexts.
//!
//! What is not loaded is loaded to find out, and unloaded again, as the vendor's library does; if that fails, its code
//! is the same whatever the reason (axcl-runtime, `host/runtime/engine/engine_model_info.cpp`).

use std::ffi::{c_char, c_void};
use std::path::Path;

use super::engine::{check_model, load_bytes, path_of};
use super::{Out, call};
use crate::card::{Device, State};
use crate::fault::Fault;
use crate::status::{self, Common, Part};

const UNSUPPORTED: i32 = status::common(Part::Engine, Common::Unsupported);
/// Models use the whole NPU.
const MODEL_TYPE_3CORE: u32 = 2;

/// Bytes of device memory that a model takes, found out by loading it.
fn bytes_of(state: &mut State, load: impl FnOnce(&mut State) -> Result<u64, Fault>) -> Result<u64, Fault> {
    let id = load(state)
        .map_err(|fault| Fault { code: status::common(Part::Memory, Common::ExecuteFail), ..fault })?;
    let bytes = state.engines.model(id)?.bytes;
    let Device { engines, memory, .. } = &mut **state;
    engines.unload(memory, id)?;
    Ok(bytes)
}

fn load_file(state: &mut State, path: &Path) -> Result<u64, Fault> {
    let id = state.handle();
    let Device { engines, memory, .. } = &mut **state;
    engines.load(memory, path, id)?;
    Ok(id)
}

/// Where a caller wants what a model takes: system memory, of which it takes none, and device memory, in bytes.
struct Usage {
    system: Out<i64>,
    cmm: Out<i64>,
}

impl Usage {
    /// # Safety
    ///
    /// Both pointers are null or valid for a write until the call returns.
    unsafe fn new(system: *mut i64, cmm: *mut i64) -> Result<Self, Fault> {
        // SAFETY: `system` is null or valid for a write by the promise of the caller.
        let system = unsafe { Out::new(Part::Engine, system) }?;
        // SAFETY: `cmm` is null or valid for a write by the promise of the caller.
        let cmm = unsafe { Out::new(Part::Engine, cmm) }?;
        Ok(Self { system, cmm })
    }

    fn set(self, bytes: u64) {
        self.system.set(0);
        self.cmm.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

pub(super) unsafe extern "C" fn usage(path: *const c_char, system: *mut i64, cmm: *mut i64) -> i32 {
    call("axclrtEngineGetUsage", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a string.
        let path = unsafe { path_of(path) }?;
        // SAFETY: the caller passes null or places for two integers.
        let usage = unsafe { Usage::new(system, cmm) }?;
        usage.set(bytes_of(state, |state| load_file(state, &path))?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn usage_from_mem(
    model: *const c_void,
    size: u64,
    system: *mut i64,
    cmm: *mut i64,
) -> i32 {
    call("axclrtEngineGetUsageFromMem", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or places for two integers.
        let usage = unsafe { Usage::new(system, cmm) }?;
        check_model(model, size)?;
        usage.set(bytes_of(state, |state| load_bytes(state, model, size))?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn usage_of_model(model: u64, system: *mut i64, cmm: *mut i64) -> i32 {
    call("axclrtEngineGetUsageFromModelId", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or places for two integers.
        let usage = unsafe { Usage::new(system, cmm) }?;
        usage.set(state.engines.model(model)?.bytes);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn model_type(path: *const c_char, kind: *mut u32) -> i32 {
    call("axclrtEngineGetModelType", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a string.
        let path = unsafe { path_of(path) }?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, kind) }?;
        bytes_of(state, |state| load_file(state, &path))?;
        out.set(MODEL_TYPE_3CORE);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn type_from_mem(model: *const c_void, size: u64, kind: *mut u32) -> i32 {
    call("axclrtEngineGetModelTypeFromMem", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, kind) }?;
        check_model(model, size)?;
        bytes_of(state, |state| load_bytes(state, model, size))?;
        out.set(MODEL_TYPE_3CORE);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn type_of_model(model: u64, kind: *mut u32) -> i32 {
    call("axclrtEngineGetModelTypeFromModelId", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, kind) }?;
        state.engines.model(model)?;
        out.set(MODEL_TYPE_3CORE);
        Ok(())
    })
}

/// Not supported by any version of the vendor's library; its checks come first.
pub(super) unsafe extern "C" fn set_context_affinity(model: u64, context: u64, set: u32) -> i32 {
    call("axclrtEngineSetContextAffinity", |_, _| context_affinity(model, context, set != 0 && set <= 0b111))
}

pub(super) unsafe extern "C" fn context_affinity_of(model: u64, context: u64, set: *mut u32) -> i32 {
    call("axclrtEngineGetContextAffinity", |_, _| {
        if model != 0 && context != 0 && set.is_null() {
            return Err(Fault::null(Part::Engine, "the pointer for the result"));
        }
        context_affinity(model, context, true)
    })
}

fn context_affinity(model: u64, context: u64, cores_are_right: bool) -> Result<(), Fault> {
    if model == 0 || context == 0 || !cores_are_right {
        let reason = "no such model, context or cores";
        return Err(Fault::plain(status::common(Part::Engine, Common::IllegalParam), reason));
    }
    Err(Fault::plain(UNSUPPORTED, "the cores of a context cannot be chosen, only those of a model"))
}
