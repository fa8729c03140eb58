//! Paths that save work: what the self-test says of them, and where its verdicts are kept.

use std::path::Path as FilePath;

use ax650_sim::testing::TinySpec;

use super::{Bench, CancelFlag, DeviceChoice, DeviceError, DriverOptions, Paths, PathsWish};
use crate::device::{Path, Verdict, Verdicts};

/// `AXCL_ERR_RT_ENGINE_EXECUTE_FAIL`, which says nothing of the cause.
const EXECUTE_FAIL: i32 = 0x8030_070C_u32.cast_signed();
/// `AXCL_ERR_RT_DEVICE_NO_CONNECT`.
const NO_CONNECT: i32 = 0x8030_0181_u32.cast_signed();

fn bench_with(paths: &str, verdicts: Option<&FilePath>) -> Bench {
    bench_on("software", paths, verdicts)
}

fn bench_on(device: &str, paths: &str, verdicts: Option<&FilePath>) -> Bench {
    let choice: DeviceChoice = device.parse().unwrap();
    let options = DriverOptions {
        paths: paths.parse().unwrap(),
        verdicts: verdicts.map(Into::into),
        ..DriverOptions::default()
    };
    Bench::with(&TinySpec::default(), &choice, &options)
}

fn verdict_of(verdicts: &Verdicts, path: Path) -> Verdict {
    verdicts.paths.iter().find(|(of, _)| *of == path).unwrap().1.clone()
}

#[test]
fn a_card_that_does_everything_right_uses_all_it_can() {
    for device in ["software", "software,interface=board"] {
        let bench = bench_on(device, "all", None);
        let model = bench.load();
        let verdicts = model.verdicts().unwrap();
        assert_eq!(verdicts.together, Verdict::Passed, "{verdicts:?}");
        assert_eq!(verdicts.bad().count(), 0, "{verdicts:?}");
        assert!(model.paths() == model.available_paths() && model.paths().iter().count() >= 5, "{device}");
        for (path, verdict) in &verdicts.paths {
            assert_eq!(*verdict == Verdict::Passed, model.paths().contains(*path), "{path}: {verdict}");
        }
        drop(model);
        assert_eq!((bench.control.models(), bench.control.allocations()), (0, 0), "the test leaves nothing");
    }
}

#[test]
fn only_what_is_wanted_is_tested_and_used() {
    let bench = bench_with("async,pinned", None);
    let model = bench.load();
    assert_eq!(model.paths(), [Path::Async, Path::Pinned].into_iter().collect());
    assert_eq!(verdict_of(model.verdicts().unwrap(), Path::SharedInputs), Verdict::SwitchedOff);
    let plain = bench_with("plain", None);
    let model = plain.load();
    assert!(model.paths().is_plain() && model.verdicts().is_none());
}

#[test]
fn every_set_of_paths_gives_the_same_bits_and_can_be_changed_at_any_step() {
    for device in ["software", "software,interface=board"] {
        let bench = bench_on(device, "all", None);
        let model = bench.load();
        let mut sequence = model.new_sequence().unwrap();
        model.set_paths(Paths::PLAIN).unwrap();
        let mut expected = vec![bench.prefill(&mut sequence, 0, 150, 128)];
        expected.extend((150..160).map(|token| bench.decode(&mut sequence, token)));
        let rows = sequence.export(0, 160).unwrap();
        let all = model.available_paths();
        let singly = all.iter().map(Paths::from);
        let all_but_one = all.iter().map(|path| all - path.into());
        for paths in singly.chain(all_but_one).chain([all]) {
            model.set_paths(paths).unwrap();
            sequence.truncate(0);
            let mut logits = vec![bench.prefill(&mut sequence, 0, 150, 128)];
            logits.extend((150..160).map(|token| bench.decode(&mut sequence, token)));
            let first = logits.iter().zip(&expected).position(|(got, wanted)| got != wanted);
            assert_eq!(first, None, "{device}: {paths}");
            assert!(sequence.export(0, 160).unwrap() == rows, "{device}: {paths}");
        }
        // Another set before every step.
        sequence.truncate(0);
        let mut sets = Path::ALL.into_iter().cycle().filter(|path| all.contains(*path)).map(Paths::from);
        for at in (0..150).step_by(25) {
            model.set_paths(sets.next().unwrap()).unwrap();
            bench.prefill(&mut sequence, at, at + 25, 128);
        }
        for token in 150..160 {
            model.set_paths(sets.next().unwrap()).unwrap();
            assert!(bench.decode(&mut sequence, token) == expected[token - 149], "{device}: token {token}");
        }
        assert!(sequence.export(0, 160).unwrap() == rows, "{device}");
    }
}

#[test]
fn rows_travel_to_the_host_and_to_other_sequences() {
    let bench = bench_with("all", None);
    let model = bench.load();
    let mut first = model.new_sequence().unwrap();
    bench.prefill(&mut first, 0, 40, 128);
    let expected = bench.decode(&mut first, 40);
    let rows = first.export(0, 40).unwrap();
    assert_eq!(rows.len(), 40 * model.row_bytes());

    let mut imported = model.new_sequence().unwrap();
    imported.import(0, &rows).unwrap();
    assert_eq!(bench.decode(&mut imported, 40), expected);
    let mut copied = model.new_sequence().unwrap();
    copied.copy_from(&first, 40).unwrap();
    assert_eq!((copied.len(), bench.decode(&mut copied, 40)), (40, expected.clone()));
    // In two parts, over what was there.
    let half = first.export(20, 20).unwrap();
    imported.truncate(20);
    imported.import(20, &half).unwrap();
    assert_eq!(bench.decode(&mut imported, 40), expected);

    assert!(matches!(first.export(30, 20), Err(DeviceError::Internal(_))));
    assert!(matches!(imported.import(60, &half), Err(DeviceError::Internal(_))));
    assert!(matches!(imported.import(0, &half[1..]), Err(DeviceError::Internal(_))));
    let other = bench.load();
    assert!(matches!(other.new_sequence().unwrap().copy_from(&first, 1), Err(DeviceError::Internal(_))));
}

#[test]
fn a_path_that_is_not_available_is_refused_by_name() {
    let bench = bench_on("software,interface=board", "all", None);
    let model = bench.load();
    let before = model.paths();
    let error = model.set_paths(Path::Async.into()).unwrap_err();
    assert!(error.to_string().contains("async") && model.paths() == before, "{error}");
    assert_eq!(verdict_of(model.verdicts().unwrap(), Path::Async), Verdict::NotAvailable);
}

#[test]
fn a_call_that_fails_on_a_path_alone_switches_it_off_and_is_tried_again_at_the_next_load() {
    let store = tempfile::tempdir().unwrap();
    let bench = bench_with("all", Some(store.path()));
    bench.control.fail_call("axclrtEngineExecuteAsync", 2, EXECUTE_FAIL);
    let model = bench.load();
    let verdicts = model.verdicts().unwrap();
    let Verdict::Failed(why) = verdict_of(verdicts, Path::Async) else { panic!("{verdicts:?}") };
    assert!(why.contains("axclrtEngineExecuteAsync") && why.contains("0x8030070C"), "{why}");
    assert!(!model.paths().contains(Path::Async) && model.paths().contains(Path::KvInPlace));
    drop(model);
    assert!(bench.load().paths().contains(Path::Async));
}

#[test]
fn a_plain_path_that_fails_or_a_lost_card_ends_the_load_with_nothing_left() {
    let bench = bench_with("all", None);
    bench.control.fail_call("axclrtEngineExecute", 2, EXECUTE_FAIL);
    let error = bench.driver.load(&bench.spec(), &CancelFlag::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DeviceError::Call { .. }), "{error}");
    assert_eq!((bench.control.models(), bench.control.allocations()), (0, 0));
    bench.control.fail_call("axclrtEngineExecuteAsync", 1, NO_CONNECT);
    let error = bench.driver.load(&bench.spec(), &CancelFlag::new(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
    assert_eq!((bench.control.models(), bench.control.allocations()), (0, 0));
    drop(bench.load());
}

#[test]
fn a_load_is_cancelled_between_files_and_in_the_self_test() {
    let bench = bench_with("all", None);
    let cancel = CancelFlag::new();
    let outcome = bench.driver.load(&bench.spec(), &cancel, &mut |_| cancel.cancel());
    assert!(matches!(outcome, Err(DeviceError::Cancelled)), "{outcome:?}");
    assert_eq!(bench.control.calls("axclrtEngineLoadFromFile"), 1);
    let cancel = CancelFlag::new();
    let last = bench.spec().layers.len() + 1;
    let outcome = bench.driver.load(&bench.spec(), &cancel, &mut |p| {
        if p.index == last {
            cancel.cancel();
        }
    });
    assert!(matches!(outcome, Err(DeviceError::Cancelled)), "{outcome:?}");
    assert_eq!((bench.control.models(), bench.control.allocations()), (0, 0));
}

#[test]
fn verdicts_are_found_again_and_bad_files_are_not_believed() {
    let store = tempfile::tempdir().unwrap();
    let verdicts = store.path().join("ax650/.verdicts");
    let load = |digest: &str, paths: &str| {
        let bench = bench_with(paths, Some(&verdicts));
        let spec = super::ModelSpec { digest: digest.to_owned(), ..bench.spec() };
        let model = bench.driver.load(&spec, &CancelFlag::new(), &mut |_| {}).unwrap();
        (bench.control.calls("axclrtEngineExecute") > 0, model.paths())
    };
    let (tested, all) = load("a", "all");
    assert!(tested && !all.is_plain());
    assert_eq!(load("a", "all"), (false, all));
    assert_eq!(load("a", "-async"), (false, all - Path::Async.into()), "less than was tested is no news");
    assert!(load("b", "async").0, "another model is another case");
    assert_eq!(load("b", "async"), (false, Path::Async.into()));
    assert!(load("b", "all").0, "more than was tested is");
    assert!(load("", "all").0 && load("", "all").0, "without a digest nothing is kept");

    let files =
        || std::fs::read_dir(&verdicts).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files().len(), 2);
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for bad in ["", "{}", "not JSON", &text[..text.len() / 2], &text.replace("pinned", "painted")] {
            std::fs::write(&file, bad).unwrap();
            assert!(load("a", "all").0 || load("b", "all").0, "believed: {bad}");
        }
        // What another version of the test has written says nothing of this one.
        let version = format!("\"test\": {}", super::super::self_test::VERSION);
        let other = text.replace(&version, "\"test\": 0").replace("\"digest\": \"a\"", "\"digest\": \"c\"");
        assert_ne!(text, other);
        std::fs::write(&file, other).unwrap();
        assert!(load("a", "all").0 || load("b", "all").0);
    }
    // A directory that cannot be written costs a test at every load and nothing else.
    std::fs::remove_dir_all(&verdicts).unwrap();
    std::fs::write(&verdicts, "a file").unwrap();
    assert_eq!(load("a", "all"), (true, all));
}

#[test]
fn verdicts_take_the_place_of_those_of_other_drivers() {
    let store = tempfile::tempdir().unwrap();
    let verdicts = store.path().join(".verdicts");
    let load = |device: &str, digest: &str| {
        let bench = bench_on(device, "all", Some(&verdicts));
        let spec = super::ModelSpec { digest: digest.to_owned(), ..bench.spec() };
        bench.driver.load(&spec, &CancelFlag::new(), &mut |_| {}).unwrap();
    };
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&verdicts).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    load("software", "a");
    let [new] = &files()[..] else { panic!("{:?}", files()) };
    let text = std::fs::read_to_string(verdicts.join(new)).unwrap();
    // As if an older driver and an older version of the program had left theirs.
    std::fs::write(
        verdicts.join("driver.json"),
        text.replace("\"driver_version\": \"", "\"driver_version\": \"0"),
    )
    .unwrap();
    std::fs::write(verdicts.join("program.json"), text.replace("\"program\": \"", "\"program\": \"0"))
        .unwrap();
    std::fs::write(verdicts.join("noise.json"), "{").unwrap();
    std::fs::remove_file(verdicts.join(new)).unwrap();
    load("software", "a");
    assert_eq!(files(), [new.clone(), "noise.json".into()]);
    load("software", "b");
    load("software,interface=board", "a");
    assert_eq!(files().len(), 4, "another model, and another card, are other cases");
}

#[test]
fn a_card_that_only_keeps_time_is_not_tested() {
    let bench = bench_on("software,compute=none", "all", None);
    let model = bench.load();
    assert!(model.verdicts().is_none() && !model.paths().is_plain());
    assert_eq!(bench.control.calls("axclrtEngineExecute"), 0);
}

#[test]
fn a_wish_is_the_default_of_a_driver() {
    assert_eq!(DriverOptions::default().paths, PathsWish(Paths::ALL));
}

#[test]
fn a_token_on_all_paths_waits_once_and_moves_little() {
    let bench = bench_with("all", None);
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    for token in 0..3 {
        bench.decode(&mut sequence, token);
    }
    let before = model.stats();
    bench.decode(&mut sequence, 3);
    let after = model.stats();
    assert_eq!(after.runs - before.runs, 3);
    assert!(after.blocking_calls - before.blocking_calls <= 6);
    // A row of the embedding, the index, and the part of the mask that has changed, in lines of 128 bytes.
    assert!(after.bytes_to_device - before.bytes_to_device <= 64 * 2 + 4 + 256);
    assert_eq!(after.bytes_from_device - before.bytes_from_device, 400);
    assert_eq!(after.bytes_on_device - before.bytes_on_device, 0);

    let board = bench_on("software,interface=board", "all", None);
    let model = board.load();
    let mut sequence = model.new_sequence().unwrap();
    for token in 0..3 {
        board.decode(&mut sequence, token);
    }
    let before = model.stats();
    board.decode(&mut sequence, 3);
    let after = model.stats();
    assert!(after.cache_calls - before.cache_calls <= 6);
    assert!(after.bytes_copied - before.bytes_copied <= 64 * 2 + 400 + 4 + 256);
}
