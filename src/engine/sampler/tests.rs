//! What the chain as a whole promises; each link is tested where it is.

use half::bf16;
use proptest::prelude::*;

use super::*;

fn raw(logits: &[f32]) -> Vec<u16> {
    logits.iter().map(|&logit| bf16::from_f32(logit).to_bits()).collect()
}

/// Everything off, so that a test switches on what it is about.
fn neutral() -> SamplingOptions {
    SamplingOptions { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 7, ..SamplingOptions::default() }
}

/// A sampler that has seen a history.
fn sampler_after(options: SamplingOptions, vocab: usize, context: usize, history: &[TokenId]) -> Sampler {
    let mut sampler = Sampler::new(options, vocab, context);
    for &token in history {
        sampler.accept(token);
    }
    sampler
}

/// Shares of the tokens among many draws.
fn shares(options: SamplingOptions, logits: &[f32], history: &[TokenId]) -> Vec<f64> {
    const DRAWS: u32 = 20_000;
    let logits = raw(logits);
    let mut sampler = sampler_after(options, logits.len(), 64, history);
    let mut counts = vec![0_u32; logits.len()];
    for _ in 0..DRAWS {
        counts[sampler.sample(&logits).unwrap() as usize] += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / f64::from(DRAWS)).collect()
}

fn assert_close(shares: &[f64], expected: &[f64]) {
    for (share, expected) in shares.iter().zip(expected) {
        assert!((share - expected).abs() < 0.015, "{shares:?}, expected {expected}");
    }
}

const LN2: f32 = std::f32::consts::LN_2;

#[test]
fn draws_follow_the_softmax() {
    let expected = [4.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0, 0.0];
    assert_close(&shares(neutral(), &[2.0 * LN2, LN2, 0.0, f32::NEG_INFINITY], &[]), &expected);
    let cold = SamplingOptions { temperature: 0.5, ..neutral() };
    assert_close(&shares(cold, &[LN2, 0.0], &[]), &[0.8, 0.2]);
    let hot = SamplingOptions { temperature: 1e30, ..neutral() };
    assert_close(&shares(hot, &[50.0, -50.0], &[]), &[0.5, 0.5]);
}

#[test]
fn top_k_keeps_the_best_and_the_lowest_numbers_among_equals() {
    let options = SamplingOptions { top_k: 2, ..neutral() };
    assert_close(&shares(options.clone(), &[0.0, 1.0, 1.0, 1.0], &[]), &[0.0, 0.5, 0.5, 0.0]);
    assert_close(&shares(options, &[3.0, -1.0], &[]), &[0.982, 0.018]);
}

#[test]
fn top_p_includes_the_token_that_reaches_the_mass() {
    let logits = [LN2, 2.0 * LN2, 0.0]; // 2/7, 4/7, 1/7
    assert_close(&shares(SamplingOptions { top_p: 0.5, ..neutral() }, &logits, &[]), &[0.0, 1.0, 0.0]);
    assert_close(
        &shares(SamplingOptions { top_p: 0.7, ..neutral() }, &logits, &[]),
        &[1.0 / 3.0, 2.0 / 3.0, 0.0],
    );
    assert_close(&shares(SamplingOptions { top_p: 0.0, ..neutral() }, &logits, &[]), &[0.0, 1.0, 0.0]);
}

#[test]
fn min_p_is_relative_to_the_best_token() {
    let logits = [2.0, 2.0 - LN2, 2.0 - 3.0 * LN2];
    assert_close(&shares(SamplingOptions { min_p: 0.4, ..neutral() }, &logits, &[]), &[0.667, 0.333, 0.0]);
    assert_close(&shares(SamplingOptions { min_p: 7.0, ..neutral() }, &logits, &[]), &[1.0, 0.0, 0.0]);
}

#[test]
fn typical_p_prefers_expected_surprise_to_probability() {
    // Probabilities 0.4 and twelve times 0.05: the entropy lies nearer to the surprise of the small ones.
    let mut logits = vec![0.4_f32.ln()];
    logits.extend([0.05_f32.ln(); 12]);
    let result = shares(SamplingOptions { typical_p: 0.3, ..neutral() }, &logits, &[]);
    assert!(result[0] == 0.0 && result[1] > 0.0, "{result:?}");
    assert!(result.iter().filter(|&&share| share > 0.0).count() < 12, "{result:?}");
}

#[test]
fn penalties_change_recent_tokens_only() {
    let repeat = SamplingOptions { repeat_penalty: 2.0, ..neutral() };
    // 2 ln 2 becomes ln 2; a negative logit is multiplied.
    assert_close(&shares(repeat.clone(), &[2.0 * LN2, LN2], &[0]), &[0.5, 0.5]);
    assert_close(&shares(repeat, &[-LN2, -LN2], &[0]), &[1.0 / 3.0, 2.0 / 3.0]);
    let frequency = SamplingOptions { frequency_penalty: LN2, ..neutral() };
    assert_close(&shares(frequency, &[0.0, 0.0], &[0, 0]), &[0.2, 0.8]);
    let presence = SamplingOptions { presence_penalty: LN2, ..neutral() };
    assert_close(&shares(presence, &[0.0, 0.0], &[0, 0]), &[1.0 / 3.0, 2.0 / 3.0]);
}

#[test]
fn penalties_move_tokens_into_and_out_of_the_best() {
    let logits = raw(&[3.0, 2.0, 1.0, 0.0]);
    let greedy = |presence_penalty, history: &[TokenId]| {
        let options = SamplingOptions { presence_penalty, temperature: 0.0, ..neutral() };
        let mut sampler = sampler_after(options, 4, 64, history);
        sampler.sample(&logits).unwrap()
    };
    assert_eq!(greedy(0.0, &[0, 1]), 0);
    assert_eq!(greedy(5.0, &[0, 1]), 2);
    assert_eq!(greedy(-5.0, &[3]), 3);
    assert_eq!(greedy(5.0, &[0, 1, 2, 3]), 0);
}

#[test]
fn the_window_forgets() {
    let options = |repeat_last_n| SamplingOptions {
        presence_penalty: 9.0,
        temperature: 0.0,
        repeat_last_n,
        ..neutral()
    };
    let logits = raw(&[2.0, 1.0, 0.0]);
    let after = |repeat_last_n, history: &[TokenId]| {
        let mut sampler = sampler_after(options(repeat_last_n), 3, 3, history);
        sampler.sample(&logits).unwrap()
    };
    assert_eq!(after(2, &[0, 1]), 2);
    assert_eq!(after(2, &[0, 1, 1]), 0);
    assert_eq!(after(0, &[0, 1]), 0);
    assert_eq!(after(-1, &[0, 1, 1]), 2);
    assert_eq!(after(-1, &[0, 1, 1, 1]), 0);
}

#[test]
fn useless_penalties_are_none() {
    for repeat_penalty in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let options = SamplingOptions { repeat_penalty, presence_penalty: f32::INFINITY, ..neutral() };
        assert_close(&shares(options, &[0.0, 0.0], &[0]), &[0.5, 0.5]);
    }
    let huge = SamplingOptions { frequency_penalty: f32::MIN, temperature: 0.0, ..neutral() };
    let mut sampler = sampler_after(huge, 3, 8, &[1, 1, 2]);
    assert_eq!(sampler.sample(&raw(&[0.0, f32::NEG_INFINITY, 0.0])), Ok(2));
}

#[test]
fn broken_logits_are_errors_whatever_the_options() {
    for options in [neutral(), SamplingOptions::default(), SamplingOptions { temperature: 0.0, ..neutral() }]
    {
        let mut sampler = Sampler::new(options, 3, 8);
        assert_eq!(sampler.sample(&raw(&[0.0, f32::NAN, 0.0])), Err(SamplerError::NotANumber { token: 1 }));
        assert_eq!(
            sampler.sample(&raw(&[0.0, 0.0, f32::INFINITY])),
            Err(SamplerError::Infinite { token: 2 })
        );
        assert_eq!(sampler.sample(&raw(&[f32::NEG_INFINITY; 3])), Err(SamplerError::AllMasked { vocab: 3 }));
        assert_eq!(sampler.sample(&[0]), Err(SamplerError::WrongLength { got: 1, vocab: 3 }));
    }
}

/// Logits that look like a model's: mostly low, a few high.
fn model_logits(vocab: usize, seed: i64) -> Vec<u16> {
    let mut random = SplitMix64::new(seed);
    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    let logits: Vec<f32> = (0..vocab).map(|_| (random.next_unit().powi(8) * 30.0 - 10.0) as f32).collect();
    raw(&logits)
}

#[test]
fn a_seed_gives_these_tokens_for_ever() {
    let mut sampler = Sampler::new(SamplingOptions { seed: 42, ..SamplingOptions::default() }, 1000, 64);
    let tokens: Vec<TokenId> =
        (0..8).map(|step| sampler.sample(&model_logits(1000, step)).unwrap()).collect();
    assert_eq!(tokens, KNOWN_TOKENS, "a change here changes every seeded conversation");
    let mut other = Sampler::new(SamplingOptions { seed: 43, ..SamplingOptions::default() }, 1000, 64);
    let others: Vec<TokenId> = (0..8).map(|step| other.sample(&model_logits(1000, step)).unwrap()).collect();
    assert_ne!(tokens, others);
}

const KNOWN_TOKENS: [TokenId; 8] = [838, 29, 439, 317, 753, 906, 848, 654];

#[test]
fn log_probabilities_are_those_of_the_softmax() {
    let logits = [1.0_f32, 3.0, -2.0, 3.0, f32::NEG_INFINITY];
    let probs = raw(&logits);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
    let exact = |logit: f32| f64::from(logit) - total.ln();
    for (token, &logit) in (0..).zip(&logits[..4]) {
        assert!((f64::from(log_prob(&probs, token).unwrap()) - exact(logit)).abs() < 1e-6);
    }
    for impossible in [4, 99] {
        assert!(log_prob(&probs, impossible).unwrap().is_infinite());
    }
    let top: Vec<TokenId> = top_log_probs(&probs, 9).unwrap().into_iter().map(|(token, _)| token).collect();
    assert_eq!(top, [1, 3, 0, 2]);
    assert_eq!(top_log_probs(&probs, 0).unwrap(), []);
    assert!(log_prob(&raw(&[0.0]), 0).unwrap().abs() < 1e-9);
    assert!(log_prob(&raw(&[f32::NAN]), 0).is_err());
}

proptest! {
    #[test]
    fn partial_selection_equals_sorting(
        logits in prop::collection::vec((-40_i8..40).prop_map(|step| f32::from(step) / 4.0), 1..700),
        count in 1_usize..60,
    ) {
        let logits = raw(&logits);
        let mut all: Vec<TokenId> = (0..logits.len()).map(scan::token).collect();
        all.sort_by_key(|&token| (std::cmp::Reverse(scan::key(logits[token as usize])), token));
        all.truncate(count);
        let top: Vec<TokenId> = top_log_probs(&logits, count).unwrap().into_iter().map(|(token, _)| token).collect();
        prop_assert_eq!(&top, &all);
        let mut greedy = Sampler::new(SamplingOptions { temperature: 0.0, ..neutral() }, logits.len(), 8);
        prop_assert_eq!(greedy.sample(&logits), Ok(all[0]));
    }

    #[test]
    fn whatever_the_options_a_possible_token_is_drawn(
        temperature in 0.0_f32..3.0, top_k in -1_i32..50, top_p in 0.0_f32..1.2, min_p in 0.0_f32..1.2,
        typical_p in 0.0_f32..1.2, repeat_penalty in 0.5_f32..2.0, seed in any::<i64>(),
        history in prop::collection::vec(0_u32..310, 0..100),
    ) {
        let mut logits = model_logits(300, seed);
        logits.iter_mut().step_by(3).for_each(|logit| *logit = 0xff80);
        let options = SamplingOptions {
            temperature, top_k, top_p, min_p, typical_p, repeat_penalty, seed, ..SamplingOptions::default()
        };
        let mut sampler = sampler_after(options, 300, 64, &history);
        let token = sampler.sample(&logits).unwrap();
        prop_assert!(token < 300 && !token.is_multiple_of(3));
    }
}
