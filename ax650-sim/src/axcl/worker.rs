//! Files and programs on the card's own Linux, and memory that cards share. The software card has none of these.

use std::ffi::{c_char, c_void};

use ax650_sys::vendor::axclrtP2PUnitInfo;

use super::call;
use crate::fault::Fault;
use crate::status::{self, Common, Part};

fn unsupported(name: &'static str, part: Part, what: &str) -> i32 {
    call(name, |state, _| {
        state.require_context()?;
        let reason = format!("the software card has no {what}");
        Err(Fault::plain(status::common(part, Common::Unsupported), reason))
    })
}

pub(super) unsafe extern "C" fn transfer_file(_: *const c_char, _: *const c_char, _policy: u32) -> i32 {
    unsupported("axclrtTransferFile", Part::Work, "files")
}

pub(super) unsafe extern "C" fn exec(
    _path: *const c_char,
    _count: *const i32,
    _arguments: *mut *const c_char,
    _pid: *mut u32,
) -> i32 {
    unsupported("axclrtExecWorker", Part::Work, "processors for programs")
}

pub(super) unsafe extern "C" fn kill(_pid: u32) -> i32 {
    unsupported("axclrtKillWorker", Part::Work, "processors for programs")
}

pub(super) unsafe extern "C" fn send(_pid: u32, _buffer: *const c_void, _size: u32, _timeout_ms: i32) -> i32 {
    unsupported("axclrtWorkerSend", Part::Work, "processors for programs")
}

pub(super) unsafe extern "C" fn receive(
    _pid: u32,
    _buffer: *mut c_void,
    _size: u32,
    _received: *mut u32,
    _timeout_ms: i32,
) -> i32 {
    unsupported("axclrtWorkerRecv", Part::Work, "processors for programs")
}

pub(super) unsafe extern "C" fn create_unit(_: *const axclrtP2PUnitInfo, _handle: *mut *mut c_void) -> i32 {
    unsupported("axclrtCreateP2PUnit", Part::P2p, "links to other cards")
}

pub(super) unsafe extern "C" fn destroy_unit(_handle: *mut c_void) -> i32 {
    unsupported("axclrtDestoryP2PUnit", Part::P2p, "links to other cards")
}
