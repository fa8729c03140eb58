//! Breaches that a real card answers with silence or with wrong numbers, and what costs too much without strictness.

use std::ffi::c_void;
use std::ptr;

use super::engine::{Bound, DECODE, INDICES, K_CACHE, OUTPUT};
use super::{Client, D2D, hex};
use crate::DEVICE_ID;
use crate::control::{SoftwareCard, Trouble};
use crate::options::CardOptions;
use crate::testing::{TinyModel, TinySpec, write_tiny_model};
use crate::violations::Rule;

#[test]
fn loading_while_runs_are_queued_is_noticed() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let (model, context, io) = (layer.model, layer.context, layer.io);
    assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
    client.load(&files.head).expect("a model");
    assert_eq!(client.broken(), [Rule::LoadDuringRun]);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    client.load(&files.head).expect("a model");
    assert!(client.broken().is_empty());
}

#[test]
fn loading_while_another_thread_runs_is_noticed() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let hang = Trouble::Hang { function: "axclrtEngineExecute".into(), calls: 1.into(), limit: None };
    client.card.cause(hang);
    let (table, card, ids) = (client.table, &client.card, (layer.model, layer.context, layer.io.addr()));
    let mut context = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtGetCurrentContext(&raw mut context)), 0);
    let context = context.expose_provenance();
    std::thread::scope(|scope| {
        let run = scope.spawn(move || {
            let _attached = card.attach();
            assert_eq!(axcl!(table, axclrtSetCurrentContext(ptr::with_exposed_provenance_mut(context))), 0);
            let io = ptr::without_provenance_mut(ids.2);
            axcl!(table, axclrtEngineExecute(ids.0, ids.1, DECODE, io))
        });
        while card.hanging() == 0 {
            std::thread::yield_now();
        }
        client.load(&files.head).expect("a model");
        assert_eq!(client.broken(), [Rule::LoadDuringRun]);
        card.release();
        assert_eq!(run.join().expect("a code"), 0);
    });
    client.load(&files.head).expect("a model");
    assert!(client.broken().is_empty());
}

#[test]
fn touching_what_queued_work_is_still_to_use_is_noticed() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let (model, context, io) = (layer.model, layer.context, layer.io);
    assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
    client.read(layer.outputs[OUTPUT].0, 4);
    assert_eq!(client.broken(), [Rule::ReadBeforeWait]);
    client.read(layer.inputs[0].0, 4);
    let (input, output, free) = (layer.inputs[INDICES].0, layer.outputs[OUTPUT].0, client.malloc(4));
    assert_eq!(client.write(free, &[0; 4]), 0);
    assert!(client.broken().is_empty(), "nobody uses it");
    assert_eq!(client.write(input, &[0; 4]), 0);
    assert_eq!(axcl!(client.table, axclrtMemset(output, 0, 4)), 0);
    assert_eq!(axcl!(client.table, axclrtMemcpy(input, free, 4, D2D)), 0);
    assert_eq!(client.broken(), [Rule::WriteBeforeWait; 3]);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    client.read(output, 4);
    assert_eq!(client.write(input, &[0; 4]), 0);
    assert!(client.broken().is_empty());
}

#[test]
fn a_model_or_a_buffer_that_goes_before_its_queued_run_is_noticed() {
    for free in [false, true] {
        let (client, files, _dir) = Client::with_model(&TinySpec::default());
        let layer = client.bind(&files.layers[0], DECODE);
        let mut stream = ptr::null_mut();
        assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
        let (model, context, io) = (layer.model, layer.context, layer.io);
        assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
        if free {
            assert_eq!(axcl!(client.table, axclrtFree(layer.outputs[OUTPUT].0)), 0);
        } else {
            assert_eq!(axcl!(client.table, axclrtEngineUnload(model)), 0);
        }
        assert_ne!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
        let rule = if free { Rule::UseAfterFree } else { Rule::UnknownHandle };
        assert_eq!(client.broken(), [rule]);
    }
}

#[test]
fn running_after_the_engine_or_the_interface_is_closed_is_noticed() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    assert_eq!(axcl!(client.table, axclrtEngineFinalize()), 0);
    assert_ne!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.broken(), [Rule::EngineNotReady]);
    client.finish();
    client.broken();
    assert_ne!(client.execute(&layer, DECODE), 0);
    assert_eq!(client.broken(), [Rule::UseAfterFinalize]);
}

/// What is counted when the last user ends: the texts of the violations.
fn left(prepare: impl FnOnce(&Client)) -> Vec<String> {
    let client = Client::new();
    prepare(&client);
    client.finish();
    let violations = client.card.take_violations();
    assert!(violations.iter().all(|found| found.rule == Rule::Leak && found.call == "axclFinalize"));
    violations.into_iter().map(|found| found.detail).collect()
}

#[test]
fn everything_that_is_left_is_counted_by_its_kind() {
    let create = |client: &Client, count: usize| {
        (0..count).for_each(|_| {
            let mut context: *mut c_void = ptr::null_mut();
            assert_eq!(axcl!(client.table, axclrtCreateContext(&raw mut context, DEVICE_ID)), 0);
        });
    };
    assert!(left(|_| ()).is_empty());
    assert_eq!(left(|client| create(client, 2)), ["2 contexts left"]);
    let streams = left(|client| {
        let (mut stream, mut event) = (ptr::null_mut(), ptr::null_mut());
        assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
        assert_eq!(axcl!(client.table, axclrtCreateEvent(&raw mut event)), 0);
    });
    assert_eq!(streams, ["1 streams left", "1 events left"]);
    let memory = left(|client| {
        client.malloc(1);
        let mut host = ptr::null_mut();
        assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut host, 1)), 0);
    });
    assert_eq!(memory, ["1 device allocations left", "1 host allocations left"]);
    let engines = left(|client| {
        client.card.set_fatal(true);
        assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    });
    assert_eq!(engines, ["1 running engines left"]);
}

#[test]
fn models_and_io_that_are_left_are_counted() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    let layer = client.bind(&files.layers[0], DECODE);
    let buffers = layer.inputs.len() + layer.outputs.len();
    client.finish();
    let details: Vec<String> = client.card.take_violations().into_iter().map(|found| found.detail).collect();
    let expected =
        [format!("{buffers} device allocations left"), "1 models left".into(), "1 IO objects left".into()];
    assert_eq!(details, expected);
}

/// A client of a card that is not strict, with a model.
fn lenient() -> (Client, TinyModel, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = write_tiny_model(dir.path(), &TinySpec::default()).expect("a tiny model");
    let options = CardOptions { threads: Some(1), strict: false, ..CardOptions::default() };
    let client = Client::on(SoftwareCard::new(options));
    client.start();
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    (client, files, dir)
}

/// Runs on a cache that nobody wrote, queues, and reads the result before it is there.
fn be_careless(client: &Client, layer: &Bound) {
    let (_, size) = layer.inputs[K_CACHE];
    let cache = client.malloc(usize::try_from(size).expect("a size"));
    client.rebind_input(layer, K_CACHE, cache, size);
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let Bound { model, context, io, .. } = *layer;
    assert_eq!(axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream)), 0);
    client.read(layer.outputs[OUTPUT].0, 4);
    assert_eq!(client.write(layer.inputs[INDICES].0, &[0; 4]), 0);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
}

#[test]
fn what_costs_time_is_looked_for_on_strict_cards_alone() {
    let (client, files, _dir) = Client::with_model(&TinySpec::default());
    be_careless(&client, &client.bind(&files.layers[0], DECODE));
    assert_eq!(client.broken(), [Rule::ReadBeforeWait, Rule::WriteBeforeWait, Rule::NeverWritten]);

    let (client, files, _dir) = lenient();
    assert_ne!(client.read(client.malloc(64), 64), [0xFF; 64], "fresh memory is not filled");
    let layer = client.bind(&files.layers[0], DECODE);
    be_careless(&client, &layer);
    assert!(client.broken().is_empty());
    // What costs nothing is.
    let table = client.malloc(256);
    client.rebind_input(&layer, INDICES, table.wrapping_byte_add(128), 4);
    assert_eq!(client.execute(&layer, DECODE), 0);
    assert_eq!(hex(axcl!(client.table, axclrtFree(table.wrapping_byte_add(128)))), 0x8030_0581);
    assert_eq!(client.broken(), [Rule::InteriorBinding, Rule::InteriorFree]);
}
