//! Functions that the vendor's library exports for its own companions and tools.
//!
//! The messages to the process that stands for the host's on the card (`axclrtControl*`, tasks) have no meaning
//! here: there is no such process, and what they would set up is there already. They answer the vendor's code for
//! what is not supported, of the part of the runtime that they belong to.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use ax650_sys::vendor::{axclrtEngineP2pBwRes, axclrtP2PTestConfig};

use super::{call, value};
use crate::fault::Fault;
use crate::status::{self, Common, Part};

/// What the vendor's library takes when its configuration says nothing: 4 MiB.
const DMA_BUFFER_BYTES: u32 = 0x40_0000;
/// Information.
const LOG_LEVEL: i32 = 2;

fn unsupported(name: &'static str, part: Part, what: &str) -> i32 {
    call(name, |_, _| {
        let reason = format!("the software card has no {what}");
        Err(Fault::plain(status::common(part, Common::Unsupported), reason))
    })
}

macro_rules! unsupported {
    ($($function:ident = $name:literal, $part:ident, $what:literal ($($argument:ty),*);)*) => {
        $(pub(super) unsafe extern "C" fn $function($(_: $argument),*) -> i32 {
            unsupported($name, Part::$part, $what)
        })*
    };
}

unsupported! {
    control_create_context = "axclrtControlCreateContext", Control, "process on the card" (i32);
    control_destroy_context = "axclrtControlDestroyContext", Control, "process on the card" (i32);
    control_create_stream = "axclrtControlCreateStream", Control, "process on the card" (i32, *mut c_void);
    control_destroy_stream = "axclrtControlDestroyStream", Control, "process on the card" (i32, *mut c_void);
    control_sync_stream = "axclrtControlSyncStream", Control, "process on the card" (i32, *mut c_void, i32);
    control_create_event = "axclrtControlCreateEvent", Control, "process on the card" (i32);
    control_destroy_event = "axclrtControlDestroyEvent", Control, "process on the card" (i32);
    control_record_event = "axclrtControlRecordEvent", Control, "process on the card" (*mut c_void, i32);
    control_wait_event = "axclrtControlStreamWaitEvent", Control, "process on the card" (*mut c_void, i32, i32);
    create_task = "axclrtCreateTask", Task, "messages to the card"
        (*mut *mut c_void, *mut c_void, u64, *const c_void, usize, i32, bool, i64);
    wait_task = "axclrtWaitTaskFinish", Task, "messages to the card" (*mut c_void);
    task_response = "axclrtGetTaskResponse", Task, "messages to the card" (*mut c_void, *mut *mut c_void, *mut u32);
    destroy_task = "axclrtDestoryTask", Task, "messages to the card" (*mut c_void);
    change_sub_id = "axclrtControlChangePCIeSubId", Control, "flash" (u32, u32);
    p2p_test = "axclrtP2PTriggerTest", P2p, "links between cards to measure" (*mut c_void, *mut axclrtP2PTestConfig);
    p2p_bandwidth = "axclrtEngineP2pBwTest", Engine, "links between cards to measure"
        (*mut axclrtEngineP2pBwRes, u32, u64);
    shell = "axclrtControlExecuteShellCmd", Control, "shell"
        (*const c_char, *const *const c_char, usize, *mut *const c_char, i32);
    collect_log = "axclrtLog", Log, "logs of the card to collect" (u32, u32, *const c_char);
}

/// Echoes nothing over no link: the data is back at once, and equal.
pub(super) unsafe extern "C" fn loopback(data: *const c_void, size: u32, _check: bool, _mode: c_int) -> i32 {
    call("axclrtLatencyLoopback", |state, _| {
        state.require_context()?;
        if data.is_null() && size > 0 {
            return Err(Fault::null(Part::Control, "the data"));
        }
        Ok(())
    })
}

/// Accepted and not looked at, as by `axclInit`.
pub(super) unsafe extern "C" fn config_load(_json: *const c_char) -> i32 {
    call("axclrtConfigLoad", |_, _| Ok(()))
}

pub(super) unsafe extern "C" fn config_unload() {
    call("axclrtConfigUnLoad", |_, _| Ok(()));
}

/// No log is written: an empty path.
pub(super) unsafe extern "C" fn config_log_path() -> *const c_char {
    value("axclrtConfigGetLogPath", ptr::null(), |_, _| Ok(c"".as_ptr()))
}

pub(super) unsafe extern "C" fn config_log_level(_device: i32) -> i32 {
    value("axclrtConfigGetLogLevel", LOG_LEVEL, |_, _| Ok(LOG_LEVEL))
}

pub(super) unsafe extern "C" fn config_dma_buffer() -> u32 {
    value("axclrtConfigGetDmaBufSize", DMA_BUFFER_BYTES, |_, _| Ok(DMA_BUFFER_BYTES))
}
