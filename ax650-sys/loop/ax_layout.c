/*
 * The layouts that the vendor's libraries were compiled with, asserted for the target of this build.
 * Figures measured from the vendor's headers (BSP V1.45.0_P39, axcl-runtime V3.10.2); the same on
 * x86_64 and aarch64.
 */
#include <stddef.h>

#include "ax_table.h"

#define SIZE(type, size, align) \
    _Static_assert(sizeof(type) == (size) && _Alignof(type) == (align), "layout of " #type)
#define FIELD(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)

_Static_assert(sizeof(void *) == 8, "the vendor's interfaces are described for 64-bit targets only");
_Static_assert(sizeof(AX_BOOL) == 4 && sizeof(AX_U64) == 8, "base types");

SIZE(AX_PARTITION_INFO_T, 48, 8);
FIELD(AX_PARTITION_INFO_T, PhysAddr, 0);
FIELD(AX_PARTITION_INFO_T, SizeKB, 8);
FIELD(AX_PARTITION_INFO_T, Name, 12);

SIZE(AX_CMM_PARTITION_INFO_T, 776, 8);
FIELD(AX_CMM_PARTITION_INFO_T, PartitionCnt, 0);
FIELD(AX_CMM_PARTITION_INFO_T, PartitionInfo, 8);

SIZE(AX_CMM_STATUS_T, 792, 8);
FIELD(AX_CMM_STATUS_T, TotalSize, 0);
FIELD(AX_CMM_STATUS_T, RemainSize, 4);
FIELD(AX_CMM_STATUS_T, BlockCnt, 8);
FIELD(AX_CMM_STATUS_T, Partition, 16);

SIZE(AX_MOD_INFO_T, 12, 4);
FIELD(AX_MOD_INFO_T, enModId, 0);
FIELD(AX_MOD_INFO_T, s32GrpId, 4);
FIELD(AX_MOD_INFO_T, s32ChnId, 8);

SIZE(AX_LINK_DEST_T, 52, 4);
FIELD(AX_LINK_DEST_T, u32DestNum, 0);
FIELD(AX_LINK_DEST_T, astDestMod, 4);

SIZE(AX_POOL_CONFIG_T, 96, 8);
FIELD(AX_POOL_CONFIG_T, MetaSize, 0);
FIELD(AX_POOL_CONFIG_T, BlkSize, 8);
FIELD(AX_POOL_CONFIG_T, BlkCnt, 16);
FIELD(AX_POOL_CONFIG_T, IsMergeMode, 20);
FIELD(AX_POOL_CONFIG_T, CacheMode, 24);
FIELD(AX_POOL_CONFIG_T, PartitionName, 28);
FIELD(AX_POOL_CONFIG_T, PoolName, 60);

SIZE(AX_POOL_FLOORPLAN_T, 6144, 8);

SIZE(AX_ENGINE_NPU_ATTR_T, 36, 4);
FIELD(AX_ENGINE_NPU_ATTR_T, eHardMode, 0);
FIELD(AX_ENGINE_NPU_ATTR_T, reserve, 4);

SIZE(AX_ENGINE_IOMETA_EX_T, 152, 8);
FIELD(AX_ENGINE_IOMETA_EX_T, eColorSpace, 0);
FIELD(AX_ENGINE_IOMETA_EX_T, u64Reserved, 8);

SIZE(AX_ENGINE_IOMETA_T, 128, 8);
FIELD(AX_ENGINE_IOMETA_T, pName, 0);
FIELD(AX_ENGINE_IOMETA_T, pShape, 8);
FIELD(AX_ENGINE_IOMETA_T, nShapeSize, 16);
FIELD(AX_ENGINE_IOMETA_T, eLayout, 20);
FIELD(AX_ENGINE_IOMETA_T, eMemoryType, 24);
FIELD(AX_ENGINE_IOMETA_T, eDataType, 28);
FIELD(AX_ENGINE_IOMETA_T, pExtraMeta, 32);
FIELD(AX_ENGINE_IOMETA_T, nSize, 40);
FIELD(AX_ENGINE_IOMETA_T, nQuantizationValue, 44);
FIELD(AX_ENGINE_IOMETA_T, pStride, 48);
FIELD(AX_ENGINE_IOMETA_T, u64Reserved, 56);

SIZE(AX_ENGINE_IO_INFO_T, 128, 8);
FIELD(AX_ENGINE_IO_INFO_T, pInputs, 0);
FIELD(AX_ENGINE_IO_INFO_T, nInputSize, 8);
FIELD(AX_ENGINE_IO_INFO_T, pOutputs, 16);
FIELD(AX_ENGINE_IO_INFO_T, nOutputSize, 24);
FIELD(AX_ENGINE_IO_INFO_T, nMaxBatchSize, 28);
FIELD(AX_ENGINE_IO_INFO_T, bDynamicBatchSize, 32);
FIELD(AX_ENGINE_IO_INFO_T, u64Reserved, 40);

SIZE(AX_ENGINE_IO_BUFFER_T, 128, 8);
FIELD(AX_ENGINE_IO_BUFFER_T, phyAddr, 0);
FIELD(AX_ENGINE_IO_BUFFER_T, pVirAddr, 8);
FIELD(AX_ENGINE_IO_BUFFER_T, nSize, 16);
FIELD(AX_ENGINE_IO_BUFFER_T, pStride, 24);
FIELD(AX_ENGINE_IO_BUFFER_T, nStrideSize, 32);
FIELD(AX_ENGINE_IO_BUFFER_T, u64Reserved, 40);

SIZE(AX_ENGINE_IO_SETTING_T, 64, 8);
FIELD(AX_ENGINE_IO_SETTING_T, nWbtIndex, 0);
FIELD(AX_ENGINE_IO_SETTING_T, u64Reserved, 8);

SIZE(AX_ENGINE_IO_T, 128, 8);
FIELD(AX_ENGINE_IO_T, pInputs, 0);
FIELD(AX_ENGINE_IO_T, nInputSize, 8);
FIELD(AX_ENGINE_IO_T, pOutputs, 16);
FIELD(AX_ENGINE_IO_T, nOutputSize, 24);
FIELD(AX_ENGINE_IO_T, nBatchSize, 28);
FIELD(AX_ENGINE_IO_T, pIoSetting, 32);
FIELD(AX_ENGINE_IO_T, nParallelRun, 40);
FIELD(AX_ENGINE_IO_T, u64Reserved, 48);

SIZE(AX_ENGINE_HANDLE_EXTRA_T, 48, 8);
FIELD(AX_ENGINE_HANDLE_EXTRA_T, nNpuSet, 0);
FIELD(AX_ENGINE_HANDLE_EXTRA_T, pName, 8);
FIELD(AX_ENGINE_HANDLE_EXTRA_T, reserve, 16);

SIZE(AX_ENGINE_CMM_INFO, 4, 4);
FIELD(AX_ENGINE_CMM_INFO, nCMMSize, 0);

SIZE(axclrtDeviceProperties, 240, 8);
FIELD(axclrtDeviceProperties, swVersion, 0);
FIELD(axclrtDeviceProperties, uid, 64);
FIELD(axclrtDeviceProperties, pciDomain, 72);
FIELD(axclrtDeviceProperties, pciBusID, 76);
FIELD(axclrtDeviceProperties, pciDeviceID, 80);
FIELD(axclrtDeviceProperties, temperature, 84);
FIELD(axclrtDeviceProperties, totalMemSize, 88);
FIELD(axclrtDeviceProperties, freeMemSize, 92);
FIELD(axclrtDeviceProperties, totalCmmSize, 96);
FIELD(axclrtDeviceProperties, freeCmmSize, 100);
FIELD(axclrtDeviceProperties, cpuLoading, 104);
FIELD(axclrtDeviceProperties, npuLoading, 108);
FIELD(axclrtDeviceProperties, reserved, 112);

SIZE(axclrtDeviceList, 1028, 4);
FIELD(axclrtDeviceList, num, 0);
FIELD(axclrtDeviceList, devices, 4);

SIZE(axclrtP2PUnitInfo, 68, 4);
FIELD(axclrtP2PUnitInfo, u32DeviceNum, 0);
FIELD(axclrtP2PUnitInfo, n32DeviceId, 4);
FIELD(axclrtP2PUnitInfo, u32DeviceMemSize, 36);

SIZE(axclrtEnvironment, 12, 4);
SIZE(axclrtDeviceBusInfo, 16, 4);

SIZE(axclrtDevicePidInfo, 16, 8);
FIELD(axclrtDevicePidInfo, num, 4);
FIELD(axclrtDevicePidInfo, pid, 8);

SIZE(axclrtEngineIODims, 132, 4);
FIELD(axclrtEngineIODims, dimCount, 0);
FIELD(axclrtEngineIODims, dims, 4);

/* The element types of the tables of functions. */
SIZE(axclError, 4, 4);
SIZE(axclrtMemcpyKind, 4, 4);
SIZE(axclrtEngineDataType, 4, 4);
SIZE(AX_ENGINE_DATA_TYPE_T, 4, 4);
