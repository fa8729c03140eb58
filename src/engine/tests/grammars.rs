//! Answers in a form that was asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::testing::{
    END, Mishap, VOCAB, World, answer, begin_together, eventually, read, request, scramble, tokens,
};
use crate::engine::{DoneReason, EngineConfig, EngineError, Event, Request, SamplingOptions};
use crate::models::model::Model;
use crate::text::{Grammar, GrammarSpec, TokenId, Vocabulary};

/// Token `n` is the ASCII character `n`, as a grammar sees it.
pub(crate) fn grammar(schema: Value) -> Grammar {
    let bytes: Vec<u8> = (0..u8::try_from(VOCAB).unwrap()).collect();
    let words = bytes.chunks(1).map(|word| if word == [0] { &[] } else { word });
    Grammar::new(
        &Vocabulary::new(words, &[END]).unwrap(),
        &GrammarSpec::JsonSchema { schema, strict: true },
        None,
    )
    .unwrap()
}

fn with_grammar(request: Request, schema: Value) -> Request {
    let mut request = request;
    request.options.grammar = Some(grammar(schema));
    request
}

fn json_of(tokens: &[TokenId]) -> Value {
    let bytes: Vec<u8> = tokens.iter().map(|&token| u8::try_from(token).unwrap()).collect();
    serde_json::from_slice(&bytes).unwrap()
}

/// Without white space, which this card would write as long as it may: its context is short.
fn schema() -> Value {
    json!({ "enum": ["left", "right", "up", 120, true] })
}

#[tokio::test]
async fn whatever_the_model_wants_the_answer_has_the_form() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    for first in 1..6 {
        let prompt = [first, 2, 3];
        let mut request = with_grammar(request(&model, &prompt, -1), schema());
        request.options.logprobs = Some(1);
        world.log();
        let (_, summary) = answer(&engine, request).await;
        assert_eq!(summary.reason, DoneReason::Stop);
        let json = json_of(&summary.tokens);
        assert!(schema()["enum"].as_array().unwrap().contains(&json), "{json}");
        assert!(summary.grammar > std::time::Duration::ZERO && summary.grammar <= summary.eval);
        // No step for the end token, which alone could follow.
        let steps = world.log().iter().filter(|what| what.starts_with("decode")).count();
        assert_eq!(steps, summary.tokens.len() - 1);
        assert_eq!(summary.eval_tokens, summary.tokens.len());
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_limit_leaves_the_beginning_of_the_form() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    let ask = |limit| with_grammar(request(&model, &[1, 2], limit), json!({ "const": "0123456789" }));
    let (cut, reason) = tokens(&engine, ask(5)).await;
    assert_eq!((cut, reason), (b"\"0123".iter().map(|&byte| byte.into()).collect(), DoneReason::Length));
    let (whole, reason) = tokens(&engine, ask(12)).await;
    assert_eq!((json_of(&whole), reason), (json!("0123456789"), DoneReason::Stop));
    assert_eq!(tokens(&engine, ask(0)).await, (vec![], DoneReason::Length));
    engine.shutdown().await;
}

fn seeded(model: &Arc<Model>, seed: i64) -> Request {
    let plain = request(model, &[5, 6, 7], 20);
    let mut request = match seed {
        0 => plain,
        1 => with_grammar(plain, json!({ "type": "integer", "minimum": 100_000, "maximum": 999_999 })),
        _ => with_grammar(plain, json!({ "type": "string", "pattern": "^[a-f]{6}$" })),
    };
    request.options.sampling =
        SamplingOptions { seed, temperature: 3.0, top_k: 0, top_p: 1.0, ..SamplingOptions::default() };
    request
}

#[tokio::test]
async fn conversations_keep_their_own_grammar() {
    let config = EngineConfig { sequences: 3, ..EngineConfig::default() };
    let world = World::new(scramble);
    let engine = world.engine(&config);
    let model = world.model("a");
    let mut alone = Vec::new();
    for seed in 0..3 {
        alone.push(tokens(&engine, seeded(&model, seed)).await);
    }
    engine.shutdown().await;
    let world = World::new(scramble);
    let engine = world.engine(&config);
    let model = world.model("a");
    let requests = (0..3).map(|seed| seeded(&model, seed)).collect();
    let generations = begin_together(&world, &engine, requests).await;
    world.permit_all();
    for (generation, (tokens, reason)) in generations.into_iter().zip(alone) {
        let Event::Done(summary) = read(generation).await.1 else { panic!("an error") };
        assert_eq!((&summary.tokens, summary.reason), (&tokens, reason));
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn the_answer_ends_where_the_form_cannot_go_on() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    // No token of this vocabulary has a byte of the letter.
    let dead_end = with_grammar(request(&model, &[1, 2], -1), json!({ "const": "é" }));
    let (_, last) = read(engine.generate(dead_end).await.unwrap()).await;
    assert!(matches!(last, Event::Error(EngineError::Grammar(_))), "{last:?}");
    // The sequence is sound, and the next request continues it.
    world.log();
    let (_, summary) = answer(&engine, with_grammar(request(&model, &[1, 2, 3], -1), schema())).await;
    assert_eq!(summary.reused_tokens, 2);
    assert!(schema()["enum"].as_array().unwrap().contains(&json_of(&summary.tokens)));
    engine.shutdown().await;
}

#[tokio::test]
async fn broken_logits_are_found_behind_a_mask() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    world.break_step(0, Mishap::NotANumber);
    let request = with_grammar(request(&model, &[1, 2], -1), schema());
    let (_, last) = read(engine.generate(request).await.unwrap()).await;
    assert!(matches!(last, Event::Error(EngineError::Sampling(_))), "{last:?}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_grammar_along() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    let generation =
        engine.generate(with_grammar(request(&model, &[1, 2], -1), json!({ "type": "string" }))).await;
    drop(generation.unwrap());
    eventually(|| engine.counters().running == 0).await;
    let (tokens, _) = tokens(&engine, with_grammar(request(&model, &[1, 2], -1), schema())).await;
    assert!(schema()["enum"].as_array().unwrap().contains(&json_of(&tokens)));
    engine.shutdown().await;
}
