//! Model handles and their contexts.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::path::PathBuf;
use std::ptr;
use std::sync::Arc;

use ax650_sys::vendor::{AX_ENGINE_CMM_INFO, AX_ENGINE_HANDLE_EXTRA_T};

use super::code;
use super::engine::{MODEL_IN_MEMORY, TYPE_3_CORES, model_bytes};
use super::face::{Face, Name, call, npu, value};
use super::info::GroupInfo;
use crate::axcl::{Out, address, opaque};
use crate::card::{Device, State};
use crate::clock::Work;
use crate::fault::Fault;
use crate::signature::Signature;
use crate::status::Part;

const TOOLS_VERSION: &CStr = c"software card, layer format 1";
const ALL_CORES: u32 = 0b111;

/// A loaded model as a program on the chip sees it.
pub(crate) struct Handle {
    pub(super) signature: Arc<Signature>,
    /// What the engine tells of each group; C holds pointers into it.
    pub(super) infos: Vec<GroupInfo>,
    /// Those of `CreateContextV2`.
    pub(super) contexts: BTreeSet<u64>,
}

pub(crate) unsafe extern "C" fn create<F: Face>(
    handle: *mut *mut c_void,
    data: *const c_void,
    size: u32,
) -> i32 {
    // SAFETY: the caller passes null or a place for a handle, and null or a model of this size.
    unsafe { load::<F>(npu!(CreateHandle), handle, data, size, ptr::null_mut()) }
}

pub(crate) unsafe extern "C" fn create_v2<F: Face>(
    handle: *mut *mut c_void,
    data: *const c_void,
    size: u32,
    extra: *mut AX_ENGINE_HANDLE_EXTRA_T,
) -> i32 {
    // SAFETY: the caller passes null or a place for a handle, null or a model of this size, and null or the structure.
    unsafe { load::<F>(npu!(CreateHandleV2), handle, data, size, extra) }
}

/// The model is packed from the caller's bytes, which it may drop afterwards.
///
/// # Safety
///
/// `handle` is null or valid for a write, `data` is null or points to `size` bytes, `extra` is null or points to the
/// structure, whose name is null or a terminated string.
unsafe fn load<F: Face>(
    name: Name,
    handle: *mut *mut c_void,
    data: *const c_void,
    size: u32,
    extra: *mut AX_ENGINE_HANDLE_EXTRA_T,
) -> i32 {
    call::<F>(name, |state, call| {
        state.board.require_npu()?;
        // SAFETY: `handle` is null or valid for a write by the promise of the caller.
        let out = unsafe { Out::new(Part::Engine, handle) }?;
        // SAFETY: `data` is null or points to `size` bytes, which the caller leaves alone until the call returns.
        let file = unsafe { model_bytes::<F>(state, data, size) }?;
        // SAFETY: `extra` is null or points to the structure, with a terminated name or none.
        let (label, cores) = unsafe { wishes(extra) };
        call.check_idle(state)?;
        let divided = |fault| Fault { code: code::NPU_NOT_SUPPORTED, ..fault };
        state.engines.require_all_cores().map_err(divided)?;
        let id = state.handle();
        let Device { engines, memory, .. } = &mut **state;
        engines.load_bytes(memory, &label, &file, id)?;

        let model = state.engines.model(id)?;
        call.charge(Work::Load { bytes: model.bytes });
        // A set that does not exist is ignored, as the vendor's library does.
        if (1..=ALL_CORES).contains(&cores) {
            model.affinity = cores;
        }
        let signature = model.signature.clone();
        let infos = GroupInfo::all(&signature, call.card.mixes_tensors());
        let loaded = Handle { signature, infos, contexts: BTreeSet::new() };
        state.board.handles.insert(id, loaded);
        out.set(opaque(id));
        Ok(())
    })
}

/// What the caller wants of a handle: what messages call the model, by the name that it gave, and the cores.
///
/// # Safety
///
/// `extra` is null or points to the structure, whose name is null or a terminated string.
unsafe fn wishes(extra: *mut AX_ENGINE_HANDLE_EXTRA_T) -> (PathBuf, u32) {
    if extra.is_null() {
        return (MODEL_IN_MEMORY.into(), 0);
    }
    // SAFETY: not null, so it points to the structure; C need not align it.
    let extra = unsafe { extra.read_unaligned() };
    if extra.pName.is_null() {
        return (MODEL_IN_MEMORY.into(), extra.nNpuSet);
    }
    // SAFETY: not null, and terminated by the caller's promise.
    let name = unsafe { CStr::from_ptr(extra.pName.cast::<c_char>()) };
    (format!("{MODEL_IN_MEMORY} ({})", name.to_string_lossy()).into(), extra.nNpuSet)
}

/// Contexts and descriptions die with the handle. Its buffers may have been freed before.
pub(crate) unsafe extern "C" fn destroy<F: Face>(handle: *mut c_void) -> i32 {
    call::<F>(npu!(DestroyHandle), |state, _| {
        state.board.require_npu()?;
        let handle = address(handle);
        state.board.handle(handle)?;
        let Device { engines, memory, .. } = &mut **state;
        engines.unload(memory, handle)?;
        state.board.handles.remove(&handle);
        Ok(())
    })
}

/// The handle's own context, which is there from the start here. May be asked for again, and before or after
/// contexts of the other kind.
pub(crate) unsafe extern "C" fn create_context<F: Face>(handle: *mut c_void) -> i32 {
    call::<F>(npu!(CreateContext), |state, _| of(state, handle).map(drop))
}

pub(crate) unsafe extern "C" fn create_context_v2<F: Face>(
    handle: *mut c_void,
    context: *mut *mut c_void,
) -> i32 {
    call::<F>(npu!(CreateContextV2), |state, _| {
        // SAFETY: the caller passes null or a place for a context.
        let out = unsafe { Out::new(Part::Engine, context) }?;
        let id = state.handle();
        of(state, handle)?.contexts.insert(id);
        out.set(opaque(id));
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn model_type<F: Face>(handle: *mut c_void, kind: *mut u32) -> i32 {
    call::<F>(npu!(GetHandleModelType), |state, _| {
        of(state, handle)?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { Out::new(Part::Engine, kind) }?.set(TYPE_3_CORES);
        Ok(())
    })
}

/// Never null, also for a wrong handle: clients turn it into a string unseen.
pub(crate) unsafe extern "C" fn tools_version<F: Face>(handle: *mut c_void) -> *const c_char {
    value::<F, _>(npu!(GetModelToolsVersion), c"".as_ptr(), |state, _| {
        of(state, handle)?;
        Ok(TOOLS_VERSION.as_ptr())
    })
}

/// In bytes.
pub(crate) unsafe extern "C" fn cmm_usage<F: Face>(
    handle: *mut c_void,
    usage: *mut AX_ENGINE_CMM_INFO,
) -> i32 {
    call::<F>(npu!(GetCMMUsage), |state, _| {
        of(state, handle)?;
        let bytes = state.engines.model(address(handle))?.bytes;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        // SAFETY: the caller passes null or a place for the structure.
        unsafe { Out::new(Part::Engine, usage) }?.set(AX_ENGINE_CMM_INFO { nCMMSize: bytes });
        Ok(())
    })
}

/// Which masks go depends on the mode and the model: here all cores exist and models use any of them.
pub(crate) unsafe extern "C" fn set_affinity<F: Face>(handle: *mut c_void, set: u32) -> i32 {
    call::<F>(npu!(SetAffinity), |state, _| {
        of(state, handle)?;
        if set == 0 || set > ALL_CORES {
            return Err(Fault::plain(code::NPU_PARAM_INVALID, format!("no cores {set:#b}")));
        }
        state.engines.model(address(handle))?.affinity = set;
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn affinity<F: Face>(handle: *mut c_void, set: *mut u32) -> i32 {
    call::<F>(npu!(GetAffinity), |state, _| {
        of(state, handle)?;
        let affinity = state.engines.model(address(handle))?.affinity;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { Out::new(Part::Engine, set) }?.set(affinity);
        Ok(())
    })
}

/// The handle of a call, which needs the NPU to be up.
pub(super) fn of(state: &mut State, handle: *mut c_void) -> Result<&mut Handle, Fault> {
    state.board.require_npu()?;
    state.board.handle(address(handle))
}
