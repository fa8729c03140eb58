// Made by `ax650-sys/bindings.sh` from the headers; do not edit.

//! The functions of each table by name and signature, for code that needs one item for each.

/// Invokes the given macro with the functions of `ax_pcie_table`: AXCL, a card driven from its host.
///
/// Each is `fn name(parameter: type, ...) -> type;`, and `variadic fn` with the fixed parameters
/// where more may follow; types have full paths.
#[macro_export]
macro_rules! pcie_functions {
    ($($each:tt)+) => {
        $($each)+! {
            fn axclInit(config: *const ::core::ffi::c_char) -> $crate::vendor::axclError;
            fn axclFinalize() -> $crate::vendor::axclError;
            fn axclrtSetDevice(device: i32) -> $crate::vendor::axclError;
            fn axclrtResetDevice(device: i32) -> $crate::vendor::axclError;
            fn axclrtGetDeviceList(list: *mut $crate::vendor::axclrtDeviceList) -> $crate::vendor::axclError;
            fn axclrtMalloc(device_ptr: *mut *mut ::core::ffi::c_void, size: usize, policy: $crate::vendor::axclrtMemMallocPolicy) -> $crate::vendor::axclError;
            fn axclrtFree(device_ptr: *mut ::core::ffi::c_void) -> $crate::vendor::axclError;
            fn axclrtMemset(device_ptr: *mut ::core::ffi::c_void, value: u8, count: usize) -> $crate::vendor::axclError;
            fn axclrtMemcpy(dst: *mut ::core::ffi::c_void, src: *const ::core::ffi::c_void, count: usize, kind: $crate::vendor::axclrtMemcpyKind) -> $crate::vendor::axclError;
            fn axclrtEngineInit(kind: $crate::vendor::axclrtEngineVNpuKind) -> $crate::vendor::axclError;
            fn axclrtEngineFinalize() -> $crate::vendor::axclError;
            fn axclrtEngineLoadFromFile(path: *const ::core::ffi::c_char, model: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineUnload(model: u64) -> $crate::vendor::axclError;
            fn axclrtEngineCreateContext(model: u64, context: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetIOInfo(model: u64, info: *mut $crate::vendor::axclrtEngineIOInfo) -> $crate::vendor::axclError;
            fn axclrtEngineDestroyIOInfo(info: $crate::vendor::axclrtEngineIOInfo) -> $crate::vendor::axclError;
            fn axclrtEngineGetShapeGroupsCount(info: $crate::vendor::axclrtEngineIOInfo, count: *mut i32) -> $crate::vendor::axclError;
            fn axclrtEngineGetNumInputs(info: $crate::vendor::axclrtEngineIOInfo) -> u32;
            fn axclrtEngineGetNumOutputs(info: $crate::vendor::axclrtEngineIOInfo) -> u32;
            fn axclrtEngineGetInputSizeByIndex(info: $crate::vendor::axclrtEngineIOInfo, group: u32, index: u32) -> u64;
            fn axclrtEngineGetOutputSizeByIndex(info: $crate::vendor::axclrtEngineIOInfo, group: u32, index: u32) -> u64;
            fn axclrtEngineGetInputNameByIndex(info: $crate::vendor::axclrtEngineIOInfo, index: u32) -> *const ::core::ffi::c_char;
            fn axclrtEngineGetOutputNameByIndex(info: $crate::vendor::axclrtEngineIOInfo, index: u32) -> *const ::core::ffi::c_char;
            fn axclrtEngineGetInputDims(info: $crate::vendor::axclrtEngineIOInfo, group: u32, index: u32, dims: *mut $crate::vendor::axclrtEngineIODims) -> $crate::vendor::axclError;
            fn axclrtEngineGetOutputDims(info: $crate::vendor::axclrtEngineIOInfo, group: u32, index: u32, dims: *mut $crate::vendor::axclrtEngineIODims) -> $crate::vendor::axclError;
            fn axclrtEngineCreateIO(info: $crate::vendor::axclrtEngineIOInfo, io: *mut $crate::vendor::axclrtEngineIO) -> $crate::vendor::axclError;
            fn axclrtEngineDestroyIO(io: $crate::vendor::axclrtEngineIO) -> $crate::vendor::axclError;
            fn axclrtEngineSetInputBufferByIndex(io: $crate::vendor::axclrtEngineIO, index: u32, device_ptr: *const ::core::ffi::c_void, size: u64) -> $crate::vendor::axclError;
            fn axclrtEngineSetOutputBufferByIndex(io: $crate::vendor::axclrtEngineIO, index: u32, device_ptr: *const ::core::ffi::c_void, size: u64) -> $crate::vendor::axclError;
            fn axclrtEngineExecute(model: u64, context: u64, group: u32, io: $crate::vendor::axclrtEngineIO) -> $crate::vendor::axclError;
            fn axclSetLogLevel(level: i32) -> $crate::vendor::axclError;
            variadic fn axclAppLog(level: i32, function: *const ::core::ffi::c_char, file: *const ::core::ffi::c_char, line: u32, format: *const ::core::ffi::c_char) -> ();
            fn axclrtGetVersion(major: *mut i32, minor: *mut i32, patch: *mut i32) -> $crate::vendor::axclError;
            fn axclrtGetFullVersion() -> *const ::core::ffi::c_char;
            fn axclrtGetSocName() -> *const ::core::ffi::c_char;
            fn axclrtGetDevice(device: *mut i32) -> $crate::vendor::axclError;
            fn axclrtGetDeviceCount(count: *mut u32) -> $crate::vendor::axclError;
            fn axclrtSynchronizeDevice() -> $crate::vendor::axclError;
            fn axclrtGetDeviceProperties(device: i32, properties: *mut $crate::vendor::axclrtDeviceProperties) -> $crate::vendor::axclError;
            fn axclrtCreateContext(context: *mut $crate::vendor::axclrtContext, device: i32) -> $crate::vendor::axclError;
            fn axclrtDestroyContext(context: $crate::vendor::axclrtContext) -> $crate::vendor::axclError;
            fn axclrtSetCurrentContext(context: $crate::vendor::axclrtContext) -> $crate::vendor::axclError;
            fn axclrtGetCurrentContext(context: *mut $crate::vendor::axclrtContext) -> $crate::vendor::axclError;
            fn axclrtGetDefaultContext(context: *mut $crate::vendor::axclrtContext, device: i32) -> $crate::vendor::axclError;
            fn axclrtMallocCached(device_ptr: *mut *mut ::core::ffi::c_void, size: usize, policy: $crate::vendor::axclrtMemMallocPolicy) -> $crate::vendor::axclError;
            fn axclrtMemFlush(device_ptr: *mut ::core::ffi::c_void, size: usize) -> $crate::vendor::axclError;
            fn axclrtMemInvalidate(device_ptr: *mut ::core::ffi::c_void, size: usize) -> $crate::vendor::axclError;
            fn axclrtMallocHost(host_ptr: *mut *mut ::core::ffi::c_void, size: usize) -> $crate::vendor::axclError;
            fn axclrtFreeHost(host_ptr: *mut ::core::ffi::c_void) -> $crate::vendor::axclError;
            fn axclrtMemcmp(device_a: *const ::core::ffi::c_void, device_b: *const ::core::ffi::c_void, count: usize) -> $crate::vendor::axclError;
            fn axclrtMemsetAsync(device_ptr: *mut ::core::ffi::c_void, value: u8, count: usize, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtMemcpyAsync(dst: *mut ::core::ffi::c_void, src: *const ::core::ffi::c_void, count: usize, kind: $crate::vendor::axclrtMemcpyKind, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtMemcmpAsync(device_a: *const ::core::ffi::c_void, device_b: *const ::core::ffi::c_void, count: usize, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtCreateStream(stream: *mut $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtDestroyStream(stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtDestroyStreamForce(stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtSynchronizeStream(stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtSynchronizeStreamWithTimeout(stream: $crate::vendor::axclrtStream, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtCreateEvent(event: *mut $crate::vendor::axclrtEvent) -> $crate::vendor::axclError;
            fn axclrtDestroyEvent(event: $crate::vendor::axclrtEvent) -> $crate::vendor::axclError;
            fn axclrtRecordEvent(event: $crate::vendor::axclrtEvent, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtStreamWaitEvent(stream: $crate::vendor::axclrtStream, event: $crate::vendor::axclrtEvent) -> $crate::vendor::axclError;
            fn axclrtStreamWaitEventWithTimeout(stream: $crate::vendor::axclrtStream, event: $crate::vendor::axclrtEvent, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtTransferFile(source: *const ::core::ffi::c_char, destination: *const ::core::ffi::c_char, policy: $crate::vendor::axclrtFileTransferPolicy) -> $crate::vendor::axclError;
            fn axclrtExecWorker(path: *const ::core::ffi::c_char, argc: *const i32, argv: *mut *const ::core::ffi::c_char, pid: *mut u32) -> $crate::vendor::axclError;
            fn axclrtKillWorker(pid: u32) -> $crate::vendor::axclError;
            fn axclrtWorkerSend(pid: u32, buffer: *const ::core::ffi::c_void, size: u32, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtWorkerRecv(pid: u32, buffer: *mut ::core::ffi::c_void, size: u32, received: *mut u32, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtCreateP2PUnit(info: *const $crate::vendor::axclrtP2PUnitInfo, handle: *mut $crate::vendor::AXCL_P2P_UNIT_HANDLE) -> $crate::vendor::axclError;
            fn axclrtDestoryP2PUnit(handle: $crate::vendor::AXCL_P2P_UNIT_HANDLE) -> $crate::vendor::axclError;
            fn axclrtControlChangePCIeSubId(sub_vendor_id: u32, sub_device_id: u32) -> $crate::vendor::axclError;
            fn axclrtEngineGetVNpuKind(kind: *mut $crate::vendor::axclrtEngineVNpuKind) -> $crate::vendor::axclError;
            fn axclrtEngineLoadFromMem(device_ptr: *const ::core::ffi::c_void, size: u64, model: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetModelCompilerVersion(model: u64) -> *const ::core::ffi::c_char;
            fn axclrtEngineSetAffinity(model: u64, set: $crate::vendor::axclrtEngineSet) -> $crate::vendor::axclError;
            fn axclrtEngineGetAffinity(model: u64, set: *mut $crate::vendor::axclrtEngineSet) -> $crate::vendor::axclError;
            fn axclrtEngineSetContextAffinity(model: u64, context: u64, set: $crate::vendor::axclrtEngineSet) -> $crate::vendor::axclError;
            fn axclrtEngineGetContextAffinity(model: u64, context: u64, set: *mut $crate::vendor::axclrtEngineSet) -> $crate::vendor::axclError;
            fn axclrtEngineGetUsage(path: *const ::core::ffi::c_char, system_size: *mut i64, cmm_size: *mut i64) -> $crate::vendor::axclError;
            fn axclrtEngineGetUsageFromMem(device_ptr: *const ::core::ffi::c_void, size: u64, system_size: *mut i64, cmm_size: *mut i64) -> $crate::vendor::axclError;
            fn axclrtEngineGetUsageFromModelId(model: u64, system_size: *mut i64, cmm_size: *mut i64) -> $crate::vendor::axclError;
            fn axclrtEngineGetModelType(path: *const ::core::ffi::c_char, kind: *mut $crate::vendor::axclrtEngineModelKind) -> $crate::vendor::axclError;
            fn axclrtEngineGetModelTypeFromMem(device_ptr: *const ::core::ffi::c_void, size: u64, kind: *mut $crate::vendor::axclrtEngineModelKind) -> $crate::vendor::axclError;
            fn axclrtEngineGetModelTypeFromModelId(model: u64, kind: *mut $crate::vendor::axclrtEngineModelKind) -> $crate::vendor::axclError;
            fn axclrtEngineGetInputIndexByName(info: $crate::vendor::axclrtEngineIOInfo, name: *const ::core::ffi::c_char) -> i32;
            fn axclrtEngineGetOutputIndexByName(info: $crate::vendor::axclrtEngineIOInfo, name: *const ::core::ffi::c_char) -> i32;
            fn axclrtEngineGetInputDataType(info: $crate::vendor::axclrtEngineIOInfo, index: u32, type_: *mut $crate::vendor::axclrtEngineDataType) -> $crate::vendor::axclError;
            fn axclrtEngineGetOutputDataType(info: $crate::vendor::axclrtEngineIOInfo, index: u32, type_: *mut $crate::vendor::axclrtEngineDataType) -> $crate::vendor::axclError;
            fn axclrtEngineGetInputDataLayout(info: $crate::vendor::axclrtEngineIOInfo, index: u32, layout: *mut $crate::vendor::axclrtEngineDataLayout) -> $crate::vendor::axclError;
            fn axclrtEngineGetOutputDataLayout(info: $crate::vendor::axclrtEngineIOInfo, index: u32, layout: *mut $crate::vendor::axclrtEngineDataLayout) -> $crate::vendor::axclError;
            fn axclrtEngineSetInputBufferByName(io: $crate::vendor::axclrtEngineIO, name: *const ::core::ffi::c_char, device_ptr: *const ::core::ffi::c_void, size: u64) -> $crate::vendor::axclError;
            fn axclrtEngineSetOutputBufferByName(io: $crate::vendor::axclrtEngineIO, name: *const ::core::ffi::c_char, device_ptr: *const ::core::ffi::c_void, size: u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetInputBufferByIndex(io: $crate::vendor::axclrtEngineIO, index: u32, device_ptr: *mut *mut ::core::ffi::c_void, size: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetOutputBufferByIndex(io: $crate::vendor::axclrtEngineIO, index: u32, device_ptr: *mut *mut ::core::ffi::c_void, size: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetInputBufferByName(io: $crate::vendor::axclrtEngineIO, name: *const ::core::ffi::c_char, device_ptr: *mut *mut ::core::ffi::c_void, size: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineGetOutputBufferByName(io: $crate::vendor::axclrtEngineIO, name: *const ::core::ffi::c_char, device_ptr: *mut *mut ::core::ffi::c_void, size: *mut u64) -> $crate::vendor::axclError;
            fn axclrtEngineSetDynamicBatchSize(io: $crate::vendor::axclrtEngineIO, batch_size: u32) -> $crate::vendor::axclError;
            fn axclrtEngineExecuteAsync(model: u64, context: u64, group: u32, io: $crate::vendor::axclrtEngineIO, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtGetContextId(context: $crate::vendor::axclrtContext, id: *mut i32) -> $crate::vendor::axclError;
            fn axclrtGetDefaultStream(context: $crate::vendor::axclrtContext, stream: *mut $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtGetEnviromentByStream(stream: $crate::vendor::axclrtStream, environment: *mut $crate::vendor::axclrtEnvironment) -> $crate::vendor::axclError;
            fn axclrtGetDeviceBusInfo(device: i32, info: *mut $crate::vendor::axclrtDeviceBusInfo) -> $crate::vendor::axclError;
            fn axclrtGetDevicePidInfo(device: i32, info: *mut $crate::vendor::axclrtDevicePidInfo) -> $crate::vendor::axclError;
            fn axclrtRebootDevice(device: i32) -> $crate::vendor::axclError;
            fn axclrtLatencyLoopback(data: *const ::core::ffi::c_void, size: u32, check: bool, mode: ::core::ffi::c_int) -> $crate::vendor::axclError;
            fn axclrtP2PTriggerTest(handle: $crate::vendor::AXCL_P2P_UNIT_HANDLE, config: *mut $crate::vendor::axclrtP2PTestConfig) -> $crate::vendor::axclError;
            fn axclrtEngineP2pBwTest(result: *mut $crate::vendor::axclrtEngineP2pBwRes, mode: u32, size: u64) -> $crate::vendor::axclError;
            fn axclrtLog(kind: $crate::vendor::axclrtLogKind, flag: $crate::vendor::axclrtFlagKind, output_path: *const ::core::ffi::c_char) -> $crate::vendor::axclError;
            fn axclrtControlCreateContext(context: i32) -> $crate::vendor::axclError;
            fn axclrtControlDestroyContext(context: i32) -> $crate::vendor::axclError;
            fn axclrtControlCreateStream(context: i32, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtControlDestroyStream(context: i32, stream: $crate::vendor::axclrtStream) -> $crate::vendor::axclError;
            fn axclrtControlSyncStream(context: i32, stream: $crate::vendor::axclrtStream, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtControlCreateEvent(event: i32) -> $crate::vendor::axclError;
            fn axclrtControlDestroyEvent(event: i32) -> $crate::vendor::axclError;
            fn axclrtControlRecordEvent(stream: $crate::vendor::axclrtStream, event: i32) -> $crate::vendor::axclError;
            fn axclrtControlStreamWaitEvent(stream: $crate::vendor::axclrtStream, event: i32, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtControlExecuteShellCmd(command: *const ::core::ffi::c_char, arguments: *const *const ::core::ffi::c_char, count: usize, output: *mut *const ::core::ffi::c_char, timeout_ms: i32) -> $crate::vendor::axclError;
            fn axclrtCreateTask(task: *mut $crate::vendor::axclrtTask, stream: $crate::vendor::axclrtStream, token: u64, data: *const ::core::ffi::c_void, size: usize, timeout_ms: i32, has_response: bool, flag: i64) -> $crate::vendor::axclError;
            fn axclrtWaitTaskFinish(task: $crate::vendor::axclrtTask) -> $crate::vendor::axclError;
            fn axclrtGetTaskResponse(task: $crate::vendor::axclrtTask, buffer: *mut *mut ::core::ffi::c_void, size: *mut u32) -> $crate::vendor::axclError;
            fn axclrtDestoryTask(task: $crate::vendor::axclrtTask) -> $crate::vendor::axclError;
            fn axclrtConfigLoad(json: *const ::core::ffi::c_char) -> $crate::vendor::axclError;
            fn axclrtConfigUnLoad() -> ();
            fn axclrtConfigGetLogPath() -> *const ::core::ffi::c_char;
            fn axclrtConfigGetLogLevel(device: i32) -> i32;
            fn axclrtConfigGetDmaBufSize() -> u32;
        }
    };
}

/// Invokes the given macro with the functions of `ax_board_table`: AX_SYS, AX_POOL and AX_ENGINE, the chip driven from its own Linux.
///
/// Each is `fn name(parameter: type, ...) -> type;`, and `variadic fn` with the fixed parameters
/// where more may follow; types have full paths.
#[macro_export]
macro_rules! board_functions {
    ($($each:tt)+) => {
        $($each)+! {
            fn AX_SYS_Init() -> $crate::vendor::AX_S32;
            fn AX_SYS_Deinit() -> $crate::vendor::AX_S32;
            fn AX_SYS_MemAlloc(phy: *mut $crate::vendor::AX_U64, vir: *mut *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, align: $crate::vendor::AX_U32, token: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemAllocCached(phy: *mut $crate::vendor::AX_U64, vir: *mut *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, align: $crate::vendor::AX_U32, token: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemFree(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID) -> $crate::vendor::AX_S32;
            fn AX_SYS_MflushCache(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_SYS_MinvalidateCache(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_Init(attr: *mut $crate::vendor::AX_ENGINE_NPU_ATTR_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_Deinit() -> $crate::vendor::AX_S32;
            fn AX_ENGINE_CreateHandle(handle: *mut $crate::vendor::AX_ENGINE_HANDLE, data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_DestroyHandle(handle: $crate::vendor::AX_ENGINE_HANDLE) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetIOInfo(handle: $crate::vendor::AX_ENGINE_HANDLE, info: *mut *mut $crate::vendor::AX_ENGINE_IO_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_CreateContext(handle: $crate::vendor::AX_ENGINE_HANDLE) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_CreateContextV2(handle: $crate::vendor::AX_ENGINE_HANDLE, context: *mut $crate::vendor::AX_ENGINE_CONTEXT_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_RunSync(handle: $crate::vendor::AX_ENGINE_HANDLE, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_Mmap(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AX_SYS_MmapCache(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AX_SYS_MmapFast(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AX_SYS_MmapCacheFast(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AX_SYS_Munmap(vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemGetBlockInfoByPhy(phy: $crate::vendor::AX_U64, memory_type: *mut $crate::vendor::AX_S32, vir: *mut *mut $crate::vendor::AX_VOID, block_size: *mut $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemGetBlockInfoByVirt(vir: *mut $crate::vendor::AX_VOID, phy: *mut $crate::vendor::AX_U64, memory_type: *mut $crate::vendor::AX_S32) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemGetPartitionInfo(info: *mut $crate::vendor::AX_CMM_PARTITION_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemSetConfig(module: *const $crate::vendor::AX_MOD_INFO_T, partition_name: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemGetConfig(module: *const $crate::vendor::AX_MOD_INFO_T, partition_name: *mut $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AX_SYS_MemQueryStatus(status: *mut $crate::vendor::AX_CMM_STATUS_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_Link(source: *const $crate::vendor::AX_MOD_INFO_T, destination: *const $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_UnLink(source: *const $crate::vendor::AX_MOD_INFO_T, destination: *const $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_GetLinkByDest(destination: *const $crate::vendor::AX_MOD_INFO_T, source: *mut $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_GetLinkBySrc(source: *const $crate::vendor::AX_MOD_INFO_T, destinations: *mut $crate::vendor::AX_LINK_DEST_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_GetCurPTS(pts: *mut $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AX_SYS_InitPTSBase(base: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AX_SYS_SyncPTS(base: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AX_SYS_SetLogLevel(level: $crate::vendor::AX_LOG_LEVEL_E) -> $crate::vendor::AX_S32;
            fn AX_SYS_SetLogTarget(target: $crate::vendor::AX_LOG_TARGET_E) -> $crate::vendor::AX_S32;
            fn AX_SYS_EnableTimestamp(enable: $crate::vendor::AX_BOOL) -> $crate::vendor::AX_S32;
            fn AX_POOL_SetConfig(plan: *const $crate::vendor::AX_POOL_FLOORPLAN_T) -> $crate::vendor::AX_S32;
            fn AX_POOL_GetConfig(plan: *mut $crate::vendor::AX_POOL_FLOORPLAN_T) -> $crate::vendor::AX_S32;
            fn AX_POOL_Init() -> $crate::vendor::AX_S32;
            fn AX_POOL_Exit() -> $crate::vendor::AX_S32;
            fn AX_POOL_CreatePool(config: *mut $crate::vendor::AX_POOL_CONFIG_T) -> $crate::vendor::AX_POOL;
            fn AX_POOL_DestroyPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AX_POOL_GetBlock(pool: $crate::vendor::AX_POOL, size: $crate::vendor::AX_U64, partition_name: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_BLK;
            fn AX_POOL_ReleaseBlock(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AX_POOL_PhysAddr2Handle(phy: $crate::vendor::AX_U64) -> $crate::vendor::AX_BLK;
            fn AX_POOL_Handle2PhysAddr(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AX_POOL_Handle2MetaPhysAddr(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AX_POOL_Handle2PoolId(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_POOL;
            fn AX_POOL_Handle2BlkSize(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AX_POOL_MmapPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AX_POOL_MunmapPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AX_POOL_GetBlockVirAddr(block: $crate::vendor::AX_BLK) -> *mut $crate::vendor::AX_VOID;
            fn AX_POOL_GetMetaVirAddr(block: $crate::vendor::AX_BLK) -> *mut $crate::vendor::AX_VOID;
            fn AX_POOL_IncreaseRefCnt(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AX_POOL_DecreaseRefCnt(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetVersion() -> *const $crate::vendor::AX_CHAR;
            fn AX_ENGINE_NPUReset() -> ();
            fn AX_ENGINE_GetVNPUAttr(attr: *mut $crate::vendor::AX_ENGINE_NPU_ATTR_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetModelType(data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, type_: *mut $crate::vendor::AX_ENGINE_MODEL_TYPE_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_CreateHandleV2(handle: *mut $crate::vendor::AX_ENGINE_HANDLE, data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, extra: *mut $crate::vendor::AX_ENGINE_HANDLE_EXTRA_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetModelToolsVersion(handle: $crate::vendor::AX_ENGINE_HANDLE) -> *const $crate::vendor::AX_CHAR;
            fn AX_ENGINE_GetCMMUsage(handle: $crate::vendor::AX_ENGINE_HANDLE, usage: *mut $crate::vendor::AX_ENGINE_CMM_INFO) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_SetAffinity(handle: $crate::vendor::AX_ENGINE_HANDLE, set: $crate::vendor::AX_ENGINE_NPU_SET_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetAffinity(handle: $crate::vendor::AX_ENGINE_HANDLE, set: *mut $crate::vendor::AX_ENGINE_NPU_SET_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_RunSyncV2(handle: $crate::vendor::AX_ENGINE_HANDLE, context: $crate::vendor::AX_ENGINE_CONTEXT_T, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetGroupIOInfoCount(handle: $crate::vendor::AX_ENGINE_HANDLE, count: *mut $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetGroupIOInfo(handle: $crate::vendor::AX_ENGINE_HANDLE, index: $crate::vendor::AX_U32, info: *mut *mut $crate::vendor::AX_ENGINE_IO_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_RunGroupIOSync(handle: $crate::vendor::AX_ENGINE_HANDLE, context: $crate::vendor::AX_ENGINE_CONTEXT_T, group: $crate::vendor::AX_U32, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
            fn AX_ENGINE_GetHandleModelType(handle: $crate::vendor::AX_ENGINE_HANDLE, type_: *mut $crate::vendor::AX_ENGINE_MODEL_TYPE_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_LogOpen() -> ();
            fn AX_SYS_LogClose() -> ();
            variadic fn AX_SYS_LogPrint(level: $crate::vendor::AX_S32, format: *const $crate::vendor::AX_CHAR) -> ();
            variadic fn AX_SYS_LogPrint_Ex(level: $crate::vendor::AX_S32, tag: *const $crate::vendor::AX_CHAR, id: ::core::ffi::c_int, format: *const $crate::vendor::AX_CHAR) -> ();
            fn AX_SYS_Msleep(milliseconds: ::core::ffi::c_ulong) -> $crate::vendor::AX_S32;
            fn AX_SYS_Usleep(microseconds: ::core::ffi::c_ulong) -> $crate::vendor::AX_S32;
            fn AX_SYS_AllocPTSBuffer(module: *mut $crate::vendor::AX_MOD_INFO_T, count: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AX_SYS_FreePTSBuffer(module: *mut $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AX_SYS_RecordPTS(module: *mut $crate::vendor::AX_MOD_INFO_T, frame: $crate::vendor::AX_U64, sequence: $crate::vendor::AX_U64, block: $crate::vendor::AX_U32, index: $crate::vendor::AX_U32, timestamp: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AX_POOL_RecordTimeStamp(block: $crate::vendor::AX_BLK, index: $crate::vendor::AX_U8) -> $crate::vendor::AX_S32;
            fn AX_POOL_RecordTimeStampEx(block: $crate::vendor::AX_BLK, index: $crate::vendor::AX_U8, timestamp: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AX_POOL_ClearTimeStamp(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
        }
    };
}

/// Invokes the given macro with the functions of `ax_native_table`: AXCL_SYS, AXCL_POOL and AXCL_ENGINE, the same driven from the host.
///
/// Each is `fn name(parameter: type, ...) -> type;`, and `variadic fn` with the fixed parameters
/// where more may follow; types have full paths.
#[macro_export]
macro_rules! native_functions {
    ($($each:tt)+) => {
        $($each)+! {
            fn AXCL_SYS_Init() -> $crate::vendor::AX_S32;
            fn AXCL_SYS_Deinit() -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemAlloc(phy: *mut $crate::vendor::AX_U64, vir: *mut *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, align: $crate::vendor::AX_U32, token: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemAllocCached(phy: *mut $crate::vendor::AX_U64, vir: *mut *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, align: $crate::vendor::AX_U32, token: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemFree(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_Mmap(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_SYS_MmapCache(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_SYS_MmapFast(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_SYS_MmapCacheFast(phy: $crate::vendor::AX_U64, size: $crate::vendor::AX_U32) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_SYS_Munmap(vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MflushCache(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MinvalidateCache(phy: $crate::vendor::AX_U64, vir: *mut $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemGetBlockInfoByPhy(phy: $crate::vendor::AX_U64, memory_type: *mut $crate::vendor::AX_S32, vir: *mut *mut $crate::vendor::AX_VOID, block_size: *mut $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemGetBlockInfoByVirt(vir: *mut $crate::vendor::AX_VOID, phy: *mut $crate::vendor::AX_U64, memory_type: *mut $crate::vendor::AX_S32) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemGetPartitionInfo(info: *mut $crate::vendor::AX_CMM_PARTITION_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemSetConfig(module: *const $crate::vendor::AX_MOD_INFO_T, partition_name: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemGetConfig(module: *const $crate::vendor::AX_MOD_INFO_T, partition_name: *mut $crate::vendor::AX_S8) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_MemQueryStatus(status: *mut $crate::vendor::AX_CMM_STATUS_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_Link(source: *const $crate::vendor::AX_MOD_INFO_T, destination: *const $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_UnLink(source: *const $crate::vendor::AX_MOD_INFO_T, destination: *const $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_GetLinkByDest(destination: *const $crate::vendor::AX_MOD_INFO_T, source: *mut $crate::vendor::AX_MOD_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_GetLinkBySrc(source: *const $crate::vendor::AX_MOD_INFO_T, destinations: *mut $crate::vendor::AX_LINK_DEST_T) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_GetCurPTS(pts: *mut $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_InitPTSBase(base: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_SyncPTS(base: $crate::vendor::AX_U64) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_SetLogLevel(level: $crate::vendor::AX_LOG_LEVEL_E) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_SetLogTarget(target: $crate::vendor::AX_LOG_TARGET_E) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_EnableTimestamp(enable: $crate::vendor::AX_BOOL) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_SetConfig(plan: *const $crate::vendor::AX_POOL_FLOORPLAN_T) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_GetConfig(plan: *mut $crate::vendor::AX_POOL_FLOORPLAN_T) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_Init() -> $crate::vendor::AX_S32;
            fn AXCL_POOL_Exit() -> $crate::vendor::AX_S32;
            fn AXCL_POOL_CreatePool(config: *mut $crate::vendor::AX_POOL_CONFIG_T) -> $crate::vendor::AX_POOL;
            fn AXCL_POOL_DestroyPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_GetBlock(pool: $crate::vendor::AX_POOL, size: $crate::vendor::AX_U64, partition_name: *const $crate::vendor::AX_S8) -> $crate::vendor::AX_BLK;
            fn AXCL_POOL_ReleaseBlock(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_PhysAddr2Handle(phy: $crate::vendor::AX_U64) -> $crate::vendor::AX_BLK;
            fn AXCL_POOL_Handle2PhysAddr(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AXCL_POOL_Handle2MetaPhysAddr(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AXCL_POOL_Handle2PoolId(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_POOL;
            fn AXCL_POOL_Handle2BlkSize(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_U64;
            fn AXCL_POOL_MmapPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_MunmapPool(pool: $crate::vendor::AX_POOL) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_GetBlockVirAddr(block: $crate::vendor::AX_BLK) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_POOL_GetMetaVirAddr(block: $crate::vendor::AX_BLK) -> *mut $crate::vendor::AX_VOID;
            fn AXCL_POOL_IncreaseRefCnt(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AXCL_POOL_DecreaseRefCnt(block: $crate::vendor::AX_BLK) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_GetChipType() -> $crate::vendor::AX_CHIP_TYPE_E;
            fn AXCL_SYS_Sleep() -> $crate::vendor::AX_S32;
            fn AXCL_SYS_WakeLock(module: $crate::vendor::AX_MOD_ID_E) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_WakeUnlock(module: $crate::vendor::AX_MOD_ID_E) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_RegisterEventCb(module: $crate::vendor::AX_MOD_ID_E, callback: $crate::vendor::NotifyEventCallback, data: *mut $crate::vendor::AX_VOID) -> $crate::vendor::AX_S32;
            fn AXCL_SYS_UnregisterEventCb(module: $crate::vendor::AX_MOD_ID_E) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetVersion() -> *const $crate::vendor::AX_CHAR;
            fn AXCL_ENGINE_NPUReset() -> ();
            fn AXCL_ENGINE_Init(attr: *mut $crate::vendor::AX_ENGINE_NPU_ATTR_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetVNPUAttr(attr: *mut $crate::vendor::AX_ENGINE_NPU_ATTR_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_Deinit() -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetModelType(data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, type_: *mut $crate::vendor::AX_ENGINE_MODEL_TYPE_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_CreateHandle(handle: *mut $crate::vendor::AX_ENGINE_HANDLE, data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_CreateHandleV2(handle: *mut $crate::vendor::AX_ENGINE_HANDLE, data: *const $crate::vendor::AX_VOID, size: $crate::vendor::AX_U32, extra: *mut $crate::vendor::AX_ENGINE_HANDLE_EXTRA_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_DestroyHandle(handle: $crate::vendor::AX_ENGINE_HANDLE) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetHandleModelType(handle: $crate::vendor::AX_ENGINE_HANDLE, type_: *mut $crate::vendor::AX_ENGINE_MODEL_TYPE_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetModelToolsVersion(handle: $crate::vendor::AX_ENGINE_HANDLE) -> *const $crate::vendor::AX_CHAR;
            fn AXCL_ENGINE_GetCMMUsage(handle: $crate::vendor::AX_ENGINE_HANDLE, usage: *mut $crate::vendor::AX_ENGINE_CMM_INFO) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetIOInfo(handle: $crate::vendor::AX_ENGINE_HANDLE, info: *mut *mut $crate::vendor::AX_ENGINE_IO_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetGroupIOInfoCount(handle: $crate::vendor::AX_ENGINE_HANDLE, count: *mut $crate::vendor::AX_U32) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetGroupIOInfo(handle: $crate::vendor::AX_ENGINE_HANDLE, index: $crate::vendor::AX_U32, info: *mut *mut $crate::vendor::AX_ENGINE_IO_INFO_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_CreateContext(handle: $crate::vendor::AX_ENGINE_HANDLE) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_CreateContextV2(handle: $crate::vendor::AX_ENGINE_HANDLE, context: *mut $crate::vendor::AX_ENGINE_CONTEXT_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_SetAffinity(handle: $crate::vendor::AX_ENGINE_HANDLE, set: $crate::vendor::AX_ENGINE_NPU_SET_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_GetAffinity(handle: $crate::vendor::AX_ENGINE_HANDLE, set: *mut $crate::vendor::AX_ENGINE_NPU_SET_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_RunSync(handle: $crate::vendor::AX_ENGINE_HANDLE, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_RunSyncV2(handle: $crate::vendor::AX_ENGINE_HANDLE, context: $crate::vendor::AX_ENGINE_CONTEXT_T, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
            fn AXCL_ENGINE_RunGroupIOSync(handle: $crate::vendor::AX_ENGINE_HANDLE, context: $crate::vendor::AX_ENGINE_CONTEXT_T, group: $crate::vendor::AX_U32, io: *mut $crate::vendor::AX_ENGINE_IO_T) -> $crate::vendor::AX_S32;
        }
    };
}
