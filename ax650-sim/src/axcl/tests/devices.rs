//! Several devices, contexts and threads.

use std::thread;

use super::*;

fn init(cards: u32) -> Client {
    let client = Client::of(cards);
    assert_eq!(axcl!(client.table, axclInit(ptr::null())), 0);
    client
}

fn current(client: &Client) -> *mut c_void {
    let mut context = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut context)), 0);
    context
}

fn device(client: &Client) -> Result<i32, u32> {
    let mut device = 0;
    match axcl!(client.table, axclrtGetDevice(&raw mut device)) {
        0 => Ok(device),
        code => Err(hex(code)),
    }
}

fn free_kib(client: &Client, device: i32) -> u32 {
    // SAFETY: the structure is plain integers, for which zero is a value.
    let mut properties: axclrtDeviceProperties = unsafe { std::mem::zeroed() };
    assert_eq!(axcl!(client.table, axclrtGetDeviceProperties(device, &raw mut properties)), 0);
    assert_eq!(properties.pciBusID, device.cast_unsigned());
    properties.freeCmmSize
}

#[test]
fn the_list_has_all_devices_with_memory_of_their_own() {
    let client = init(3);
    let mut list = axclrtDeviceList { num: 0, devices: [0; 256] };
    assert_eq!(axcl!(client.table, axclrtGetDeviceList(&raw mut list)), 0);
    assert_eq!(list.devices[..4], [DEVICE_ID, DEVICE_ID + 1, DEVICE_ID + 2, 0]);
    let mut count = 0;
    assert_eq!(axcl!(client.table, axclrtGetDeviceCount(&raw mut count)), 0);
    assert_eq!((list.num, count), (3, 3));

    assert_eq!(device(&client), Err(0x8030_0185));
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID + 1)), 0);
    assert_eq!(device(&client), Ok(DEVICE_ID + 1));
    client.malloc(1 << 20);
    let free = [0, 1, 2].map(|index| free_kib(&client, DEVICE_ID + index));
    assert_eq!(free, [64 << 10, 63 << 10, 64 << 10]);
    assert_eq!(hex(axcl!(client.table, axclrtSetDevice(DEVICE_ID + 3))), 0x8030_0184);
    assert!(client.broken().is_empty());
}

#[test]
fn memory_of_one_device_is_unknown_to_another() {
    let client = init(2);
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    let first = client.malloc(64);
    let home = current(&client);
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID + 1)), 0);
    let second = client.malloc(64);
    assert_eq!(hex(client.write(first, &[1; 64])), 0x8030_0581);
    assert_eq!(hex(axcl!(client.table, axclrtFree(first))), 0x8030_0581);
    assert_eq!(hex(axcl!(client.table, axclrtMemcpy(second, first, 64, D2D))), 0x8030_0581);
    assert_eq!(client.broken(), [Rule::OtherDevice; 3]);
    assert_eq!(axcl!(client.table, axclrtSetCurrentContext(home)), 0);
    assert_eq!(client.write(first, &[1; 64]), 0);
    assert_eq!(axcl!(client.table, axclrtFree(first)), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn devices_are_set_and_reset_in_any_order_and_number() {
    let client = init(2);
    for _ in 0..5 {
        for index in [1, 0] {
            assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID + index)), 0);
            assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID + index)), 0);
        }
        for index in [0, 0, 1, 1] {
            assert_eq!(axcl!(client.table, axclrtResetDevice(DEVICE_ID + index)), 0);
        }
    }
    assert_eq!(hex(axcl!(client.table, axclrtResetDevice(DEVICE_ID))), 0x8030_0183);
    assert_eq!(client.broken(), [Rule::Unpaired]);
}

#[test]
fn contexts_are_made_and_used_by_many_threads() {
    let client = Client::new();
    let mut own = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetDefaultContext(&raw mut own, DEVICE_ID)), 0);
    assert_eq!(own, current(&client));
    let (table, card, shared) = (client.table, &client.card, own.expose_provenance());
    thread::scope(|scope| {
        for round in 0..16 {
            scope.spawn(move || {
                let _attached = card.attach();
                let mut context = ptr::null_mut();
                assert_eq!(axcl!(table, axclrtCreateContext(&raw mut context, DEVICE_ID)), 0);
                let (mut block, mut stream) = (ptr::null_mut(), ptr::null_mut());
                assert_eq!(axcl!(table, axclrtMalloc(&raw mut block, 256, 0)), 0);
                assert_eq!(axcl!(table, axclrtCreateStream(&raw mut stream)), 0);
                assert_eq!(axcl!(table, axclrtMemsetAsync(block, round, 256, stream)), 0);
                assert_eq!(axcl!(table, axclrtSynchronizeStream(stream)), 0);
                let mut bytes = [0_u8; 256];
                assert_eq!(axcl!(table, axclrtMemcpy(bytes.as_mut_ptr().cast(), block, 256, D2H)), 0);
                assert_eq!(bytes, [round; 256]);
                assert_eq!(axcl!(table, axclrtFree(block)), 0);
                assert_eq!(axcl!(table, axclrtDestroyContext(context)), 0);
                let shared = ptr::with_exposed_provenance_mut(shared);
                assert_eq!(axcl!(table, axclrtSetCurrentContext(shared)), 0);
                assert_eq!(axcl!(table, axclrtSynchronizeDevice()), 0);
            });
        }
    });
    assert_eq!(client.finish(), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_context_takes_its_streams_with_it() {
    let client = Client::new();
    let (block, home) = (client.malloc(16), current(&client));
    let (mut context, mut stream) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtCreateContext(&raw mut context, DEVICE_ID)), 0);
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 5, 16, stream)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyContext(context)), 0);
    let mut found = ptr::null_mut();
    assert_eq!(hex(axcl!(client.table, axclrtGetCurrentContext(&raw mut found))), 0x8030_0284);
    assert_eq!(axcl!(client.table, axclrtSetCurrentContext(home)), 0);
    assert_eq!(client.read(block, 16), [5; 16], "what was queued ran");
    assert!(client.broken().is_empty());
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), -1);
    assert_eq!(client.broken(), [Rule::UnknownHandle]);
}

#[test]
fn programs_that_leave_the_rest_to_the_end_of_the_process_are_not_blamed() {
    for exact in [false, true] {
        let client = Client::new();
        client.card.set_fatal(exact);
        assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
        // Neither axclrtEngineFinalize nor axclrtResetDevice.
        assert_eq!(axcl!(client.table, axclFinalize()) == 0, !exact);
        assert_eq!(client.broken().first(), exact.then_some(&Rule::Leak));
    }
}
