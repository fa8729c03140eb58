//! Files on the card's own Linux, which the software card keeps in memory, and programs on it, which it has not.

use std::ffi::{OsStr, c_char, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{call, string};
use crate::card::State;
use crate::fault::Fault;
use crate::status::{self, Common, Part};

/// Directions, numbered as axcl-runtime V3.10.2 `axcl_rt_type.h` does.
const HOST_TO_DEVICE: u32 = 0;
const DEVICE_TO_HOST: u32 = 1;
const DEVICE_TO_DEVICE: u32 = 2;
const REMOVE: u32 = 3;

fn unsupported(name: &'static str, part: Part, what: &str) -> i32 {
    call(name, |state, _| {
        state.require_context()?;
        let reason = format!("the software card has no {what}");
        Err(Fault::plain(status::common(part, Common::Unsupported), reason))
    })
}

pub(super) unsafe extern "C" fn transfer_file(
    source: *const c_char,
    destination: *const c_char,
    policy: u32,
) -> i32 {
    call("axclrtTransferFile", |state, _| {
        // SAFETY: the caller passes null or a string.
        let source = unsafe { string(Part::Work, source) }?.to_bytes();
        let destination = if policy == REMOVE {
            &[]
        } else {
            // SAFETY: the caller passes null or a string.
            unsafe { string(Part::Work, destination) }?.to_bytes()
        };
        state.require_context()?;
        transfer(state, source, destination, policy)
    })
}

fn transfer(state: &mut State, source: &[u8], destination: &[u8], policy: u32) -> Result<(), Fault> {
    match policy {
        HOST_TO_DEVICE => {
            let file = fs::read(path(source)).map_err(|error| open(source, &error.to_string()))?;
            if file.is_empty() {
                let reason = format!("{} is empty", path(source).display());
                return Err(Fault::plain(status::WORK_EMPTY_FILE, reason));
            }
            state.files.insert(destination.to_vec(), file);
        }
        DEVICE_TO_HOST => {
            let file = on_card(state, source)?;
            if let Some(directory) = path(destination).parent() {
                fs::create_dir_all(directory).map_err(|error| open(destination, &error.to_string()))?;
            }
            fs::write(path(destination), file).map_err(|error| open(destination, &error.to_string()))?;
        }
        DEVICE_TO_DEVICE if source.eq_ignore_ascii_case(destination) => {
            return Err(Fault::plain(status::WORK_INVALID_PATH, "a file cannot be copied onto itself"));
        }
        DEVICE_TO_DEVICE => {
            let file = on_card(state, source)?.clone();
            state.files.insert(destination.to_vec(), file);
        }
        REMOVE => {
            on_card(state, source)?;
            state.files.remove(source);
        }
        policy => {
            let code = status::common(Part::Work, Common::IllegalParam);
            return Err(Fault::plain(code, format!("no direction {policy} of a transfer")));
        }
    }
    Ok(())
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn open(file: &[u8], reason: &str) -> Fault {
    Fault::plain(status::WORK_OPEN_FILE, format!("cannot open {}: {reason}", path(file).display()))
}

/// A file on the card; what is wrong there is a failed execution to the host.
fn on_card<'a>(state: &'a State, file: &[u8]) -> Result<&'a Vec<u8>, Fault> {
    state.files.get(file).ok_or_else(|| {
        let reason = format!("the card has no file {}", path(file).display());
        Fault::plain(status::common(Part::Work, Common::ExecuteFail), reason)
    })
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
