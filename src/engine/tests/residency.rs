//! Which models are on the card, and for how long.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::card::Fault;
use super::super::testing::*;
use super::super::{Engine, EngineConfig, KeepAlive};
use crate::models::model::Model;

fn config() -> EngineConfig {
    EngineConfig { sequences: 1, ..EngineConfig::default() }
}

fn loaded(engine: &Engine) -> Vec<String> {
    engine.loaded().into_iter().map(|info| info.model.name.model.clone()).collect()
}

async fn run(engine: &Engine, model: &Arc<Model>, keep_alive: Option<KeepAlive>) {
    let mut request = request(model, &[1], 1);
    request.keep_alive = keep_alive;
    answer(engine, request).await;
}

const SHORT: KeepAlive = KeepAlive::For(Duration::from_millis(400));

#[tokio::test]
async fn a_model_goes_when_its_keep_alive_has_run_out() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { keep_alive: SHORT, ..config() });
    let model = world.model("m");
    run(&engine, &model, None).await;
    assert_eq!(loaded(&engine), ["m"]);
    eventually(|| world.log().contains(&"unload m".to_owned())).await;
    assert!(loaded(&engine).is_empty());
}

#[tokio::test]
async fn a_model_is_seen_while_it_is_loaded() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.hold_loads(true);
    let loading = tokio::spawn({
        let (engine, model) = (engine.clone(), Arc::clone(&model));
        async move { engine.load(model, None).await }
    });
    eventually(|| engine.loading().is_some()).await;
    let info = engine.loading().unwrap();
    assert_eq!((info.model.name.model.as_str(), info.context_len), ("m", CONTEXT));
    assert!(info.expires_at.unwrap() > SystemTime::now() && loaded(&engine).is_empty());
    world.hold_loads(false);
    loading.await.unwrap().unwrap();
    assert!(engine.loading().is_none());
    assert_eq!(loaded(&engine), ["m"]);
    // One that cannot be loaded is not seen any longer.
    let other = world.model("other");
    world.break_next_load(Mishap::Fault(Fault::OutOfMemory("full".into())));
    engine.load(other, None).await.unwrap_err();
    assert!(engine.loading().is_none());
}

#[tokio::test]
async fn the_time_begins_when_the_last_request_ends() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { keep_alive: SHORT, ..config() });
    let model = world.model("m");
    world.permit_layers(2);
    let generation = engine.generate(request(&model, &[1], 1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let info = engine.loaded().remove(0);
    assert!(info.expires_at.unwrap() > SystemTime::now());
    assert_eq!((info.size_bytes, info.context_len), (1000, CONTEXT));
    world.permit_all();
    read(generation).await;
    assert_eq!(loaded(&engine), ["m"]);
    eventually(|| loaded(&engine).is_empty()).await;
}

#[tokio::test]
async fn an_explicit_keep_alive_replaces_the_one_before() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    run(&engine, &model, Some(KeepAlive::Forever)).await;
    assert_eq!(engine.loaded()[0].expires_at, None);
    run(&engine, &model, None).await;
    assert_eq!(engine.loaded()[0].expires_at, None, "absent keeps what there is");
    let hour = Duration::from_hours(1);
    engine.load(model.clone(), Some(KeepAlive::For(hour))).await.unwrap();
    let left = engine.loaded()[0].expires_at.unwrap().duration_since(SystemTime::now()).unwrap();
    assert!(left <= hour && left > Duration::from_mins(59), "{left:?}");
    run(&engine, &model, Some(KeepAlive::NOW)).await;
    assert!(loaded(&engine).is_empty(), "unloaded after the answer");
    assert_eq!(world.log().iter().filter(|entry| entry.starts_with("load")).count(), 1);
}

#[tokio::test]
async fn loading_reports_and_a_keep_alive_of_zero_loads_nothing() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    let report = engine.load(model.clone(), Some(KeepAlive::NOW)).await.unwrap();
    assert!(report.load.is_zero());
    assert_eq!(world.log(), ["open"]);
    let report = engine.load(model.clone(), None).await.unwrap();
    assert!(!report.load.is_zero());
    assert_eq!((report.context_len, report.size_bytes), (CONTEXT, 1000));
    let report = engine.load(model.clone(), Some(KeepAlive::NOW)).await.unwrap();
    assert!(report.load.is_zero());
    assert!(loaded(&engine).is_empty());
}

#[tokio::test]
async fn unloading_waits_for_running_requests() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    assert!(!engine.unload(&model).await.unwrap());
    world.permit_layers(4);
    let generation = engine.generate(request(&model, &[1], 3)).await.unwrap();
    world.until_layers(4).await;
    let unload = tokio::spawn({
        let (engine, model) = (engine.clone(), Arc::clone(&model));
        async move { engine.unload(&model).await.unwrap() }
    });
    eventually(|| engine.counters().queued == 1).await;
    world.permit_all();
    assert!(unload.await.unwrap());
    assert_eq!(read(generation).await.0, "bcd");
    assert!(loaded(&engine).is_empty());
    assert!(!engine.unload(&model).await.unwrap());
}

#[tokio::test]
async fn a_model_that_is_to_go_stays_for_the_next_in_line() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    world.permit_layers(0);
    let mut last_use = request(&model, &[1], 1);
    last_use.keep_alive = Some(KeepAlive::NOW);
    let first = engine.generate(last_use).await.unwrap();
    let next = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&model, &[50], 1));
        async move { tokens(&engine, request).await.0 }
    });
    eventually(|| engine.counters().queued == 1).await;
    world.permit_all();
    read(first).await;
    assert_eq!(next.await.unwrap(), [51]);
    eventually(|| loaded(&engine).is_empty()).await;
    engine.shutdown().await;
    assert_eq!(world.log().iter().filter(|entry| *entry == "load m").count(), 1);
}

#[tokio::test]
async fn another_model_takes_the_place_of_the_one_idle_longest() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { models: 2, ..config() });
    let [a, b, c] = ["a", "b", "c"].map(|name| world.model(name));
    run(&engine, &a, None).await;
    run(&engine, &b, None).await;
    run(&engine, &a, None).await;
    run(&engine, &c, Some(KeepAlive::Forever)).await;
    assert_eq!(loaded(&engine), ["a", "c"]);
    let loads: Vec<String> = world.log().into_iter().filter(|entry| entry.contains("load")).collect();
    assert_eq!(loads, ["load a", "load b", "unload b", "load c"]);
}

#[tokio::test]
async fn a_busy_model_is_waited_for_and_the_order_of_arrival_holds() {
    let world = World::new(count_up);
    let engine = world.engine(&EngineConfig { sequences: 2, ..config() });
    let [a, b] = ["a", "b"].map(|name| world.model(name));
    world.permit_layers(0);
    let first = engine.generate(request(&a, &[1], 3)).await.unwrap();
    let other = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&b, &[50], 1));
        async move { tokens(&engine, request).await.0 }
    });
    eventually(|| engine.counters().queued == 1).await;
    // There is room for this one beside the first, but the other model came before it.
    let behind = tokio::spawn({
        let (engine, request) = (engine.clone(), request(&a, &[60], 1));
        async move { tokens(&engine, request).await.0 }
    });
    eventually(|| engine.counters().queued == 2).await;
    world.permit_all();
    assert_eq!(read(first).await.0, "bcd");
    assert_eq!(other.await.unwrap(), [51]);
    assert_eq!(behind.await.unwrap(), [61]);
    let loads: Vec<String> = world.log().into_iter().filter(|entry| entry.contains("load")).collect();
    assert_eq!(loads, ["load a", "unload a", "load b", "unload b", "load a"]);
}

#[tokio::test]
async fn a_model_made_anew_under_its_name_is_loaded_anew() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let old = world.model("m");
    run(&engine, &old, None).await;
    let manifest = std::fs::read_to_string(old.dir.join("manifest.json")).unwrap();
    std::fs::write(old.dir.join("manifest.json"), manifest.replace("BF16", "W8A16")).unwrap();
    let new = Arc::new(Model::open(old.name.clone(), &old.dir).unwrap());
    run(&engine, &new, None).await;
    assert_eq!(engine.loaded()[0].model.digest, new.digest);
    assert_eq!(world.log().iter().filter(|entry| *entry == "load m").count(), 2);
}

/// The same files by another name.
fn alias(model: &Arc<Model>, name: &str) -> Arc<Model> {
    Arc::new(Model::open(name.parse().unwrap(), &model.dir).unwrap())
}

#[tokio::test]
async fn a_model_is_unloaded_by_any_of_its_names() {
    let world = World::new(count_up);
    let engine = world.engine(&config());
    let model = world.model("m");
    let other = alias(&model, "other");
    run(&engine, &model, None).await;
    assert!(!engine.unload(&world.model("third")).await.unwrap());
    assert_eq!(loaded(&engine), ["m"]);
    assert!(engine.unload(&other).await.unwrap());
    assert!(loaded(&engine).is_empty());
    // It is listed by the name that was asked for last.
    run(&engine, &model, None).await;
    run(&engine, &other, None).await;
    assert_eq!(loaded(&engine), ["other"]);
    assert!(engine.unload(&model).await.unwrap());
    assert!(loaded(&engine).is_empty());
    assert_eq!(world.log().iter().filter(|entry| *entry == "load m").count(), 2);
}
