//! The NPU as a whole: initialisation, its mode, versions.

use std::borrow::Cow;
use std::ffi::{c_char, c_void};
use std::slice;

use ax650_sys::vendor::AX_ENGINE_NPU_ATTR_T;

use super::code;
use super::face::{Face, call, npu, value};
use crate::axcl::{Out, address};
use crate::card::{Device, State};
use crate::compute;
use crate::fault::Fault;
use crate::status::Part;
use crate::violations::Rule;

/// Any text does: clients only print it.
const VERSION: &std::ffi::CStr = c"2.7.2a (software card)";
/// Models use all three cores.
pub(super) const TYPE_3_CORES: u32 = 2;

pub(crate) unsafe extern "C" fn version<F: Face>() -> *const c_char {
    value::<F, _>(npu!(GetVersion), VERSION.as_ptr(), |_, _| Ok(VERSION.as_ptr()))
}

/// Runs do not survive between calls, so there is nothing to reset.
pub(crate) unsafe extern "C" fn reset<F: Face>() {
    value::<F, _>(npu!(NPUReset), (), |_, _| Ok(()));
}

/// Once more in the same mode only counts; another mode is refused while the NPU is up.
pub(crate) unsafe extern "C" fn init<F: Face>(attributes: *mut AX_ENGINE_NPU_ATTR_T) -> i32 {
    call::<F>(npu!(Init), |state, call| {
        if attributes.is_null() {
            return Err(Fault::plain(code::NPU_PARAM_INVALID, "the attributes are null"));
        }
        // SAFETY: not null, so the caller points at attributes; C need not align them.
        let mode = unsafe { attributes.read_unaligned() }.eHardMode;
        state.engines.init(mode, call.card.options.thread_count())?;
        state.board.npu.enter();
        Ok(())
    })
}

/// The last one takes the NPU down, unless the runtime has it up too, and the models that are left; without
/// `AX_ENGINE_Init` it does nothing.
pub(crate) unsafe extern "C" fn deinit<F: Face>() -> i32 {
    call::<F>(npu!(Deinit), |state, call| {
        let Device { engines, memory, board, .. } = &mut **state;
        if board.npu.any() {
            engines.finalize();
        }
        if !board.npu.leave() {
            return Ok(());
        }
        let left = board.handles.len();
        while let Some((handle, _)) = board.handles.pop_first() {
            engines.unload(memory, handle)?;
        }
        if left > 0 {
            call.warn(Rule::Leak, format!("{left} handles left"))?;
        }
        Ok(())
    })
}

/// An NPU that is not up is an answer here, not a breach: programs ask to find out.
pub(crate) unsafe extern "C" fn attributes<F: Face>(attributes: *mut AX_ENGINE_NPU_ATTR_T) -> i32 {
    call::<F>(npu!(GetVNPUAttr), |state, _| {
        // SAFETY: the caller passes null or a place for the attributes.
        let out = unsafe { Out::new(Part::Engine, attributes) }?;
        if !state.board.npu.any() {
            return Err(Fault::plain(code::NPU_NOT_INIT, "AX_ENGINE_Init was not called"));
        }
        out.set(AX_ENGINE_NPU_ATTR_T { eHardMode: state.engines.kind()?, reserve: [0; 8] });
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn model_type<F: Face>(data: *const c_void, size: u32, kind: *mut u32) -> i32 {
    call::<F>(npu!(GetModelType), |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, kind) }?;
        // SAFETY: the caller promises `size` bytes at `data`, unless it is null, until the call returns.
        let file = unsafe { model_bytes::<F>(state, data, size) }?;
        compute::Engine::check(MODEL_IN_MEMORY.as_ref(), &file)
            .map_err(|error| Fault::plain(code::NPU_PARAM_INVALID, error.to_string()))?;
        out.set(TYPE_3_CORES);
        Ok(())
    })
}

/// Stands for the path of a model in messages.
pub(super) const MODEL_IN_MEMORY: &str = "the model in memory";

/// The model that a caller passes: in its memory on the chip, in the device's for a twin (the vendor's own
/// tests of the native interface send it there first).
///
/// # Safety
///
/// On the chip, `data` is null or points to `size` bytes that stay unchanged as long as the result is used.
pub(super) unsafe fn model_bytes<'a, F: Face>(
    state: &State,
    data: *const c_void,
    size: u32,
) -> Result<Cow<'a, [u8]>, Fault> {
    if data.is_null() || size == 0 {
        return Err(Fault::plain(code::NPU_PARAM_INVALID, format!("{size} bytes of a model at {data:p}")));
    }
    if !F::ON_CHIP {
        return Ok(Cow::Owned(state.memory.bytes(address(data), u64::from(size))?.to_vec()));
    }
    let len = usize::try_from(size).unwrap_or_default();
    // SAFETY: not null, and of this size by the caller's promise.
    Ok(Cow::Borrowed(unsafe { slice::from_raw_parts(data.cast(), len) }))
}
