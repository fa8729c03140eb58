//! The encoder thread with encoders of which the test decides when a text is done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::task::JoinHandle;

use super::super::testing::{World, count_up, eventually};
use super::super::{EmbedRequest, Embeddings, EngineConfig, EngineError, KeepAlive};
use super::memory::{Encode, Memory};
use super::residents::MOST_MODELS;
use super::thread::MOST_AT_A_TIME;
use super::*;
use crate::encoder::EncoderError;
use crate::text::TokenId;

/// Bytes of one encoder.
const SIZE: u64 = 1 << 30;

/// What the encoders of one test share.
#[derive(Clone)]
struct Desk(Arc<State>);

struct State {
    world: World,
    log: Mutex<Vec<String>>,
    /// Texts that may be computed; `None`: any number.
    permits: Mutex<Option<usize>>,
    permitted: Condvar,
    /// Bytes for encoders; `None` if nobody says how many there are.
    bytes: Mutex<Option<u64>>,
    open: Mutex<HashMap<String, usize>>,
    /// What panics next.
    panics: Mutex<Option<&'static str>>,
}

struct FakeEncoder {
    desk: Desk,
    name: String,
    /// How often the model was read before.
    edition: usize,
}

impl Desk {
    fn new() -> Self {
        Self(Arc::new(State {
            world: World::new(count_up),
            log: Mutex::default(),
            permits: Mutex::default(),
            permitted: Condvar::new(),
            bytes: Mutex::default(),
            open: Mutex::default(),
            panics: Mutex::default(),
        }))
    }

    fn host(&self) -> Arc<Host> {
        Arc::new(Host::start_with(512, KeepAlive::default(), Box::new(self.clone())).unwrap())
    }

    fn note(&self, what: String) {
        self.0.log.lock().push(what);
    }

    fn log(&self) -> Vec<String> {
        self.0.log.lock().clone()
    }

    fn permit(&self, texts: Option<usize>) {
        *self.0.permits.lock() = texts;
        self.0.permitted.notify_all();
    }

    fn panic_in(&self, what: &'static str) {
        *self.0.panics.lock() = Some(what);
    }

    fn may_panic(&self, what: &str) {
        let mut panics = self.0.panics.lock();
        if *panics == Some(what) {
            *panics = None;
            drop(panics);
            panic!("{what} panics");
        }
    }

    /// Waits for its turn to compute a text.
    fn wait(&self, stop: &dyn Fn() -> bool) -> Result<(), EncoderError> {
        let mut permits = self.0.permits.lock();
        while *permits == Some(0) {
            if stop() {
                return Err(EncoderError::Stopped);
            }
            self.0.permitted.wait_for(&mut permits, Duration::from_millis(1));
        }
        if let Some(permits) = permits.as_mut() {
            *permits -= 1;
        }
        Ok(())
    }

    fn in_memory(&self) -> u64 {
        self.0.open.lock().values().sum::<usize>() as u64 * SIZE
    }
}

impl Memory for Desk {
    fn open(&self, model: &Model, _stop: &dyn Fn() -> bool) -> Result<Arc<dyn Encode>, EncoderError> {
        let name = model.name.model.clone();
        self.may_panic("open");
        let edition = self.log().iter().filter(|entry| **entry == format!("open {name}")).count();
        self.note(format!("open {name}"));
        *self.0.open.lock().entry(name.clone()).or_default() += 1;
        Ok(Arc::new(FakeEncoder { desk: self.clone(), name, edition }))
    }

    fn needed_bytes(&self, _model: &Model) -> u64 {
        SIZE
    }

    fn free_bytes(&self) -> Option<u64> {
        self.0.bytes.lock().map(|bytes| bytes.saturating_sub(self.in_memory()))
    }
}

impl Encode for FakeEncoder {
    fn encode(&self, tokens: &[TokenId], stop: &dyn Fn() -> bool) -> Result<Vec<f32>, EncoderError> {
        self.desk.note(format!("{} {}", self.name, tokens[0]));
        self.desk.may_panic("encode");
        self.desk.wait(stop)?;
        Ok(vec![tokens[0] as f32, self.edition as f32])
    }

    fn memory_bytes(&self) -> u64 {
        self.desk.may_panic("size");
        SIZE
    }
}

impl Drop for FakeEncoder {
    fn drop(&mut self) {
        self.desk.note(format!("close {}", self.name));
        *self.desk.0.open.lock().entry(self.name.clone()).or_default() -= 1;
    }
}

fn ask(model: &Arc<Model>, texts: std::ops::Range<TokenId>) -> EmbedRequest {
    let inputs = texts.map(|token| vec![token]).collect();
    EmbedRequest { model: Arc::clone(model), inputs, keep_alive: None }
}

type Answer = JoinHandle<Result<Embeddings, EngineError>>;

/// Sends a request and waits until it is in the queue.
async fn send(host: &Arc<Host>, request: EmbedRequest) -> Answer {
    let before = host.requests();
    let host_of_task = Arc::clone(host);
    let answer = tokio::spawn(async move { host_of_task.embed(request).await });
    eventually(|| host.requests() == before + 1).await;
    answer
}

async fn firsts(answer: Answer) -> Vec<f32> {
    answer.await.unwrap().unwrap().vectors.iter().map(|vector| vector[0]).collect()
}

fn names(host: &Host) -> Vec<String> {
    host.loaded().into_iter().map(|info| info.model.name.model.clone()).collect()
}

fn count(log: &[String], what: &str) -> usize {
    log.iter().filter(|entry| *entry == what).count()
}

#[tokio::test]
async fn requests_take_turns_text_by_text() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    desk.permit(Some(0));
    let first = send(&host, ask(&model, 1..4)).await;
    eventually(|| desk.log().len() == 2).await;
    let second = send(&host, ask(&model, 10..12)).await;
    desk.permit(None);
    assert_eq!((firsts(first).await, firsts(second).await), (vec![1.0, 2.0, 3.0], vec![10.0, 11.0]));
    assert_eq!(desk.log(), ["open m", "m 1", "m 2", "m 10", "m 3", "m 11"]);
    assert_eq!(host.requests(), 0);
}

#[tokio::test]
async fn as_many_take_turns_as_may_and_the_others_wait() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    desk.permit(Some(0));
    let mut answers = Vec::new();
    for index in 0..10 {
        answers.push(send(&host, ask(&model, 10 * index + 1..10 * index + 3)).await);
    }
    desk.permit(None);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let log = desk.log();
    let at = |entry: &str| log.iter().position(|other| other == entry).unwrap();
    let second_texts = (0..MOST_AT_A_TIME).map(|index| at(&format!("m {}", 10 * index + 2)));
    assert!(at("m 81") > second_texts.min().unwrap(), "{log:?}");
    assert!(at("m 71") < at("m 12"), "eight take turns: {log:?}");
}

#[tokio::test]
async fn more_models_than_there_is_room_for_are_read_once_each() {
    let desk = Desk::new();
    let host = desk.host();
    desk.permit(Some(0));
    let mut answers = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        answers.push(send(&host, ask(&desk.0.world.model(name), 1..20)).await);
    }
    // Behind those that wait, though its model is there.
    answers.push(send(&host, ask(&desk.0.world.model("a"), 30..31)).await);
    desk.permit(None);
    for answer in answers {
        answer.await.unwrap().unwrap();
        assert!(desk.in_memory() <= MOST_MODELS as u64 * SIZE);
    }
    let log = desk.log();
    for name in ["b", "c", "d", "e"] {
        assert_eq!(count(&log, &format!("open {name}")), 1, "{log:?}");
    }
    let at = |entry: &str| log.iter().position(|other| other == entry).unwrap();
    assert!(at("open d") > at("a 19") && at("a 30") > at("open e"), "{log:?}");
}

#[tokio::test]
async fn a_model_made_anew_leaves_running_requests_what_they_began_with() {
    let desk = Desk::new();
    let (host, old) = (desk.host(), desk.0.world.model("m"));
    desk.permit(Some(0));
    let running = send(&host, ask(&old, 1..4)).await;
    eventually(|| desk.log().len() == 2).await;
    let manifest = std::fs::read_to_string(old.dir.join("manifest.json")).unwrap();
    std::fs::write(old.dir.join("manifest.json"), manifest.replace("BF16", "F32")).unwrap();
    let new = Arc::new(Model::open(old.name.clone(), &old.dir).unwrap());
    let next = send(&host, ask(&new, 10..12)).await;
    desk.permit(None);
    let editions =
        |embeddings: Embeddings| embeddings.vectors.into_iter().map(|vector| vector[1]).collect::<Vec<_>>();
    assert_eq!(editions(running.await.unwrap().unwrap()), [0.0, 0.0, 0.0]);
    assert_eq!(editions(next.await.unwrap().unwrap()), [1.0, 1.0]);
    eventually(|| desk.in_memory() == SIZE).await;
    assert_eq!(count(&desk.log(), "open m"), 2);
    assert_eq!(host.loaded()[0].model.digest, new.digest);
}

#[tokio::test]
async fn who_leaves_is_let_go_of_in_the_middle_of_a_text() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    desk.permit(Some(0));
    let leaving = send(&host, ask(&model, 1..100)).await;
    eventually(|| desk.log().len() == 2).await;
    let waiting = send(&host, ask(&model, 200..201)).await;
    leaving.abort();
    eventually(|| host.requests() == 1).await;
    desk.permit(None);
    assert_eq!(firsts(waiting).await, [200.0]);
    assert_eq!(desk.log(), ["open m", "m 1", "m 200"]);
}

#[tokio::test]
async fn a_busy_model_is_unloaded_when_its_requests_have_ended() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    assert!(!host.has(&model));
    desk.permit(Some(0));
    let answer = send(&host, ask(&model, 1..3)).await;
    eventually(|| desk.log().len() == 2 && host.has(&model)).await;
    let unloading = {
        let (host, model) = (Arc::clone(&host), Arc::clone(&model));
        tokio::spawn(async move { host.unload(&model).await.unwrap() })
    };
    // It is asked for while the texts are held.
    eventually(|| host.requests() == 2).await;
    desk.permit(None);
    assert_eq!(firsts(answer).await, [1.0, 2.0]);
    assert!(unloading.await.unwrap());
    eventually(|| desk.in_memory() == 0).await;
    assert!(names(&host).is_empty() && !host.unload(&model).await.unwrap());
}

#[tokio::test]
async fn what_panics_ends_its_request_and_not_the_thread() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    for (what, in_memory) in [("open", 0), ("encode", SIZE), ("size", 0)] {
        desk.panic_in(what);
        let error = host.embed(ask(&model, 1..3)).await.unwrap_err();
        assert!(matches!(&error, EngineError::Internal(_)), "{what}: {error:?}");
        assert_eq!(desk.in_memory(), in_memory, "{what}");
        assert_eq!(host.embed(ask(&model, 1..2)).await.unwrap().vectors.len(), 1, "{what}");
        assert_eq!(host.requests(), 0, "{what}");
    }
}

#[tokio::test]
async fn memory_is_made_room_in_waited_for_or_said_to_be_too_little() {
    let desk = Desk::new();
    let host = desk.host();
    let [a, b] = ["a", "b"].map(|name| desk.0.world.model(name));
    *desk.0.bytes.lock() = Some(SIZE / 2);
    let error = host.embed(ask(&a, 1..2)).await.unwrap_err();
    let EngineError::OutOfMemory { model, reason } = &error else { panic!("{error:?}") };
    assert_eq!(
        (model.as_str(), reason.as_str()),
        ("a:latest", "it needs 1088 MiB of the host's memory and 512 MiB are available")
    );
    assert!(error.to_string().starts_with("model requires more system memory"), "{error}");
    // Enough for one of them.
    *desk.0.bytes.lock() = Some(SIZE + SIZE / 2);
    host.embed(ask(&a, 1..2)).await.unwrap();
    host.embed(ask(&b, 1..2)).await.unwrap();
    assert_eq!(names(&host), ["b"]);
    desk.permit(Some(0));
    let busy = send(&host, ask(&b, 5..7)).await;
    let next = send(&host, ask(&a, 8..9)).await;
    desk.permit(None);
    assert_eq!((firsts(busy).await, firsts(next).await), (vec![5.0, 6.0], vec![8.0]));
    assert_eq!(desk.in_memory(), SIZE);
    let log = desk.log();
    assert_eq!((count(&log, "open a"), count(&log, "open b")), (2, 1), "{log:?}");
    // What the others hold does not help.
    *desk.0.bytes.lock() = Some(SIZE);
    assert!(matches!(host.embed(ask(&b, 1..2)).await, Err(EngineError::OutOfMemory { .. })));
    assert_eq!(names(&host), ["a"], "nothing is unloaded in vain");
}

#[tokio::test]
async fn the_end_is_waited_for_without_blocking() {
    let desk = Desk::new();
    let (host, model) = (desk.host(), desk.0.world.model("m"));
    desk.permit(Some(0));
    let running = send(&host, ask(&model, 1..9)).await;
    let waiting = send(&host, ask(&model, 1..9)).await;
    // The same thread ends both: it could not if the first blocked it.
    host.close();
    let release = async { desk.permit(None) };
    tokio::join!(host.until_ended(), release);
    for answer in [running, waiting] {
        assert_eq!(answer.await.unwrap().unwrap_err(), EngineError::ShuttingDown);
    }
    assert_eq!(desk.in_memory(), 0);
    assert_eq!(host.embed(ask(&model, 1..2)).await.unwrap_err(), EngineError::ShuttingDown);
    assert_eq!(host.unload(&model).await.unwrap_err(), EngineError::ShuttingDown);
}

#[tokio::test]
async fn unloading_from_the_card_waits_for_no_encoder() {
    let desk = Desk::new();
    let world = &desk.0.world;
    let host = Host::start_with(0, KeepAlive::default(), Box::new(desk.clone())).unwrap();
    let engine = world.engine_beside(&EngineConfig::default(), host).unwrap();
    let [on_card, encoder] = ["m", "encoder"].map(|name| world.model(name));
    engine.load(Arc::clone(&on_card), None).await.unwrap();
    desk.permit(Some(0));
    // With this one the host's queue is full.
    let busy = tokio::spawn({
        let (engine, request) = (engine.clone(), ask(&encoder, 1..2));
        async move { engine.host().embed(request).await.unwrap() }
    });
    eventually(|| desk.log().len() == 2).await;
    assert!(engine.unload(&on_card).await.unwrap());
    assert_eq!(engine.unload(&encoder).await.unwrap_err(), EngineError::Busy);
    desk.permit(None);
    busy.await.unwrap();
    assert!(engine.unload(&encoder).await.unwrap());
    assert!(engine.loaded().is_empty());
}
