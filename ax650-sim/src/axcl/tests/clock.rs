//! What a loop over the interface takes on a card with a profile. The host's time stands still unless it is moved.

use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use super::Client;
use super::engine::{DECODE, INPUT};
use crate::clock::{ClockReading, clock};
use crate::control::{ManualTime, SoftwareCard};
use crate::options::{CardOptions, Compute, Pace};
use crate::profile::Profile;
use crate::testing::{TinySpec, TinyWeights, write_tiny_model};

const US: u64 = 1000;
/// 25 MB of weights: a millisecond beside the fixed cost.
const WEIGHTS: TinyWeights = TinyWeights::Synthetic { layer_bytes: 25_000_000, head_bytes: 19_600_000 };
const LAYERS: usize = 3;

fn client(profile: &str, pace: Pace) -> (Client, ManualTime) {
    let options = CardOptions {
        threads: Some(1),
        profile: Some(Arc::new(Profile::named(profile).expect("a profile"))),
        compute: Compute::None,
        pace,
        ..CardOptions::default()
    };
    let time = ManualTime::default();
    let client = Client::on(SoftwareCard::with_time(options, &time));
    client.start();
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    (client, time)
}

fn reading() -> ClockReading {
    clock().expect("the card has a profile")
}

/// What has passed since `before`.
fn since(before: ClockReading) -> ClockReading {
    let now = reading();
    ClockReading {
        now_ns: now.now_ns - before.now_ns,
        npu_busy_ns: now.npu_busy_ns - before.npu_busy_ns,
        npu_stall_ns: now.npu_stall_ns - before.npu_stall_ns,
        npu_idle_ns: now.npu_idle_ns - before.npu_idle_ns,
        link_busy_ns: now.link_busy_ns - before.link_busy_ns,
        bytes_to_device: now.bytes_to_device - before.bytes_to_device,
        bytes_from_device: now.bytes_from_device - before.bytes_from_device,
        weight_bytes_read: now.weight_bytes_read - before.weight_bytes_read,
        cache_bytes_read: now.cache_bytes_read - before.cache_bytes_read,
        runs: now.runs - before.runs,
    }
}

/// One token: a row up, layers, head, logits down; `queued` with one wait, else every call waits.
fn token(client: &Client, files: &[super::engine::Bound], queued: bool, host: impl Fn()) -> ClockReading {
    let (row, row_bytes) = files[0].inputs[INPUT];
    let head = files.last().expect("a head");
    let (logits, logits_bytes) = head.outputs[0];
    let bytes = usize::try_from(logits_bytes.max(row_bytes)).expect("a size");
    let row_bytes = usize::try_from(row_bytes).expect("a size");
    let logits_bytes = usize::try_from(logits_bytes).expect("a size");
    let (mut pinned, mut stream) = (ptr::null_mut(), ptr::null_mut());
    assert_eq!(axcl!(client.table, axclrtMallocHost(&raw mut pinned, bytes)), 0);
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let before = reading();
    if queued {
        assert_eq!(axcl!(client.table, axclrtMemcpyAsync(row, pinned, row_bytes, super::H2D, stream)), 0);
    } else {
        assert_eq!(axcl!(client.table, axclrtMemcpy(row, pinned, row_bytes, super::H2D)), 0);
    }
    for bound in files {
        host();
        if queued {
            let (model, context, io) = (bound.model, bound.context, bound.io);
            let code = axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream));
            assert_eq!(code, 0);
        } else {
            assert_eq!(client.execute(bound, DECODE), 0);
        }
    }
    if queued {
        let code = axcl!(client.table, axclrtMemcpyAsync(pinned, logits, logits_bytes, super::D2H, stream));
        assert_eq!(code, 0);
        assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    } else {
        assert_eq!(axcl!(client.table, axclrtMemcpy(pinned, logits, logits_bytes, super::D2H)), 0);
    }
    since(before)
}

fn load(client: &Client, spec: &TinySpec) -> Vec<super::engine::Bound> {
    let dir = tempfile::tempdir().expect("a directory");
    let files = write_tiny_model(dir.path(), spec).expect("a tiny model");
    let paths = files.layers.iter().chain([&files.head]);
    paths.map(|path: &std::path::PathBuf| client.bind(Path::new(path), DECODE)).collect()
}

fn spec() -> TinySpec {
    TinySpec { layers: LAYERS, weights: WEIGHTS, ..TinySpec::default() }
}

#[test]
fn every_call_that_waits_costs_a_round_trip_and_a_queue_only_one() {
    let (client, time) = client("pi5-llm8850", Pace::Virtual);
    let files = load(&client, &spec());
    // K and V of 300 rows of 64 bf16 are 76.8 KB: 3.072 us at 25 GB/s.
    let layer = 457 * US + 1000 * US + 3072;
    let busy = LAYERS as u64 * layer + 1000 * US;
    // 128 bytes up, 400 down, at 450 MB/s.
    let link = 284 + 889;

    let plain = token(&client, &files, false, || time.advance(Duration::from_micros(10)));
    let calls = LAYERS as u64 + 3;
    assert_eq!((plain.npu_busy_ns, plain.link_busy_ns, plain.runs), (busy, link, LAYERS as u64 + 1));
    assert_eq!(plain.now_ns, busy + link + calls * 65 * US + (LAYERS as u64 + 1) * 10 * US);
    assert_eq!((plain.bytes_to_device, plain.bytes_from_device), (128, 400));
    assert_eq!(plain.weight_bytes_read, 3 * 25_000_000 + 19_600_000);
    assert_eq!(plain.cache_bytes_read, 3 * 2 * 300 * 64 * 2);

    let queued = token(&client, &files, true, || time.advance(Duration::from_micros(10)));
    assert_eq!((queued.npu_busy_ns, queued.link_busy_ns, queued.runs), (busy, link, LAYERS as u64 + 1));
    // The NPU begins after the first submission; what the host does afterwards takes no time of it.
    assert_eq!(queued.now_ns, busy + 10 * US + 889 + 65 * US);
}

#[test]
fn a_token_of_qwen3_0_6b_keeps_the_npu_busy_with_one_wait() {
    let (client, time) = client("pi5-llm8850", Pace::Virtual);
    let weights = TinyWeights::Synthetic { layer_bytes: 15_728_640, head_bytes: 155_582_464 };
    let spec = TinySpec {
        layers: 28,
        hidden: 1024,
        heads: 16,
        kv_heads: 8,
        head_dim: 128,
        intermediate: 3072,
        vocab: 151_936,
        kv_len: 2559,
        weights,
        ..TinySpec::default()
    };
    let files = load(&client, &spec);
    let reading = token(&client, &files, true, || time.advance(Duration::from_micros(15)));
    let busy = reading.npu_busy_ns as f64 / reading.now_ns as f64;
    assert!(busy > 0.98, "busy {busy}");
    // Measured: 19.6 to 19.7 tokens a second.
    let speed = 1e9 / reading.now_ns as f64;
    assert!((19.0..20.0).contains(&speed), "{speed} tokens a second");
    let plain = token(&client, &files, false, || time.advance(Duration::from_micros(15)));
    let gain = plain.now_ns - reading.now_ns;
    assert!((1_700_000..2_800_000).contains(&gain), "queueing gains {gain} ns");
}

#[test]
fn a_call_at_a_real_pace_returns_when_the_card_would() {
    let (client, _) = client("seed-python-diagnosis", Pace::Real);
    let files = load(&client, &spec());
    let plain = token(&client, &files, false, || {});
    assert_eq!(plain.npu_busy_ns, 4 * 5330 * US);
    assert_eq!(plain.now_ns, 4 * 5330 * US + 284 + 889 + 6 * 65 * US);
}

#[test]
fn an_instant_card_takes_the_time_of_the_host_alone() {
    let (client, time) = client("instant", Pace::Virtual);
    let files = load(&client, &spec());
    for queued in [false, true] {
        let reading = token(&client, &files, queued, || time.advance(Duration::from_micros(7)));
        assert_eq!((reading.now_ns, reading.npu_busy_ns), (4 * 7 * US, 0));
        assert_eq!(reading.npu_idle_ns, reading.now_ns);
    }
}

#[test]
fn loading_takes_its_time_and_weights_their_memory() {
    let (client, _) = client("pi5-llm8850", Pace::Virtual);
    let before = (reading(), client.card.memory_in_use());
    let files = load(&client, &TinySpec { layers: 1, ..spec() });
    let bytes: u64 =
        files.iter().flat_map(|bound| bound.inputs.iter().chain(&bound.outputs)).map(|b| b.1).sum();
    let used = client.card.memory_in_use() - before.1;
    assert!((44_600_000 + bytes..44_610_000 + bytes).contains(&used), "{used} bytes used");
    let passed = since(before.0).now_ns;
    assert!(passed > 44_600_000 * US / 54, "{passed} ns");
}

#[test]
fn each_device_has_its_own_npu_and_all_the_same_time() {
    let profile = Some(Arc::new(Profile::named("pi5-llm8850").expect("a profile")));
    let options = CardOptions { cards: 2, profile, threads: Some(1), ..CardOptions::default() };
    let client = Client::on(SoftwareCard::with_time(options, &ManualTime::default()));
    client.start();
    assert_eq!(axcl!(client.table, axclrtEngineInit(0)), 0);
    let files = load(&client, &TinySpec { layers: 1, ..spec() });
    let first = token(&client, &files, false, || {});
    assert!(first.npu_busy_ns > 0);
    let before = reading();
    assert_eq!(axcl!(client.table, axclrtSetDevice(crate::DEVICE_ID + 1)), 0);
    let second = reading();
    assert_eq!((second.npu_busy_ns, second.runs), (0, 0));
    assert!(second.now_ns >= before.now_ns);
}

#[test]
fn a_stream_that_is_busy_longer_than_the_limit_times_out() {
    let (client, _) = client("pi5-llm8850", Pace::Virtual);
    let files = load(&client, &spec());
    let mut stream = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
    let (model, context, io) = (files[0].model, files[0].context, files[0].io);
    for _ in 0..4 {
        let code = axcl!(client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream));
        assert_eq!(code, 0);
    }
    let code = axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, 2));
    assert_eq!(super::hex(code), 0x8030_0383);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStreamWithTimeout(stream, 5)), 0);
    assert!(clock().is_some_and(|reading| reading.runs == 4));
}

#[test]
fn without_a_profile_there_is_no_clock() {
    let _client = Client::new();
    assert_eq!(clock(), None);
}

/// Streams and events of which the clock knows something.
fn known() -> usize {
    crate::card::current().clock.as_ref().expect("the card has a profile").known()
}

#[test]
fn the_clock_forgets_what_is_gone() {
    let (client, _time) = client("pi5-llm8850", Pace::Virtual);
    let block = client.malloc(16);
    let queue = |bytes| {
        let (mut stream, mut event) = (ptr::null_mut(), ptr::null_mut());
        assert_eq!(axcl!(client.table, axclrtCreateStream(&raw mut stream)), 0);
        assert_eq!(axcl!(client.table, axclrtCreateEvent(&raw mut event)), 0);
        assert_eq!(axcl!(client.table, axclrtMemsetAsync(block, 0, bytes, stream)), 0);
        assert_eq!(axcl!(client.table, axclrtRecordEvent(event, stream)), 0);
        (stream, event)
    };
    let (stream, event) = queue(16);
    assert_eq!(known(), 2);
    assert_eq!(axcl!(client.table, axclrtSynchronizeStream(stream)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    assert_eq!(known(), 0);

    let (stream, event) = queue(1 << 40);
    assert_eq!(axcl!(client.table, axclrtDestroyStreamForce(stream)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    let before = reading();
    assert_eq!(axcl!(client.table, axclrtSynchronizeDevice()), 0);
    assert!(since(before).now_ns < 1_000_000, "there was nothing to wait for: {:?}", since(before));

    let mut context = ptr::null_mut();
    assert_eq!(axcl!(client.table, axclrtCreateContext(&raw mut context, crate::DEVICE_ID)), 0);
    let (_, event) = queue(1 << 20);
    let (before, work) = (reading(), known());
    assert_eq!(axcl!(client.table, axclrtDestroyContext(context)), 0);
    assert!(since(before).now_ns > 0 && known() < work);
    assert_eq!(axcl!(client.table, axclrtSetDevice(crate::DEVICE_ID)), 0);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    assert_eq!(known(), 0);

    let (_, event) = queue(16);
    assert_eq!(axcl!(client.table, axclrtDestroyEvent(event)), 0);
    for _ in 0..2 {
        assert_eq!(axcl!(client.table, axclrtResetDevice(crate::DEVICE_ID)), 0);
    }
    assert_eq!(known(), 0);
    client.card.take_violations();
}
