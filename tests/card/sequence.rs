//! A sequence on the card: the same bits however the tokens are cut, and an exact length.

use ax650::device::{CancelFlag, DeviceError, Paths};
use ax650_sim::testing::TinySpec;

use crate::loaded::Loaded;
use crate::support::{Face, all_architectures, card, prompt, tiny_model};

#[test]
fn any_cut_of_a_prompt_gives_the_same_logits() {
    let card = card();
    for spec in all_architectures() {
        let store = tiny_model(&spec, None);
        let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
        // Over two chunks and three history groups, and on to the last cell.
        let all = prompt(1, spec.kv_len);
        let (prompt, rest) = all.split_at(285);
        let chunks = loaded.logits_of(prompt, &|_| 128, rest);
        assert_eq!(chunks.len(), rest.len() + 1);
        assert!(chunks.iter().flatten().all(|&raw| raw & 0x7f80 != 0x7f80), "logits are finite");
        assert!(chunks[0] != chunks[1], "logits depend on what was read");
        let cuts: [(&str, &dyn Fn(usize) -> usize); 6] = [
            ("decode steps only", &|_| 0),
            ("chunks of one", &|_| 1),
            ("chunks of 37", &|_| 37),
            ("127 and then the rest", &|position| if position == 0 { 127 } else { 128 }),
            ("129 tokens, then by 100", &|position| [128, 1, 100][position.div_ceil(128).min(2)]),
            ("odd pieces and decode steps", &|position| (position * 7 + 3) % 61),
        ];
        for (what, cut) in cuts {
            assert!(loaded.logits_of(prompt, cut, rest) == chunks, "{}: {what}", spec.architecture);
        }
    }
    drop(card);
}

#[test]
fn the_last_cell_is_used_and_one_past_it_refused() {
    let card = card();
    for kv_len in [1, 2, 127, 128, 129, 256, 257] {
        let spec = TinySpec { kv_len, ..TinySpec::default() };
        let store = tiny_model(&spec, None);
        let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
        assert_eq!(loaded.model.context_len(), kv_len);
        let all = prompt(2, kv_len + 1);
        // Full by chunks, and full by a last decode step: the same logits.
        let by_chunks = loaded.logits_of(&all[..kv_len], &|_| 128, &[]);
        let (last, before) = all[..kv_len].split_last().unwrap();
        let by_decode = loaded.logits_of(before, &|_| 128, &[*last]);
        assert!(by_decode.last() == by_chunks.last(), "context of {kv_len}");

        let mut sequence = loaded.model.new_sequence().unwrap();
        for tokens in all[..kv_len].chunks(loaded.model.chunk_len()) {
            loaded.prefill(&mut sequence, tokens);
        }
        let mut logits = vec![0; loaded.model.vocab()];
        let row = loaded.rows(&all[kv_len..]);
        let error = sequence.decode(&row, &mut logits, &CancelFlag::new()).unwrap_err();
        assert!(matches!(error, DeviceError::ContextFull { .. }), "{error}");
        let error = sequence.prefill(&row, Some(&mut logits), &CancelFlag::new()).unwrap_err();
        assert!(matches!(error, DeviceError::ContextFull { .. }), "{error}");
        assert_eq!(sequence.len(), kv_len);
    }
    drop(card);
}

#[test]
fn what_is_forgotten_leaves_no_trace() {
    let card = card();
    let store = tiny_model(&TinySpec::default(), None);
    let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
    let (one, other) = (prompt(3, 200), prompt(4, 150));
    let expected = loaded.logits_of(&[&one[..60], &other[..]].concat(), &|_| 128, &[]);
    let mut sequence = loaded.model.new_sequence().unwrap();
    for tokens in one.chunks(128) {
        loaded.prefill(&mut sequence, tokens);
    }
    sequence.truncate(250);
    assert_eq!(sequence.len(), 200, "nothing grows");
    sequence.truncate(60);
    assert_eq!(sequence.len(), 60);
    let mut last = Vec::new();
    for tokens in other.chunks(41) {
        last = loaded.prefill(&mut sequence, tokens);
    }
    assert!(last == expected[0]);
    drop(sequence);
    drop(card);
}

#[test]
fn sequences_do_not_disturb_each_other() {
    let card = card();
    let store = tiny_model(&TinySpec::default(), None);
    let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
    let prompts = [prompt(5, 140), prompt(6, 90)];
    let rest = prompt(7, 6);
    let alone: Vec<_> = prompts.iter().map(|prompt| loaded.logits_of(prompt, &|_| 128, &rest)).collect();
    let mut sequences = [loaded.model.new_sequence().unwrap(), loaded.model.new_sequence().unwrap()];
    for start in (0..140).step_by(30) {
        for (sequence, prompt) in sequences.iter_mut().zip(&prompts) {
            if start < prompt.len() {
                loaded.prefill(sequence, &prompt[start..prompt.len().min(start + 30)]);
            }
        }
    }
    for (step, &token) in rest.iter().enumerate() {
        for (sequence, alone) in sequences.iter_mut().zip(&alone) {
            assert!(loaded.decode(sequence, token) == alone[step + 1], "step {step}");
        }
    }
    drop(sequences);
    drop(card);
}

#[test]
fn a_cancelled_step_counts_for_nothing() {
    let card = card();
    let store = tiny_model(&TinySpec::default(), None);
    let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
    let tokens = prompt(8, 100);
    let expected = loaded.logits_of(&tokens, &|_| 128, &[]);
    let mut sequence = loaded.model.new_sequence().unwrap();
    loaded.prefill(&mut sequence, &tokens[..50]);
    let cancelled = CancelFlag::new();
    cancelled.cancel();
    let runs = loaded.model.stats().runs;
    let error = sequence.prefill(&loaded.rows(&tokens[50..]), None, &cancelled).unwrap_err();
    assert!(matches!(error, DeviceError::Cancelled), "{error}");
    let mut logits = vec![0; loaded.model.vocab()];
    let error = sequence.decode(&loaded.rows(&tokens[..1]), &mut logits, &cancelled).unwrap_err();
    assert!(matches!(error, DeviceError::Cancelled), "{error}");
    assert_eq!((sequence.len(), loaded.model.stats().runs), (50, runs));
    assert!(loaded.prefill(&mut sequence, &tokens[50..]) == expected[0]);
    drop(sequence);
    drop(loaded);
    drop(card);
}
