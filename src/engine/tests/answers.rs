//! What an answer holds and where it ends.

use super::super::testing::*;
use super::super::{DoneReason, EngineConfig, EngineError, Event};
use crate::engine::GenerateOptions;

fn config() -> EngineConfig {
    EngineConfig { sequences: 1, ..EngineConfig::default() }
}

#[tokio::test]
async fn an_answer_ends_at_the_end_token_which_is_counted_but_not_shown() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let (text, summary) = answer(&engine, request(&world.model("m"), &[95, 96], -1)).await;
    assert_eq!(summary.tokens, [97, 98, 99]);
    assert_eq!(text, [97, 98, 99].map(text_of).iter().collect::<String>());
    assert_eq!((summary.reason, summary.eval_tokens, summary.prompt_tokens), (DoneReason::Stop, 4, 2));
    for duration in [summary.load, summary.prompt_eval, summary.eval, summary.total] {
        assert!(!duration.is_zero());
    }
    // The model was loaded by the first request only.
    let (_, summary) = answer(&engine, request(&world.model("m"), &[95, 96], -1)).await;
    assert!(summary.load.is_zero());
}

#[tokio::test]
async fn num_predict_limits_the_answer() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    assert_eq!(tokens(&engine, request(&model, &[1], 3)).await, (vec![2, 3, 4], DoneReason::Length));
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await, (vec![2], DoneReason::Length));
    assert_eq!(tokens(&engine, request(&model, &[1, 2, 3, 4], 0)).await, (vec![], DoneReason::Length));
    assert_eq!(tokens(&engine, request(&model, &[98], 2)).await, (vec![99], DoneReason::Stop));
}

#[tokio::test]
async fn the_context_is_used_to_its_last_cell() {
    let world = World::new(scramble);
    let engine = world.engine(&config());
    let model = world.model("m");
    let prompt: Vec<u32> = (1..=33).collect();
    for length in 1..=CONTEXT {
        let (tokens, reason) = tokens(&engine, request(&model, &prompt[..length], -1)).await;
        assert_eq!((tokens.len(), reason), (CONTEXT - length + 1, DoneReason::Length), "prompt of {length}");
    }
    let error = engine.generate(request(&model, &prompt, -1)).await.unwrap_err();
    assert_eq!(error, EngineError::PromptTooLong { tokens: 33, context: CONTEXT });
}

#[tokio::test]
async fn a_full_context_is_forgotten_in_part_where_that_is_allowed() {
    let world = World::new(scramble);
    let engine = world.engine(&config());
    let model = world.model("m");
    let prompt: Vec<u32> = (1..=20).collect();
    for keep in [0, 3, 4, CONTEXT / 2, usize::MAX] {
        let mut ask = request(&model, &prompt, 100);
        ask.options.slide = Some(keep);
        let generated = tokens(&engine, ask).await;
        // What is left is the prompt of the next token.
        let (mut window, mut expected) = (prompt.clone(), Vec::new());
        while expected.len() < 100 {
            if window.len() > CONTEXT {
                let keep = keep.min(CONTEXT / 2);
                window.drain(keep..keep + (CONTEXT - keep) / 2);
            }
            window.push(scramble(&window));
            expected.extend(window.last());
        }
        assert_eq!(generated, (expected, DoneReason::Length), "{keep} kept");
        // What is on the card now is known for what it is.
        let (_, summary) = answer(&engine, request(&model, &window[..window.len() - 1], 1)).await;
        assert_eq!(summary.reused_tokens, window.len() - 2, "{keep} kept");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_itself_ends_with_the_context() {
    let rules: [(Rule, bool); 3] =
        [(count_round::<1>, true), (count_round::<64>, true), (count_round::<65>, false)];
    for (rule, ends) in rules {
        let world = World::new(rule);
        let engine = world.engine(&config());
        let mut ask = request(&world.model("m"), &[1], 1000);
        ask.options.slide = Some(0);
        let (_, summary) = answer(&engine, ask).await;
        assert_eq!(summary.reason, DoneReason::Length);
        assert_eq!(summary.eval_tokens < 1000, ends, "{} tokens", summary.eval_tokens);
    }
}

/// Counts to `N` over and over.
fn count_round<const N: u32>(tokens: &[u32]) -> u32 {
    tokens.last().map_or(1, |last| last % N + 1)
}

#[tokio::test]
async fn prompts_that_cannot_be_computed_are_refused() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    assert_eq!(engine.generate(request(&model, &[], 1)).await.unwrap_err(), EngineError::EmptyPrompt);
    let error = engine.generate(request(&model, &[1, 128], 1)).await.unwrap_err();
    assert_eq!(error, EngineError::InvalidToken { token: 128, vocab: VOCAB });
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
}

#[tokio::test]
async fn stop_texts_end_the_answer_and_are_never_shown_in_part() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let mut request = request(&world.model("m"), &[1], 20);
    request.options.stop = vec!["fgh".into(), "xyz".into()];
    let mut generation = engine.generate(request.clone()).await.unwrap();
    let mut text = String::new();
    let reason = loop {
        match generation.next().await.unwrap() {
            Event::Text { text: piece, .. } => text.push_str(&piece),
            Event::Done(summary) => break summary.reason,
            Event::Error(error) => panic!("{error}"),
        }
        assert!(!text.contains('f'), "part of a stop text was shown");
    };
    assert_eq!((text.as_str(), reason), ("bcde", DoneReason::Stop));
    // What looked like a stop text and was none is shown at the end.
    request.options.num_predict = 6;
    let (text, summary) = answer(&engine, request).await;
    assert_eq!((text.as_str(), summary.reason), ("bcdefg", DoneReason::Length));
}

#[tokio::test]
async fn every_token_has_its_log_probability_also_when_its_text_is_held_back() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let mut request = request(&world.model("m"), &[1], 5);
    request.options = GenerateOptions { stop: vec!["bcdefz".into()], logprobs: Some(2), ..request.options };
    let mut generation = engine.generate(request).await.unwrap();
    let mut ids = Vec::new();
    while let Some(Event::Text { logprobs, .. }) = generation.next().await {
        for element in logprobs {
            assert!(element.logprob <= 0.0 && element.logprob > -0.1, "{element:?}");
            assert_eq!(element.top.len(), 2);
            assert_eq!(element.top[0].id, element.id);
            assert_eq!(element.token, text_of(element.id).to_string());
            ids.push(element.id);
        }
    }
    assert_eq!(ids, [2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_prompt_is_computed_in_chunks() {
    let world = World::new(scramble);
    let engine = world.engine(&config());
    let model = world.model("m");
    let prompt: Vec<u32> = (1..=32).collect();
    answer(&engine, request(&model, &prompt[..19], 1)).await;
    assert_eq!(world.log(), ["open", "load m", "prefill s0 0+8", "prefill s0 8+8", "prefill s0 16+3",]);
    answer(&engine, request(&model, &prompt[..24], 2)).await;
    assert_eq!(world.log(), ["prefill s0 19+5", "decode s0 24+1"]);
}

#[tokio::test]
async fn the_last_generated_token_is_not_taken_for_written() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    answer(&engine, request(&model, &[1, 2, 3, 4, 5], 3)).await;
    world.log();
    // The conversation goes on with the answer 6 7 8, of which 8 was chosen but never written.
    let (_, summary) = answer(&engine, request(&model, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 1)).await;
    assert_eq!((summary.reused_tokens, summary.prompt_tokens), (7, 12));
    assert_eq!(world.log(), ["prefill s0 7+5"]);
    // The same prompt again: its last token is computed again, for its logits.
    let (_, summary) = answer(&engine, request(&model, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 1)).await;
    assert_eq!(summary.reused_tokens, 11);
    assert_eq!(world.log(), ["prefill s0 11+1"]);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(24))]
    #[test]
    fn reuse_never_changes_an_answer(
        prompts in proptest::collection::vec((proptest::collection::vec(1_u32..3, 1..30), -1_i64..9), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let warm = World::new(scramble);
            let engine = warm.engine(&config());
            let model = warm.model("m");
            for (prompt, num_predict) in prompts {
                let cold = World::new(scramble);
                let fresh = cold.engine(&config());
                let expected = tokens(&fresh, request(&cold.model("m"), &prompt, num_predict)).await;
                assert_eq!(tokens(&engine, request(&model, &prompt, num_predict)).await, expected);
            }
        });
    }
}
