//! The engine: models and their runs.

use std::ffi::{OsStr, c_char, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use super::stream::select_stream;
use super::{Out, address, call, string, value};
use crate::card::Device;
use crate::clock::Work;
use crate::fault::Fault;
use crate::run;
use crate::status::{self, Common, Part};
use crate::stream::Task;

const COMPILER_VERSION: &std::ffi::CStr = c"software card, layer format 1";
/// Models use the whole NPU.
const MODEL_TYPE_3CORE: u32 = 2;
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

pub(super) unsafe extern "C" fn finalize() -> i32 {
    call("axclrtEngineFinalize", |state, _| {
        state.require_context()?;
        state.engines.finalize()
    })
}

pub(super) unsafe extern "C" fn load_from_file(path: *const c_char, model: *mut u64) -> i32 {
    call("axclrtEngineLoadFromFile", |state, call| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for an id.
        let out = unsafe { Out::new(Part::Engine, model) }?;
        // SAFETY: the caller passes null or a string.
        let path = unsafe { path_of(path) }?;
        let id = state.handle();
        let Device { engines, memory, .. } = &mut **state;
        engines.load(memory, &path, id)?;
        call.charge(Work::Load { bytes: state.engines.model(id)?.bytes });
        out.set(id);
        Ok(())
    })
}

/// Not supported: the card packs weights from files. On real cards this call hung (AXCL 3.6.5), and programs
/// load from files instead.
pub(super) unsafe extern "C" fn load_from_mem(_data: *const c_void, _size: u64, _model: *mut u64) -> i32 {
    call("axclrtEngineLoadFromMem", |state, _| {
        state.require_context()?;
        let reason = "the software card loads models from files only";
        Err(Fault::plain(status::common(Part::Engine, Common::Unsupported), reason))
    })
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

/// What a file would take, in bytes: about its own size.
pub(super) unsafe extern "C" fn usage(path: *const c_char, system: *mut i64, cmm: *mut i64) -> i32 {
    call("axclrtEngineGetUsage", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a string.
        let bytes = file_bytes(&unsafe { path_of(path) }?)?;
        // SAFETY: the caller passes null or places for two integers.
        unsafe { write_usage(system, cmm, bytes) }
    })
}

pub(super) unsafe extern "C" fn usage_of_model(model: u64, system: *mut i64, cmm: *mut i64) -> i32 {
    call("axclrtEngineGetUsageFromModelId", |state, _| {
        state.require_context()?;
        let bytes = state.engines.model(model)?.bytes;
        // SAFETY: the caller passes null or places for two integers.
        unsafe { write_usage(system, cmm, bytes) }
    })
}

pub(super) unsafe extern "C" fn model_type(path: *const c_char, kind: *mut u32) -> i32 {
    call("axclrtEngineGetModelType", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a string.
        file_bytes(&unsafe { path_of(path) }?)?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { Out::new(Part::Engine, kind) }?.set(MODEL_TYPE_3CORE);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn type_of_model(model: u64, kind: *mut u32) -> i32 {
    call("axclrtEngineGetModelTypeFromModelId", |state, _| {
        state.require_context()?;
        state.engines.model(model)?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { Out::new(Part::Engine, kind) }?.set(MODEL_TYPE_3CORE);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn execute(model: u64, context: u64, group: u32, io: *mut c_void) -> i32 {
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
        let bound = state.require_context()?;
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
unsafe fn path_of(path: *const c_char) -> Result<PathBuf, Fault> {
    // SAFETY: passed on.
    let path = unsafe { string(Part::Engine, path) }?;
    Ok(PathBuf::from(OsStr::from_bytes(path.to_bytes())))
}

fn file_bytes(path: &Path) -> Result<u64, Fault> {
    fs::metadata(path).map(|file| file.len()).map_err(|error| {
        let code = status::common(Part::Engine, Common::Open);
        Fault::plain(code, format!("cannot open {}: {error}", path.display()))
    })
}

/// # Safety
///
/// Both pointers are null or valid for a write.
unsafe fn write_usage(system: *mut i64, cmm: *mut i64, bytes: u64) -> Result<(), Fault> {
    // SAFETY: passed on.
    let system = unsafe { Out::new(Part::Engine, system) }?;
    // SAFETY: passed on.
    let cmm = unsafe { Out::new(Part::Engine, cmm) }?;
    system.set(0);
    cmm.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    Ok(())
}
