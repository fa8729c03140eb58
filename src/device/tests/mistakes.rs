//! Cards that silently compute something else on one path: the self-test finds it, and the answers are right.

use std::path::Path as FilePath;

use ax650_sim::control::{Mistake, Trouble};
use ax650_sim::testing::TinySpec;

use super::{Bench, DeviceChoice, DriverOptions, LoadedModel, Paths, VOCAB};
use crate::device::{Path, Verdict, Verdicts};

const INTERFACES: [&str; 2] = ["software", "software,interface=board"];

/// Each mistake, and the path that meets it.
const CULPRITS: [(Mistake, Path); 10] = [
    (Mistake::KvDecodeAtBase, Path::KvInPlace),
    (Mistake::KvPrefillAtBase, Path::KvInPlacePrefill),
    (Mistake::StaleHidden, Path::AliasedHidden),
    (Mistake::StaleMask, Path::SharedInputs),
    (Mistake::AsyncOrder, Path::Async),
    (Mistake::PinnedLate, Path::Pinned),
    (Mistake::SmallGroup, Path::SmallestGroup),
    (Mistake::DecodeRounds, Path::ShortTail),
    (Mistake::StalePosition, Path::ShortTail),
    (Mistake::FirstRow, Path::AliasedHidden),
];

const QUEUED_RUN: &str = "axclrtEngineExecuteAsync";

fn bench(device: &str, verdicts: Option<&FilePath>, mistakes: &[Mistake]) -> Bench {
    let choice: DeviceChoice = device.parse().unwrap();
    let options = DriverOptions { verdicts: verdicts.map(Into::into), ..DriverOptions::default() };
    let spec = TinySpec { smaller_decode: vec![128], ..TinySpec::default() };
    let bench = Bench::with(&spec, &choice, &options);
    for mistake in mistakes {
        bench.control.cause(Trouble::Wrong(*mistake));
    }
    bench
}

/// What a conversation of two chunks, a short tail and some tokens computes: logits, the states of a chunk, and the
/// rows at its end.
fn answer(bench: &Bench, model: &LoadedModel) -> (Vec<Vec<u16>>, Vec<u8>) {
    let mut sequence = model.new_sequence().unwrap();
    let mut logits: Vec<_> = [(0, 100), (100, 150), (150, 152)]
        .map(|(from, to)| bench.prefill(&mut sequence, from, to, 128))
        .into();
    logits.extend((152..156).map(|token| bench.decode(&mut sequence, token)));
    sequence.truncate(110);
    logits.extend((120..124).map(|token| bench.decode(&mut sequence, token)));
    assert!(logits.iter().all(|logits| logits.len() == VOCAB));
    let rows = sequence.export(0, sequence.len()).unwrap();
    sequence.truncate(0);
    logits.push(bench.states(&mut sequence, 0, 100));
    (logits, rows)
}

fn bad(verdicts: &Verdicts) -> Vec<Path> {
    verdicts.bad().map(|(path, _)| path).collect()
}

#[test]
fn each_mistake_is_found_and_only_its_path_is_off() {
    for device in INTERFACES {
        let good = bench(device, None, &[]);
        let model = good.load();
        let right = answer(&good, &model);
        assert_eq!(bad(model.verdicts().unwrap()), []);
        drop(model);
        for (mistake, path) in CULPRITS {
            let bench = bench(device, None, &[mistake]);
            let model = bench.load();
            let verdicts = model.verdicts().unwrap();
            if !model.available_paths().contains(path) {
                assert_eq!(bad(verdicts), [], "{device}: {mistake:?} meets nobody");
                continue;
            }
            assert_eq!(bad(verdicts), [path], "{device}: {mistake:?}: {verdicts:?}");
            let found = &verdicts.paths.iter().find(|(of, _)| *of == path).unwrap().1;
            assert!(matches!(found, Verdict::Differs(_)), "{device}: {mistake:?}: {found}");
            assert_eq!(verdicts.together, Verdict::Passed, "{device}: {mistake:?}: the others do work");
            assert_eq!(model.paths(), model.available_paths() - path.into(), "{device}: {mistake:?}");

            let answered = answer(&bench, &model);
            model.set_paths(Paths::PLAIN).unwrap();
            assert!(answered == answer(&bench, &model), "{device}: {mistake:?}");
            // Its decode steps round otherwise than those of the good card, whatever the paths.
            assert!(answered == right || mistake == Mistake::DecodeRounds, "{device}: {mistake:?}");
            model.set_paths(path.into()).unwrap();
            assert!(answered != answer(&bench, &model), "{device}: {mistake:?} would not have mattered");
        }
    }
}

#[test]
fn a_card_that_gets_everything_wrong_is_driven_plainly() {
    for device in INTERFACES {
        let good = bench(device, None, &[]);
        let right = answer(&good, &good.load());
        // The one that changes the plain path's decode steps too is left out.
        let mut mistakes = Mistake::ALL.to_vec();
        mistakes.retain(|mistake| *mistake != Mistake::DecodeRounds);
        let bench = bench(device, None, &mistakes);
        let model = bench.load();
        let verdicts = model.verdicts().unwrap();
        let all: Vec<Path> = model.available_paths().iter().collect();
        assert_eq!(
            (bad(verdicts), &verdicts.together),
            (all, &Verdict::NotAvailable),
            "{device}: {verdicts:?}"
        );
        assert!(model.paths().is_plain(), "{device}");
        assert!(answer(&bench, &model) == right, "{device}");
    }
}

#[test]
fn what_was_found_wrong_stays_off_without_another_test() {
    let store = tempfile::tempdir().unwrap();
    for (device, runs) in
        [("software", "axclrtEngineExecute"), ("software,interface=board", "AX_ENGINE_RunGroupIOSync")]
    {
        let mistakes = [Mistake::StaleHidden, Mistake::KvDecodeAtBase];
        let first = bench(device, Some(store.path()), &mistakes);
        let model = first.load();
        let (paths, verdicts) = (model.paths(), model.verdicts().unwrap().clone());
        let off: Paths = [Path::AliasedHidden, Path::KvInPlace].into_iter().collect();
        assert_eq!(model.available_paths() - paths, off, "{device}");
        drop(model);
        drop(first);
        let second = bench(device, Some(store.path()), &mistakes);
        let model = second.load();
        assert_eq!((model.paths(), model.verdicts().unwrap()), (paths, &verdicts), "{device}");
        assert_eq!(second.control.calls(runs), 0, "{device}: what is known is not tested again");
    }
}

#[test]
fn paths_that_fail_only_together_are_all_off_until_the_next_load() {
    let store = tempfile::tempdir().unwrap();
    let good = bench("software", None, &[]);
    let model = good.load();
    let runs = good.control.calls(QUEUED_RUN);
    let right = answer(&good, &model);
    drop(model);
    drop(good);
    let bench = bench("software", Some(store.path()), &[]);
    // The last queued run of the test is one of all paths together.
    bench.control.fail_call(QUEUED_RUN, runs, 0x8030_070C_u32.cast_signed());
    let model = bench.load();
    let verdicts = model.verdicts().unwrap();
    assert_eq!(bad(verdicts), [], "{verdicts:?}");
    assert!(matches!(&verdicts.together, Verdict::Failed(why) if why.contains(QUEUED_RUN)), "{verdicts:?}");
    assert!(model.paths().is_plain());
    assert!(answer(&bench, &model) == right);
    drop(model);
    assert_eq!(bench.load().verdicts().unwrap().together, Verdict::Passed);
}

#[test]
fn runs_that_cannot_be_queued_are_waited_for_one_by_one() {
    let bench = bench("software", None, &[]);
    bench.control.cause(Trouble::NoAsync);
    let model = bench.load();
    let verdicts = model.verdicts().unwrap();
    assert_eq!((bad(verdicts), &verdicts.together), (Vec::new(), &Verdict::Passed), "{verdicts:?}");
    assert_eq!(model.available_paths(), Paths::ALL - Path::Async.into());
    assert_eq!(model.paths(), model.available_paths());
    let answered = answer(&bench, &model);
    bench.control.calm();
    assert!(answered == answer(&bench, &bench.load()));
}

#[test]
fn a_result_that_is_no_number_makes_the_test_worthless_and_is_not_kept() {
    let store = tempfile::tempdir().unwrap();
    let bench = bench("software", Some(store.path()), &[]);
    // In the reference, so that every path differs from it.
    bench.control.cause(Trouble::NotANumber { tensor: "output".into(), runs: 1.into() });
    let model = bench.load();
    let verdicts = model.verdicts().unwrap();
    let Verdict::Failed(why) = &verdicts.together else { panic!("{verdicts:?}") };
    assert!(why.contains("does not repeat itself"), "{why}");
    assert!(model.paths().is_plain());
    let plain = answer(&bench, &model);
    drop(model);
    let model = bench.load();
    assert_eq!(model.verdicts().unwrap().together, Verdict::Passed);
    assert!(plain == answer(&bench, &model));
}
