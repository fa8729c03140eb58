//! Answers in a form that was asked for.

use std::sync::{Arc, mpsc};

use serde_json::{Value, json};

use crate::engine::testing::{
    CONTEXT, END, Mishap, VOCAB, World, answer, begin_together, eventually, read, request, scramble, text_of,
    tokens,
};
use crate::engine::{DoneReason, EngineConfig, EngineError, Event, Request, SamplingOptions};
use crate::models::model::Model;
use crate::text::{
    Grammar, GrammarSpec, ThinkingSplitter, ThinkingTags, ThoughtLimit, Thoughts, TokenId, Vocabulary,
};

/// Token `n` is the ASCII character `n`, as a grammar sees it.
pub(crate) fn grammar(schema: Value) -> Grammar {
    grammar_after(schema, None)
}

fn grammar_after(schema: Value, thoughts: Option<Thoughts<'_>>) -> Grammar {
    let bytes: Vec<u8> = (0..u8::try_from(VOCAB).unwrap()).collect();
    let words = bytes.chunks(1).map(|word| if word == [0] { &[] } else { word });
    Grammar::new(
        &Vocabulary::new(words, &[END]).unwrap(),
        &GrammarSpec::JsonSchema { schema, strict: true },
        thoughts,
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

/// A grammar with which nobody can begin, for as long as this is held.
struct Held {
    release: mpsc::Sender<()>,
    holder: std::thread::JoinHandle<()>,
}

impl Held {
    fn new(grammar: &Grammar) -> Self {
        let grammar = grammar.clone();
        let (release, released) = mpsc::channel();
        let (ready, wait) = mpsc::channel();
        let holder = std::thread::spawn(move || {
            let _guard = grammar.hold();
            ready.send(()).unwrap();
            released.recv().unwrap();
        });
        wait.recv().unwrap();
        Self { release, holder }
    }

    fn release(self) {
        self.release.send(()).unwrap();
        self.holder.join().unwrap();
    }
}

/// A request whose mask does not come before it is released.
fn held(model: &Arc<Model>) -> (Request, Held) {
    let request = with_grammar(request(model, &[1, 2], -1), schema());
    let held = Held::new(request.options.grammar.as_ref().unwrap());
    (request, held)
}

#[tokio::test]
async fn a_mask_that_is_not_there_holds_up_nobody_else() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig { sequences: 2, ..EngineConfig::default() });
    let model = world.model("a");
    let (slow, hold) = held(&model);
    let mut both = begin_together(&world, &engine, vec![request(&model, &[5, 6, 7], 12), slow]).await;
    world.permit_all();
    let slow = both.pop().unwrap();
    let (_, last) = read(both.pop().unwrap()).await;
    assert!(matches!(last, Event::Done(summary) if summary.tokens.len() == 12));
    hold.release();
    let Event::Done(summary) = read(slow).await.1 else { panic!("an error") };
    assert!(schema()["enum"].as_array().unwrap().contains(&json_of(&summary.tokens)));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_client_leaves_while_its_mask_is_computed() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    let (slow, hold) = held(&model);
    let generation = engine.generate(slow).await.unwrap();
    // The prompt is computed, or nearly; what follows waits for the mask.
    eventually(|| world.steps() == 1).await;
    drop(generation);
    eventually(|| engine.counters().running == 0).await;
    assert_eq!(tokens(&engine, request(&model, &[5, 6], 3)).await.0.len(), 3);
    hold.release();
    let (tokens, _) = tokens(&engine, with_grammar(request(&model, &[1, 2], -1), schema())).await;
    assert!(schema()["enum"].as_array().unwrap().contains(&json_of(&tokens)));
    engine.shutdown().await;
}

#[tokio::test]
async fn the_engine_shuts_down_while_a_mask_is_computed() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let (slow, hold) = held(&world.model("a"));
    let generation = engine.generate(slow).await.unwrap();
    eventually(|| world.steps() == 1).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown().await }
    });
    let (_, last) = read(generation).await;
    assert!(matches!(last, Event::Error(EngineError::ShuttingDown)), "{last:?}");
    // The thread that computes masks is waited for.
    hold.release();
    shutdown.await.unwrap();
}

#[tokio::test]
async fn an_answer_keeps_its_form_when_the_context_slides() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    let letters = CONTEXT * 3;
    let mut ask = with_grammar(
        request(&model, &[1, 2, 3], -1),
        json!({ "type": "string", "pattern": format!("^[A-F]{{{letters}}}$") }),
    );
    ask.options.slide = Some(2);
    let (whole, reason) = tokens(&engine, ask).await;
    let Value::String(text) = json_of(&whole) else { panic!("{whole:?}") };
    assert_eq!((text.len(), reason), (letters, DoneReason::Stop));
    assert!(text.bytes().all(|letter| (b'A'..=b'F').contains(&letter)), "{text}");
    // What is on the card now is known for what it is: the beginning, and the end of the answer but for its last token.
    let forgotten = (CONTEXT - 2) / 2;
    let mut window: Vec<TokenId> = vec![1, 2, 3];
    for token in whole {
        if window.len() > CONTEXT {
            window.drain(2..2 + forgotten);
        }
        window.push(token);
    }
    let (_, summary) = answer(&engine, request(&model, &window, 1)).await;
    assert_eq!(summary.reused_tokens, window.len() - 1);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_stop_text_ends_an_answer_before_its_form_does() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    let digits: TokenId = u32::from(b'2');
    let mut ask = with_grammar(request(&model, &[1, 2], -1), json!({ "const": "0123456789" }));
    ask.options.stop = vec![[text_of(digits), text_of(digits + 1)].iter().collect()];
    let (text, summary) = answer(&engine, ask).await;
    assert_eq!(summary.reason, DoneReason::Stop);
    assert_eq!(text, b"\"01".iter().map(|&byte| text_of(byte.into())).collect::<String>());
    assert_eq!(summary.tokens, b"\"0123".iter().map(|&byte| byte.into()).collect::<Vec<TokenId>>());
    engine.shutdown().await;
}

/// Tags as the text of this card's tokens has them: the tokens `z!` end thoughts.
static TAGS: ThinkingTags = ThinkingTags { open: "qqq", close: "rg" };

fn thoughts(left: usize) -> ThoughtLimit {
    let closing = b"z!".iter().map(|&byte| byte.into()).collect();
    assert_eq!([text_of(u32::from(b'z')), text_of(u32::from(b'!'))], ['r', 'g']);
    ThoughtLimit::of(ThinkingSplitter::new(&TAGS, true), left, closing)
}

#[tokio::test]
async fn thoughts_end_where_they_must_and_the_form_follows() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    for left in [0, 1, 5] {
        let mut ask = request(&model, &[1, 2, 3], -1);
        let before = Thoughts { open: "<", close: "z!", begun: true };
        ask.options.grammar = Some(grammar_after(schema(), Some(before)));
        ask.options.thoughts = Some(thoughts(left));
        let (tokens, reason) = tokens(&engine, ask).await;
        assert_eq!(&tokens[left..left + 2], [u32::from(b'z'), u32::from(b'!')], "{tokens:?}");
        let json = json_of(&tokens[left + 2..]);
        assert!(schema()["enum"].as_array().unwrap().contains(&json), "{json}");
        assert_eq!(reason, DoneReason::Stop);
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn the_form_counts_where_a_limit_of_thoughts_contradicts_it() {
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    let model = world.model("a");
    // The limit takes the answer for thoughts, the grammar knows of none.
    let mut ask = with_grammar(request(&model, &[1, 2, 3], -1), schema());
    ask.options.thoughts = Some(thoughts(2));
    let (tokens, reason) = tokens(&engine, ask).await;
    assert!(schema()["enum"].as_array().unwrap().contains(&json_of(&tokens)));
    assert_eq!(reason, DoneReason::Stop);
    engine.shutdown().await;
}
