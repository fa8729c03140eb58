//! The vendor's C interface over the card: one Rust function per vendor function, with its signature.
//!
//! All of them go through `crate::call`, which finds the card, counts the call, holds the card's lock, turns a
//! fault into the vendor's code and stops panics: nothing unwinds into C.
//!
//! # Safety
//!
//! The functions are `unsafe` because C calls them with pointers. What they require is what the vendor's
//! header says, and the same for all of them: a pointer to host memory is null or valid for the access that
//! the function is documented for, a string is null or terminated. Device addresses and handles are only
//! compared with what the card has, never followed.

mod device;
mod engine;
mod info;
mod inspect;
mod internal;
mod io;
mod memory;
mod query;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod unit;
mod worker;

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{self, NonNull};

use ax650_sys::vendor::ax_pcie_table;

use crate::call::{code as call, value};
use crate::card;
use crate::fault::Fault;
use crate::log;
use crate::memory::is_device_address;
use crate::options::CardOptions;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// Every entry, by the vendor's name: [`pcie_table`] without a card for the calling thread.
pub const TABLE: ax_pcie_table = ax_pcie_table {
    axclInit: Some(device::init),
    axclFinalize: Some(device::finalize),
    axclSetLogLevel: Some(device::set_log_level),
    axclrtGetVersion: Some(device::version),
    axclrtGetFullVersion: Some(device::full_version),
    axclrtGetSocName: Some(device::soc_name),
    axclrtSetDevice: Some(device::set_device),
    axclrtResetDevice: Some(device::reset_device),
    axclrtGetDevice: Some(device::device),
    axclrtGetDeviceCount: Some(device::device_count),
    axclrtGetDeviceList: Some(device::device_list),
    axclrtSynchronizeDevice: Some(device::synchronize),
    axclrtGetDeviceProperties: Some(device::properties),
    axclrtCreateContext: Some(device::create_context),
    axclrtDestroyContext: Some(device::destroy_context),
    axclrtSetCurrentContext: Some(device::set_current_context),
    axclrtGetCurrentContext: Some(device::current_context),
    axclrtGetDefaultContext: Some(device::default_context),
    axclrtMalloc: Some(memory::malloc),
    axclrtMallocCached: Some(memory::malloc_cached),
    axclrtFree: Some(memory::free),
    axclrtMemFlush: Some(memory::flush),
    axclrtMemInvalidate: Some(memory::invalidate),
    axclrtMallocHost: Some(memory::malloc_host),
    axclrtFreeHost: Some(memory::free_host),
    axclrtMemset: Some(memory::memset),
    axclrtMemcpy: Some(memory::memcpy),
    axclrtMemcmp: Some(memory::memcmp),
    axclrtMemsetAsync: Some(memory::memset_async),
    axclrtMemcpyAsync: Some(memory::memcpy_async),
    axclrtCreateStream: Some(stream::create),
    axclrtDestroyStream: Some(stream::destroy),
    axclrtDestroyStreamForce: Some(stream::destroy_force),
    axclrtSynchronizeStream: Some(stream::synchronize),
    axclrtSynchronizeStreamWithTimeout: Some(stream::synchronize_with_timeout),
    axclrtCreateEvent: Some(stream::create_event),
    axclrtDestroyEvent: Some(stream::destroy_event),
    axclrtRecordEvent: Some(stream::record_event),
    axclrtStreamWaitEvent: Some(stream::wait_event),
    axclrtEngineInit: Some(engine::init),
    axclrtEngineGetVNpuKind: Some(engine::kind),
    axclrtEngineFinalize: Some(engine::finalize),
    axclrtEngineLoadFromFile: Some(engine::load_from_file),
    axclrtEngineLoadFromMem: Some(engine::load_from_mem),
    axclrtEngineUnload: Some(engine::unload),
    axclrtEngineCreateContext: Some(engine::create_context),
    axclrtEngineGetModelCompilerVersion: Some(engine::compiler_version),
    axclrtEngineSetAffinity: Some(engine::set_affinity),
    axclrtEngineGetAffinity: Some(engine::affinity),
    axclrtEngineGetUsage: Some(inspect::usage),
    axclrtEngineGetUsageFromModelId: Some(inspect::usage_of_model),
    axclrtEngineGetModelType: Some(inspect::model_type),
    axclrtEngineGetModelTypeFromModelId: Some(inspect::type_of_model),
    axclrtEngineExecute: Some(engine::execute),
    axclrtEngineExecuteAsync: Some(engine::execute_async),
    axclrtEngineGetIOInfo: Some(info::create),
    axclrtEngineDestroyIOInfo: Some(info::destroy),
    axclrtEngineGetShapeGroupsCount: Some(info::groups),
    axclrtEngineGetNumInputs: Some(info::inputs),
    axclrtEngineGetNumOutputs: Some(info::outputs),
    axclrtEngineGetInputSizeByIndex: Some(info::input_size),
    axclrtEngineGetOutputSizeByIndex: Some(info::output_size),
    axclrtEngineGetInputNameByIndex: Some(info::input_name),
    axclrtEngineGetOutputNameByIndex: Some(info::output_name),
    axclrtEngineGetInputIndexByName: Some(info::input_index),
    axclrtEngineGetOutputIndexByName: Some(info::output_index),
    axclrtEngineGetInputDims: Some(info::input_dims),
    axclrtEngineGetOutputDims: Some(info::output_dims),
    axclrtEngineGetInputDataType: Some(info::input_type),
    axclrtEngineGetOutputDataType: Some(info::output_type),
    axclrtEngineGetInputDataLayout: Some(info::input_layout),
    axclrtEngineGetOutputDataLayout: Some(info::output_layout),
    axclrtEngineCreateIO: Some(io::create),
    axclrtEngineDestroyIO: Some(io::destroy),
    axclrtEngineSetInputBufferByIndex: Some(io::set_input),
    axclrtEngineSetOutputBufferByIndex: Some(io::set_output),
    axclrtEngineSetInputBufferByName: Some(io::set_input_by_name),
    axclrtEngineSetOutputBufferByName: Some(io::set_output_by_name),
    axclrtEngineGetInputBufferByIndex: Some(io::input),
    axclrtEngineGetOutputBufferByIndex: Some(io::output),
    axclrtEngineSetDynamicBatchSize: Some(io::set_batch_size),
    axclAppLog: Some(log::ax650_sim_app_log),
    axclrtMemcmpAsync: Some(memory::memcmp_async),
    axclrtStreamWaitEventWithTimeout: Some(stream::wait_event_with_timeout),
    axclrtTransferFile: Some(worker::transfer_file),
    axclrtExecWorker: Some(worker::exec),
    axclrtKillWorker: Some(worker::kill),
    axclrtWorkerSend: Some(worker::send),
    axclrtWorkerRecv: Some(worker::receive),
    axclrtCreateP2PUnit: Some(unit::create),
    axclrtDestoryP2PUnit: Some(unit::destroy),
    axclrtControlChangePCIeSubId: Some(internal::change_sub_id),
    axclrtEngineSetContextAffinity: Some(inspect::set_context_affinity),
    axclrtEngineGetContextAffinity: Some(inspect::context_affinity_of),
    axclrtEngineGetUsageFromMem: Some(inspect::usage_from_mem),
    axclrtEngineGetModelTypeFromMem: Some(inspect::type_from_mem),
    axclrtEngineGetInputBufferByName: Some(io::input_by_name),
    axclrtEngineGetOutputBufferByName: Some(io::output_by_name),
    axclrtGetContextId: Some(query::context_id),
    axclrtGetDefaultStream: Some(query::default_stream),
    axclrtGetEnviromentByStream: Some(query::environment),
    axclrtGetDeviceBusInfo: Some(query::bus_info),
    axclrtGetDevicePidInfo: Some(query::pid_info),
    axclrtRebootDevice: Some(query::reboot),
    axclrtLatencyLoopback: Some(internal::loopback),
    axclrtP2PTriggerTest: Some(internal::p2p_test),
    axclrtEngineP2pBwTest: Some(internal::p2p_bandwidth),
    axclrtLog: Some(internal::collect_log),
    axclrtControlCreateContext: Some(internal::control_create_context),
    axclrtControlDestroyContext: Some(internal::control_destroy_context),
    axclrtControlCreateStream: Some(internal::control_create_stream),
    axclrtControlDestroyStream: Some(internal::control_destroy_stream),
    axclrtControlSyncStream: Some(internal::control_sync_stream),
    axclrtControlCreateEvent: Some(internal::control_create_event),
    axclrtControlDestroyEvent: Some(internal::control_destroy_event),
    axclrtControlRecordEvent: Some(internal::control_record_event),
    axclrtControlStreamWaitEvent: Some(internal::control_wait_event),
    axclrtControlExecuteShellCmd: Some(internal::shell),
    axclrtCreateTask: Some(internal::create_task),
    axclrtWaitTaskFinish: Some(internal::wait_task),
    axclrtGetTaskResponse: Some(internal::task_response),
    axclrtDestoryTask: Some(internal::destroy_task),
    axclrtConfigLoad: Some(internal::config_load),
    axclrtConfigUnLoad: Some(internal::config_unload),
    axclrtConfigGetLogPath: Some(internal::config_log_path),
    axclrtConfigGetLogLevel: Some(internal::config_log_level),
    axclrtConfigGetDmaBufSize: Some(internal::config_dma_buffer),
};

/// Returns the vendor's function table over a software card, and attaches the card to the calling thread.
///
/// Call it on the thread that will make the vendor calls. A thread that uses a card already keeps it until
/// the last `axclFinalize`, and `options` then do not apply. Every entry of the table is filled.
pub fn pcie_table(options: CardOptions) -> ax_pcie_table {
    card::attach_for_table(options);
    TABLE
}

/// A place in the caller's memory for a result.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Takes the caller's pointer, before anything is changed for a result that could not be delivered.
    ///
    /// # Safety
    ///
    /// `pointer` is null, a device address, or valid for a write of `T` until the call returns.
    pub(crate) unsafe fn new(part: Part, pointer: *mut T) -> Result<Self, Fault> {
        if is_device_address(address(pointer)) {
            let code = status::common(part, Common::IllegalParam);
            let reason = "a device address where the caller wants a result written";
            return Err(Fault::breach(code, Rule::MixedAddress, reason));
        }
        NonNull::new(pointer).map(Self).ok_or_else(|| Fault::null(part, "the pointer for the result"))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` required the pointer to be valid for this write; C need not align it.
        unsafe { self.0.write_unaligned(value) }
    }
}

/// A string of the caller.
///
/// # Safety
///
/// `text` is null or points to a terminated string that stays unchanged until the call returns.
unsafe fn string<'a>(part: Part, text: *const c_char) -> Result<&'a CStr, Fault> {
    if text.is_null() {
        return Err(Fault::null(part, "the string"));
    }
    // SAFETY: not null, and terminated by the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// The number behind a pointer, for addresses that are compared or followed later.
pub(crate) fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// The pointer that stands for a device address or a handle. It can not be followed.
pub(crate) fn opaque(number: u64) -> *mut c_void {
    ptr::without_provenance_mut(usize::try_from(number).unwrap_or_default())
}
