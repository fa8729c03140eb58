//! The arithmetic against a plain reference, and against itself by other ways.

mod files;
mod harness;
mod reference;
mod shapes;

use proptest::prelude::*;

use super::simd::Isa;
use super::{Engine, Pool, Scratch};
use crate::testing::{TinySpec, TinyWeights};
use harness::{Fixture, HIDDEN, NAN, Step};

fn specs() -> Vec<TinySpec> {
    let base = TinySpec { layers: 1, kv_len: 300, ..TinySpec::default() };
    vec![
        base.clone(),
        TinySpec { weights: TinyWeights::Bf16, heads: 3, kv_heads: 3, head_dim: 16, ..base.clone() },
        TinySpec { architecture: "qwen2", hidden: 72, heads: 7, kv_heads: 1, head_dim: 48, ..base.clone() },
        TinySpec { architecture: "qwen3", heads: 9, kv_heads: 3, intermediate: 100, seed: 7, ..base.clone() },
        TinySpec {
            architecture: "qwen3",
            weights: TinyWeights::Bf16,
            heads: 4,
            head_dim: 128,
            intermediate: 40,
            ..base.clone()
        },
        // Groups and heads so large that a group's queries are computed in parts.
        TinySpec { heads: 9, kv_heads: 1, head_dim: 768, ..base.clone() },
        TinySpec { heads: 50, kv_heads: 1, head_dim: 16, ..base.clone() },
        TinySpec { architecture: "qwen3", heads: 4, kv_heads: 2, head_dim: 256, ..base },
    ]
}

#[test]
fn outputs_are_close_to_the_reference() {
    for spec in specs() {
        let fixture = Fixture::new(&spec);
        let rows = fixture.rows(200, 3);
        let expected = reference::layer(&fixture.model.layers[0], &spec, &rows);
        let run = fixture.run(&rows, &[Step::Chunk(128), Step::Chunk(70), Step::Decode, Step::Decode]);
        harness::assert_close(&run.output, &expected.output, 0.012, &format!("output of {spec:?}"));
        // Both are rounded: sums that differ in their last bits may fall to neighbouring bf16 values.
        harness::assert_close(&run.v, &expected.v, 0.008, &format!("values of {spec:?}"));
    }
}

#[test]
fn the_head_is_close_to_the_reference() {
    for weights in [TinyWeights::W8A16, TinyWeights::Bf16] {
        let spec = TinySpec { weights, vocab: 333, hidden: 72, ..TinySpec::default() };
        let fixture = Fixture::new(&spec);
        let row = fixture.rows(1, 9);
        let expected = reference::head(&fixture.model.head, &spec, &row);
        let engine = Engine::load(&fixture.model.head).unwrap();
        let mut logits = vec![NAN; spec.vocab];
        let input: &[u8] = bytemuck::cast_slice(&row);
        let output: &mut [u8] = bytemuck::cast_slice_mut(&mut logits);
        engine.run(&Pool::new(2), 0, &[input], &mut [output], &mut Scratch::default()).unwrap();
        harness::assert_close(&logits, &expected, 0.006, "logits");
    }
}

#[test]
fn instruction_sets_and_thread_counts_do_not_change_a_bit() {
    for spec in specs() {
        let mut fixture = Fixture::new(&spec);
        let rows = fixture.rows(180, 5);
        let steps = [Step::Chunk(128), Step::Chunk(40), Step::Decode, Step::Chunk(5)];
        let expected = fixture.run(&rows, &steps);
        for isa in Isa::all() {
            for threads in [1, 2, 5] {
                fixture.pool = Pool::new(threads);
                let Engine::Layer(layer) = &mut fixture.layer else { unreachable!() };
                layer.set_isa(isa);
                assert!(fixture.run(&rows, &steps) == expected, "{isa:?}, {threads} threads, {spec:?}");
            }
        }
    }
}

#[test]
fn decoding_alone_fills_the_cache_to_its_last_row() {
    let spec = TinySpec { layers: 1, kv_len: 260, ..TinySpec::default() };
    let fixture = Fixture::new(&spec);
    let rows = fixture.rows(260, 5);
    let decoded = fixture.run(&rows, &[Step::Decode; 260]);
    let chunked = fixture.run(&rows, &[Step::Chunk(128), Step::Chunk(128), Step::Chunk(4)]);
    assert!(decoded == chunked);
    // One row after 259 goes through the largest group, whose last cache row is hidden.
    let last = fixture.run(&rows, &[Step::Chunk(128), Step::Chunk(128), Step::Chunk(3), Step::Chunk(1)]);
    assert!(decoded == last);
}

#[test]
fn a_bad_row_reaches_only_those_that_see_it() {
    let spec = TinySpec { layers: 1, ..TinySpec::default() };
    let fixture = Fixture::new(&spec);
    let mut rows = fixture.rows(140, 8);
    let good = fixture.run(&rows, &[Step::Chunk(128), Step::Chunk(12)]);
    rows[100 * spec.hidden] = NAN;
    let bad = fixture.run(&rows, &[Step::Chunk(128), Step::Chunk(12)]);
    let split = 100 * spec.hidden;
    assert_eq!(good.output[..split], bad.output[..split]);
    let nan = |bits: &u16| bits & 0x7FFF > 0x7F80;
    assert!(bad.output[split..].iter().all(nan));
}

#[test]
fn masks_other_than_causal_equal_the_rows_alone() {
    // A window of 20 keys: rows are not prefixes of each other. Decoding each with its own window must agree.
    let spec = TinySpec { layers: 1, ..TinySpec::default() };
    let fixture = Fixture::new(&spec);
    let rows = fixture.rows(90, 2);
    let window = |row: usize, key: usize| if key <= row && key + 20 > row { 0 } else { HIDDEN };
    let chunk = fixture.run_masked(&rows, &[Step::Chunk(64), Step::Chunk(26)], &window);
    let alone = fixture.run_masked(&rows, &[Step::Decode; 90], &window);
    assert!(chunk == alone);
    // Mask values that are not 0 are added: a slope as ALiBi has it.
    let slope = |row: usize, key: usize| {
        if key <= row { half::bf16::from_f32(-0.1 * (row - key) as f32).to_bits() } else { HIDDEN }
    };
    let sloped = fixture.run_masked(&rows, &[Step::Chunk(64), Step::Chunk(26)], &slope);
    assert!(sloped == fixture.run_masked(&rows, &[Step::Decode; 90], &slope));
    assert!(sloped.output != fixture.run(&rows, &[Step::Chunk(90)]).output);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_bits(
        which in 0..specs().len(),
        seed in 0_u64..1000,
        sizes in prop::collection::vec(prop_oneof![Just(0_usize), 1..6_usize, 1..=128_usize], 1..24),
        threads in 1_usize..4,
    ) {
        let mut fixture = Fixture::new(&specs()[which]);
        let steps: Vec<Step> =
            sizes.iter().map(|&n| if n == 0 { Step::Decode } else { Step::Chunk(n) }).collect();
        let total: usize = steps.iter().map(|step| step.len()).sum::<usize>().min(300);
        let rows = fixture.rows(total, seed);
        let whole: Vec<Step> = vec![Step::Chunk(128); total.div_ceil(128)];
        let expected = fixture.run(&rows, &whole);
        fixture.pool = Pool::new(threads);
        let got = fixture.run(&rows, &steps);
        prop_assert!(got == expected);
    }
}
