//! The layouts that the vendor's libraries were compiled with, asserted at compile time.
//!
//! bindgen asserts that Rust agrees with our headers; this file asserts that both agree with the vendor.
//! Figures measured from the vendor's headers (BSP V1.45.0\_P39, axcl-runtime V3.10.2).

use core::mem::{align_of, offset_of, size_of};

#[allow(clippy::wildcard_imports, reason = "the vendor's names, asserted one by one")]
use crate::bindings::vendor::*;

macro_rules! layout {
    ($($type:ident: $size:literal, $align:literal { $($field:ident @ $offset:literal),* $(,)? })*) => {
        $(const _: () = {
            assert!(size_of::<$type>() == $size && align_of::<$type>() == $align);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };)*
    };
}

layout! {
    AX_PARTITION_INFO_T: 48, 8 {
        PhysAddr @ 0, SizeKB @ 8, Name @ 12,
    }
    AX_CMM_PARTITION_INFO_T: 776, 8 {
        PartitionCnt @ 0, PartitionInfo @ 8,
    }
    AX_CMM_STATUS_T: 792, 8 {
        TotalSize @ 0, RemainSize @ 4, BlockCnt @ 8, Partition @ 16,
    }
    AX_MOD_INFO_T: 12, 4 {
        enModId @ 0, s32GrpId @ 4, s32ChnId @ 8,
    }
    AX_LINK_DEST_T: 52, 4 {
        u32DestNum @ 0, astDestMod @ 4,
    }
    AX_POOL_CONFIG_T: 96, 8 {
        MetaSize @ 0, BlkSize @ 8, BlkCnt @ 16, IsMergeMode @ 20, CacheMode @ 24, PartitionName @ 28,
        PoolName @ 60,
    }
    AX_POOL_FLOORPLAN_T: 6144, 8 {
        CommPool @ 0,
    }
    AX_ENGINE_NPU_ATTR_T: 36, 4 {
        eHardMode @ 0, reserve @ 4,
    }
    AX_ENGINE_IOMETA_EX_T: 152, 8 {
        eColorSpace @ 0, u64Reserved @ 8,
    }
    AX_ENGINE_IOMETA_T: 128, 8 {
        pName @ 0, pShape @ 8, nShapeSize @ 16, eLayout @ 20, eMemoryType @ 24, eDataType @ 28,
        pExtraMeta @ 32, nSize @ 40, nQuantizationValue @ 44, pStride @ 48, u64Reserved @ 56,
    }
    AX_ENGINE_IO_INFO_T: 128, 8 {
        pInputs @ 0, nInputSize @ 8, pOutputs @ 16, nOutputSize @ 24, nMaxBatchSize @ 28,
        bDynamicBatchSize @ 32, u64Reserved @ 40,
    }
    AX_ENGINE_IO_BUFFER_T: 128, 8 {
        phyAddr @ 0, pVirAddr @ 8, nSize @ 16, pStride @ 24, nStrideSize @ 32, u64Reserved @ 40,
    }
    AX_ENGINE_IO_SETTING_T: 64, 8 {
        nWbtIndex @ 0, u64Reserved @ 8,
    }
    AX_ENGINE_IO_T: 128, 8 {
        pInputs @ 0, nInputSize @ 8, pOutputs @ 16, nOutputSize @ 24, nBatchSize @ 28, pIoSetting @
        32, nParallelRun @ 40, u64Reserved @ 48,
    }
    AX_ENGINE_HANDLE_EXTRA_T: 48, 8 {
        nNpuSet @ 0, pName @ 8, reserve @ 16,
    }
    AX_ENGINE_CMM_INFO: 4, 4 {
        nCMMSize @ 0,
    }
    axclrtDeviceProperties: 240, 8 {
        swVersion @ 0, uid @ 64, pciDomain @ 72, pciBusID @ 76, pciDeviceID @ 80, temperature @ 84,
        totalMemSize @ 88, freeMemSize @ 92, totalCmmSize @ 96, freeCmmSize @ 100, cpuLoading @ 104,
        npuLoading @ 108, reserved @ 112,
    }
    axclrtDeviceList: 1028, 4 {
        num @ 0, devices @ 4,
    }
    axclrtP2PUnitInfo: 68, 4 {
        u32DeviceNum @ 0, n32DeviceId @ 4, u32DeviceMemSize @ 36,
    }
    axclrtEnvironment: 12, 4 {
        device @ 0, context @ 4, stream @ 8,
    }
    axclrtDeviceBusInfo: 16, 4 {
        domain @ 0, bus @ 4, slot @ 8, func @ 12,
    }
    axclrtDevicePidInfo: 16, 8 {
        device @ 0, num @ 4, pid @ 8,
    }
    axclrtEngineIODims: 132, 4 {
        dimCount @ 0, dims @ 4,
    }
}
