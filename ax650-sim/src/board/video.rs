//! Pools of frames and links between the chip's modules. They serve video, of which the software card has nothing: each
//! function answers the vendor's own code or value for "not here".

use std::ffi::c_void;
use std::ptr;

use ax650_sys::vendor::{
    AX_LINK_DEST_T, AX_MOD_INFO_T, AX_POOL_CONFIG_T, AX_POOL_FLOORPLAN_T, NotifyEventCallback,
};

use super::face::{Face, Name, call, pool, sys, value};
use crate::fault::Fault;

/// Of submodules 1 (pools), 3 (links) and 4 (power) of the memory library; `vendor/include`.
const POOL_NOT_SUPPORTED: i32 = 0x800B_0114_u32.cast_signed();
const LINK_NOT_SUPPORTED: i32 = 0x800B_0314_u32.cast_signed();
const POWER_NOT_PERMITTED: i32 = 0x800B_0415_u32.cast_signed();
/// What stands for no pool, no block and no address.
const NO_POOL: u32 = u32::MAX;
const NO_BLOCK: u32 = 0;
const NO_NUMBER: u64 = 0;

fn absent<F: Face>(name: Name, code: i32, what: &str) -> i32 {
    call::<F>(name, |_, _| Err(Fault::plain(code, format!("the software card has no {what}"))))
}

fn nothing<F: Face, T>(name: Name, answer: T) -> T {
    value::<F, T>(name, answer, |_, _| {
        Err(Fault::plain(POOL_NOT_SUPPORTED, "the software card has no pools"))
    })
}

/// Defines functions that answer that something is absent: `rust name, vendor name, parameters`.
macro_rules! absent {
    ($code:expr, $what:literal: $($function:ident => $name:expr, ($($parameter:ty),*);)*) => {
        $(pub(crate) unsafe extern "C" fn $function<F: Face>($(_: $parameter),*) -> i32 {
            absent::<F>($name, $code, $what)
        })*
    };
}

/// As `absent`, for functions that return a value: `rust name, vendor name, parameters, value`.
macro_rules! nothing {
    ($($function:ident => $name:expr, ($($parameter:ty),*) -> $result:ty = $value:expr;)*) => {
        $(pub(crate) unsafe extern "C" fn $function<F: Face>($(_: $parameter),*) -> $result {
            nothing::<F, _>($name, $value)
        })*
    };
}

absent! { POOL_NOT_SUPPORTED, "pools":
    set_config => pool!(SetConfig), (*const AX_POOL_FLOORPLAN_T);
    config => pool!(GetConfig), (*mut AX_POOL_FLOORPLAN_T);
    init => pool!(Init), ();
    exit => pool!(Exit), ();
    destroy => pool!(DestroyPool), (u32);
    release => pool!(ReleaseBlock), (u32);
    map => pool!(MmapPool), (u32);
    unmap => pool!(MunmapPool), (u32);
    take => pool!(IncreaseRefCnt), (u32);
    give => pool!(DecreaseRefCnt), (u32);
    stamp => pool!(RecordTimeStamp), (u32, u8);
    stamp_at => pool!(RecordTimeStampEx), (u32, u8, u64);
    clear_stamp => pool!(ClearTimeStamp), (u32);
}

nothing! {
    create => pool!(CreatePool), (*mut AX_POOL_CONFIG_T) -> u32 = NO_POOL;
    block => pool!(GetBlock), (u32, u64, *const i8) -> u32 = NO_BLOCK;
    block_at => pool!(PhysAddr2Handle), (u64) -> u32 = NO_BLOCK;
    address => pool!(Handle2PhysAddr), (u32) -> u64 = NO_NUMBER;
    meta_address => pool!(Handle2MetaPhysAddr), (u32) -> u64 = NO_NUMBER;
    pool_of => pool!(Handle2PoolId), (u32) -> u32 = NO_POOL;
    block_bytes => pool!(Handle2BlkSize), (u32) -> u64 = NO_NUMBER;
    view => pool!(GetBlockVirAddr), (u32) -> *mut c_void = ptr::null_mut();
    meta_view => pool!(GetMetaVirAddr), (u32) -> *mut c_void = ptr::null_mut();
}

absent! { LINK_NOT_SUPPORTED, "links":
    link => sys!(Link), (*const AX_MOD_INFO_T, *const AX_MOD_INFO_T);
    unlink => sys!(UnLink), (*const AX_MOD_INFO_T, *const AX_MOD_INFO_T);
    source_of => sys!(GetLinkByDest), (*const AX_MOD_INFO_T, *mut AX_MOD_INFO_T);
    destinations_of => sys!(GetLinkBySrc), (*const AX_MOD_INFO_T, *mut AX_LINK_DEST_T);
}

absent! { POWER_NOT_PERMITTED, "sleep":
    sleep => sys!(Sleep), ();
    wake_lock => sys!(WakeLock), (u32);
    wake_unlock => sys!(WakeUnlock), (u32);
    watch => sys!(RegisterEventCb), (u32, NotifyEventCallback, *mut c_void);
    unwatch => sys!(UnregisterEventCb), (u32);
}
