//! The rest of `AX_SYS`: which partition a module uses, time stamps, logging; and what only video needs.

use std::ffi::{CStr, c_char, c_ulong};
use std::thread;
use std::time::{Duration, Instant};

use ax650_sys::vendor::AX_MOD_INFO_T;

use super::cmm::PARTITION;
use super::code;
use super::face::{Face, Name, call, sys, value};
use super::state::Pts;
use crate::axcl::Out;
use crate::fault::Fault;
use crate::log;
use crate::status::Part;

/// Submodule 2 of the memory library (`vendor/include/ax_sys.h`).
const PTS_ILLEGAL_PARAM: i32 = 0x800B_020A_u32.cast_signed();
const PTS_NOT_PERMITTED: i32 = 0x800B_0215_u32.cast_signed();
/// Our choice: the vendor's tests want 1000 accepted and 5000 refused (axcl-runtime, test/sys/other).
const MOST_CORRECTION_US: u64 = 3000;
/// `vendor/include/ax_base.h`.
const CHIP_AX650N: u32 = 2;

/// There is one partition, and every module uses it.
pub(crate) unsafe extern "C" fn set_config<F: Face>(
    module: *const AX_MOD_INFO_T,
    partition: *const i8,
) -> i32 {
    call::<F>(sys!(MemSetConfig), |state, _| {
        state.board.require_sys()?;
        if module.is_null() || partition.is_null() {
            return Err(Fault::plain(code::CMM_NULL_PTR, "the module or the name of the partition is null"));
        }
        // SAFETY: not null, and terminated by the caller's promise.
        let name = unsafe { CStr::from_ptr(partition.cast::<c_char>()) };
        if name.to_bytes() != PARTITION.as_bytes() {
            let reason = format!("no partition {}; there is {PARTITION}", name.to_string_lossy());
            return Err(Fault::plain(code::CMM_ILLEGAL_PARAM, reason));
        }
        Ok(())
    })
}

/// The caller's place for the name has 32 bytes.
pub(crate) unsafe extern "C" fn config<F: Face>(module: *const AX_MOD_INFO_T, partition: *mut i8) -> i32 {
    call::<F>(sys!(MemGetConfig), |state, _| {
        state.board.require_sys()?;
        if module.is_null() {
            return Err(Fault::plain(code::CMM_NULL_PTR, "the module is null"));
        }
        let mut name = [0_u8; 32];
        name[..PARTITION.len()].copy_from_slice(PARTITION.as_bytes());
        // SAFETY: the caller passes null or a place of 32 bytes.
        unsafe { Out::new(Part::Memory, partition.cast::<[u8; 32]>()) }?.set(name);
        Ok(())
    })
}

/// Microseconds of the chip's clock.
pub(crate) unsafe extern "C" fn time<F: Face>(pts: *mut u64) -> i32 {
    call::<F>(sys!(GetCurPTS), |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Memory, pts) }?;
        out.set(state.board.pts.now());
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn set_time<F: Face>(base: u64) -> i32 {
    call::<F>(sys!(InitPTSBase), |state, _| {
        state.board.pts = Pts { base, since: Instant::now() };
        Ok(())
    })
}

/// For small corrections; a jump is what the other function is for.
pub(crate) unsafe extern "C" fn synchronize_time<F: Face>(base: u64) -> i32 {
    call::<F>(sys!(SyncPTS), |state, _| {
        let now = state.board.pts.now();
        if base.abs_diff(now) > MOST_CORRECTION_US {
            let reason = format!("{base} is too far from the clock's {now} microseconds");
            return Err(Fault::plain(PTS_ILLEGAL_PARAM, reason));
        }
        state.board.pts = Pts { base, since: Instant::now() };
        Ok(())
    })
}

/// Of what programs log through the library. The card writes no log of its own; `ax650_sim::last_error` tells what went
/// wrong.
pub(crate) unsafe extern "C" fn set_log_level<F: Face>(level: i32) -> i32 {
    call::<F>(sys!(SetLogLevel), |_, _| {
        log::set_sys_level(level);
        Ok(())
    })
}

/// Lines go to the process's sink, which is always open.
pub(crate) unsafe extern "C" fn open_log<F: Face>() {
    value::<F, _>(sys!(LogOpen), (), |_, _| Ok(()));
}

pub(crate) unsafe extern "C" fn close_log<F: Face>() {
    value::<F, _>(sys!(LogClose), (), |_, _| Ok(()));
}

pub(crate) unsafe extern "C" fn set_log_target<F: Face>(_target: u32) -> i32 {
    call::<F>(sys!(SetLogTarget), |_, _| Ok(()))
}

pub(crate) unsafe extern "C" fn enable_timestamp<F: Face>(_enable: u32) -> i32 {
    call::<F>(sys!(EnableTimestamp), |_, _| Ok(()))
}

pub(crate) unsafe extern "C" fn sleep_ms<F: Face>(milliseconds: c_ulong) -> i32 {
    thread::sleep(Duration::from_millis(milliseconds));
    call::<F>(sys!(Msleep), |_, _| Ok(()))
}

pub(crate) unsafe extern "C" fn sleep_us<F: Face>(microseconds: c_ulong) -> i32 {
    thread::sleep(Duration::from_micros(microseconds));
    call::<F>(sys!(Usleep), |_, _| Ok(()))
}

/// Time stamps of frames are recorded for video; there is nowhere to read them, so none is kept.
pub(crate) unsafe extern "C" fn allocate_stamps<F: Face>(_module: *mut AX_MOD_INFO_T, _count: u32) -> i32 {
    no_stamps::<F>(sys!(AllocPTSBuffer))
}

pub(crate) unsafe extern "C" fn free_stamps<F: Face>(_module: *mut AX_MOD_INFO_T) -> i32 {
    no_stamps::<F>(sys!(FreePTSBuffer))
}

pub(crate) unsafe extern "C" fn record_stamp<F: Face>(
    _module: *mut AX_MOD_INFO_T,
    _frame: u64,
    _sequence: u64,
    _block: u32,
    _index: u32,
    _timestamp: u64,
) -> i32 {
    no_stamps::<F>(sys!(RecordPTS))
}

fn no_stamps<F: Face>(name: Name) -> i32 {
    call::<F>(name, |_, _| {
        Err(Fault::plain(PTS_NOT_PERMITTED, "the software card records no time stamps of frames"))
    })
}

/// The chip that the card stands for.
pub(crate) unsafe extern "C" fn chip_type<F: Face>() -> u32 {
    value::<F, _>(sys!(GetChipType), CHIP_AX650N, |_, _| Ok(CHIP_AX650N))
}
