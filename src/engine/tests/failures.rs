//! What goes wrong on the card, and what is left afterwards.

use std::time::Duration;

use super::super::card::Fault;
use super::super::testing::*;
use super::super::{CallLimits, Engine, EngineConfig, EngineError, Event, KeepAlive, Request};
use crate::device::{Activity, DeviceChoice, DriverOptions};

fn config() -> EngineConfig {
    EngineConfig { sequences: 2, ..EngineConfig::default() }
}

async fn error_of(engine: &Engine, request: Request) -> EngineError {
    match read(engine.generate(request).await.unwrap()).await.1 {
        Event::Error(error) => error,
        other => panic!("{other:?}"),
    }
}

fn call_failed() -> Mishap {
    Mishap::Fault(Fault::Call("axclrtEngineExecute failed in layer 3".into()))
}

#[tokio::test]
async fn a_failed_call_ends_the_request_and_a_second_one_the_model() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.break_step(1, call_failed());
    let error = error_of(&engine, request(&model, &[1], 5)).await;
    assert!(matches!(&error, EngineError::Device(text) if text.contains("layer 3")), "{error:?}");
    assert_eq!(world.log(), ["open", "load m", "prefill s0 0+1", "decode s0 1+1"]);
    // The sequence is not used again, the model is.
    answer(&engine, request(&model, &[1], 1)).await;
    assert_eq!(world.log(), ["prefill s1 0+1"]);
    for _ in 0..2 {
        world.break_step(world.steps(), call_failed());
        error_of(&engine, request(&model, &[1], 1)).await;
    }
    assert!(engine.loaded().is_empty());
    world.log();
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
    assert_eq!(world.log()[0], "load m");
}

#[tokio::test]
async fn a_model_that_keeps_failing_takes_all_its_requests_along() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 3, ..config() });
    // Opened anew for each request, as the store does it: one model all the same.
    let requests = [1, 30, 60].map(|token| request(&world.model("m"), &[token], 20)).to_vec();
    let running = begin_together(&world, &engine, requests).await;
    world.break_step(2, call_failed());
    world.break_step(3, call_failed());
    world.permit_all();
    for generation in running {
        let (_, last) = read(generation).await;
        assert!(matches!(last, Event::Error(EngineError::Device(_))), "{last:?}");
    }
    assert!(engine.loaded().is_empty());
    assert_eq!(tokens(&engine, request(&world.model("m"), &[1], 1)).await.0, [2]);
}

#[tokio::test]
async fn logits_that_are_not_numbers_end_the_request_and_its_sequence() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.break_step(2, Mishap::NotANumber);
    assert!(matches!(error_of(&engine, request(&model, &[1], 9)).await, EngineError::Sampling(_)));
    let (text, summary) = answer(&engine, request(&model, &[1], 2)).await;
    assert_eq!((text.as_str(), summary.reused_tokens), ("bc", 0));
}

#[tokio::test]
async fn a_lost_card_ends_all_requests_and_is_opened_again() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    let requests = [1, 40].map(|token| request(&model, &[token], 50)).to_vec();
    let running = begin_together(&world, &engine, requests).await;
    world.break_step(6, Mishap::Fault(Fault::Lost("no answer over PCIe".into())));
    world.break_next_open(Fault::Lost("still gone".into()));
    world.permit_all();
    for generation in running {
        let (_, last) = read(generation).await;
        assert_eq!(last, Event::Error(EngineError::CardLost("no answer over PCIe".into())));
    }
    assert!(engine.loaded().is_empty());
    assert_eq!(engine.counters().sequences, 0);
    let error = engine.generate(request(&model, &[1], 1)).await.unwrap_err();
    assert_eq!(error, EngineError::NoCard("still gone".into()));
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
}

#[tokio::test]
async fn a_lost_card_is_never_replaced_by_the_software_card() {
    let world = World::new(count_up);
    world.plug_in_a_card();
    let engine = world.engine(&EngineConfig { device: DeviceChoice::Auto, ..config() });
    let model = world.model("m");
    assert_eq!(engine.device().kind, "pcie");
    world.break_step(world.steps(), Mishap::Fault(Fault::Lost("no answer over PCIe".into())));
    error_of(&engine, request(&model, &[1], 1)).await;
    // The driver has not found it again yet.
    for _ in 0..2 {
        world.break_next_open(Fault::Lost("still gone".into()));
        let error = engine.generate(request(&model, &[1], 1)).await.unwrap_err();
        assert_eq!(error, EngineError::NoCard("still gone".into()));
        assert_eq!(engine.device().kind, "pcie");
    }
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
    assert_eq!(engine.device().kind, "pcie");
}

#[tokio::test]
async fn auto_takes_the_software_card_where_the_real_one_cannot_be_opened_from_the_start() {
    let world = World::new(count_up);
    world.plug_in_a_card();
    world.break_next_open(Fault::Lost("no answer over PCIe".into()));
    let engine = world.engine(&EngineConfig { device: DeviceChoice::Auto, ..config() });
    assert_eq!(engine.device().kind, "software");
}

#[tokio::test]
async fn what_could_not_be_given_back_has_the_idle_card_opened_again() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    tokens(&engine, request(&model, &[1], 1)).await;
    world.log();
    world.break_drop(Fault::Call("axclrtFree failed".into()));
    // The model in use stays.
    assert_eq!(tokens(&engine, request(&model, &[2], 1)).await.0, [3]);
    assert_eq!(world.log().iter().filter(|entry| entry.contains("load")).count(), 0);
    engine.unload(&model).await.unwrap();
    assert_eq!(tokens(&engine, request(&model, &[3], 1)).await.0, [4]);
    assert_eq!(world.log()[..3], ["unload m", "open", "load m"]);
}

#[tokio::test]
async fn a_card_lost_while_something_is_given_back_is_opened_again() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    tokens(&engine, request(&model, &[1], 1)).await;
    world.log();
    world.break_drop(Fault::Lost("no answer over PCIe".into()));
    assert_eq!(tokens(&engine, request(&model, &[2], 1)).await.0, [3]);
    assert_eq!(world.log()[..3], ["unload m", "open", "load m"]);
}

#[tokio::test]
async fn a_panic_in_a_step_ends_that_request_only() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.break_step(1, Mishap::Panic);
    let error = error_of(&engine, request(&model, &[1], 5)).await;
    assert!(matches!(&error, EngineError::Internal(text) if text.contains("the step panics")), "{error:?}");
    assert_eq!(engine.counters().running, 0);
    assert_eq!(tokens(&engine, request(&model, &[1], 2)).await.0, [2, 3]);
    assert_eq!(world.log().iter().filter(|entry| entry.starts_with("load")).count(), 1);
}

#[tokio::test]
async fn a_panic_in_a_load_ends_in_a_fresh_state() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.break_next_load(Mishap::Panic);
    let error = engine.generate(request(&model, &[1], 5)).await.unwrap_err();
    assert!(matches!(error, EngineError::Internal(_)), "{error:?}");
    assert_eq!(tokens(&engine, request(&model, &[1], 2)).await.0, [2, 3]);
    assert_eq!(world.log().iter().filter(|entry| *entry == "open").count(), 2);
    assert_eq!(engine.counters().queued, 0);
}

#[tokio::test]
async fn a_load_that_fails_says_which_model_and_why() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.break_next_load(Mishap::Fault(Fault::Model("l3.axmodel is cut short".into())));
    let error = engine.load(model.clone(), None).await.unwrap_err();
    assert_eq!(
        error,
        EngineError::ModelLoad { model: "m:latest".into(), reason: "l3.axmodel is cut short".into() }
    );
    world.break_next_load(Mishap::Fault(Fault::OutOfMemory("4 GB wanted".into())));
    let error = engine.generate(request(&model, &[1], 1)).await.unwrap_err();
    assert!(error.to_string().contains("model requires more system memory"), "{error}");
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
}

#[tokio::test]
async fn no_card_is_an_error_at_the_start() {
    let world = World::new(count_up);
    world.break_next_open(Fault::Call("no driver found in /usr/lib".into()));
    let error = world.try_engine(&config()).unwrap_err();
    assert_eq!(error, EngineError::NoCard("no driver found in /usr/lib".into()));
}

#[tokio::test]
async fn memory_for_fewer_sequences_means_waiting() {
    let world = World::new(count_up);
    world.limit_sequences(1);
    let engine = world.engine(&EngineConfig { sequences: 4, ..EngineConfig::default() });
    let model = world.model("m");
    let all = (1..=5).map(|n| tokens(&engine, request(&model, &[n * 10], 3)));
    let all = futures_util::future::join_all(all).await;
    for (n, (tokens, _)) in (1..=5).zip(all) {
        assert_eq!(tokens, [n * 10 + 1, n * 10 + 2, n * 10 + 3]);
    }
    assert_eq!(engine.counters().sequences, 1);
    let world = World::new(count_up);
    world.limit_sequences(0);
    let engine = world.engine(&config());
    let error = engine.generate(request(&world.model("m"), &[1], 1)).await.unwrap_err();
    assert!(matches!(error, EngineError::OutOfMemory { .. }), "{error:?}");
}

#[tokio::test]
async fn who_waits_for_memory_and_leaves_holds_up_nobody() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { models: 2, ..config() });
    let (small, large) = (world.model("small"), world.model("large"));
    world.permit_layers(0);
    let running = engine.generate(request(&small, &[1], 3)).await.unwrap();
    world.break_next_load(Mishap::Fault(Fault::OutOfMemory("4 GB wanted".into())));
    let starved = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&large, &[1], 1));
        async move { engine.generate(request).await }
    });
    eventually(|| engine.counters().queued == 1).await;
    // One step, after which the card thread finds no memory; then it is held in the next one.
    world.permit_layers(4);
    eventually(|| world.log().contains(&"load large".to_owned())).await;
    let next = engine.generate(request(&small, &[40], 1));
    let mut next = std::pin::pin!(next);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut next).await.is_err());
    starved.abort();
    starved.await.unwrap_err();
    world.permit_layers(4);
    let next =
        tokio::time::timeout(Duration::from_secs(5), next).await.expect("nobody is before it").unwrap();
    world.permit_all();
    assert_eq!((read(running).await.0.as_str(), read(next).await.0.as_str()), ("bcd", "o"));
}

#[tokio::test]
async fn shutdown_ends_every_request_with_an_error() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 1, ..EngineConfig::default() });
    let model = world.model("m");
    world.permit_layers(6);
    let running = engine.generate(request(&model, &[1, 2, 3, 4], 50)).await.unwrap();
    world.until_layers(6).await;
    let queued = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&model, &[7], 1));
        async move { engine.generate(request).await }
    });
    eventually(|| engine.counters().queued == 1).await;
    assert_eq!(engine.ended(), None);
    tokio::join!(engine.shutdown(), engine.shutdown());
    assert_eq!(world.layers_run(), 6, "the step was stopped before its next layer");
    assert_eq!(engine.ended().as_deref(), Some("shut down"));
    let (text, last) = read(running).await;
    assert_eq!((text.as_str(), last), ("e", Event::Error(EngineError::ShuttingDown)));
    assert_eq!(queued.await.unwrap().unwrap_err(), EngineError::ShuttingDown);
    assert_eq!(engine.generate(request(&model, &[1], 1)).await.unwrap_err(), EngineError::ShuttingDown);
    assert_eq!(engine.load(model, Some(KeepAlive::Forever)).await.unwrap_err(), EngineError::ShuttingDown);
    assert_eq!(world.log().last().unwrap(), "unload m");
}

#[tokio::test]
async fn the_end_of_the_card_thread_is_told() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { models: 2, ..config() });
    answer(&engine, request(&world.model("m"), &[1], 1)).await;
    // A panic while the thread recovers from another one.
    world.break_next_unload();
    world.break_next_load(Mishap::Panic);
    let lost = engine.load(world.model("n"), None).await.unwrap_err();
    assert!(matches!(lost, EngineError::ShuttingDown | EngineError::Internal(_)), "{lost:?}");
    let reason = tokio::time::timeout(Duration::from_secs(5), engine.until_ended()).await.unwrap();
    assert!(reason.contains("the unload panics"), "{reason}");
    assert_eq!(
        engine.generate(request(&world.model("m"), &[1], 1)).await.unwrap_err(),
        EngineError::ShuttingDown
    );
    engine.shutdown().await;
}

#[tokio::test]
async fn dropping_the_last_handle_gives_the_card_back() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    let generation = engine.generate(request(&model, &[1], -1)).await.unwrap();
    drop(engine);
    assert_eq!(world.log().last().unwrap(), "unload m");
    let (_, last) = tokio::time::timeout(Duration::from_secs(5), read(generation)).await.unwrap();
    assert!(matches!(last, Event::Error(EngineError::ShuttingDown) | Event::Done(_)), "{last:?}");
}

#[tokio::test]
async fn shutdown_stops_a_load_before_its_next_file() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    world.hold_loads(true);
    let loading = tokio::spawn({
        let (engine, model) = (engine.clone(), world.model("m"));
        async move { engine.load(model, None).await }
    });
    eventually(|| world.log().contains(&"load m".to_owned())).await;
    let ending = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown().await }
    });
    // Until shutdown has asked and waits.
    tokio::task::yield_now().await;
    world.hold_loads(false);
    assert_eq!(loading.await.unwrap().unwrap_err(), EngineError::ShuttingDown);
    ending.await.unwrap();
    assert_eq!(world.log(), ["stop load m"]);
}

#[tokio::test]
async fn a_call_that_does_not_return_is_said_and_new_requests_are_told_until_it_does() {
    let world = World::new(count_up);
    let activity = Activity::new();
    let limits = CallLimits { call: Duration::from_millis(20), load: Duration::from_mins(10) };
    let driver = DriverOptions { activity: Some(activity.clone()), ..DriverOptions::default() };
    let engine = world.engine(&EngineConfig { call_limits: limits, driver, ..config() });
    let model = world.model("m");
    assert_eq!(engine.current_call(), None);
    // A long call is given its time.
    activity.begin(c"axclrtEngineLoadFromFile", 2);
    eventually(|| engine.current_call().is_some()).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(tokens(&engine, request(&model, &[1], 1)).await.0, [2]);
    activity.end();

    world.permit_layers(1);
    let running = engine.generate(request(&model, &[5], 2)).await.unwrap();
    activity.begin(c"axclrtEngineExecute", 3);
    let refused = loop {
        // Dropped at once if it is not refused: it waits behind the one that runs.
        let asked = tokio::time::timeout(Duration::from_millis(5), engine.generate(request(&model, &[1], 1)));
        if let Ok(Err(error)) = asked.await {
            break error;
        }
    };
    let text = refused.to_string();
    assert!(matches!(refused, EngineError::NotResponding { .. }), "{text}");
    assert!(text.contains("axclrtEngineExecute (file 4 of the model)"), "{text}");
    assert!(matches!(engine.unload(&model).await, Err(EngineError::NotResponding { .. })));
    assert!(engine.current_call().unwrap().starts_with("axclrtEngineExecute"));

    activity.end();
    world.permit_all();
    assert_eq!(read(running).await.0, "fg");
    let answered = loop {
        match engine.generate(request(&model, &[1], 1)).await {
            Ok(generation) => break read(generation).await.0,
            Err(EngineError::NotResponding { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(answered, "b");
}
