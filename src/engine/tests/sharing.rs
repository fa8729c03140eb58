//! Several requests at a time: turns, queue, clients that leave, clients that read slowly.

use std::time::Duration;

use super::super::testing::*;
use super::super::{Counters, DoneReason, EngineConfig, EngineError, Event};

#[tokio::test]
async fn requests_take_turns_and_a_new_prompt_goes_first() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 2, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(4);
    let first = engine.generate(request(&model, &[1, 2, 3, 4, 5], 6)).await.unwrap();
    // The first request is held in its second step while the other arrives.
    eventually(|| world.steps() == 2).await;
    let mut second = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&model, &[21, 22, 23, 24, 25], 3));
        async move { engine.generate(request).await.unwrap() }
    });
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
    assert_eq!(engine.counters(), Counters { running: 1, queued: 1, sequences: 1 });
    world.log();
    world.permit_all();
    let second = second.await.unwrap();
    let (first, second) = tokio::join!(read(first), read(second));
    assert_eq!((first.0.as_str(), second.0.as_str()), ("fghijk", "zab"));
    let turns = world.log();
    assert_eq!(
        turns,
        [
            "prefill s1 0+5",
            "decode s0 6+1",
            "decode s1 5+1",
            "decode s0 7+1",
            "decode s1 6+1",
            "decode s0 8+1",
            "decode s0 9+1"
        ]
    );
}

#[tokio::test]
async fn answers_do_not_depend_on_company() {
    let alone = World::new(scramble);
    let single = alone.engine(&EngineConfig { sequences: 1, ..EngineConfig::default() });
    let prompts: Vec<Vec<u32>> =
        (0..12).map(|n| (1..=(n % 5) * 4 + 3).map(|i| i * (n + 1) % 90 + 1).collect()).collect();
    let mut expected = Vec::new();
    for prompt in &prompts {
        expected.push(tokens(&single, request(&alone.model("m"), prompt, 9)).await);
    }
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig { sequences: 3, ..EngineConfig::default() });
    let model = world.model("m");
    let running: Vec<_> = prompts
        .iter()
        .map(|prompt| {
            let (engine, request) = (engine.clone(), request(&model, prompt, 9));
            tokio::spawn(async move { tokens(&engine, request).await })
        })
        .collect();
    for (running, expected) in running.into_iter().zip(expected) {
        assert_eq!(running.await.unwrap(), expected);
    }
    assert!(engine.counters().sequences <= 3);
}

#[tokio::test]
async fn a_full_queue_is_an_answer_and_the_order_is_that_of_arrival() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, max_queue: 2, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(0);
    let first = engine.generate(request(&model, &[1], 1)).await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for prompt in [10, 20] {
        let (engine, request, done) = (engine.clone(), request(&model, &[prompt], 1), done.clone());
        tokio::spawn(async move {
            let (tokens, _) = tokens(&engine, request).await;
            done.send(tokens).unwrap();
        });
        tokio::task::yield_now().await;
    }
    eventually(|| engine.counters().queued == 2).await;
    assert_eq!(engine.generate(request(&model, &[30], 1)).await.unwrap_err(), EngineError::Busy);
    assert_eq!(engine.load(model.clone(), None).await.unwrap_err(), EngineError::Busy);
    world.permit_all();
    assert_eq!(read(first).await.0, "b");
    assert_eq!(order.recv().await.unwrap(), [11]);
    assert_eq!(order.recv().await.unwrap(), [21]);
    assert_eq!(tokens(&engine, request(&model, &[30], 1)).await.0, [31]);
}

/// A load may take minutes, and the card thread sees and hears nothing meanwhile.
#[tokio::test]
async fn who_leaves_the_line_makes_room_at_once_even_during_a_load() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, max_queue: 2, ..EngineConfig::default() });
    let model = world.model("m");
    world.hold_loads(true);
    let ask = |prompt: u32| {
        let (engine, request) = (engine.clone(), request(&model, &[prompt], 1));
        tokio::spawn(async move { tokens(&engine, request).await.0 })
    };
    let first = ask(1);
    eventually(|| engine.loading().is_some()).await;
    let (second, third) = (ask(11), ask(21));
    eventually(|| engine.counters().queued == 3).await;
    assert_eq!(engine.generate(request(&model, &[31], 1)).await.unwrap_err(), EngineError::Busy);
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(engine.counters().queued, 2, "the card thread is still in the load");
    let load = {
        let (engine, model) = (engine.clone(), model.clone());
        tokio::spawn(async move { engine.load(model, None).await.map(|report| report.load) })
    };
    eventually(|| engine.counters().queued == 3).await;
    load.abort();
    assert!(load.await.unwrap_err().is_cancelled());
    let fourth = ask(41);
    eventually(|| engine.counters().queued == 3).await;
    world.hold_loads(false);
    let (first, third, fourth) = tokio::join!(first, third, fourth);
    assert_eq!((first.unwrap(), third.unwrap(), fourth.unwrap()), (vec![2], vec![22], vec![42]));
    assert_eq!(engine.counters().queued, 0);
}

#[tokio::test]
async fn unloads_of_clients_that_left_fill_the_queue_and_no_more() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, max_queue: 2, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(0);
    let running = engine.generate(request(&model, &[1], 1)).await.unwrap();
    for _ in 0..2 {
        let unload = engine.unload(&model);
        assert!(tokio::time::timeout(Duration::from_millis(5), unload).await.is_err());
    }
    assert_eq!(engine.unload(&model).await.unwrap_err(), EngineError::Busy);
    world.permit_all();
    assert_eq!(read(running).await.0, "b");
    eventually(|| engine.counters().queued == 0).await;
    assert!(!engine.unload(&model).await.unwrap());
}

#[tokio::test]
async fn a_client_that_left_while_queued_costs_nothing() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(0);
    let first = engine.generate(request(&model, &[1], 1)).await.unwrap();
    let queued = engine.generate(request(&model, &[50, 51, 52, 53], 1));
    assert!(tokio::time::timeout(Duration::from_millis(20), queued).await.is_err());
    world.permit_all();
    assert_eq!(read(first).await.0, "b");
    assert_eq!(tokens(&engine, request(&model, &[7], 1)).await.0, [8]);
    assert!(
        !world.log().iter().any(|step| step.starts_with("prefill") && step.ends_with("+4")),
        "the prompt of nobody was computed"
    );
    assert_eq!(engine.counters().queued, 0);
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_card_within_one_layer() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, ..EngineConfig::default() });
    let model = world.model("m");
    // Held in the second layer of the second chunk.
    world.permit_layers(5);
    let prompt: Vec<u32> = (1..=20).collect();
    let generation = engine.generate(request(&model, &prompt, -1)).await.unwrap();
    world.until_layers(5).await;
    drop(generation);
    eventually(|| engine.counters().running == 0).await;
    assert_eq!(world.layers_run(), 5);
    world.permit_all();
    world.log();
    // What was complete of the prompt is kept.
    let (text, summary) = answer(&engine, request(&model, &prompt[..12], 2)).await;
    assert_eq!((text.len(), summary.reused_tokens), (2, 8));
}

#[tokio::test]
async fn a_slow_client_pauses_its_own_request_only() {
    let world = World::new(count_up);
    let config = EngineConfig { sequences: 2, event_buffer: 2, ..EngineConfig::default() };
    let engine = world.engine(&config);
    let model = world.model("m");
    let slow = engine.generate(request(&model, &[1], 20)).await.unwrap();
    eventually(|| world.steps() == 2).await;
    assert_eq!(tokens(&engine, request(&model, &[40], 12)).await.0.len(), 12);
    assert_eq!(world.steps(), 14, "the slow request went on without its reader");
    let (text, last) = read(slow).await;
    assert_eq!(text, "bcdefghijklmnopqrstu");
    assert!(matches!(last, Event::Done(summary) if summary.reason == DoneReason::Length));
}

#[tokio::test]
async fn a_client_that_does_not_read_gives_up_its_place_to_those_who_wait() {
    let world = World::new(count_up);
    let config = EngineConfig {
        sequences: 1,
        event_buffer: 2,
        stall_limit: Duration::from_millis(30),
        ..EngineConfig::default()
    };
    let engine = world.engine(&config);
    let model = world.model("m");
    let slow = engine.generate(request(&model, &[1], 20)).await.unwrap();
    eventually(|| world.steps() == 2).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(engine.counters().running, 1, "nobody waits, so it may keep its place");
    assert_eq!(tokens(&engine, request(&model, &[7], 1)).await.0, [8]);
    let (text, last) = read(slow).await;
    assert_eq!(text, "bc");
    assert!(matches!(last, Event::Error(EngineError::SlowClient { .. })), "{last:?}");
}
