//! Filling a function table from shared libraries, opened or linked.
//!
//! The fields of a table bear the names of the vendor's functions, so one list per table says both what to
//! look up and what may be absent. A field that is in neither list, or in both, does not compile.

use std::ffi::CStr;

use libloading::Library;

use crate::vendor::{ax_board_table, ax_pcie_table};

/// The type of a function-table field is `Option<F>`; so is what a lookup gives.
///
/// # Safety
///
/// `F` is the type of the function that the vendor exports as `name`.
unsafe fn symbol<F: Copy>(libraries: &[&Library], name: &CStr) -> Option<F> {
    libraries.iter().find_map(|library| {
        // SAFETY: the caller vouches for the type; `Option` makes a symbol at address zero `None`. The
        // pointer is copied out, and the owner of the table keeps the library loaded.
        let found = unsafe { library.get::<Option<F>>(name.to_bytes_with_nul()) };
        found.ok().and_then(|function| *function)
    })
}

/// Names of a library's functions, as ax650 knows them.
#[derive(Debug, Clone, Copy)]
pub struct Symbols<'a> {
    /// Without one of these the library is refused.
    pub required: &'a [&'static str],
    /// These may be absent.
    pub optional: &'a [&'static str],
}

macro_rules! vendor_table {
    ($(#[$meta:meta])* $resolve:ident, $(#[$linked_meta:meta])* $linked:ident($module:ident), $(#[$names_meta:meta])* $names:ident -> $table:ident { required { $($required:ident)* } optional { $($optional:ident)* } }) => {
        $(#[$meta])*
        pub(crate) fn $resolve(libraries: &[&Library]) -> Result<$table, Vec<&'static str>> {
            let mut missing = Vec::new();
            let table = $table {
                $($required: {
                    // SAFETY: the field has the vendor's signature, from the header named in vendor/include.
                    let function = unsafe { symbol(libraries, name(concat!(stringify!($required), "\0"))) };
                    if function.is_none() {
                        missing.push(stringify!($required));
                    }
                    function
                },)*
                $($optional: {
                    // SAFETY: as above.
                    unsafe { symbol(libraries, name(concat!(stringify!($optional), "\0"))) }
                },)*
            };
            if missing.is_empty() { Ok(table) } else { Err(missing) }
        }

        $(#[$linked_meta])*
        pub(crate) fn $linked(process: &Library) -> $table {
            $table {
                $($required: Some(crate::linked::$module::$required),)*
                $($optional: {
                    // SAFETY: as above.
                    unsafe { symbol(&[process], name(concat!(stringify!($optional), "\0"))) }
                },)*
            }
        }

        $(#[$names_meta])*
        pub const $names: Symbols<'static> = Symbols {
            required: &[$(stringify!($required)),*],
            optional: &[$(stringify!($optional)),*],
        };
    };
}

fn name(with_nul: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(with_nul.as_bytes()).unwrap_or_default()
}

vendor_table! {
    /// All of AXCL that ax650 knows, or the names of the required functions that are missing.
    resolve_pcie,
    /// The functions of the AXCL that this is linked with; `process` stands for what it is linked with.
    #[cfg(linked_pcie)]
    linked_pcie(pcie),
    /// The functions of AXCL.
    PCIE -> ax_pcie_table {
        required {
            axclInit axclFinalize axclrtSetDevice axclrtResetDevice axclrtGetDeviceList axclrtMalloc
            axclrtFree axclrtMemset axclrtMemcpy axclrtEngineInit axclrtEngineFinalize
            axclrtEngineLoadFromFile axclrtEngineUnload axclrtEngineCreateContext axclrtEngineGetIOInfo
            axclrtEngineDestroyIOInfo axclrtEngineGetShapeGroupsCount axclrtEngineGetNumInputs
            axclrtEngineGetNumOutputs axclrtEngineGetInputSizeByIndex axclrtEngineGetOutputSizeByIndex
            axclrtEngineGetInputNameByIndex axclrtEngineGetOutputNameByIndex axclrtEngineGetInputDims
            axclrtEngineGetOutputDims axclrtEngineCreateIO axclrtEngineDestroyIO
            axclrtEngineSetInputBufferByIndex axclrtEngineSetOutputBufferByIndex axclrtEngineExecute
        }
        optional {
            axclSetLogLevel axclAppLog axclrtGetVersion axclrtGetFullVersion axclrtGetSocName
            axclrtGetDevice axclrtGetDeviceCount axclrtSynchronizeDevice axclrtGetDeviceProperties
            axclrtCreateContext axclrtDestroyContext axclrtSetCurrentContext axclrtGetCurrentContext
            axclrtGetDefaultContext axclrtMallocCached axclrtMemFlush axclrtMemInvalidate axclrtMallocHost
            axclrtFreeHost axclrtMemcmp axclrtMemsetAsync axclrtMemcpyAsync axclrtMemcmpAsync
            axclrtCreateStream axclrtDestroyStream axclrtDestroyStreamForce axclrtSynchronizeStream
            axclrtSynchronizeStreamWithTimeout axclrtCreateEvent axclrtDestroyEvent axclrtRecordEvent
            axclrtStreamWaitEvent axclrtStreamWaitEventWithTimeout axclrtTransferFile axclrtExecWorker
            axclrtKillWorker axclrtWorkerSend axclrtWorkerRecv axclrtCreateP2PUnit axclrtDestoryP2PUnit
            axclrtControlChangePCIeSubId axclrtEngineGetVNpuKind axclrtEngineLoadFromMem
            axclrtEngineGetModelCompilerVersion axclrtEngineSetAffinity axclrtEngineGetAffinity
            axclrtEngineSetContextAffinity axclrtEngineGetContextAffinity axclrtEngineGetUsage
            axclrtEngineGetUsageFromMem axclrtEngineGetUsageFromModelId axclrtEngineGetModelType
            axclrtEngineGetModelTypeFromMem axclrtEngineGetModelTypeFromModelId
            axclrtEngineGetInputIndexByName axclrtEngineGetOutputIndexByName axclrtEngineGetInputDataType
            axclrtEngineGetOutputDataType axclrtEngineGetInputDataLayout axclrtEngineGetOutputDataLayout
            axclrtEngineSetInputBufferByName axclrtEngineSetOutputBufferByName
            axclrtEngineGetInputBufferByIndex axclrtEngineGetOutputBufferByIndex
            axclrtEngineGetInputBufferByName axclrtEngineGetOutputBufferByName
            axclrtEngineSetDynamicBatchSize axclrtEngineExecuteAsync axclrtGetContextId
            axclrtGetDefaultStream axclrtGetEnviromentByStream axclrtGetDeviceBusInfo axclrtGetDevicePidInfo
            axclrtRebootDevice axclrtLatencyLoopback axclrtP2PTriggerTest axclrtEngineP2pBwTest axclrtLog
            axclrtControlCreateContext axclrtControlDestroyContext axclrtControlCreateStream
            axclrtControlDestroyStream axclrtControlSyncStream axclrtControlCreateEvent
            axclrtControlDestroyEvent axclrtControlRecordEvent axclrtControlStreamWaitEvent
            axclrtControlExecuteShellCmd axclrtCreateTask axclrtWaitTaskFinish axclrtGetTaskResponse
            axclrtDestoryTask axclrtConfigLoad axclrtConfigUnLoad axclrtConfigGetLogPath
            axclrtConfigGetLogLevel axclrtConfigGetDmaBufSize
        }
    }
}

vendor_table! {
    /// All of `AX_SYS`, `AX_POOL` and `AX_ENGINE` that ax650 knows, or the names of the required functions that are
    /// missing.
    resolve_board,
    /// The functions of the board's libraries that this is linked with.
    #[cfg(linked_board)]
    linked_board(board),
    /// The functions of `AX_SYS`, `AX_POOL` and `AX_ENGINE`.
    BOARD -> ax_board_table {
        required {
            AX_SYS_Init AX_SYS_Deinit AX_SYS_MemAlloc AX_SYS_MemAllocCached AX_SYS_MemFree
            AX_SYS_MflushCache AX_SYS_MinvalidateCache AX_ENGINE_Init AX_ENGINE_Deinit
            AX_ENGINE_CreateHandle AX_ENGINE_DestroyHandle AX_ENGINE_GetIOInfo AX_ENGINE_CreateContext
            AX_ENGINE_CreateContextV2 AX_ENGINE_RunSync
        }
        optional {
            AX_SYS_Mmap AX_SYS_MmapCache AX_SYS_MmapFast AX_SYS_MmapCacheFast AX_SYS_Munmap
            AX_SYS_MemGetBlockInfoByPhy AX_SYS_MemGetBlockInfoByVirt AX_SYS_MemGetPartitionInfo
            AX_SYS_MemSetConfig AX_SYS_MemGetConfig AX_SYS_MemQueryStatus AX_SYS_Link AX_SYS_UnLink
            AX_SYS_GetLinkByDest AX_SYS_GetLinkBySrc AX_SYS_GetCurPTS AX_SYS_InitPTSBase AX_SYS_SyncPTS
            AX_SYS_SetLogLevel AX_SYS_SetLogTarget AX_SYS_EnableTimestamp AX_POOL_SetConfig
            AX_POOL_GetConfig AX_POOL_Init AX_POOL_Exit AX_POOL_CreatePool AX_POOL_DestroyPool
            AX_POOL_GetBlock AX_POOL_ReleaseBlock AX_POOL_PhysAddr2Handle AX_POOL_Handle2PhysAddr
            AX_POOL_Handle2MetaPhysAddr AX_POOL_Handle2PoolId AX_POOL_Handle2BlkSize AX_POOL_MmapPool
            AX_POOL_MunmapPool AX_POOL_GetBlockVirAddr AX_POOL_GetMetaVirAddr AX_POOL_IncreaseRefCnt
            AX_POOL_DecreaseRefCnt AX_ENGINE_GetVersion AX_ENGINE_NPUReset AX_ENGINE_GetVNPUAttr
            AX_ENGINE_GetModelType AX_ENGINE_CreateHandleV2 AX_ENGINE_GetModelToolsVersion
            AX_ENGINE_GetCMMUsage AX_ENGINE_SetAffinity AX_ENGINE_GetAffinity AX_ENGINE_RunSyncV2
            AX_ENGINE_GetGroupIOInfoCount AX_ENGINE_GetGroupIOInfo AX_ENGINE_RunGroupIOSync
            AX_ENGINE_GetHandleModelType AX_SYS_LogOpen AX_SYS_LogClose AX_SYS_LogPrint AX_SYS_LogPrint_Ex
            AX_SYS_Msleep AX_SYS_Usleep AX_SYS_AllocPTSBuffer AX_SYS_FreePTSBuffer AX_SYS_RecordPTS
            AX_POOL_RecordTimeStamp AX_POOL_RecordTimeStampEx AX_POOL_ClearTimeStamp
        }
    }
}

#[cfg(test)]
mod tests;
