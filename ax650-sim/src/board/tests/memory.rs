//! Blocks, their two addresses, and the cache between them.

use super::*;
use crate::last_error;

#[test]
fn a_block_is_writable_memory_with_a_physical_address_of_its_own() {
    for strict in [false, true] {
        let client = Client::started(strict);
        for (size, align, cached) in [(1, 1, false), (5000, 128, true), (4096, 0x10000, false), (70, 0, true)]
        {
            let (mut phy, mut vir) = (0, ptr::null_mut());
            let code = if cached {
                ax!(client.table, AX_SYS_MemAllocCached(&raw mut phy, &raw mut vir, size, align, ptr::null()))
            } else {
                ax!(client.table, AX_SYS_MemAlloc(&raw mut phy, &raw mut vir, size, align, ptr::null()))
            };
            assert_eq!(code, 0);
            let buffer = Buffer { phy, vir: vir.cast(), size };
            assert!((0x1_4800_0000..0x1_4C00_0000).contains(&phy), "{phy:#x} lies in 64 MiB of CMM");
            assert_eq!(phy % u64::from(align.max(1)), 0);
            assert_ne!(phy, buffer.vir.addr() as u64);
            buffer.fill(3);
            assert_eq!(
                buffer.read(0, usize::try_from(size).unwrap()),
                vec![3; usize::try_from(size).unwrap()]
            );
            assert_eq!(client.free(buffer), 0);
        }
        assert_eq!(client.card.memory_in_use(), 0);
        assert!(client.broken().is_empty());
    }
}

#[test]
fn memory_ends_with_the_vendors_code() {
    let client = Client::new();
    let mut blocks: Vec<_> = (0..4).map(|_| client.allocate(16 << 20, false)).collect();
    let (mut phy, mut vir) = (0, ptr::null_mut());
    let mut allocate =
        || hex(ax!(client.table, AX_SYS_MemAlloc(&raw mut phy, &raw mut vir, 1, 128, ptr::null())));
    assert_eq!(allocate(), 0x800B_0018);
    assert!(last_error().expect("a reason").reason.contains("device memory exhausted"));
    assert_eq!(client.free(blocks.pop().unwrap()), 0);
    assert_eq!(allocate(), 0);
    assert_eq!(
        hex(ax!(client.table, AX_SYS_MemAlloc(ptr::null_mut(), ptr::null_mut(), 1, 1, ptr::null()))),
        0x800B_000B
    );
    let mut refused = |size, align| {
        hex(ax!(client.table, AX_SYS_MemAlloc(&raw mut phy, &raw mut vir, size, align, ptr::null())))
    };
    assert_eq!([refused(0, 128), refused(1, 48)], [0x800B_000A; 2]);
    assert!(client.broken().is_empty());
}

#[test]
fn only_whole_blocks_are_freed() {
    let client = Client::new();
    let block = client.allocate(8192, true);
    assert_eq!(hex(client.free(block.from(4096))), 0x800B_0082);
    assert_eq!(hex(client.free(Buffer { vir: block.vir.wrapping_add(1), ..block })), 0x800B_0082);
    assert_eq!(client.free(Buffer { vir: ptr::null_mut(), ..block }), 0, "the vendor's tests pass null");
    assert_eq!(hex(client.free(block)), 0x800B_0082);
    assert_eq!(hex(client.free(Buffer { phy: 0x1000, ..block })), 0x800B_0082);
    let expected = [Rule::InteriorFree, Rule::AddressPair, Rule::DoubleFree, Rule::UnknownAddress];
    assert_eq!(client.broken(), expected);
}

#[test]
fn strict_caches_hide_what_was_not_maintained() {
    let client = Client::new();
    let block = client.allocate(4096, true);
    let past_the_cache = ax!(client.table, AX_SYS_Mmap(block.phy, block.size));
    let memory = Buffer { vir: past_the_cache.cast(), ..block };
    block.write(10, &[1, 2, 3]);
    assert_eq!(memory.read(10, 3), [0xFF; 3]);
    // Any part of the block, to the byte.
    assert_eq!(client.flush(Buffer { size: 1, ..block.from(12) }), 0);
    assert_eq!(memory.read(10, 3), [1, 2, 3]);
    memory.write(100, &[9]);
    assert_eq!(block.read(100, 1), [0xFF]);
    assert_eq!(client.invalidate(Buffer { size: 64, ..block.from(64) }), 0);
    assert_eq!(block.read(100, 1), [9]);
    // What was not flushed is lost.
    block.write(200, &[5]);
    assert_eq!(client.invalidate(block), 0);
    assert_eq!(block.read(200, 1), [0xFF]);
    assert_eq!(ax!(client.table, AX_SYS_Munmap(past_the_cache, block.size)), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn uncached_and_lenient_memory_is_seen_at_once() {
    for (strict, cached) in [(true, false), (false, true), (false, false)] {
        let client = Client::started(strict);
        let block = client.allocate(4096, cached);
        let cached_view = ax!(client.table, AX_SYS_MmapCache(block.phy, block.size));
        let view = ax!(client.table, AX_SYS_Mmap(block.phy + 64, 100));
        block.write(70, &[7]);
        let seen = Buffer { phy: block.phy + 64, vir: view.cast(), size: 100 };
        assert_eq!(seen.read(6, 1), [7]);
        assert_eq!((client.flush(block), client.invalidate(block)), (0, 0));
        assert_eq!(seen.read(6, 1), [7]);
        assert_eq!(ax!(client.table, AX_SYS_Munmap(cached_view, block.size)), 0);
        assert_eq!(client.free(block), 0);
        assert_eq!(seen.read(6, 1), [7], "a mapping outlives its block");
        assert_eq!(ax!(client.table, AX_SYS_Munmap(view, 100)), 0);
        assert_eq!(hex(ax!(client.table, AX_SYS_Munmap(view, 100))), 0x800B_0081);
        assert_eq!(client.broken(), [Rule::UnknownAddress]);
    }
}

#[test]
fn maintenance_needs_a_pair_within_one_block() {
    let client = Client::new();
    let (block, other) = (client.allocate(4096, true), client.allocate(4096, true));
    let refused = |buffer: Buffer| [hex(client.flush(buffer)), hex(client.invalidate(buffer))];
    assert_eq!(refused(Buffer { vir: other.vir, ..block }), [0x800B_000A; 2]);
    assert_eq!(refused(Buffer { size: 4097, ..block }), [0x800B_000A; 2]);
    assert_eq!(refused(Buffer { phy: 64, ..block }), [0x800B_000A; 2]);
    let expected = [Rule::AddressPair, Rule::OutOfRange, Rule::MixedAddress].map(|rule| [rule; 2]);
    assert_eq!(client.broken(), expected.as_flattened());
    assert_eq!(client.free(other), 0);
    assert_eq!(refused(other), [0x800B_000A; 2]);
    assert_eq!(client.broken(), [Rule::UseAfterFree; 2]);
    assert!(ax!(client.table, AX_SYS_Mmap(other.phy, 1)).is_null());
    assert_eq!(hex(last_error().unwrap().code), 0x800B_0080);
}

#[test]
fn addresses_lead_to_each_other() {
    let client = Client::new();
    for (cached, expected_type) in [(false, 4), (true, 2)] {
        let block = client.allocate(1 << 20, cached);
        let (mut phy, mut kind, mut vir, mut size) = (0, 0, ptr::null_mut(), 0);
        let inside = block.vir.wrapping_add(0x20FF);
        let code =
            ax!(client.table, AX_SYS_MemGetBlockInfoByVirt(inside.cast(), &raw mut phy, &raw mut kind));
        assert_eq!((code, phy, kind), (0, block.phy + 0x20FF, expected_type));
        let code = ax!(
            client.table,
            AX_SYS_MemGetBlockInfoByPhy(block.phy + 0x2FFD, &raw mut kind, &raw mut vir, &raw mut size)
        );
        assert_eq!((code, kind, size), (0, expected_type, 1 << 20));
        assert_eq!(vir.cast(), block.vir.wrapping_add(0x2FFD));
    }
    let mut local = 0_u64;
    let place = &raw mut local;
    assert_ne!(ax!(client.table, AX_SYS_MemGetBlockInfoByVirt(place.cast(), place, ptr::null_mut())), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn memory_needs_its_library_initialised() {
    let client = Client::cold(true);
    let (mut phy, mut vir) = (0, ptr::null_mut());
    let mut allocate =
        || hex(ax!(client.table, AX_SYS_MemAlloc(&raw mut phy, &raw mut vir, 64, 128, ptr::null())));
    assert_eq!(ax!(client.table, AX_SYS_Deinit()), 0, "nothing to undo");
    assert_eq!(allocate(), 0x800B_0010);
    assert_eq!([ax!(client.table, AX_SYS_Init()), ax!(client.table, AX_SYS_Init())], [0, 0]);
    assert_eq!(allocate(), 0);
    assert_eq!(ax!(client.table, AX_SYS_Deinit()), 0);
    assert_eq!(allocate(), 0, "somebody else still uses it");
    assert_eq!(ax!(client.table, AX_SYS_Deinit()), 0);
    assert_eq!(client.card.memory_in_use(), 0);
    assert_eq!(allocate(), 0x800B_0010);
    assert_eq!(client.broken(), [Rule::NotInitialised, Rule::Leak, Rule::UseAfterFinalize]);
    // A program that ends may still touch what it forgot.
    // SAFETY: the card keeps the 64 bytes.
    unsafe { vir.cast::<u8>().write(1) };
}

#[test]
fn modules_of_the_chip_use_the_one_partition() {
    let client = Client::new();
    let module = ax650_sys::vendor::AX_MOD_INFO_T::default();
    let mut name = [0_i8; 32];
    assert_eq!(ax!(client.table, AX_SYS_MemGetConfig(&raw const module, name.as_mut_ptr())), 0);
    assert_eq!(ax!(client.table, AX_SYS_MemSetConfig(&raw const module, name.as_ptr())), 0);
    let other = c"elsewhere".as_ptr().cast();
    assert_eq!(hex(ax!(client.table, AX_SYS_MemSetConfig(&raw const module, other))), 0x800B_000A);
    assert_eq!(ax!(client.table, AX_SYS_InitPTSBase(1_000_000)), 0);
    let mut time = 0;
    assert_eq!(ax!(client.table, AX_SYS_GetCurPTS(&raw mut time)), 0);
    assert!(time >= 1_000_000);
    assert_eq!(ax!(client.table, AX_SYS_SyncPTS(time + 1000)), 0);
    assert_eq!(hex(ax!(client.table, AX_SYS_SyncPTS(time / 2))), 0x800B_020A);
    assert_eq!(hex(ax!(client.table, AX_POOL_Init())), 0x800B_0114);
    assert_eq!(ax!(client.table, AX_POOL_CreatePool(ptr::null_mut())), u32::MAX);
    assert_eq!(hex(ax!(client.table, AX_SYS_Link(&raw const module, &raw const module))), 0x800B_0314);
    assert!(client.broken().is_empty());
}

#[test]
fn pointers_outlive_the_end_of_the_other_interface() {
    let client = Client::new();
    let runtime = crate::pcie_table(CardOptions::default());
    assert_eq!(ax!(runtime, axclInit(ptr::null())), 0);
    // Large enough to be a mapping of its own, whose end would end the test.
    let blocks = [client.allocate(8 << 20, false), client.allocate(8 << 20, true)];
    blocks[0].fill(1);
    blocks[1].fill(1);
    assert_eq!(ax!(runtime, axclFinalize()), 0);
    assert_eq!(blocks.map(|block| block.read(8 << 19, 1)), [[1], [1]]);
    assert_eq!(client.broken(), [Rule::Leak]);
}
