//! Streams, events and what is queued.

use std::sync::mpsc;
use std::thread;

use super::engine::{DECODE, INDICES};
use super::*;
use crate::testing::TinySpec;

impl Client {
    fn stream(&self) -> *mut c_void {
        let mut stream = ptr::null_mut();
        assert_eq!(axcl!(self.table, axclrtCreateStream(&raw mut stream)), 0);
        stream
    }

    fn event(&self) -> *mut c_void {
        let mut event = ptr::null_mut();
        assert_eq!(axcl!(self.table, axclrtCreateEvent(&raw mut event)), 0);
        event
    }

    fn fill(&self, block: *mut c_void, value: u8, stream: *mut c_void) {
        assert_eq!(axcl!(self.table, axclrtMemsetAsync(block, value, 16, stream)), 0);
    }
}

/// The order in which the vendor's own test of events makes its calls.
#[test]
fn a_recorded_event_lets_another_stream_go_on() {
    let client = Client::new();
    let (event, first, second) = (client.event(), client.stream(), client.stream());
    assert_eq!(axcl!(client.table, axclrtRecordEvent(event, first)), 0);
    assert_eq!(axcl!(client.table, axclrtStreamWaitEvent(second, event)), 0);
    assert_eq!(axcl!(client.table, axclrtStreamWaitEventWithTimeout(second, event, 999)), 0);
    for stream in [first, second] {
        assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
        assert_eq!(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, 999)), 0);
        assert_eq!(axcl!(client.table, axclrtDestroyStream(stream)), 0);
    }
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    assert_eq!(client.finish(), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_stream_waits_for_an_event_that_another_thread_records_later() {
    let client = Client::new();
    let (block, event) = (client.malloc(16), client.event());
    let (waiting, recording) = (client.stream(), client.stream());
    assert_eq!(axcl!(client.table, axclrtStreamWaitEvent(waiting, event)), 0);
    client.fill(block, 2, waiting);

    let mut context = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut context)), 0);
    let numbers = [context, block, event, recording].map(<*mut c_void>::expose_provenance);
    let (table, card) = (client.table, &client.card);
    let (signal, start) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let [context, block, event, recording] = numbers.map(ptr::with_exposed_provenance_mut::<c_void>);
            let _attached = card.attach();
            start.recv().expect("the other thread begins to wait");
            assert_eq!(axcl!(table, axclrtSetCurrentContext(context)), 0);
            // Its own stream is not held back, and nothing hangs while the first thread waits.
            assert_eq!(axcl!(table, axclrtMemsetAsync(block, 1, 16, recording)), 0);
            assert_eq!(axcl!(table, axclrtSynchronizeStream(recording)), 0);
            let mut bytes = [0_u8; 16];
            assert_eq!(axcl!(table, axclrtMemcpy(bytes.as_mut_ptr().cast(), block, 16, D2H)), 0);
            assert_eq!(bytes, [1; 16]);
            assert_eq!(axcl!(table, axclrtRecordEvent(event, recording)), 0);
        });
        signal.send(()).expect("the other thread listens");
        assert_eq!(axcl!(client.table, axclrtSynchronizeStream(waiting)), 0);
    });
    assert_eq!(client.read(block, 16), [2; 16], "behind the event, so last");
    assert!(client.broken().is_empty());
}

#[test]
fn an_event_that_does_not_come_ends_in_a_code() {
    let client = Client::new();
    let (block, event, stream) = (client.malloc(16), client.event(), client.stream());
    client.fill(block, 1, stream);
    assert_eq!(axcl!(client.table, axclrtStreamWaitEventWithTimeout(stream, event, 1)), 0);
    client.fill(block, 2, stream);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStream(stream))), 0x8030_0384);
    assert_eq!(client.read(block, 16), [1; 16], "what follows a failure is dropped");

    assert_eq!(axcl!(client.table, axclrtStreamWaitEvent(stream, event)), 0);
    client.fill(block, 3, stream);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, 1))), 0x8030_0383);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, 0))), 0x8030_0383);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, -2))), 0x8030_0303);
    // It only took longer: the event comes, and the rest runs.
    let other = client.stream();
    assert_eq!(axcl!(client.table, axclrtRecordEvent(event, other)), 0);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    assert_eq!(client.read(block, 16), [3; 16]);
    assert!(client.broken().is_empty());
}

#[test]
fn streams_that_wait_are_destroyed_without_a_hang() {
    let client = Client::new();
    let (block, event) = (client.malloc(16), client.event());
    let (forced, plain) = (client.stream(), client.stream());
    for stream in [forced, plain] {
        assert_eq!(axcl!(client.table, axclrtStreamWaitEvent(stream, event)), 0);
        client.fill(block, 1, stream);
    }
    assert_eq!(axcl!(client.table, axclrtDestroyStreamForce(forced)), 0);
    assert!(client.broken().is_empty());
    assert_eq!(axcl!(client.table, axclrtDestroyStream(plain)), 0);
    assert_eq!(client.broken(), [Rule::Leak]);
    let stream = client.stream();
    assert_eq!(axcl!(client.table, axclrtStreamWaitEvent(stream, event)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStream(stream))), 0x8030_0384);
}

#[test]
fn default_streams_take_work_but_no_synchronisation() {
    let client = Client::new();
    let block = client.malloc(16);
    let (mut context, mut stream) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut context)), 0);
    assert_eq!(axcl!(client.table, axclrtGetDefaultStream(context, &raw mut stream)), 0);
    client.fill(block, 4, stream);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), -1);
    assert_eq!(hex(axcl!(client.table, axclrtDestroyStream(stream))), 0x8030_0382);
    assert_eq!(hex(axcl!(client.table, axclrtDestroyStreamForce(stream))), 0x8030_0382);
    assert_eq!(axcl!(client.table, axclrtSynchronizeDevice()), 0);
    assert_eq!(client.read(block, 16), [4; 16]);

    let null = ptr::null_mut();
    assert_eq!(hex(axcl!(client.table, axclrtMemsetAsync(block, 1, 16, null))), 0x8030_0302);
    assert_eq!(hex(axcl!(client.table, axclrtSynchronizeStream(null))), 0x8030_0302);
    assert_eq!(hex(axcl!(client.table, axclrtRecordEvent(client.event(), null))), 0x8030_0302);
    assert_eq!(hex(axcl!(client.table, axclrtStreamWaitEvent(client.stream(), null))), 0x8030_0302);
    assert!(client.broken().is_empty());
}

#[test]
fn comparisons_are_queued_and_copies_within_the_host_are_not() {
    let client = Client::new();
    let (first, second, stream) = (client.malloc(16), client.malloc(16), client.stream());
    client.fill(first, 1, stream);
    client.fill(second, 1, stream);
    assert_eq!(axcl!(client.table, axclrtMemcmpAsync(first, second, 16, stream)), 0);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    client.fill(second, 2, stream);
    assert_eq!(axcl!(client.table, axclrtMemcmpAsync(first, second, 16, stream)), 0);
    assert_ne!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);

    let mut host = [0_u8; 4];
    let host = host.as_mut_ptr().cast::<c_void>();
    assert_eq!(axcl!(client.table, axclrtMemcpyAsync(host, host, 4, 0, stream)), 4);
    assert_eq!(hex(axcl!(client.table, axclrtMemcpy(first, host, 4, 4))), 0x8030_0504);
    assert!(client.broken().is_empty());
}

#[test]
fn a_stream_belongs_to_its_context_and_may_be_used_by_others() {
    let client = Client::new();
    let (block, stream) = (client.malloc(16), client.stream());
    let (mut first, mut second) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut first)), 0);
    assert_eq!(axcl!(client.table, axclrtCreateContext(&raw mut second, DEVICE_ID)), 0);
    client.fill(block, 6, stream);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    let mut ids = [0; 2];
    for (context, id) in [first, second].into_iter().zip(&mut ids) {
        assert_eq!(axcl!(client.table, axclrtGetContextId(context, &raw mut *id)), 0);
    }
    let mut environment = ax650_sys::vendor::axclrtEnvironment::default();
    assert_eq!(axcl!(client.table, axclrtGetEnviromentByStream(stream, &raw mut environment)), 0);
    assert_eq!((environment.device, environment.context), (DEVICE_ID, ids[0]));
    assert_ne!(ids[0], ids[1]);
    assert!(client.broken().is_empty());
}

#[test]
fn a_reset_device_writes_no_host_memory_any_more() {
    let client = Client::new();
    let block = client.malloc(16);
    assert_eq!(axcl!(client.table, axclrtMemset(block, 7, 16)), 0);
    let mut default = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut default)), 0);
    let mut host = [[0_u8; 16]; 2];
    let stream = client.stream();
    for (bytes, stream) in host.iter_mut().zip([stream, default]) {
        let to = bytes.as_mut_ptr().cast();
        assert_eq!(axcl!(client.table, axclrtMemcpyAsync(to, block, 16, D2H, stream)), 0);
    }
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    assert_eq!(axcl!(client.table, axclrtResetDevice(DEVICE_ID)), 0);
    assert!(client.broken().is_empty(), "the device is still set");
    assert_eq!(axcl!(client.table, axclrtResetDevice(DEVICE_ID)), 0);
    let found = client.card.take_violations();
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.call, found.rule), ("axclrtResetDevice", Rule::Leak));
    assert!(found.detail.contains("2 tasks"), "{found}");

    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    assert_eq!(axcl!(client.table, axclrtSynchronizeDevice()), 0);
    assert_eq!(host, [[0; 16]; 2], "the memory was the program's again");
    assert_eq!(client.read(block, 16), [7; 16], "memory stays until the end");
    assert_eq!(axcl!(client.table, axclrtFree(block)), 0);
    assert!(client.broken().is_empty());
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), -1);
    assert_eq!(client.finish(), 0);
    let found = client.card.take_violations();
    assert_eq!(found.iter().map(|found| found.rule).collect::<Vec<_>>(), [Rule::UnknownHandle, Rule::Leak]);
    assert!(found[1].detail.contains("1 streams"), "{}", found[1]);
}

#[test]
fn an_io_may_be_bound_again_after_its_device_was_reset() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let (model, context, io) = (layer.model, layer.context, layer.io);
    let stream = client.stream();
    assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
    assert_eq!(axcl!(client.table, axclrtResetDevice(DEVICE_ID)), 0);
    assert_eq!(client.broken(), [Rule::Leak]);
    assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
    client.rebind_input(&layer, INDICES, layer.inputs[INDICES].0, layer.inputs[INDICES].1);
    assert!(client.broken().is_empty());
}
