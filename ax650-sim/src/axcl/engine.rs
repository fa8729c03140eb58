//! The engine: models and their runs.

use std::ffi::{OsStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use super::stream::select_stream;
use super::{Out, address, call, string, value};
use crate::call::Running;
use crate::card::{self, Device, State};
use crate::clock::Work;
use crate::fault::Fault;
use crate::run;
use crate::status::{self, Common, Part};
use crate::stream::Task;
use crate::violations::Rule;

const COMPILER_VERSION: &std::ffi::CStr = c"software card, layer format 1";
const ALL_CORES: u32 = 0b111;

pub(super) unsafe extern "C" fn init(kind: u32) -> i32 {
    call("axclrtEngineInit", |state, call| {
        state.require_context()?;
        state.engines.init(kind, call.card.options.thread_count())
    })
}

/// An engine that is not up is an answer here, not a breach: programs ask to find out.
pub(super) unsafe extern "C" fn kind(kind: *mut u32) -> i32 {
    call("axclrtEngineGetVNpuKind", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, kind) }?;
        out.set(state.engines.kind().map_err(|fault| Fault { rule: None, ..fault })?);
        Ok(())
    })
}

/// Counted, and nothing without an initialisation: on the card it is `AX_ENGINE_Deinit` (axcl-runtime,
/// `device/worker/runtime/engine/engine_init_final.cpp`). Programs initialise once for each of their models.
pub(super) unsafe extern "C" fn finalize() -> i32 {
    call("axclrtEngineFinalize", |state, call| {
        state.require_context()?;
        if state.engines.finalize() {
            return Ok(());
        }
        call.warn(Rule::EngineNotReady, "finalised more often than it was initialised".to_owned())
    })
}

pub(super) unsafe extern "C" fn load_from_file(path: *const c_char, model: *mut u64) -> i32 {
    call("axclrtEngineLoadFromFile", |state, call| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an id.
        let out = unsafe { Out::new(Part::Engine, model) }?;
        // SAFETY: the caller passes null or a string.
        let path = unsafe { path_of(path) }?;
        call.check_idle(state)?;
        let id = state.handle();
        let Device { engines, memory, .. } = &mut **state;
        engines.load(memory, &path, id)?;
        call.charge(Work::Load { bytes: state.engines.model(id)?.bytes });
        out.set(id);
        Ok(())
    })
}

/// From device memory, which the caller may free afterwards. On real cards this call hung (AXCL 3.6.5).
pub(super) unsafe extern "C" fn load_from_mem(data: *const c_void, size: u64, model: *mut u64) -> i32 {
    call("axclrtEngineLoadFromMem", |state, call| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an id.
        let out = unsafe { Out::new(Part::Engine, model) }?;
        check_model(data, size)?;
        call.check_idle(state)?;
        let id = load_bytes(state, data, size)?;
        call.charge(Work::Load { bytes: state.engines.model(id)?.bytes });
        out.set(id);
        Ok(())
    })
}

/// Fails for a model at null, or of no bytes.
pub(super) fn check_model(data: *const c_void, size: u64) -> Result<(), Fault> {
    if data.is_null() || size == 0 {
        let code = status::common(Part::Engine, Common::IllegalParam);
        return Err(Fault::plain(code, format!("no model at {data:?} of {size} bytes")));
    }
    Ok(())
}

/// Loads the file in a range of device memory and returns the id of the model.
pub(super) fn load_bytes(state: &mut State, data: *const c_void, size: u64) -> Result<u64, Fault> {
    let id = state.handle();
    let Device { engines, memory, .. } = &mut **state;
    let file = memory.bytes(address(data), size)?.to_vec();
    engines.load_bytes(memory, Path::new("the model in device memory"), &file, id)?;
    Ok(id)
}

pub(super) unsafe extern "C" fn unload(model: u64) -> i32 {
    call("axclrtEngineUnload", |state, _| {
        state.require_context()?;
        let Device { engines, memory, .. } = &mut **state;
        engines.unload(memory, model)
    })
}

pub(super) unsafe extern "C" fn create_context(model: u64, context: *mut u64) -> i32 {
    call("axclrtEngineCreateContext", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an id.
        let out = unsafe { Out::new(Part::Engine, context) }?;
        let id = state.handle();
        state.engines.model(model)?.contexts.insert(id);
        out.set(id);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn compiler_version(model: u64) -> *const c_char {
    value("axclrtEngineGetModelCompilerVersion", ptr::null(), |state, _| {
        state.require_context()?;
        state.engines.model(model)?;
        Ok(COMPILER_VERSION.as_ptr())
    })
}

/// Kept and given back; the threads of the card are not the cores of an NPU.
pub(super) unsafe extern "C" fn set_affinity(model: u64, set: u32) -> i32 {
    call("axclrtEngineSetAffinity", |state, _| {
        state.require_context()?;
        if set == 0 || set > ALL_CORES {
            let code = status::common(Part::Engine, Common::IllegalParam);
            return Err(Fault::plain(code, format!("no cores {set:#b}")));
        }
        state.engines.model(model)?.affinity = set;
        Ok(())
    })
}

pub(super) unsafe extern "C" fn affinity(model: u64, set: *mut u32) -> i32 {
    call("axclrtEngineGetAffinity", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, set) }?;
        out.set(state.engines.model(model)?.affinity);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn execute(model: u64, context: u64, group: u32, io: *mut c_void) -> i32 {
    let card = card::reached("axclrtEngineExecute");
    let _running = Running::start(&card.running);
    call("axclrtEngineExecute", |state, call| {
        state.require_context()?;
        let run = run::prepare(state, call, model, context, group, address(io))?;
        run::execute(state, call, &run)
    })
}

/// The bindings are taken at submission. Real versions may take them later, so binding the IO anew before
/// the synchronisation is a breach.
pub(super) unsafe extern "C" fn execute_async(
    model: u64,
    context: u64,
    group: u32,
    io: *mut c_void,
    stream: *mut c_void,
) -> i32 {
    call("axclrtEngineExecuteAsync", |state, call| {
        // A stream has a context; without one it is the default stream of the thread's.
        let bound = if stream.is_null() { state.require_context()? } else { 0 };
        state.require_live()?;
        let bound = select_stream(state, call, address(stream)).unwrap_or(bound);
        let run = run::prepare(state, call, model, context, group, address(io))?;
        let work = run.work;
        let stream = state.streams.submit(address(stream), bound, call.name, Task::Run(run))?;
        call.enqueue(stream, work);
        state.engines.io(address(io))?.queued += 1;
        Ok(())
    })
}

/// # Safety
///
/// `path` is null or a terminated string.
pub(super) unsafe fn path_of(path: *const c_char) -> Result<PathBuf, Fault> {
    // SAFETY: null or a terminated string by the promise of the caller; `string` looks for null.
    let path = unsafe { string(Part::Engine, path) }?;
    Ok(PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}
