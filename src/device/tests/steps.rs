//! Prefill and decode: the same bits whatever the path.

use ax650_sim::testing::TinySpec;

use super::{Bench, CancelFlag, DeviceError, HIDDEN, VOCAB};

#[test]
fn a_model_tells_its_sizes_and_what_it_takes() {
    let bench = Bench::new(&TinySpec::default());
    let mut told = Vec::new();
    let model = bench
        .driver
        .load(&bench.spec(), &CancelFlag::new(), &mut |p| {
            told.push((p.index, p.total, p.file.to_path_buf(), p.bytes));
        })
        .unwrap();
    assert_eq!((model.context_len(), model.chunk_len()), (300, 128));
    assert_eq!((model.hidden(), model.vocab()), (HIDDEN, VOCAB));
    let files: Vec<_> = told.iter().map(|t| t.2.clone()).collect();
    assert_eq!(files[..2], bench.files.layers);
    assert_eq!(files[2], bench.files.head);
    assert_eq!((told[2].0, told[2].1), (3, 3));
    assert!(told[0].3 < told[1].3 && model.memory_bytes() > told[2].3);
}

#[test]
fn chunks_of_any_size_and_single_tokens_give_the_same_logits() {
    for architecture in ["llama", "qwen2", "qwen3"] {
        let bench = Bench::new(&TinySpec { architecture, ..TinySpec::default() });
        let model = bench.load();
        let mut by_tokens = model.new_sequence().unwrap();
        let mut expected = Vec::new();
        for token in 0..model.context_len() {
            let logits = bench.decode(&mut by_tokens, token);
            assert_ne!(logits, expected, "the card computes something at token {token}");
            expected = logits;
        }
        for chunk in [128, 100, 7] {
            let mut sequence = model.new_sequence().unwrap();
            let logits = bench.prefill(&mut sequence, 0, model.context_len(), chunk);
            assert_eq!(logits, expected, "{architecture}, chunks of {chunk}");
            assert_eq!(sequence.len(), model.context_len());
        }
    }
}

#[test]
fn every_prompt_length_agrees_with_decode() {
    let bench = Bench::new(&TinySpec { kv_len: 140, ..TinySpec::default() });
    let model = bench.load();
    let mut by_tokens = model.new_sequence().unwrap();
    for length in 1..=model.context_len() {
        let expected = bench.decode(&mut by_tokens, length - 1);
        if [1, 2, 127, 128, 129, 139, 140].contains(&length) {
            let mut sequence = model.new_sequence().unwrap();
            assert_eq!(bench.prefill(&mut sequence, 0, length, 128), expected, "{length} tokens");
        }
    }
}

#[test]
fn conversations_do_not_see_each_other() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut alone = model.new_sequence().unwrap();
    bench.prefill(&mut alone, 0, 20, 128);
    let expected = bench.decode(&mut alone, 20);
    drop(alone);

    let mut first = model.new_sequence().unwrap();
    let mut second = model.new_sequence().unwrap();
    bench.prefill(&mut first, 0, 10, 128);
    bench.prefill(&mut second, 50, 90, 128);
    bench.prefill(&mut first, 10, 20, 128);
    bench.decode(&mut second, 7);
    drop(second);
    assert_eq!(bench.decode(&mut first, 20), expected);
}

#[test]
fn what_was_truncated_leaves_no_trace() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut straight = model.new_sequence().unwrap();
    let expected = bench.prefill(&mut straight, 0, 150, 128);

    let mut sequence = model.new_sequence().unwrap();
    bench.prefill(&mut sequence, 0, 140, 128);
    bench.prefill(&mut sequence, 20, 180, 128);
    sequence.truncate(1000);
    assert_eq!(sequence.len(), 300);
    sequence.truncate(140);
    assert_eq!(bench.prefill(&mut sequence, 140, 150, 128), expected);
    sequence.truncate(0);
    assert!(sequence.is_empty());
    assert_eq!(bench.prefill(&mut sequence, 0, 150, 128), expected);
}

#[test]
fn the_last_cell_is_used_and_one_more_is_refused() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    bench.prefill(&mut sequence, 0, 299, 128);
    let two = sequence.prefill(&bench.text(299, 301), None, &CancelFlag::new());
    assert!(matches!(two, Err(DeviceError::ContextFull { len: 299, rows: 2, context: 300 })), "{two:?}");
    bench.decode(&mut sequence, 299);
    let mut logits = vec![0; VOCAB];
    let error = sequence.decode(&bench.text(0, 1), &mut logits, &CancelFlag::new()).unwrap_err();
    assert!(error.to_string().contains("300 of 300 tokens"), "{error}");
    assert_eq!(sequence.len(), 300);
}

#[test]
fn a_cancelled_step_counts_no_row_and_can_be_repeated() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    bench.prefill(&mut sequence, 0, 30, 128);
    let flag = CancelFlag::new();
    flag.clone().cancel();
    let runs = model.stats().runs;
    let result = sequence.prefill(&bench.text(30, 60), None, &flag);
    assert!(matches!(result, Err(DeviceError::Cancelled)) && flag.is_cancelled());
    assert_eq!((sequence.len(), model.stats().runs), (30, runs));

    let logits = bench.prefill(&mut sequence, 30, 60, 128);
    let mut straight = model.new_sequence().unwrap();
    assert_eq!(bench.prefill(&mut straight, 0, 60, 128), logits);
}

#[test]
fn wrong_lengths_are_refused_before_the_card_sees_them() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    let flag = CancelFlag::new();
    let calls = model.stats().driver_calls;
    let mut short = vec![0; VOCAB - 1];
    let row = bench.text(0, 1);
    let wrong = [
        sequence.prefill(&row[1..], None, &flag),
        sequence.prefill(&[], None, &flag),
        sequence.prefill(&bench.text(0, 129), None, &flag),
        sequence.prefill(&row, Some(&mut short), &flag),
        sequence.decode(&row, &mut short, &flag),
        sequence.decode(&bench.text(0, 2), &mut vec![0; VOCAB], &flag),
    ];
    for result in wrong {
        assert!(matches!(result, Err(DeviceError::Internal(_))), "{result:?}");
    }
    assert_eq!(model.stats().driver_calls, calls);
}

#[test]
fn one_token_costs_what_the_plain_path_costs() {
    let bench = Bench::new(&TinySpec::default());
    let model = bench.load();
    let mut sequence = model.new_sequence().unwrap();
    bench.decode(&mut sequence, 0);
    let before = model.stats();
    bench.decode(&mut sequence, 1);
    let after = model.stats();
    // Row; two layers of mask, indices, run, K, V; one hidden state; head input, run, logits.
    assert_eq!(after.blocking_calls - before.blocking_calls, 1 + 2 * 5 + 1 + 3);
    assert_eq!(after.driver_calls - before.driver_calls, 15, "nothing is bound anew");
    assert_eq!(after.runs - before.runs, 3);
    assert_eq!(after.bytes_to_device - before.bytes_to_device, 2 * (301 * 2 + 4) + 64 * 2);
    assert_eq!(after.bytes_from_device - before.bytes_from_device, 400);
    assert!(after.step_ns - before.step_ns >= after.driver_ns - before.driver_ns);
}
