//! The ways to save work: whichever are on, on either interface, every bit is that of the plain path.

use ax650::device::{CancelFlag, DeviceError, Path, Paths, Sequence, Verdict};
use ax650_sim::testing::TinySpec;
use proptest::prelude::*;

use crate::loaded::Loaded;
use crate::support::{Face, all_architectures, card, prompt, tiny_model};

/// With decode groups of several sizes, of which each path meets each.
fn spec() -> TinySpec {
    TinySpec { smaller_decode: vec![128, 200], ..TinySpec::default() }
}

/// Plainly, each path alone, all but each, and all together.
fn sets(available: Paths) -> Vec<Paths> {
    let each = || available.iter().map(Paths::from);
    let mut sets: Vec<_> = each().chain(each().map(|path| available - path)).collect();
    sets.extend([Paths::PLAIN, available]);
    sets
}

#[test]
fn a_card_that_does_everything_right_passes_its_test_on_both_interfaces() {
    let card = card();
    for face in Face::ALL {
        for spec in all_architectures() {
            let spec = TinySpec { smaller_decode: vec![128], ..spec };
            let loaded = Loaded::on(face, &tiny_model(&spec, None), Paths::ALL);
            let verdicts = loaded.model.verdicts().unwrap();
            assert_eq!(verdicts.together, Verdict::Passed, "{face:?}: {verdicts:?}");
            let available = loaded.model.available_paths();
            for (path, verdict) in &verdicts.paths {
                let expected =
                    if available.contains(*path) { Verdict::Passed } else { Verdict::NotAvailable };
                assert_eq!(*verdict, expected, "{face:?}: {path}");
            }
            let only_with_a_link = [Path::Pinned, Path::Async].into_iter().collect();
            let expected = if face == Face::Pcie { Paths::ALL } else { Paths::ALL - only_with_a_link };
            assert_eq!((available, loaded.model.paths()), (expected, expected), "{face:?}");
        }
    }
    drop(card);
}

#[test]
fn a_whole_context_has_the_same_bits_on_every_path() {
    let card = card();
    let spec = spec();
    let store = tiny_model(&spec, None);
    let all = prompt(21, spec.kv_len);
    // Two chunks and a tail that a short tail is made of, and one that it is not; then on to the last cell.
    for face in Face::ALL {
        let loaded = Loaded::on(face, &store, Paths::PLAIN);
        for tail in [1, 2, 3, 4] {
            let (prompt, rest) = all.split_at(256 + tail);
            let expected = loaded.logits_of(prompt, &|_| 128, rest);
            for paths in sets(loaded.model.available_paths()) {
                loaded.model.set_paths(paths).unwrap();
                let logits = loaded.logits_of(prompt, &|_| 128, rest);
                let differs = logits.iter().zip(&expected).position(|(got, wanted)| got != wanted);
                assert_eq!(differs, None, "{face:?}, {paths}: step {differs:?} behind {}", prompt.len());
            }
            loaded.model.set_paths(Paths::PLAIN).unwrap();
        }
    }
    drop(card);
}

#[test]
fn a_prompt_may_fill_the_cache_whatever_the_paths() {
    let card = card();
    // Chunks that end with the cache, one cell before and behind it, and a cache of less than a chunk.
    for kv_len in [100, 127, 128, 129, 255, 256, 257, 259, 260] {
        let store = tiny_model(&TinySpec { kv_len, ..TinySpec::default() }, None);
        let all = prompt(22, kv_len + 1);
        for face in Face::ALL {
            let loaded = Loaded::on(face, &store, Paths::PLAIN);
            let expected = loaded.logits_of(&all[..kv_len], &|_| 128, &[]);
            for paths in sets(loaded.model.available_paths()) {
                loaded.model.set_paths(paths).unwrap();
                let mut sequence = loaded.model.new_sequence().unwrap();
                let logits = all[..kv_len].chunks(128).map(|chunk| loaded.prefill(&mut sequence, chunk));
                assert!(logits.last() == expected.last().cloned(), "{face:?}, {paths}: context {kv_len}");
                let row = loaded.rows(&all[kv_len..]);
                let error = sequence.prefill(&row, None, &CancelFlag::new()).unwrap_err();
                assert!(matches!(error, DeviceError::ContextFull { .. }), "{face:?}, {paths}: {error}");
                assert_eq!(sequence.len(), kv_len);
            }
        }
    }
    drop(card);
}

#[test]
fn a_short_tail_costs_decode_steps_and_a_longer_one_a_chunk() {
    let card = card();
    let spec = TinySpec { layers: 3, ..TinySpec::default() };
    let store = tiny_model(&spec, None);
    let tokens = prompt(23, 8);
    for face in Face::ALL {
        let loaded = Loaded::on(face, &store, Paths::ALL);
        for (rows, steps) in [(1, 1), (2, 2), (3, 3), (4, 1), (8, 1)] {
            let mut sequence = loaded.model.new_sequence().unwrap();
            let before = loaded.model.stats().runs;
            loaded.prefill(&mut sequence, &tokens[..rows]);
            // The head runs once, for the logits behind the last row.
            let runs = loaded.model.stats().runs - before;
            assert_eq!(runs, steps * 3 + 1, "{face:?}: {rows} rows");
        }
    }
    drop(card);
}

/// What may be done to a sequence.
#[derive(Debug, Clone)]
enum Step {
    /// Put so many tokens behind it, in one call.
    Prefill(usize),
    /// Put one token behind it.
    Decode,
    /// Take away this share of it, in percent.
    Truncate(usize),
    /// Go on with a copy of this share of it, in percent.
    Copy(usize),
    /// Go on with a sequence that has got this share of its rows through the host, in percent.
    Travel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..=128).prop_map(Step::Prefill),
        2 => (1_usize..=5).prop_map(Step::Prefill),
        4 => Just(Step::Decode),
        1 => (0_usize..=100).prop_map(Step::Truncate),
        1 => (0_usize..=100).prop_map(Step::Copy),
        1 => (0_usize..=100).prop_map(Step::Travel),
    ]
}

/// Does the steps, each on its set of paths; the logits of each, and the rows at the end.
fn play(loaded: &Loaded, steps: &[(Step, Paths)], text: &[u32]) -> (Vec<Vec<u16>>, Vec<u8>) {
    let context = loaded.model.context_len();
    let mut sequence = loaded.model.new_sequence().unwrap();
    let mut logits = Vec::new();
    for (number, (step, paths)) in steps.iter().enumerate() {
        loaded.model.set_paths(*paths & loaded.model.available_paths()).unwrap();
        let len = sequence.len();
        // Other tokens than those that were there before something was taken away.
        let next = &text[number..][len..];
        match step {
            Step::Prefill(count) if len < context => {
                let count = (*count).min(loaded.model.chunk_len()).min(context - len);
                logits.push(loaded.prefill(&mut sequence, &next[..count]));
            }
            Step::Decode if len < context => logits.push(loaded.decode(&mut sequence, next[0])),
            Step::Prefill(_) | Step::Decode => {}
            Step::Truncate(share) => sequence.truncate(len * share / 100),
            Step::Copy(share) => {
                let mut copy = loaded.model.new_sequence().unwrap();
                copy.copy_from(&sequence, len * share / 100).unwrap();
                sequence = copy;
            }
            Step::Travel(share) => sequence = travelled(loaded, &sequence, len * share / 100),
        }
    }
    let rows = sequence.export(0, sequence.len()).unwrap();
    (logits, rows)
}

fn travelled(loaded: &Loaded, sequence: &Sequence, count: usize) -> Sequence {
    let mut other = loaded.model.new_sequence().unwrap();
    other.import(0, &sequence.export(0, count).unwrap()).unwrap();
    other
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_a_sequence_the_paths_change_no_bit(
        seed in any::<u32>(),
        kv_len in 100_usize..=300,
        steps in proptest::collection::vec((step(), any::<u8>()), 1..14),
    ) {
        let card = card();
        let store = tiny_model(&TinySpec { kv_len, smaller_decode: vec![kv_len / 3], ..TinySpec::default() }, None);
        let text = prompt(seed, kv_len + steps.len() + 128);
        let set = |bits: u8| -> Paths {
            Path::ALL.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, path)| path).collect()
        };
        let on = |paths: &dyn Fn(u8) -> Paths| -> Vec<(Step, Paths)> {
            steps.iter().map(|(step, bits)| (step.clone(), paths(*bits))).collect()
        };
        let mut expected = None;
        for face in Face::ALL {
            let loaded = Loaded::on(face, &store, Paths::PLAIN);
            for steps in [on(&|_| Paths::PLAIN), on(&|_| Paths::ALL), on(&set)] {
                let outcome = play(&loaded, &steps, &text);
                let expected = expected.get_or_insert_with(|| outcome.clone());
                prop_assert!(outcome == *expected, "{:?}: {:?}", face, steps);
            }
        }
        drop(card);
    }
}
