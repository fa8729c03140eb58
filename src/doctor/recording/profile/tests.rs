//! Profiles from recordings whose figures are known.

use super::*;
use crate::device::survey::{Tensor, Timing};
use crate::doctor::card::CardFacts;
use crate::doctor::recording::{FORMAT, RecordedModel};

fn timing(call: &str, bytes: u64, ns: u64) -> Timing {
    Timing { call: call.into(), bytes, count: 9, least_ns: ns, median_ns: ns, error: None }
}

fn tensor(name: &str, dims: &[i32]) -> Tensor {
    let values: i32 = dims.iter().product();
    Tensor { name: name.into(), dtype: None, dims: dims.to_vec(), bytes: u64::try_from(values).unwrap() * 2 }
}

fn group(rows: i32, cache: i32, ns: u64) -> GroupShape {
    let inputs = vec![
        tensor("K_cache", &[1, cache, 1000]),
        tensor("V_cache", &[1, cache, 1000]),
        tensor("indices", &[rows]),
    ];
    GroupShape { inputs, outputs: vec![], run: timing("axclrtEngineExecute", 0, ns), queued_run: None }
}

fn file(role: &str, bytes: u64, load_ns: u64, groups: Vec<GroupShape>) -> FileShape {
    FileShape {
        role: role.into(),
        file_bytes: bytes,
        weight_bytes: bytes,
        load: timing("axclrtEngineLoadFromFile", bytes, load_ns),
        groups,
    }
}

/// A model whose head takes so long.
fn model(layer_bytes: u64, groups: Vec<GroupShape>, head_ns: u64) -> RecordedModel {
    RecordedModel {
        digest: "d".into(),
        layers: 36,
        hidden: 2560,
        vocab: 151_936,
        context: 1000,
        files: vec![
            file("layer", layer_bytes, layer_bytes * 10, groups),
            file("head", head_ns * 10, 1, vec![group(1, 0, head_ns + 100_000)]),
        ],
        verdicts: None,
    }
}

/// A card of 1000 MB/s up, 500 MB/s down, 100 us a call, 20 GB/s for layers, 10 GB/s for heads, 1 TOPS.
fn recording() -> Recording {
    let copy = |direction: &str, kind: &str, bytes: u64, mb_per_s: u64, more_us: u64| {
        let ns = bytes * 1000 / mb_per_s + (100 + more_us) * 1000;
        timing(&format!("axclrtMemcpy {direction} {kind}"), bytes, ns)
    };
    let mut calls = Vec::new();
    for bytes in [4 << 10, 4 << 20] {
        calls.push(copy("to-device", "pinned", bytes, 1000, 0));
        calls.push(copy("to-device", "unpinned", bytes, 1000, 700));
        calls.push(copy("from-device", "pinned", bytes, 500, 0));
    }
    // Decode: 96 MB of weights and 4 MB of cache at 20 GB/s are 5 ms; fixed 457 us; the call 100 us.
    let decode = group(1, 1000, 5_000_000 + 457_000 + 100_000);
    // A chunk of 100 rows: 2 x 96 M x 100 operations at 1 TOPS are 19.2 ms, without any cache.
    let chunk = group(100, 0, 19_200_000 + 4_800_000 + 457_000 + 100_000);
    Recording {
        format: FORMAT,
        ax650: "1".into(),
        architecture: "aarch64".into(),
        machine: Some("A \"board\"".into()),
        card: CardFacts { soc: "AX650N".into(), total_memory: 2944 << 20, ..CardFacts::default() },
        findings: vec![],
        calls,
        models: vec![model(96_000_000, vec![decode, chunk], 3_000_000)],
    }
}

/// The same with a smaller model, on a card whose runs have another fixed cost than the known one.
fn two_models() -> Recording {
    let mut recording = recording();
    // 16 MB of weights and 4 MB of cache at 20 GB/s are 1 ms.
    let small = model(16_000_000, vec![group(1, 1000, 1_000_000 + 123_000 + 100_000)], 1_000_000 + 50_000);
    let layer = &mut recording.models[0].files[0];
    layer.groups[0].run.median_ns = 5_000_000 + 123_000 + 100_000;
    layer.groups[1].run.median_ns = 19_200_000 + 4_800_000 + 123_000 + 100_000;
    recording.models[0].files[1].groups[0].run.median_ns += 50_000;
    recording.models.push(RecordedModel {
        files: vec![small.files[0].clone(), FileShape { weight_bytes: 10_000_000, ..small.files[1].clone() }],
        ..small
    });
    recording
}

fn read(text: &str) -> Profile {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), text).unwrap();
    Profile::read(file.path()).unwrap()
}

#[test]
fn figures_come_out_as_they_went_in() {
    let made = read(&profile(&recording()).unwrap());
    assert!(made.summary().contains("A \"board\""), "{}", made.summary());
    for (name, expected) in [
        ("device_memory_mib", 2944.0),
        ("round_trip_us", 100.0),
        ("unpinned_copy_us", 700.0),
        ("to_device_mb_per_s", 1000.0),
        ("from_device_mb_per_s", 500.0),
        ("layer_call_us", 457.0),
        ("layer_gb_per_s", 20.0),
        ("head_gb_per_s", 10.0),
        ("chunk_tops", 1.0),
        ("load_mb_per_s", 100.0),
    ] {
        let figure = made.figures().into_iter().find(|(known, _)| *known == name).unwrap().1;
        assert!((figure.value / expected - 1.0).abs() < 0.001, "{name}: {} for {expected}", figure.value);
        assert!(!figure.source.is_empty(), "{name}");
    }
}

#[test]
fn two_models_tell_what_is_fixed_from_what_is_read() {
    let made = read(&profile(&two_models()).unwrap());
    for (figure, expected) in [
        (&made.layer_call_us, 123.0),
        (&made.layer_gb_per_s, 20.0),
        (&made.head_call_us, 50.0),
        (&made.head_gb_per_s, 10.0),
        (&made.chunk_tops, 1.0),
    ] {
        assert!((figure.value / expected - 1.0).abs() < 0.001, "{figure:?} for {expected}");
        assert!(figure.source.starts_with("recorded"), "{figure:?}");
    }
    let one = read(&profile(&recording()).unwrap());
    assert!(one.layer_call_us.source.starts_with("not told apart"), "{:?}", one.layer_call_us);
}

#[test]
fn a_board_is_compared_with_a_board() {
    let mut board = recording();
    board.card.interface = "board".into();
    board.calls = vec![
        timing("AX_SYS_MflushCache", 4 << 10, 1000),
        timing("AX_SYS_MflushCache", 4 << 20, 1000 + 419_020),
    ];
    let made = read(&profile(&board).unwrap());
    assert_eq!(made.interface(), ax650_sim::profile::Interface::Board);
    assert!((made.cache_gb_per_s.value - 10.0).abs() < 0.01, "{:?}", made.cache_gb_per_s);
    assert!(made.to_device_mb_per_s.source.contains(KNOWN_BOARD), "{:?}", made.to_device_mb_per_s);
}

#[test]
fn what_was_not_recorded_is_taken_from_a_known_machine_and_says_so() {
    let bare = Recording { calls: vec![], models: vec![], card: CardFacts::default(), ..recording() };
    let made = read(&profile(&bare).unwrap());
    let known = Profile::named(KNOWN_CARD).unwrap();
    for ((name, made), (_, known)) in made.figures().into_iter().zip(known.figures()) {
        assert_eq!(made.value.to_bits(), known.value.to_bits(), "{name}");
        assert!(made.source.starts_with("not in the recording"), "{name}: {}", made.source);
    }
}

#[test]
fn failed_and_absurd_timings_make_no_figures() {
    let mut odd = recording();
    for timing in &mut odd.calls {
        timing.median_ns = 0;
    }
    for file in &mut odd.models[0].files {
        file.load.median_ns = 0;
        for group in &mut file.groups {
            group.run.count = 0;
            group.run.error = Some("0x8006008A".into());
        }
    }
    let made = read(&profile(&odd).unwrap());
    assert!(made.layer_gb_per_s.source.starts_with("not in the recording"));
    assert!(made.to_device_mb_per_s.source.starts_with("not in the recording"));
}
