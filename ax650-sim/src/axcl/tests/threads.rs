//! Which functions want a context or a device of the calling thread, and which any thread may call.

use std::thread;

use super::*;

impl Client {
    /// Makes calls on a thread to which no context is bound.
    fn elsewhere(&self, calls: impl FnOnce() + Send) {
        let card = &self.card;
        thread::scope(|scope| {
            scope.spawn(move || {
                let _attached = card.attach();
                calls();
            });
        });
    }
}

/// Two threads share a stream that a third one has made and destroys, as in the vendor's own test of memory.
#[test]
fn a_stream_carries_its_context_to_threads_that_have_none() {
    let client = Client::new();
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let blocks = [client.malloc(16), client.malloc(16)];
    let source = [7_u8; 16];
    let (table, numbers) =
        (client.table, [blocks[0], blocks[1], stream].map(<*mut c_void>::expose_provenance));
    for _ in 0..2 {
        client.elsewhere(move || {
            let [first, second, stream] = numbers.map(ptr::with_exposed_provenance_mut::<c_void>);
            for block in [first, second] {
                assert_eq!(axcl!(table, axclrtMemsetAsync(block, 0, 16, stream)), 0);
                let from = source.as_ptr().cast();
                assert_eq!(axcl!(table, axclrtMemcpyAsync(block, from, 16, H2D, stream)), 0);
            }
            assert_eq!(axcl!(table, axclrtMemcmpAsync(first, second, 16, stream)), 0);
            assert_eq!(axcl!(table, axclrtSynchronizeStream(stream)), 0);
            assert_eq!(axcl!(table, axclrtSynchronizeStreamWithTimeout(stream, 999)), 0);
            assert_eq!(axcl!(table, axclrtSynchronizeDevice()), 0);
        });
    }
    assert_eq!(client.read(blocks[1], 16), source);
    client.elsewhere(move || {
        let stream = ptr::with_exposed_provenance_mut(numbers[2]);
        assert_eq!(axcl!(table, axclrtDestroyStream(stream)), 0);
        assert_eq!(axcl!(table, axclrtSynchronizeStream(stream)), -1);
        assert_eq!(hex(axcl!(table, axclrtSynchronizeStream(ptr::null_mut()))), 0x8030_0302);
    });
    assert_eq!(client.broken(), [Rule::UnknownHandle]);
}

#[test]
fn events_are_looked_up_on_the_device_of_the_thread() {
    let client = Client::new();
    let (mut event, mut stream) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtCreateEvent(&raw mut event)), 0);
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let (table, numbers) = (client.table, [event, stream].map(<*mut c_void>::expose_provenance));
    client.elsewhere(move || {
        let [event, stream] = numbers.map(ptr::with_exposed_provenance_mut::<c_void>);
        let mut fresh = ptr::null_mut();
        let codes = [
            axcl!(table, axclrtCreateEvent(&raw mut fresh)),
            axcl!(table, axclrtRecordEvent(event, stream)),
            axcl!(table, axclrtStreamWaitEvent(stream, event)),
            axcl!(table, axclrtDestroyEvent(event)),
        ];
        assert_eq!(codes.map(hex), [0x8030_0185; 4]);
    });
    assert_eq!(client.broken(), [Rule::UnboundThread; 4]);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    let codes = [
        axcl!(client.table, axclrtDestroyEvent(event)),
        axcl!(client.table, axclrtRecordEvent(event, stream)),
        axcl!(client.table, axclrtStreamWaitEvent(stream, event)),
    ];
    assert_eq!(codes.map(hex), [0x8030_0382, 0x8030_0383, 0x8030_0384]);
    assert_eq!(client.broken(), [Rule::UnknownHandle; 3]);
}

/// To the vendor's library it is the memory of C.
#[test]
fn pinned_memory_is_there_before_the_card_and_after_it() {
    let client = Client::cold();
    let mut blocks = [ptr::null_mut::<c_void>(); 2];
    assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut blocks[0], 16)), 0);
    assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut blocks[1], 0)), 0);
    assert!(!blocks[1].is_null());
    let source = [3_u8; 16];
    assert_eq!(axcl!(client.table, axclrtMemcpy(blocks[0], source.as_ptr().cast(), 16, 0)), 0);
    client.start();
    assert_eq!(axcl!(client.table, axclFinalize()), 0);
    // SAFETY: 16 bytes of host memory, filled above and not freed yet.
    assert_eq!(unsafe { blocks[0].cast::<[u8; 16]>().read() }, source);
    for block in blocks.into_iter().chain([ptr::null_mut()]) {
        assert_eq!(axcl!(client.table, axclrtFreeHost(block)), 0);
    }
    // What the program still has at the end is told, and no more.
    assert_eq!(client.broken(), [Rule::Leak]);
}

/// The library binds the default context to the first thread alone; its documentation says, to each.
#[test]
fn setting_the_device_once_more_binds_no_context_for_sure() {
    let client = Client::new();
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    client.malloc(16);
    assert!(client.broken().is_empty(), "the first thread has its context already");
    let table = client.table;
    client.elsewhere(move || {
        assert_eq!(axcl!(table, axclrtSetDevice(DEVICE_ID)), 0);
        let (mut event, mut block, mut context) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        assert_eq!(axcl!(table, axclrtCreateEvent(&raw mut event)), 0);
        for _ in 0..2 {
            assert_eq!(axcl!(table, axclrtMalloc(&raw mut block, 16, 0)), 0);
        }
        assert_eq!(axcl!(table, axclrtGetDefaultContext(&raw mut context, DEVICE_ID)), 0);
    });
    let found = client.card.take_violations();
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.call, found.rule), ("axclrtMalloc", Rule::UnboundThread));

    client.elsewhere(move || {
        let (mut block, mut context) = (ptr::null_mut(), ptr::null_mut());
        assert_eq!(axcl!(table, axclrtSetDevice(DEVICE_ID)), 0);
        assert_eq!(axcl!(table, axclrtGetDefaultContext(&raw mut context, DEVICE_ID)), 0);
        assert_eq!(axcl!(table, axclrtSetCurrentContext(context)), 0);
        assert_eq!(axcl!(table, axclrtMalloc(&raw mut block, 16, 0)), 0);
        assert_eq!(axcl!(table, axclrtSetDevice(DEVICE_ID)), 0);
        assert_eq!(axcl!(table, axclrtMalloc(&raw mut block, 16, 0)), 0);
    });
    assert!(client.broken().is_empty());
    client.card.set_fatal(true);
    client.elsewhere(move || {
        let mut block = ptr::null_mut();
        assert_eq!(axcl!(table, axclrtSetDevice(DEVICE_ID)), 0);
        assert_ne!(axcl!(table, axclrtMalloc(&raw mut block, 16, 0)), 0);
    });
    assert_eq!(client.broken(), [Rule::UnboundThread]);
}
