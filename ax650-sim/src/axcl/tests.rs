//! The interface as a C program sees it, one rule of the vendor's contract per test. Here: devices, memory,
//! streams; `engine` has the runs of models, the others the rest of the interface.

use std::ffi::c_void;
use std::ptr;

use ax650_sys::vendor::{ax_pcie_table, axclrtDeviceList, axclrtDeviceProperties};

use crate::control::{AttachedCard, SoftwareCard};
use crate::violations::Rule;
use crate::{CardOptions, DEVICE_ID, last_error, pcie_table};

/// Calls an entry of a table.
macro_rules! axcl {
    ($table:expr, $function:ident ( $($argument:expr),* $(,)? )) => {{
        let function = $table.$function.expect("every entry is filled");
        // SAFETY: host pointers in the arguments are null or point to live values of the test, sizes are
        // theirs; device addresses and handles are never followed.
        unsafe { function($($argument),*) }
    }};
}

mod clock;
mod devices;
mod engine;
mod mistakes;
mod models;
mod others;
mod streams;
mod strict;
mod threads;
mod troubles;

const H2D: u32 = 1;
const D2H: u32 = 2;
const D2D: u32 = 3;

/// A card of its own on the test's thread, initialised, with the device set.
struct Client {
    table: ax_pcie_table,
    card: SoftwareCard,
    _attached: AttachedCard,
}

impl Client {
    /// A card before `axclInit`.
    fn cold() -> Self {
        Self::of(1)
    }

    /// A card with `cards` devices before `axclInit`.
    fn of(cards: u32) -> Self {
        let options = CardOptions {
            threads: Some(1),
            memory_bytes: Some(64 << 20),
            cards,
            strict: true,
            ..CardOptions::default()
        };
        Self::on(SoftwareCard::new(options))
    }

    /// A card of a test before `axclInit`.
    fn on(card: SoftwareCard) -> Self {
        let attached = card.attach();
        Self { table: pcie_table(CardOptions::default()), card, _attached: attached }
    }

    fn new() -> Self {
        let client = Self::cold();
        client.start();
        client
    }

    fn start(&self) {
        assert_eq!(axcl!(self.table, axclInit(ptr::null())), 0);
        assert_eq!(axcl!(self.table, axclrtSetDevice(DEVICE_ID)), 0);
    }

    fn malloc(&self, size: usize) -> *mut c_void {
        let mut pointer = ptr::null_mut();
        assert_eq!(axcl!(self.table, axclrtMalloc(&raw mut pointer, size, 0)), 0);
        pointer
    }

    fn write(&self, to: *mut c_void, bytes: &[u8]) -> i32 {
        axcl!(self.table, axclrtMemcpy(to, bytes.as_ptr().cast(), bytes.len(), H2D))
    }

    fn read(&self, from: *const c_void, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert_eq!(axcl!(self.table, axclrtMemcpy(bytes.as_mut_ptr().cast(), from, len, D2H)), 0);
        bytes
    }

    fn finish(&self) -> i32 {
        assert_eq!(axcl!(self.table, axclrtResetDevice(DEVICE_ID)), 0);
        axcl!(self.table, axclFinalize())
    }

    /// The rules broken since the last time.
    fn broken(&self) -> Vec<Rule> {
        self.card.take_violations().iter().map(|violation| violation.rule).collect()
    }
}

fn hex(code: i32) -> u32 {
    code.cast_unsigned()
}

#[test]
fn garbage_configuration_is_tolerated_and_devices_appear_after_init() {
    let client = Client::cold();
    let mut list = axclrtDeviceList { num: 7, devices: [0; 256] };
    assert_eq!(axcl!(client.table, axclrtGetDeviceList(&raw mut list)), 0);
    assert_eq!(list.num, 0);
    assert_eq!(hex(axcl!(client.table, axclrtSetDevice(DEVICE_ID))), 0x8030_0183);
    assert_eq!(client.broken(), [Rule::NotInitialised]);

    let garbage = [0xFFu8; 3];
    assert_eq!(axcl!(client.table, axclInit(garbage.as_ptr().cast())), 0);
    assert_eq!(axcl!(client.table, axclrtGetDeviceList(&raw mut list)), 0);
    assert_eq!((list.num, list.devices[0]), (1, DEVICE_ID));
    assert_eq!(hex(axcl!(client.table, axclrtSetDevice(0))), 0x8030_0184);
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);

    let mut device = 0;
    assert_eq!(axcl!(client.table, axclrtGetDevice(&raw mut device)), 0);
    assert_eq!(device, DEVICE_ID);
    assert_eq!(client.finish(), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn properties_tell_the_memory() {
    let client = Client::new();
    client.malloc(1 << 20);
    // SAFETY: the structure is plain integers, for which zero is a value.
    let mut properties: axclrtDeviceProperties = unsafe { std::mem::zeroed() };
    assert_eq!(axcl!(client.table, axclrtGetDeviceProperties(DEVICE_ID, &raw mut properties)), 0);
    assert_eq!((properties.totalCmmSize, properties.freeCmmSize), (64 << 10, 63 << 10));
    let (mut major, mut minor, mut patch) = (0, 0, 0);
    assert_eq!(axcl!(client.table, axclrtGetVersion(&raw mut major, &raw mut minor, &raw mut patch)), 0);
    assert_eq!((major, minor, patch), (3, 10, 2));
    assert_eq!(axcl!(client.table, axclrtGetVersion(ptr::null_mut(), &raw mut minor, &raw mut patch)), 2);
}

#[test]
fn a_thread_without_context_is_refused() {
    let client = Client::new();
    let mut context = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut context)), 0);
    let (table, card, context) = (client.table, &client.card, context.expose_provenance());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _attached = card.attach();
            let mut pointer = ptr::null_mut();
            assert_eq!(hex(axcl!(table, axclrtMalloc(&raw mut pointer, 64, 0))), 0x8030_0284);
            let context = ptr::with_exposed_provenance_mut(context);
            assert_eq!(axcl!(table, axclrtSetCurrentContext(context)), 0);
            assert_eq!(axcl!(table, axclrtMalloc(&raw mut pointer, 64, 0)), 0);
            assert_eq!(axcl!(table, axclrtFree(pointer)), 0);
        });
    });
    assert_eq!(client.broken(), [Rule::UnboundThread]);
}

#[test]
fn fresh_memory_is_nan_and_copies_reach_interior_addresses() {
    let client = Client::new();
    let (first, second) = (client.malloc(256), client.malloc(256));
    assert_eq!(client.read(first, 4), [0xFF; 4]);
    assert_eq!(axcl!(client.table, axclrtMemset(first, 0, 256)), 0);
    assert_eq!(client.write(first.wrapping_byte_add(100), &[1, 2, 3]), 0);
    let code =
        axcl!(client.table, axclrtMemcpy(second.wrapping_byte_add(7), first.wrapping_byte_add(99), 5, D2D));
    assert_eq!(code, 0);
    assert_eq!(client.read(second.wrapping_byte_add(7), 5), [0, 1, 2, 3, 0]);
    assert_eq!(axcl!(client.table, axclrtMemcmp(first, first.wrapping_byte_add(1), 50)), 0);
    assert_ne!(axcl!(client.table, axclrtMemcmp(first, second, 256)), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn wrong_addresses_get_codes_and_are_written_down() {
    let client = Client::new();
    let block = client.malloc(256);
    assert_eq!(hex(client.write(block.wrapping_byte_add(255), &[0; 2])), 0x8030_0503);
    assert_eq!(hex(axcl!(client.table, axclrtFree(block.wrapping_byte_add(128)))), 0x8030_0581);
    assert_eq!(axcl!(client.table, axclrtFree(block)), 0);
    assert_eq!(hex(axcl!(client.table, axclrtFree(block))), 0x8030_0581);
    assert_eq!(hex(client.write(block, &[0])), 0x8030_0581);
    assert_eq!(hex(axcl!(client.table, axclrtFree(ptr::null_mut()))), 0x8030_0502);
    let mut host = [0_u8; 4];
    assert_eq!(hex(client.write(host.as_mut_ptr().cast(), &[0; 4])), 0x8030_0581);
    assert_eq!(hex(axcl!(client.table, axclrtMemcpy(block, block, 4, H2D))), 0x8030_0503);
    let expected = [
        Rule::OutOfRange,
        Rule::InteriorFree,
        Rule::DoubleFree,
        Rule::UseAfterFree,
        Rule::MixedAddress,
        Rule::MixedAddress,
    ];
    assert_eq!(client.broken(), expected);
}

#[test]
fn pinned_memory_is_host_memory() {
    let client = Client::new();
    let mut host: *mut c_void = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut host, 16)), 0);
    let block = client.malloc(16);
    assert_eq!(axcl!(client.table, axclrtMemset(block, 9, 16)), 0);
    assert_eq!(axcl!(client.table, axclrtMemcpy(host, block, 16, D2H)), 0);
    // SAFETY: the card gave 16 bytes of host memory and the copy has filled them.
    assert_eq!(unsafe { host.cast::<[u8; 16]>().read() }, [9; 16]);
    assert_eq!(axcl!(client.table, axclrtFreeHost(host)), 0);
    assert_ne!(axcl!(client.table, axclrtFreeHost(host)), 0);
    assert_eq!(client.broken(), [Rule::UnknownAddress]);
}

#[test]
fn exhausted_memory_is_a_refusal() {
    let client = Client::new();
    let mut pointer = ptr::null_mut();
    assert_eq!(hex(axcl!(client.table, axclrtMalloc(&raw mut pointer, 65 << 20, 0))), 0x8030_050C);
    assert!(last_error().expect("a reason").reason.contains("device memory exhausted"));
    client.card.set_memory_bytes(1024);
    assert_eq!(axcl!(client.table, axclrtMalloc(&raw mut pointer, 1024, 0)), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn an_allocation_is_flushed_from_its_beginning_and_shorter_than_4_gib() {
    let client = Client::new();
    let block = client.malloc(256);
    assert_eq!(axcl!(client.table, axclrtMemFlush(block, 256)), 0);
    assert_eq!(axcl!(client.table, axclrtMemInvalidate(block, 1)), 0);
    let inside = block.wrapping_byte_add(128);
    assert_eq!(hex(axcl!(client.table, axclrtMemFlush(inside, 128))), 0x8030_0581);
    assert_eq!(hex(axcl!(client.table, axclrtMemInvalidate(inside, 1))), 0x8030_0581);
    let mut pointer = ptr::null_mut();
    assert_eq!(hex(axcl!(client.table, axclrtMalloc(&raw mut pointer, 1 << 32, 0))), 0x8030_0503);
    assert_eq!(client.broken(), [Rule::UnknownAddress, Rule::UnknownAddress, Rule::OutOfRange]);
}

#[test]
fn leaks_and_late_calls_are_found() {
    let client = Client::new();
    let block = client.malloc(1);
    assert_eq!(client.finish(), 0);
    assert_eq!(client.broken(), [Rule::Leak]);
    assert_eq!(client.card.memory_in_use(), 0);
    assert_eq!(hex(axcl!(client.table, axclrtFree(block))), 0x8030_0284);
    assert_eq!(client.broken(), [Rule::UseAfterFinalize]);

    client.start();
    assert!(client.malloc(1).addr() > block.addr(), "no address comes twice");
    assert_eq!(hex(axcl!(client.table, axclrtFree(block))), 0x8030_0581);
    assert_eq!(client.broken(), [Rule::DoubleFree]);
}

#[test]
fn an_end_without_a_beginning_changes_nothing() {
    let client = Client::cold();
    assert_eq!(axcl!(client.table, axclFinalize()), 0);
    assert_eq!(hex(axcl!(client.table, axclrtSetDevice(DEVICE_ID))), 0x8030_0183);
    assert_eq!(client.broken(), [Rule::NotInitialised]);
}

#[test]
fn fatal_mode_turns_leaks_into_errors() {
    let client = Client::new();
    client.card.set_fatal(true);
    client.malloc(1);
    assert_ne!(client.finish(), 0);
    assert_eq!(client.broken(), [Rule::Leak]);
}

#[test]
fn tests_can_make_calls_fail() {
    let client = Client::new();
    client.card.fail_call("axclrtMalloc", 2, 0x1234);
    let mut pointer = ptr::null_mut();
    let mut malloc = || axcl!(client.table, axclrtMalloc(&raw mut pointer, 64, 0));
    assert_eq!([malloc(), malloc(), malloc()], [0, 0x1234, 0]);
    client.card.fail_all(Some(0x77));
    assert_eq!([malloc(), client.finish_code()], [0x77, 0x77]);
    client.card.fail_all(None);
    assert_eq!(client.card.calls("axclrtMalloc"), 4);
    assert!(client.broken().is_empty());
}

impl Client {
    fn finish_code(&self) -> i32 {
        axcl!(self.table, axclrtResetDevice(DEVICE_ID))
    }
}

#[test]
fn a_panic_does_not_reach_c() {
    let client = Client::new();
    let code = super::call("axclTest", |_, _| -> Result<(), crate::fault::Fault> { panic!("on purpose") });
    assert_eq!(hex(code), 0x8030_0701);
    assert_eq!(client.broken(), [Rule::Panic]);
    client.malloc(1);
}

#[test]
fn streams_keep_tasks_until_synchronised() {
    let client = Client::new();
    let block = client.malloc(64);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 1, 64, stream)), 0);
    assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 2, 32, stream)), 0);
    assert_eq!(client.read(block, 1), [0xFF]);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    assert_eq!(client.read(block.wrapping_byte_add(31), 2), [2, 1]);

    assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 3, 65, stream)), 0);
    assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 4, 64, stream)), 0);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, -1))), 0x8030_0503);
    assert_eq!(client.read(block, 1), [2]);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyStream(stream)), 0);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), -1);
    let violations = client.card.take_violations();
    assert_eq!(
        violations.iter().map(|found| found.rule).collect::<Vec<_>>(),
        [Rule::ReadBeforeWait, Rule::OutOfRange, Rule::UnknownHandle]
    );
    assert_eq!(violations[1].call, "axclrtMemsetAsync");
}
