//! The native interface as the vendor's own tests of it use it.

use std::ffi::c_void;
use std::ptr;

use ax650_sys::vendor::{
    AX_ENGINE_HANDLE_EXTRA_T, AX_ENGINE_IO_BUFFER_T, AX_ENGINE_IO_T, AX_ENGINE_NPU_ATTR_T, ax_native_table,
    ax_pcie_table,
};

use crate::board::tests::{ax, reference::axcl_outputs};
use crate::control::{AttachedCard, SoftwareCard};
use crate::testing::{TinyModel, TinySpec, write_tiny_model};
use crate::violations::Rule;
use crate::{CardOptions, DEVICE_ID, native_table, pcie_table};

const H2D: u32 = 1;
const D2H: u32 = 2;

fn hex(code: i32) -> u32 {
    code.cast_unsigned()
}

/// A program with both tables over one card.
struct Client {
    native: ax_native_table,
    runtime: ax_pcie_table,
    card: SoftwareCard,
    _attached: AttachedCard,
}

impl Client {
    /// With the device set on this thread.
    fn new() -> Self {
        let options = CardOptions {
            threads: Some(1),
            memory_bytes: Some(64 << 20),
            strict: true,
            ..CardOptions::default()
        };
        let card = SoftwareCard::new(options.clone());
        let attached = card.attach();
        let (native, runtime) = (native_table(options.clone()), pcie_table(options));
        let client = Self { native, runtime, card, _attached: attached };
        assert_eq!(ax!(client.runtime, axclInit(ptr::null())), 0);
        assert_eq!(ax!(client.runtime, axclrtSetDevice(DEVICE_ID)), 0);
        client
    }

    fn send(&self, bytes: &[u8]) -> *mut c_void {
        let mut pointer = ptr::null_mut();
        assert_eq!(ax!(self.runtime, axclrtMalloc(&raw mut pointer, bytes.len(), 2)), 0);
        assert_eq!(ax!(self.runtime, axclrtMemcpy(pointer, bytes.as_ptr().cast(), bytes.len(), H2D)), 0);
        pointer
    }

    fn init(&self, mode: u32) -> u32 {
        let mut attributes = AX_ENGINE_NPU_ATTR_T { eHardMode: mode, reserve: [0; 8] };
        hex(ax!(self.native, AXCL_ENGINE_Init(&raw mut attributes)))
    }

    fn broken(&self) -> Vec<Rule> {
        self.card.take_violations().iter().map(|violation| violation.rule).collect()
    }
}

#[test]
fn blocks_are_the_cards_memory() {
    let client = Client::new();
    let table = client.native;
    assert_eq!(ax!(table, AXCL_SYS_Init()), 0);
    for (cached, expected_kind) in [(false, 4), (true, 2)] {
        let (mut phy, mut vir, token) = (0, ptr::null_mut(), c"block".as_ptr().cast());
        let code = if cached {
            ax!(table, AXCL_SYS_MemAllocCached(&raw mut phy, &raw mut vir, 1 << 20, 0x1000, token))
        } else {
            ax!(table, AXCL_SYS_MemAlloc(&raw mut phy, &raw mut vir, 1 << 20, 0x1000, token))
        };
        assert_eq!((code, phy % 0x1000), (0, 0));
        assert_ne!(phy, vir.addr() as u64);

        let device = ptr::without_provenance_mut::<c_void>(usize::try_from(phy).unwrap());
        assert_eq!(ax!(client.runtime, axclrtMemset(device, 0x89, 1 << 20)), 0);
        let mut seen = [0_u8; 2];
        let last = device.wrapping_byte_add((1 << 20) - 2);
        assert_eq!(ax!(client.runtime, axclrtMemcpy(seen.as_mut_ptr().cast(), last, 2, D2H)), 0);
        assert_eq!(seen, [0x89; 2]);
        assert_eq!(ax!(table, AXCL_SYS_MflushCache(phy, vir, 1 << 20)), 0);
        assert_eq!(ax!(table, AXCL_SYS_MinvalidateCache(phy + 3, vir.wrapping_byte_add(3), 5)), 0);

        let mapped = ax!(table, AXCL_SYS_MmapCache(phy, 1 << 20));
        assert!(!mapped.is_null());
        assert_eq!(ax!(table, AXCL_SYS_Munmap(mapped, 1 << 20)), 0);
        let (mut at, mut kind, mut view, mut size) = (0, 0, ptr::null_mut(), 0);
        let inside = vir.wrapping_byte_add(0x22DD);
        assert_eq!(ax!(table, AXCL_SYS_MemGetBlockInfoByVirt(inside, &raw mut at, &raw mut kind)), 0);
        assert_eq!((at, kind), (phy + 0x22DD, expected_kind));
        let code = ax!(
            table,
            AXCL_SYS_MemGetBlockInfoByPhy(phy + 0x20FF, &raw mut kind, &raw mut view, &raw mut size)
        );
        assert_eq!((code, kind, view, size), (0, expected_kind, vir.wrapping_byte_add(0x20FF), 1 << 20));
        assert_eq!(ax!(table, AXCL_SYS_MemFree(phy, vir)), 0);
    }
    // Without a virtual address.
    let mut phy = 0;
    assert_eq!(ax!(table, AXCL_SYS_MemAlloc(&raw mut phy, ptr::null_mut(), 100, 0x1000, ptr::null())), 0);
    assert_eq!(ax!(table, AXCL_SYS_MemFree(phy, ptr::null_mut())), 0);
    assert_eq!(ax!(table, AXCL_SYS_Deinit()), 0);
    assert_eq!(client.card.memory_in_use(), 0);
    assert_eq!(hex(ax!(table, AXCL_POOL_Exit())), 0x800B_0114);
    assert_eq!(ax!(table, AXCL_SYS_GetChipType()), 2);
    assert!(client.broken().is_empty());
}

#[test]
fn a_thread_needs_a_context() {
    let client = Client::new();
    let (native, runtime, card) = (client.native, client.runtime, &client.card);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _attached = card.attach();
            assert_eq!(hex(ax!(native, AXCL_SYS_Init())), 0x8030_0284);
            let mut context = ptr::null_mut();
            assert_eq!(ax!(runtime, axclrtCreateContext(&raw mut context, DEVICE_ID)), 0);
            assert_eq!(ax!(native, AXCL_SYS_Init()), 0);
            assert_eq!(ax!(native, AXCL_SYS_Deinit()), 0);
            assert_eq!(ax!(runtime, axclrtDestroyContext(context)), 0);
        });
    });
    assert_eq!(client.broken(), [Rule::UnboundThread]);
}

fn head() -> (TinyModel, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = write_tiny_model(dir.path(), &TinySpec::default()).expect("a tiny model");
    (files, dir)
}

#[test]
fn a_model_in_device_memory_runs_on_device_buffers() {
    let (files, _dir) = head();
    let client = Client::new();
    let table = client.native;
    assert_eq!(client.init(0), 0);
    let file = std::fs::read(&files.head).unwrap();
    let size = u32::try_from(file.len()).unwrap();
    let model = client.send(&file);
    let mut kind = 9;
    assert_eq!(ax!(table, AXCL_ENGINE_GetModelType(model, size, &raw mut kind)), 0);
    let mut handle = ptr::null_mut();
    let mut extra = AX_ENGINE_HANDLE_EXTRA_T { nNpuSet: 0b101, ..Default::default() };
    assert_eq!(ax!(table, AXCL_ENGINE_CreateHandleV2(&raw mut handle, model, size, &raw mut extra)), 0);
    let mut set = 0;
    assert_eq!(ax!(table, AXCL_ENGINE_GetAffinity(handle, &raw mut set)), 0);
    assert_eq!(set, 0b101);

    let mut info = ptr::null_mut();
    assert_eq!(ax!(table, AXCL_ENGINE_GetIOInfo(handle, &raw mut info)), 0);
    // SAFETY: the engine gave the structure, and the handle lives.
    let info = unsafe { info.read() };
    // SAFETY: a head has one input.
    let input_size = unsafe { info.pInputs.read() }.nSize;
    // SAFETY: a head has one output.
    let output_size = unsafe { info.pOutputs.read() }.nSize;
    let bytes = [0x80, 0x3F].repeat(usize::try_from(input_size / 2).unwrap());
    let mut result = vec![0; usize::try_from(output_size).unwrap()];
    let (from, to) = (client.send(&bytes), client.send(&result));
    let bind = |pointer: *mut c_void, size: u32| AX_ENGINE_IO_BUFFER_T {
        phyAddr: pointer.addr() as u64,
        nSize: size,
        ..Default::default()
    };
    let (mut inputs, mut outputs) = ([bind(from, input_size)], [bind(to, output_size)]);
    let mut io = AX_ENGINE_IO_T {
        pInputs: inputs.as_mut_ptr(),
        nInputSize: 1,
        pOutputs: outputs.as_mut_ptr(),
        nOutputSize: 1,
        nBatchSize: 1,
        ..Default::default()
    };
    // The vendor's tests create no context for this one.
    assert_eq!(ax!(table, AXCL_ENGINE_RunSync(handle, &raw mut io)), 0);
    assert_eq!(ax!(client.runtime, axclrtMemcpy(result.as_mut_ptr().cast(), to, result.len(), D2H)), 0);
    assert_eq!([result.clone()], axcl_outputs(&files.head, 0, &[bytes])[..]);
    let mut context = ptr::null_mut();
    assert_eq!(ax!(table, AXCL_ENGINE_CreateContextV2(handle, &raw mut context)), 0);
    assert_eq!(ax!(table, AXCL_ENGINE_RunSyncV2(handle, context, &raw mut io)), 0);
    assert_eq!(ax!(table, AXCL_ENGINE_RunGroupIOSync(handle, context, 0, &raw mut io)), 0);

    assert_eq!(ax!(table, AXCL_ENGINE_DestroyHandle(handle)), 0);
    assert!(client.broken().is_empty());
    // A model in the host's memory is none that the card could read.
    let host = file.as_ptr().cast();
    assert_ne!(ax!(table, AXCL_ENGINE_CreateHandle(&raw mut handle, host, size)), 0);
    assert_eq!(client.broken(), [Rule::MixedAddress]);
}

#[test]
fn both_interfaces_share_the_npu() {
    let client = Client::new();
    for mode in 0..4 {
        assert_eq!(client.init(mode), 0);
        let mut attributes = AX_ENGINE_NPU_ATTR_T::default();
        assert_eq!(ax!(client.native, AXCL_ENGINE_GetVNPUAttr(&raw mut attributes)), 0);
        assert_eq!(attributes.eHardMode, mode);
        assert_eq!(ax!(client.native, AXCL_ENGINE_Deinit()), 0);
    }
    assert_eq!(ax!(client.runtime, axclrtEngineInit(1)), 0);
    assert_ne!(client.init(0), 0);
    assert_eq!(client.init(1), 0);
    assert_eq!(ax!(client.native, AXCL_ENGINE_Deinit()), 0);
    let mut kind = 9;
    assert_eq!(ax!(client.runtime, axclrtEngineGetVNpuKind(&raw mut kind)), 0);
    assert_eq!(kind, 1, "the runtime's initialisation holds");
    assert_eq!(ax!(client.runtime, axclrtEngineFinalize()), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn every_entry_is_filled() {
    // The tables are nothing but nullable function pointers.
    let size = size_of::<ax_native_table>() / size_of::<usize>();
    let table = super::TABLE;
    // SAFETY: as many words as the table has pointers, and any bits are a number.
    let words = unsafe { std::slice::from_raw_parts((&raw const table).cast::<usize>(), size) };
    assert!(words.iter().all(|&word| word != 0));
}
