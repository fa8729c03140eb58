//! Cards that silently compute something else in one shape group: the self-test visits them all.

use ax650_sim::control::{Mistake, Trouble};
use ax650_sim::testing::TinySpec;

use super::{Bench, DeviceChoice, DriverOptions, LoadedModel, Paths};
use crate::device::{Path, Verdict, Verdicts};

/// Kinds of shape groups, by their numbers in the files of [`bench`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    SmallDecode,
    LargestDecode,
    /// Without a history.
    FirstPrefill,
    Prefill,
    /// So near to the end of the cache that no chunk fits into it with its padding.
    LastPrefill,
}

const GROUPS: [Group; 6] = [
    Group::SmallDecode,
    Group::LargestDecode,
    Group::FirstPrefill,
    Group::Prefill,
    Group::Prefill,
    Group::LastPrefill,
];

/// A card with decode groups of 128 and 300, and prefill groups of 0, 128, 256 and 300 rows of history.
fn bench(device: &str) -> Bench {
    let choice: DeviceChoice = device.parse().unwrap();
    let spec = TinySpec { smaller_decode: vec![128], ..TinySpec::default() };
    Bench::with(&spec, &choice, &DriverOptions::default())
}

fn wrong(device: &str, mistake: Mistake, group: usize) -> Bench {
    let bench = bench(device);
    bench.control.cause(Trouble::WrongIn { mistake, group });
    bench
}

/// Chunks, tails and tokens in every group, each of which is used again with another mask.
fn answer(bench: &Bench, model: &LoadedModel) -> (Vec<Vec<u16>>, Vec<u8>) {
    let mut sequence = model.new_sequence().unwrap();
    let mut logits = Vec::new();
    for (from, to) in [(0, 60), (60, 150), (150, 258), (258, 290)] {
        logits.push(bench.prefill(&mut sequence, from, from + 2, 128));
        sequence.truncate(from);
        logits.push(bench.prefill(&mut sequence, from, from + 5, 128));
        sequence.truncate(from);
        logits.push(bench.states(&mut sequence, from, to));
        sequence.truncate(from);
        logits.push(bench.prefill(&mut sequence, from, to, 128));
    }
    logits.extend((290..293).map(|token| bench.decode(&mut sequence, token)));
    let mut rows = sequence.export(0, sequence.len()).unwrap();
    sequence.truncate(20);
    logits.extend((20..23).map(|token| bench.decode(&mut sequence, token)));
    rows.extend(sequence.export(0, sequence.len()).unwrap());
    (logits, rows)
}

/// The paths that meet a mistake in a group of this kind.
fn culprits(mistake: Mistake, group: Group) -> &'static [Path] {
    let decodes = matches!(group, Group::SmallDecode | Group::LargestDecode);
    match mistake {
        Mistake::KvDecodeAtBase if decodes => &[Path::KvInPlace],
        Mistake::KvPrefillAtBase if group == Group::Prefill => &[Path::KvInPlacePrefill],
        Mistake::StaleHidden => &[Path::AliasedHidden],
        Mistake::FirstRow if !decodes => &[Path::AliasedHidden],
        Mistake::StaleMask => &[Path::SharedInputs],
        Mistake::AsyncOrder => &[Path::Async],
        Mistake::PinnedLate => &[Path::Pinned],
        Mistake::StalePosition if decodes => &[Path::ShortTail],
        // It is not like the largest, which is what the plain path computes tokens in.
        Mistake::SmallGroup | Mistake::DecodeRounds if group == Group::SmallDecode => &[Path::SmallestGroup],
        // Neither the smaller ones nor the prefill groups are like it.
        Mistake::DecodeRounds if group == Group::LargestDecode => &[Path::ShortTail, Path::SmallestGroup],
        Mistake::DecodeRounds => &[Path::ShortTail],
        _ => &[],
    }
}

fn bad(verdicts: &Verdicts) -> Vec<Path> {
    verdicts.bad().map(|(path, _)| path).collect()
}

fn each_mistake_is_found_in_each_group(device: &str) {
    let good = bench(device);
    let right = answer(&good, &good.load());
    for (group, kind) in GROUPS.into_iter().enumerate() {
        for mistake in Mistake::ALL {
            let place = format!("{device}: {mistake:?} in group {group}");
            let bench = wrong(device, mistake, group);
            let model = bench.load();
            let available = model.available_paths();
            let off: Vec<Path> =
                culprits(mistake, kind).iter().copied().filter(|path| available.contains(*path)).collect();
            let verdicts = model.verdicts().unwrap();
            assert_eq!(
                (bad(verdicts), &verdicts.together),
                (off.clone(), &Verdict::Passed),
                "{place}: {verdicts:?}"
            );
            let off: Paths = off.into_iter().collect();
            assert_eq!(model.paths(), available - off, "{place}");

            let answered = answer(&bench, &model);
            model.set_paths(Paths::PLAIN).unwrap();
            assert!(answered == answer(&bench, &model), "{place}");
            assert!(answered == right || mistake == Mistake::DecodeRounds, "{place}");
            model.set_paths(available).unwrap();
            assert_eq!(
                answered != answer(&bench, &model),
                !off.is_plain(),
                "{place}: what it would have done"
            );
        }
    }
}

#[test]
fn each_mistake_is_found_in_each_group_of_a_pcie_card() {
    each_mistake_is_found_in_each_group("software");
}

#[test]
fn each_mistake_is_found_in_each_group_of_a_board() {
    each_mistake_is_found_in_each_group("software,interface=board");
}

#[test]
fn several_mistakes_in_several_groups_are_found_one_after_the_other() {
    let bench = wrong("software", Mistake::KvPrefillAtBase, 3);
    bench.control.cause(Trouble::WrongIn { mistake: Mistake::StaleHidden, group: 4 });
    bench.control.cause(Trouble::WrongIn { mistake: Mistake::AsyncOrder, group: 1 });
    let model = bench.load();
    let verdicts = model.verdicts().unwrap();
    let off = [Path::AliasedHidden, Path::KvInPlacePrefill, Path::Async];
    assert_eq!((bad(verdicts), &verdicts.together), (off.into(), &Verdict::Passed), "{verdicts:?}");
    assert_eq!(model.paths(), model.available_paths() - off.into_iter().collect());
}

#[test]
fn a_verdict_names_the_group() {
    for (mistake, group, place) in [
        (Mistake::KvDecodeAtBase, 1, "2 tokens behind 298 (decode group of 300)"),
        (Mistake::KvPrefillAtBase, 4, "127 rows of a prompt behind 172 (prefill group of 256)"),
    ] {
        let bench = wrong("software", mistake, group);
        let model = bench.load();
        let verdicts = model.verdicts().unwrap();
        let Some((_, Verdict::Differs(what))) = verdicts.bad().next() else { panic!("{verdicts:?}") };
        assert!(what.starts_with(place), "{what}");
    }
}

#[test]
fn a_group_without_a_culprit_switches_everything_off_until_the_next_load() {
    let store = tempfile::tempdir().unwrap();
    let options = || DriverOptions { verdicts: Some(store.path().into()), ..DriverOptions::default() };
    let load_with = |trouble: Option<Trouble>| {
        let bench = Bench::with(&TinySpec::default(), &DeviceChoice::SOFTWARE, &options());
        if let Some(trouble) = trouble {
            bench.control.cause(trouble);
        }
        let model = bench.load();
        (model.paths(), model.verdicts().unwrap().clone(), model.stats().runs)
    };
    let (all, good, runs) = load_with(None);
    assert_eq!(good.together, Verdict::Passed);
    for file in std::fs::read_dir(store.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    // The last runs are those of all paths in the groups, and more than two of three are runs of a layer.
    let accident = Trouble::NotANumber { tensor: "K_cache_out".into(), runs: (runs - runs / 3 - 1).into() };
    let (paths, verdicts, _) = load_with(Some(accident));
    let Verdict::Failed(why) = &verdicts.together else { panic!("{verdicts:?}") };
    assert!(why.contains("repeat"), "{why}");
    assert!(paths.is_plain() && bad(&verdicts).is_empty(), "{verdicts:?}");
    assert_eq!(load_with(None).0, all);
}
