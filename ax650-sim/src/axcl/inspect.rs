//! What a model is and takes, before it is loaded and after, and the cores of its contexts.

use std::ffi::c_void;

use super::call;
use crate::fault::Fault;
use crate::status::{self, Common, Part};

const UNSUPPORTED: i32 = status::common(Part::Engine, Common::Unsupported);

fn from_memory(name: &'static str) -> i32 {
    call(name, |state, _| {
        state.require_context()?;
        Err(Fault::plain(UNSUPPORTED, "the software card loads models from files only"))
    })
}

pub(super) unsafe extern "C" fn usage_from_mem(
    _model: *const c_void,
    _size: u64,
    _system: *mut i64,
    _cmm: *mut i64,
) -> i32 {
    from_memory("axclrtEngineGetUsageFromMem")
}

pub(super) unsafe extern "C" fn type_from_mem(_model: *const c_void, _size: u64, _kind: *mut u32) -> i32 {
    from_memory("axclrtEngineGetModelTypeFromMem")
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
