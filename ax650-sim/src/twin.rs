//! The chip's own interface on the host of a PCIe card: `AXCL_SYS`, `AXCL_POOL` and `AXCL_ENGINE`.
//!
//! The same functions as on the chip ([`crate::board`]), with the same parameters, for the device of the calling
//! thread's context. Memory is the card's own: physical addresses go with the functions of the runtime
//! (`axclrtMemcpy`), virtual ones are the device's and can only be handed back.

#[cfg(test)]
mod tests;

use ax650_sys::vendor::ax_native_table;

use crate::board::face::Twin;
use crate::board::{engine, figures, handle, info, mapping, memory, other, run, video};
use crate::card;
use crate::options::CardOptions;

/// Every entry, by the vendor's name: [`native_table`] without a card for the calling thread.
pub const TABLE: ax_native_table = ax_native_table {
    AXCL_SYS_Init: Some(memory::init::<Twin>),
    AXCL_SYS_Deinit: Some(memory::deinit::<Twin>),
    AXCL_SYS_MemAlloc: Some(memory::alloc::<Twin>),
    AXCL_SYS_MemAllocCached: Some(memory::alloc_cached::<Twin>),
    AXCL_SYS_MemFree: Some(memory::free::<Twin>),
    AXCL_SYS_Mmap: Some(mapping::map::<Twin>),
    AXCL_SYS_MmapCache: Some(mapping::map_cached::<Twin>),
    AXCL_SYS_MmapFast: Some(mapping::map_fast::<Twin>),
    AXCL_SYS_MmapCacheFast: Some(mapping::map_cached_fast::<Twin>),
    AXCL_SYS_Munmap: Some(mapping::unmap::<Twin>),
    AXCL_SYS_MflushCache: Some(memory::flush::<Twin>),
    AXCL_SYS_MinvalidateCache: Some(memory::invalidate::<Twin>),
    AXCL_SYS_MemGetBlockInfoByPhy: Some(mapping::block_by_phy::<Twin>),
    AXCL_SYS_MemGetBlockInfoByVirt: Some(mapping::block_by_virt::<Twin>),
    AXCL_SYS_MemGetPartitionInfo: Some(figures::partitions::<Twin>),
    AXCL_SYS_MemSetConfig: Some(other::set_config::<Twin>),
    AXCL_SYS_MemGetConfig: Some(other::config::<Twin>),
    AXCL_SYS_MemQueryStatus: Some(figures::status::<Twin>),
    AXCL_SYS_Link: Some(video::link::<Twin>),
    AXCL_SYS_UnLink: Some(video::unlink::<Twin>),
    AXCL_SYS_GetLinkByDest: Some(video::source_of::<Twin>),
    AXCL_SYS_GetLinkBySrc: Some(video::destinations_of::<Twin>),
    AXCL_SYS_GetCurPTS: Some(other::time::<Twin>),
    AXCL_SYS_InitPTSBase: Some(other::set_time::<Twin>),
    AXCL_SYS_SyncPTS: Some(other::synchronize_time::<Twin>),
    AXCL_SYS_SetLogLevel: Some(other::set_log_level::<Twin>),
    AXCL_SYS_SetLogTarget: Some(other::set_log_target::<Twin>),
    AXCL_SYS_EnableTimestamp: Some(other::enable_timestamp::<Twin>),
    AXCL_POOL_SetConfig: Some(video::set_config::<Twin>),
    AXCL_POOL_GetConfig: Some(video::config::<Twin>),
    AXCL_POOL_Init: Some(video::init::<Twin>),
    AXCL_POOL_Exit: Some(video::exit::<Twin>),
    AXCL_POOL_CreatePool: Some(video::create::<Twin>),
    AXCL_POOL_DestroyPool: Some(video::destroy::<Twin>),
    AXCL_POOL_GetBlock: Some(video::block::<Twin>),
    AXCL_POOL_ReleaseBlock: Some(video::release::<Twin>),
    AXCL_POOL_PhysAddr2Handle: Some(video::block_at::<Twin>),
    AXCL_POOL_Handle2PhysAddr: Some(video::address::<Twin>),
    AXCL_POOL_Handle2MetaPhysAddr: Some(video::meta_address::<Twin>),
    AXCL_POOL_Handle2PoolId: Some(video::pool_of::<Twin>),
    AXCL_POOL_Handle2BlkSize: Some(video::block_bytes::<Twin>),
    AXCL_POOL_MmapPool: Some(video::map::<Twin>),
    AXCL_POOL_MunmapPool: Some(video::unmap::<Twin>),
    AXCL_POOL_GetBlockVirAddr: Some(video::view::<Twin>),
    AXCL_POOL_GetMetaVirAddr: Some(video::meta_view::<Twin>),
    AXCL_POOL_IncreaseRefCnt: Some(video::take::<Twin>),
    AXCL_POOL_DecreaseRefCnt: Some(video::give::<Twin>),
    AXCL_SYS_GetChipType: Some(other::chip_type::<Twin>),
    AXCL_SYS_Sleep: Some(video::sleep::<Twin>),
    AXCL_SYS_WakeLock: Some(video::wake_lock::<Twin>),
    AXCL_SYS_WakeUnlock: Some(video::wake_unlock::<Twin>),
    AXCL_SYS_RegisterEventCb: Some(video::watch::<Twin>),
    AXCL_SYS_UnregisterEventCb: Some(video::unwatch::<Twin>),
    AXCL_ENGINE_GetVersion: Some(engine::version::<Twin>),
    AXCL_ENGINE_NPUReset: Some(engine::reset::<Twin>),
    AXCL_ENGINE_Init: Some(engine::init::<Twin>),
    AXCL_ENGINE_GetVNPUAttr: Some(engine::attributes::<Twin>),
    AXCL_ENGINE_Deinit: Some(engine::deinit::<Twin>),
    AXCL_ENGINE_GetModelType: Some(engine::model_type::<Twin>),
    AXCL_ENGINE_CreateHandle: Some(handle::create::<Twin>),
    AXCL_ENGINE_CreateHandleV2: Some(handle::create_v2::<Twin>),
    AXCL_ENGINE_DestroyHandle: Some(handle::destroy::<Twin>),
    AXCL_ENGINE_GetHandleModelType: Some(handle::model_type::<Twin>),
    AXCL_ENGINE_GetModelToolsVersion: Some(handle::tools_version::<Twin>),
    AXCL_ENGINE_GetCMMUsage: Some(handle::cmm_usage::<Twin>),
    AXCL_ENGINE_GetIOInfo: Some(info::io_info::<Twin>),
    AXCL_ENGINE_GetGroupIOInfoCount: Some(info::groups::<Twin>),
    AXCL_ENGINE_GetGroupIOInfo: Some(info::group_io_info::<Twin>),
    AXCL_ENGINE_CreateContext: Some(handle::create_context::<Twin>),
    AXCL_ENGINE_CreateContextV2: Some(handle::create_context_v2::<Twin>),
    AXCL_ENGINE_SetAffinity: Some(handle::set_affinity::<Twin>),
    AXCL_ENGINE_GetAffinity: Some(handle::affinity::<Twin>),
    AXCL_ENGINE_RunSync: Some(run::sync::<Twin>),
    AXCL_ENGINE_RunSyncV2: Some(run::sync_v2::<Twin>),
    AXCL_ENGINE_RunGroupIOSync: Some(run::group::<Twin>),
};

/// Returns the vendor's table of the chip's interface on the host, over a software card, and attaches the card to
/// the calling thread, as [`crate::pcie_table`] does: both tables of a thread are over one card. Every entry is filled.
pub fn native_table(options: CardOptions) -> ax_native_table {
    card::attach_for_table(options);
    TABLE
}
