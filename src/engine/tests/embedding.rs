//! Texts to vectors on a card: which states count, what is reused, who waits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use half::bf16;

use super::super::testing::*;
use super::super::{Counters, EmbedRequest, Engine, EngineConfig, EngineError, Event, KeepAlive};
use crate::device::DeviceError;
use crate::models::model::Model;
use crate::text::TokenId;

fn engine(world: &World) -> Engine {
    world.engine(&EngineConfig { sequences: 1, ..EngineConfig::default() })
}

/// A model whose files say how it pools.
fn pooling(world: &World, name: &str, number: u64) -> Arc<Model> {
    let dir = world.model(name).dir.clone();
    let path = dir.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["model_info"] = serde_json::json!({format!("{name}.pooling_type"): number});
    std::fs::write(path, manifest.to_string()).unwrap();
    Arc::new(Model::open(name.parse().unwrap(), &dir).unwrap())
}

async fn embed(engine: &Engine, model: &Arc<Model>, inputs: &[&[TokenId]]) -> Vec<Vec<f32>> {
    let inputs = inputs.iter().map(|tokens| tokens.to_vec()).collect();
    let request = EmbedRequest { model: Arc::clone(model), inputs, keep_alive: None };
    engine.embed(request).await.unwrap().vectors
}

fn state(tokens: &[TokenId]) -> Vec<f32> {
    hidden_after(tokens).map(bf16::to_f32).to_vec()
}

/// Tokens of more than two chunks.
fn long() -> Vec<TokenId> {
    (1..=20).collect()
}

#[tokio::test]
async fn the_last_token_counts_and_the_others_may_be_on_the_card_already() {
    let world = World::new(count_up);
    let (engine, model) = (engine(&world), world.model("m"));
    let long = long();
    assert_eq!(embed(&engine, &model, &[&long, &[5]]).await, [state(&long), state(&[5])]);
    assert_eq!(world.log()[2..], ["prefill s0 0+8", "prefill s0 8+8", "hidden s0 16+4", "hidden s0 0+1"]);
    // The answer to a prompt leaves keys and values behind, and so does a vector.
    tokens(&engine, request(&model, &long, 3)).await;
    world.log();
    let next = [&long[..], &[90]].concat();
    assert_eq!(embed(&engine, &model, &[&next, &next]).await, [state(&next), state(&next)]);
    assert_eq!(world.log(), ["hidden s0 20+1", "hidden s0 20+1"]);
    assert_eq!(tokens(&engine, request(&model, &next, 2)).await.0, [91, 92]);
    assert_eq!(world.log(), ["prefill s0 20+1", "decode s0 21+1"]);
}

#[tokio::test]
async fn where_others_count_all_are_computed() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let long = long();
    let mean = pooling(&world, "mean", 1);
    assert_eq!(mean.capabilities(), ["embedding"]);
    let mut expected = vec![0.0; HIDDEN];
    for count in 1..=long.len() {
        for (sum, value) in expected.iter_mut().zip(state(&long[..count])) {
            *sum += value;
        }
    }
    for sum in &mut expected {
        *sum /= 20.0;
    }
    assert_eq!(embed(&engine, &mean, &[&long, &long]).await, [expected.clone(), expected]);
    let twice = ["hidden s0 0+8", "hidden s0 8+8", "hidden s0 16+4"].repeat(2);
    assert_eq!(world.log()[2..], twice);

    let first = pooling(&world, "first", 2);
    assert_eq!(embed(&engine, &first, &[&long]).await, [state(&long[..1])]);
    assert_eq!(world.log()[2..], ["hidden s1 0+8", "prefill s1 8+8", "hidden s1 16+4"]);
    let last = pooling(&world, "last", 3);
    assert_eq!(embed(&engine, &last, &[&long]).await, [state(&long)]);
    // Ranking gives no vector; asked for one all the same, it is that of the last token.
    let rank = pooling(&world, "rank", 4);
    assert_eq!(rank.capabilities(), ["completion"]);
    assert_eq!(embed(&engine, &rank, &[&long]).await, [state(&long)]);
}

#[tokio::test]
async fn many_texts_take_turns_with_other_requests() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let model = world.model("m");
    world.permit_layers(0);
    let inputs: Vec<Vec<TokenId>> = (1..=90).map(|token| vec![token]).collect();
    let ask = EmbedRequest { model: Arc::clone(&model), inputs: inputs.clone(), keep_alive: None };
    let embedding = tokio::spawn({
        let engine = engine.clone();
        async move { engine.embed(ask).await }
    });
    eventually(|| engine.counters().running == 1).await;
    let answering = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&model, &[7], 1));
        async move { tokens(&engine, request).await.0 }
    });
    eventually(|| engine.counters().queued == 1).await;
    world.permit_all();
    assert_eq!(answering.await.unwrap(), [8]);
    let vectors = embedding.await.unwrap().unwrap().vectors;
    assert_eq!(vectors, inputs.iter().map(|tokens| state(tokens)).collect::<Vec<_>>());
    let log = world.log();
    let answered = log.iter().position(|step| step.starts_with("prefill")).unwrap();
    assert!(answered < 10, "the answer waited for {answered} steps");
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_card() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let model = world.model("m");
    world.permit_layers(0);
    let ask = EmbedRequest { model, inputs: vec![long(); 3], keep_alive: None };
    assert!(tokio::time::timeout(Duration::from_millis(20), engine.embed(ask)).await.is_err());
    eventually(|| engine.counters() == Counters { running: 0, queued: 0, sequences: 1 }).await;
    assert_eq!(world.layers_run(), 0);
}

#[tokio::test]
async fn a_keep_alive_counts_from_the_last_text() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let model = world.model("m");
    let ask =
        EmbedRequest { model, inputs: vec![vec![1], vec![2], vec![3]], keep_alive: Some(KeepAlive::NOW) };
    let embeddings = engine.embed(ask).await.unwrap();
    assert!(embeddings.load > Duration::ZERO && embeddings.total >= embeddings.load);
    assert!(engine.loaded().is_empty());
    let log = world.log();
    assert_eq!(log.iter().filter(|step| step.starts_with("load")).count(), 1, "{log:?}");
}

#[tokio::test]
async fn one_bad_text_fails_the_request() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let model = world.model("m");
    for (bad, wanted) in [
        (vec![], EngineError::EmptyPrompt),
        (vec![1; CONTEXT + 1], EngineError::PromptTooLong { tokens: CONTEXT + 1, context: CONTEXT }),
        (vec![500], EngineError::InvalidToken { token: 500, vocab: VOCAB }),
    ] {
        let inputs = vec![vec![1], bad, vec![2]];
        let ask = EmbedRequest { model: Arc::clone(&model), inputs, keep_alive: None };
        assert_eq!(engine.embed(ask).await.unwrap_err(), wanted);
    }
    let error = DeviceError::Internal("broken".into());
    world.break_step(world.steps() + 1, Mishap::Fault(error.into()));
    let ask = EmbedRequest { model, inputs: vec![vec![1], vec![2]], keep_alive: None };
    assert!(matches!(engine.embed(ask).await.unwrap_err(), EngineError::Device(_)));
}

#[tokio::test]
async fn a_request_keeps_its_place_from_text_to_text() {
    let world = World::new(count_up);
    let config = EngineConfig { sequences: 1, max_queue: 0, ..EngineConfig::default() };
    let (engine, model) = (world.engine(&config), world.model("m"));
    let ask = EmbedRequest { model: Arc::clone(&model), inputs: vec![vec![1], vec![2]], keep_alive: None };
    let mut embedding = std::pin::pin!(engine.embed(ask));
    world.permit_layers(0);
    assert_eq!(embedding.as_mut().now_or_never(), None);
    world.permit_all();
    // The first text is computed, and nobody has asked for the second yet.
    eventually(|| world.steps() == 1 && engine.counters().running == 0).await;
    assert_eq!(engine.generate(request(&model, &[7], 1)).await.unwrap_err(), EngineError::Busy);
    assert_eq!(embedding.await.unwrap().vectors, [state(&[1]), state(&[2])]);
    assert_eq!(tokens(&engine, request(&model, &[7], 1)).await.0, [8]);
}

#[tokio::test]
async fn what_is_not_a_number_takes_its_sequence_with_it() {
    let world = World::new(count_up);
    let engine = engine(&world);
    let prompt = long();
    // With the chunks whose states are looked at.
    for (model, steps) in [
        (world.model("last"), vec![2]),
        (pooling(&world, "mean", 1), vec![0, 1, 2]),
        (pooling(&world, "first", 2), vec![0, 2]),
    ] {
        for step in steps {
            world.break_step(world.steps() + step, Mishap::NotANumber);
            let ask =
                EmbedRequest { model: Arc::clone(&model), inputs: vec![prompt.clone()], keep_alive: None };
            assert_eq!(engine.embed(ask).await.unwrap_err(), EngineError::NotFinite);
            world.log();
            assert_eq!(tokens(&engine, request(&model, &[&prompt[..], &[30]].concat(), 1)).await.0, [31]);
            let log = world.log();
            assert!(log[0].contains("0+8"), "{}: nothing is reused: {log:?}", model.name);
        }
    }
}

#[tokio::test]
async fn a_prompt_that_nothing_is_generated_for_is_looked_at_too() {
    let world = World::new(count_up);
    let (engine, model) = (engine(&world), world.model("m"));
    world.break_step(2, Mishap::NotANumber);
    let generation = engine.generate(request(&model, &long(), 0)).await.unwrap();
    assert_eq!(read(generation).await.1, Event::Error(EngineError::NotFinite));
    world.log();
    assert_eq!(tokens(&engine, request(&model, &[&long()[..], &[30]].concat(), 1)).await.0, [31]);
    assert_eq!(world.log()[0], "prefill s1 0+8");
}

#[tokio::test]
async fn only_the_first_of_many_texts_goes_before_what_runs() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 4, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(0);
    let ask = EmbedRequest { model: Arc::clone(&model), inputs: vec![vec![1], vec![2]], keep_alive: None };
    let embedding = tokio::spawn({
        let engine = engine.clone();
        async move { engine.embed(ask).await.unwrap() }
    });
    eventually(|| engine.counters().running == 1).await;
    let mut answering = Vec::new();
    for queued in 1..=3 {
        let (engine_of_task, request) = (engine.clone(), request(&model, &[10 * queued], 3));
        answering.push(tokio::spawn(async move { answer(&engine_of_task, request).await }));
        eventually(|| engine.counters().queued == queued as usize).await;
    }
    // The first text is computed, the answers begin, and the second text arrives while the card is held again.
    world.permit_layers(4);
    eventually(|| engine.counters().running >= 3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.permit_all();
    embedding.await.unwrap();
    for answer in answering {
        answer.await.unwrap();
    }
    let steps: Vec<String> = world.log().split_off(2);
    let texts: Vec<usize> = (0..steps.len()).filter(|&step| steps[step].starts_with("hidden")).collect();
    assert!(texts[1] > 3, "behind the three prompts: {steps:?}");
}
