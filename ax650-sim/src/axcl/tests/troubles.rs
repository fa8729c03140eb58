//! What goes wrong on demand, as a program sees it.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::time::Duration;

use ax650_sys::vendor::axclrtDeviceProperties;

use super::engine::{DECODE, K_OUT, OUTPUT};
use super::{Client, hex};
use crate::DEVICE_ID;
use crate::control::{Trouble, Troubles};
use crate::testing::TinySpec;

/// Makes go wrong what a text says.
fn cause(client: &Client, text: &str) {
    let troubles: Troubles = text.parse().expect("faults");
    troubles.into_iter().for_each(|trouble| client.card.cause(trouble));
}

#[test]
fn any_call_fails_with_any_code_at_any_count() {
    let client = Client::new();
    cause(
        &client,
        "axclrtMalloc:2=0x80300507; axclrtFree:*=0x80300508; axclrtMalloc:4-5=7;axclrtMalloc:7-=8",
    );
    let mut pointer = ptr::null_mut();
    let mut malloc = || hex(axcl!(client.table, axclrtMalloc(&raw mut pointer, 64, 0)));
    assert_eq!([(); 8].map(|()| malloc()), [0, 0x8030_0507, 0, 7, 7, 0, 8, 8]);
    let free = || hex(axcl!(client.table, axclrtFree(pointer)));
    assert_eq!([free(), free()], [0x8030_0508; 2]);
    client.card.calm();
    assert_eq!(free(), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_lost_card_fails_every_call_until_it_is_back_and_the_program_begins_anew() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let mut pinned: *mut c_void = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut pinned, 64)), 0);
    cause(&client, "lost@3");
    let run = || hex(client.execute(&layer, DECODE));
    assert_eq!([run(), run(), run(), run()], [0, 0, 0x8030_040C, 0x8030_040C]);
    assert_eq!(hex(axcl!(client.table, axclInit(ptr::null()))), 0x8030_0181);
    client.card.bring_back();
    assert_eq!(run(), 0x8030_040C);
    // Memory of the host is the host's.
    assert_eq!(axcl!(client.table, axclrtFreeHost(pinned)), 0);
    assert_eq!(hex(axcl!(client.table, axclFinalize())), 0x8030_040C);

    client.start();
    assert_eq!((client.card.models(), client.card.memory_in_use()), (0, 0));
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    let layer = client.bind(&files.layers[0], DECODE);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_card_is_lost_at_a_call_of_one_function_and_found_by_the_next_program() {
    let client = Client::new();
    cause(&client, "lost@axclrtMalloc:2=back");
    let mut pointer = ptr::null_mut();
    let mut malloc = || hex(axcl!(client.table, axclrtMalloc(&raw mut pointer, 64, 0)));
    assert_eq!([malloc(), malloc(), malloc()], [0, 0x8030_040C, 0x8030_040C]);
    client.start();
    assert_eq!(client.card.allocations(), 0);
    client.malloc(64);
    assert!(client.broken().is_empty());
}

#[test]
fn a_call_hangs_until_it_is_released() {
    let client = Client::new();
    cause(&client, "hang@axclrtMalloc:2");
    client.malloc(64);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let _attached = client.card.attach();
            let client = Client::on(crate::control::SoftwareCard::of_this_thread());
            assert_eq!(axcl!(client.table, axclrtSetDevice(DEVICE_ID)), 0);
            client.malloc(64).addr()
        });
        while client.card.hanging() == 0 {
            std::thread::yield_now();
        }
        // The card is free for others meanwhile.
        client.malloc(64);
        assert!(!other.is_finished());
        client.card.release();
        assert_ne!(other.join().expect("an address"), 0);
    });
    assert_eq!(client.card.hanging(), 0);
}

#[test]
fn a_call_hangs_for_a_given_time() {
    let client = Client::new();
    let trouble =
        Trouble::Hang { function: "axclrtMalloc".into(), calls: 1.into(), limit: Some(Duration::ZERO) };
    client.card.cause(trouble);
    client.malloc(64);
    assert_eq!(client.card.hanging(), 0);
}

#[test]
fn memory_ends_at_a_layer() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    cause(&client, "cmm@layer1");
    client.load(&files.layers[0]).expect("the first layer");
    for _ in 0..2 {
        assert_eq!(client.load(&files.layers[1]).map_err(hex), Err(0x8030_050C));
    }
    client.card.calm();
    client.load(&files.layers[1]).expect("the second layer");
}

#[test]
fn runs_cannot_be_queued() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    cause(&client, "noasync");
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let queue = || {
        let code = axcl!(
            client.table,
            axclrtEngineExecuteAsync(layer.model, layer.context, DECODE, layer.io, stream)
        );
        hex(code)
    };
    assert_eq!([queue(), queue()], [0x8030_0704; 2]);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_card_of_another_version_says_so_and_loads_nothing() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let version = || {
        // SAFETY: the structure is plain integers, for which zero is a value.
        let mut properties: axclrtDeviceProperties = unsafe { std::mem::zeroed() };
        let code = axcl!(client.table, axclrtGetDeviceProperties(DEVICE_ID, &raw mut properties));
        assert_eq!(code, 0);
        // SAFETY: the card ends its version with a zero byte.
        let text = unsafe { CStr::from_ptr(properties.swVersion.as_ptr()) };
        text.to_string_lossy().into_owned()
    };
    assert!(version().starts_with("V3.10.2"));
    cause(&client, "firmware-mismatch");
    assert!(version().starts_with("V3.6.5"));
    assert_eq!(client.load(&files.head).map_err(hex), Err(0x8030_0709));
    assert_eq!(hex(axcl!(client.table, axclrtEngineInit(0))), 0x8030_0709);
}

#[test]
fn a_queued_run_that_fails_is_told_where_the_program_waits_for_it() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let (model, context, io) = (layer.model, layer.context, layer.io);
    let queue = || axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream));
    let wait = || hex(axcl!(client.table, axclrtSynchronizeStream(stream)));
    cause(&client, "run@2=0x8030070C;run@4=0x80060086");
    assert_eq!([queue(), queue(), queue()], [0; 3]);
    assert_eq!([wait(), wait()], [0x8030_070C, 0], "the third was dropped");
    let run = || hex(client.execute(&layer, DECODE));
    assert_eq!([run(), run(), run()], [0, 0x8006_0086, 0]);
    assert!(client.broken().is_empty());
}

#[test]
fn a_result_is_nan_once() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    cause(&client, "nan@output:2");
    let nan = || {
        assert_eq!(client.execute(&layer, DECODE), 0);
        let (output, size) = layer.outputs[OUTPUT];
        let bytes = client.read(output, usize::try_from(size).expect("a size"));
        assert!(!client.read(layer.outputs[K_OUT].0, 64).chunks(2).any(|value| value == [0xC0, 0x7F]));
        bytes.chunks(2).all(|value| value == [0xC0, 0x7F])
    };
    assert_eq!([nan(), nan(), nan()], [false, true, false]);
}

#[test]
fn what_is_left_is_counted() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    assert!(client.card.leaks().is_empty());
    let model = client.load(&files.head).expect("a model");
    client.malloc(64);
    assert_eq!(client.card.leaks(), ["1 device allocations left", "1 models left"]);
    assert_eq!(axcl!(client.table, axclrtEngineUnload(model)), 0);
    assert_eq!(client.card.leaks(), ["1 device allocations left"]);
}
