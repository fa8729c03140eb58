//! The chip's own interface over the card: `AX_SYS` and `AX_ENGINE`, as a program on an AX650N board sees them.
//!
//! Memory is one allocation per block, at a physical address of the CMM range that is no host address. The card
//! computes on that memory. Uncached blocks are reached by the CPU at the memory itself; cached ones too, unless the
//! card is strict: then the CPU works on a view of its own ([`cache`]), and what either side writes stays unseen by the
//! other until it is flushed or invalidated.
//!
//! The functions are generic over the [`face`]: the same ones, under other names and for the device of the thread's
//! context, serve programs on the host of a PCIe card (`AXCL_SYS`, `AXCL_ENGINE`).
//!
//! # Safety
//!
//! As in [`crate::axcl`]: a pointer to host memory is null or valid for the access that the vendor's function is
//! documented for. Physical addresses and handles are only compared with what the card has. Virtual addresses are never
//! followed: the card knows where its blocks are.

pub(crate) mod cache;
pub(crate) mod cmm;
pub(crate) mod code;
pub(crate) mod engine;

pub(crate) mod face;
pub(crate) mod figures;
pub(crate) mod handle;
pub(crate) mod info;
pub(crate) mod mapping;
pub(crate) mod memory;
pub(crate) mod other;
pub(crate) mod run;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod tests;
mod undocumented;
pub(crate) mod video;

use ax650_sys::vendor::ax_board_table;

use crate::card;
use crate::log;
use crate::options::CardOptions;
use face::Chip;

pub use figures::cmm_info;
pub use undocumented::{UNDOCUMENTED, Undocumented};

/// Every entry, by the vendor's name: [`board_table`] without a card for the calling thread.
pub const TABLE: ax_board_table = ax_board_table {
    AX_SYS_Init: Some(memory::init::<Chip>),
    AX_SYS_Deinit: Some(memory::deinit::<Chip>),
    AX_SYS_MemAlloc: Some(memory::alloc::<Chip>),
    AX_SYS_MemAllocCached: Some(memory::alloc_cached::<Chip>),
    AX_SYS_MemFree: Some(memory::free::<Chip>),
    AX_SYS_MflushCache: Some(memory::flush::<Chip>),
    AX_SYS_MinvalidateCache: Some(memory::invalidate::<Chip>),
    AX_ENGINE_Init: Some(engine::init::<Chip>),
    AX_ENGINE_Deinit: Some(engine::deinit::<Chip>),
    AX_ENGINE_CreateHandle: Some(handle::create::<Chip>),
    AX_ENGINE_DestroyHandle: Some(handle::destroy::<Chip>),
    AX_ENGINE_GetIOInfo: Some(info::io_info::<Chip>),
    AX_ENGINE_CreateContext: Some(handle::create_context::<Chip>),
    AX_ENGINE_CreateContextV2: Some(handle::create_context_v2::<Chip>),
    AX_ENGINE_RunSync: Some(run::sync::<Chip>),
    AX_SYS_Mmap: Some(mapping::map::<Chip>),
    AX_SYS_MmapCache: Some(mapping::map_cached::<Chip>),
    AX_SYS_MmapFast: Some(mapping::map_fast::<Chip>),
    AX_SYS_MmapCacheFast: Some(mapping::map_cached_fast::<Chip>),
    AX_SYS_Munmap: Some(mapping::unmap::<Chip>),
    AX_SYS_MemGetBlockInfoByPhy: Some(mapping::block_by_phy::<Chip>),
    AX_SYS_MemGetBlockInfoByVirt: Some(mapping::block_by_virt::<Chip>),
    AX_SYS_MemGetPartitionInfo: Some(figures::partitions::<Chip>),
    AX_SYS_MemSetConfig: Some(other::set_config::<Chip>),
    AX_SYS_MemGetConfig: Some(other::config::<Chip>),
    AX_SYS_MemQueryStatus: Some(figures::status::<Chip>),
    AX_SYS_Link: Some(video::link::<Chip>),
    AX_SYS_UnLink: Some(video::unlink::<Chip>),
    AX_SYS_GetLinkByDest: Some(video::source_of::<Chip>),
    AX_SYS_GetLinkBySrc: Some(video::destinations_of::<Chip>),
    AX_SYS_GetCurPTS: Some(other::time::<Chip>),
    AX_SYS_InitPTSBase: Some(other::set_time::<Chip>),
    AX_SYS_SyncPTS: Some(other::synchronize_time::<Chip>),
    AX_SYS_SetLogLevel: Some(other::set_log_level::<Chip>),
    AX_SYS_SetLogTarget: Some(other::set_log_target::<Chip>),
    AX_SYS_EnableTimestamp: Some(other::enable_timestamp::<Chip>),
    AX_POOL_SetConfig: Some(video::set_config::<Chip>),
    AX_POOL_GetConfig: Some(video::config::<Chip>),
    AX_POOL_Init: Some(video::init::<Chip>),
    AX_POOL_Exit: Some(video::exit::<Chip>),
    AX_POOL_CreatePool: Some(video::create::<Chip>),
    AX_POOL_DestroyPool: Some(video::destroy::<Chip>),
    AX_POOL_GetBlock: Some(video::block::<Chip>),
    AX_POOL_ReleaseBlock: Some(video::release::<Chip>),
    AX_POOL_PhysAddr2Handle: Some(video::block_at::<Chip>),
    AX_POOL_Handle2PhysAddr: Some(video::address::<Chip>),
    AX_POOL_Handle2MetaPhysAddr: Some(video::meta_address::<Chip>),
    AX_POOL_Handle2PoolId: Some(video::pool_of::<Chip>),
    AX_POOL_Handle2BlkSize: Some(video::block_bytes::<Chip>),
    AX_POOL_MmapPool: Some(video::map::<Chip>),
    AX_POOL_MunmapPool: Some(video::unmap::<Chip>),
    AX_POOL_GetBlockVirAddr: Some(video::view::<Chip>),
    AX_POOL_GetMetaVirAddr: Some(video::meta_view::<Chip>),
    AX_POOL_IncreaseRefCnt: Some(video::take::<Chip>),
    AX_POOL_DecreaseRefCnt: Some(video::give::<Chip>),
    AX_ENGINE_GetVersion: Some(engine::version::<Chip>),
    AX_ENGINE_NPUReset: Some(engine::reset::<Chip>),
    AX_ENGINE_GetVNPUAttr: Some(engine::attributes::<Chip>),
    AX_ENGINE_GetModelType: Some(engine::model_type::<Chip>),
    AX_ENGINE_CreateHandleV2: Some(handle::create_v2::<Chip>),
    AX_ENGINE_GetModelToolsVersion: Some(handle::tools_version::<Chip>),
    AX_ENGINE_GetCMMUsage: Some(handle::cmm_usage::<Chip>),
    AX_ENGINE_SetAffinity: Some(handle::set_affinity::<Chip>),
    AX_ENGINE_GetAffinity: Some(handle::affinity::<Chip>),
    AX_ENGINE_RunSyncV2: Some(run::sync_v2::<Chip>),
    AX_ENGINE_GetGroupIOInfoCount: Some(info::groups::<Chip>),
    AX_ENGINE_GetGroupIOInfo: Some(info::group_io_info::<Chip>),
    AX_ENGINE_RunGroupIOSync: Some(run::group::<Chip>),
    AX_ENGINE_GetHandleModelType: Some(handle::model_type::<Chip>),
    AX_SYS_LogOpen: Some(other::open_log::<Chip>),
    AX_SYS_LogClose: Some(other::close_log::<Chip>),
    AX_SYS_LogPrint: Some(log::ax650_sim_log_print),
    AX_SYS_LogPrint_Ex: Some(log::ax650_sim_log_print_ex),
    AX_SYS_Msleep: Some(other::sleep_ms::<Chip>),
    AX_SYS_Usleep: Some(other::sleep_us::<Chip>),
    AX_SYS_AllocPTSBuffer: Some(other::allocate_stamps::<Chip>),
    AX_SYS_FreePTSBuffer: Some(other::free_stamps::<Chip>),
    AX_SYS_RecordPTS: Some(other::record_stamp::<Chip>),
    AX_POOL_RecordTimeStamp: Some(video::stamp::<Chip>),
    AX_POOL_RecordTimeStampEx: Some(video::stamp_at::<Chip>),
    AX_POOL_ClearTimeStamp: Some(video::clear_stamp::<Chip>),
};

/// Returns the vendor's function table of the chip's own interface over a software card, and attaches the card to the
/// calling thread, as [`crate::pcie_table`] does. Every entry of the table is filled.
pub fn board_table(options: CardOptions) -> ax_board_table {
    card::attach_for_table(options);
    TABLE
}
