//! Cards that break, on either interface: what a person is told, that nothing is left behind, and that the next request
//! is answered right when the card can.
//!
//! What breaks is asked for past the vendor's interface, so these tests take the built-in software card.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ax650::engine::{CallLimits, Engine, EngineConfig, EngineError, Event};
use ax650_sim::control::{ClaimedCard, Trouble};
use ax650_sim::testing::TinySpec;

use crate::support::{
    Face, TinyStore, block_on, built_in, built_in_config, prompt, read, request, tiny_model,
};

/// A failure of the engine as AXCL tells it, and one of the chip.
const FAILED: [i32; 2] = [0x8030_070C_u32.cast_signed(), 0x8006_0085_u32.cast_signed()];
/// The functions that run a token's layers, load a file and begin.
const RUN: [&str; 2] = ["axclrtEngineExecuteAsync", "AX_ENGINE_RunGroupIOSync"];
const LOAD: [&str; 2] = ["axclrtEngineLoadFromFile", "AX_ENGINE_CreateHandleV2"];
const BEGIN: [&str; 2] = ["axclInit", "AX_SYS_Init"];

/// A claimed card, an engine on it, and a model with the answer to its one question.
struct Bench {
    card: ClaimedCard,
    face: Face,
    store: TinyStore,
    engine: Engine,
    expected: Vec<u32>,
}

impl Bench {
    /// The model is on the card: it had to answer.
    async fn new(face: Face) -> Self {
        Self::with(face, built_in_config(face)).await
    }

    async fn with(face: Face, config: EngineConfig) -> Self {
        let card = built_in();
        let store = tiny_model(&TinySpec { layers: 3, ..TinySpec::default() }, None);
        let engine = Engine::start(config).unwrap();
        let mut bench = Self { card, face, store, engine, expected: Vec::new() };
        bench.expected = bench.ask().await.unwrap();
        bench
    }

    /// One answer, or why there is none.
    async fn ask(&self) -> Result<Vec<u32>, EngineError> {
        let generation = self.engine.generate(request(&self.store.model, &prompt(1, 140), 6)).await?;
        match read(generation).await.1 {
            Event::Done(summary) => Ok(summary.tokens),
            Event::Error(error) => Err(error),
            Event::Text { .. } => panic!("not the last event"),
        }
    }

    async fn unload(&self) {
        self.engine.unload(&self.store.model).await.unwrap();
    }

    /// The error of the next answer.
    async fn failure(&self) -> EngineError {
        match self.ask().await {
            Ok(tokens) => panic!("{:?}: an answer of {} tokens", self.face, tokens.len()),
            Err(error) => error,
        }
    }

    /// The card can again, and does.
    async fn is_well(&self) {
        let answer = self.ask().await;
        assert_eq!(answer.as_ref(), Ok(&self.expected), "{:?}", self.face);
    }

    /// Shuts down; nothing may be left on the card.
    async fn end(self) {
        self.engine.shutdown().await;
        let left = (self.card.models(), self.card.allocations(), self.card.memory_in_use());
        assert_eq!(left, (0, 0, 0), "{:?}: left on the card", self.face);
    }

    fn of<T: Copy>(&self, both: [T; 2]) -> T {
        let [pcie, board] = both;
        match self.face {
            Face::Pcie => pcie,
            Face::Board => board,
        }
    }

    fn cause_fail(&self, function: &str, nth: u64) {
        self.card.fail_call(function, nth, self.of(FAILED));
    }

    /// How often each function is called by what follows.
    fn calls_since(&self, before: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
        let now = self.card.all_calls();
        let made = now.into_iter().map(|(name, count)| (name, count - before.get(name).unwrap_or(&0)));
        made.filter(|(_, count)| *count > 0).collect()
    }
}

/// What is wrong with an answer during which a call of a function failed; `None` for one that had to do without it.
fn judge(name: &str, answer: Result<Vec<u32>, EngineError>, expected: &[u32]) -> Option<String> {
    match answer {
        // Asked only for advice, tried again, done otherwise, or something was given back.
        Ok(answer) => (answer != expected).then(|| "another answer".to_owned()),
        Err(error) => {
            let text = error.to_string();
            // Those that give no code fail by giving nothing.
            let plain = name.contains("ByIndex") || name.contains("EngineGetNum");
            let told = text.contains(name.trim_end_matches("V2")) || (plain && text.contains(".axmodel"));
            (!told).then_some(text)
        }
    }
}

#[test]
fn whichever_call_fails_the_next_request_is_answered() {
    for face in Face::ALL {
        block_on(async {
            let bench = Bench::new(face).await;
            // From nothing on the card to an answer and back to nothing.
            bench.unload().await;
            let before = bench.card.all_calls();
            bench.is_well().await;
            bench.unload().await;
            let mut failures = 0;
            let mut wrong = Vec::new();
            for (name, count) in bench.calls_since(&before) {
                for nth in BTreeSet::from([1, 2.min(count), count.div_ceil(2), count]) {
                    bench.cause_fail(name, nth);
                    let answer = bench.ask().await;
                    failures += usize::from(answer.is_err());
                    let case = |what: String| format!("{name}, call {nth} of {count}: {what}");
                    wrong.extend(judge(name, answer, &bench.expected).map(case));
                    bench.unload().await;
                    // One that the answer did not get to.
                    bench.card.calm();
                    if bench.ask().await.as_ref() != Ok(&bench.expected) {
                        wrong.push(case("the next request is not answered".to_owned()));
                    }
                    bench.unload().await;
                    let left = (bench.card.models(), bench.card.allocations());
                    if left != (0, 0) {
                        wrong.push(case(format!("{left:?} left on the card")));
                    }
                    // What could not be given back is left when the card is closed to have its memory free again.
                    let gives_back = ["Free", "Unload", "Destroy"].iter().any(|part| name.contains(part));
                    let breaches = bench.card.take_violations().into_iter().map(|breach| breach.to_string());
                    let odd = breaches.filter(|breach| !(gives_back && breach.contains("Leak: ")));
                    wrong.extend(odd.map(case));
                }
            }
            assert!(wrong.is_empty(), "{face:?}:\n{}", wrong.join("\n"));
            assert!(failures > 20, "{face:?}: only {failures} calls mattered");
            // Pinned memory that could not be freed is the host's: it outlives the card.
            bench.engine.shutdown().await;
            let breaches = bench.card.take_violations();
            assert!(
                breaches.iter().all(|breach| breach.to_string().contains("host allocations")),
                "{breaches:?}"
            );
            bench.end().await;
        });
    }
}

#[test]
fn a_card_lost_in_mid_run_is_opened_again_by_the_next_request() {
    for face in Face::ALL {
        block_on(async {
            let bench = Bench::new(face).await;
            let run = bench.of(RUN);
            let openings = || bench.card.calls(bench.of(BEGIN));
            let before = openings();
            let lost = |returns| Trouble::Lost { function: Some(run.to_owned()), nth: 7, returns };

            // It comes back by itself, empty.
            bench.card.cause(lost(true));
            let error = bench.failure().await;
            let text = error.to_string();
            assert!(matches!(error, EngineError::CardLost(_)), "{face:?}: {text}");
            assert!(text.contains("the next request opens it again"), "{text}");
            assert!(bench.engine.loaded().is_empty());
            bench.is_well().await;
            assert!(openings() > before, "{face:?}: opened again");

            // It stays away for a while.
            bench.card.cause(lost(false));
            assert!(matches!(bench.failure().await, EngineError::CardLost(_)));
            for _ in 0..2 {
                let error = bench.failure().await;
                assert!(matches!(error, EngineError::NoCard(_)), "{face:?}: {error}");
            }
            bench.card.bring_back();
            bench.is_well().await;

            // It is lost in a load.
            bench.unload().await;
            let load = bench.of(LOAD).to_owned();
            bench.card.cause(Trouble::Lost { function: Some(load), nth: 3, returns: true });
            let error = bench.failure().await;
            assert!(matches!(error, EngineError::CardLost(_)), "{face:?}: {error}");
            bench.is_well().await;
            bench.end().await;
        });
    }
}

#[test]
fn memory_that_ends_at_any_layer_is_said_and_given_back() {
    for face in Face::ALL {
        block_on(async {
            let bench = Bench::new(face).await;
            bench.unload().await;
            let files = 4;
            for models in 0..files {
                bench.card.cause(Trouble::MemoryFull { models });
                let error = bench.failure().await;
                let text = error.to_string();
                assert!(matches!(error, EngineError::OutOfMemory { .. }), "{face:?}: {text}");
                // A PCIe card that is full tells so before the first file, and none is tried.
                let file = match (face, models) {
                    (Face::Pcie, 0) => "0 KiB are free".to_owned(),
                    (_, 3) => "post".to_owned(),
                    _ => format!("_l{models}_"),
                };
                assert!(text.contains(&file) && text.contains("unload other models"), "{face:?}: {text}");
                assert_eq!((bench.card.models(), bench.card.allocations()), (0, 0), "{face:?}: freed");
                bench.card.calm();
                bench.is_well().await;
                bench.unload().await;
            }
            bench.end().await;
        });
    }
}

#[test]
fn a_card_that_stops_queueing_runs_is_waited_for_and_the_answer_goes_on() {
    block_on(async {
        let bench = Bench::new(Face::Pcie).await;
        bench.card.cause(Trouble::NoAsync);
        bench.is_well().await;
        let refused = bench.card.calls(RUN[0]);
        bench.is_well().await;
        assert_eq!(bench.card.calls(RUN[0]), refused, "not asked again");
        assert!(!bench.engine.loaded()[0].paths.as_ref().unwrap().on.contains(ax650::device::Path::Async));
        bench.end().await;
    });
}

#[test]
fn a_card_of_another_version_is_said_at_the_load() {
    block_on(async {
        let bench = Bench::new(Face::Pcie).await;
        bench.unload().await;
        bench.card.cause(Trouble::FirmwareMismatch);
        let error = bench.failure().await;
        let text = error.to_string();
        assert!(matches!(error, EngineError::ModelLoad { .. }), "{text}");
        assert!(text.contains("axclrtEngineLoadFromFile") && text.contains("_l0_"), "{text}");
        assert_eq!((bench.card.models(), bench.card.allocations()), (0, 0));
        bench.card.calm();
        bench.is_well().await;
        bench.end().await;
    });
}

#[test]
fn logits_that_are_no_numbers_end_one_answer() {
    for face in Face::ALL {
        block_on(async {
            let bench = Bench::new(face).await;
            // The head of the second token: a file with one output, which layers do not have alone.
            bench.card.cause(Trouble::NotANumber { tensor: "output".into(), runs: 2.into() });
            let error = bench.failure().await;
            assert!(matches!(error, EngineError::Sampling(_)), "{face:?}: {error}");
            bench.is_well().await;
            bench.is_well().await;
            bench.end().await;
        });
    }
}

#[test]
fn a_call_that_hangs_is_said_and_when_it_returns_all_goes_on() {
    for face in Face::ALL {
        block_on(async {
            let limits = CallLimits { call: Duration::from_millis(300), load: Duration::from_mins(10) };
            let config = EngineConfig { call_limits: limits, ..built_in_config(face) };
            let bench = Bench::with(face, config).await;
            let run = bench.of(RUN);
            let hang = |nth: u64| Trouble::Hang { function: run.to_owned(), calls: nth.into(), limit: None };
            bench.card.cause(hang(5));
            let model = &bench.store.model;
            let hanging = bench.engine.generate(request(model, &prompt(1, 140), 6)).await.unwrap();
            let error = loop {
                // Not yet refused: it waits behind the call, and leaves.
                let asked = bench.engine.generate(request(model, &prompt(1, 140), 6));
                match tokio::time::timeout(Duration::from_millis(20), asked).await {
                    Ok(Err(error)) => break error,
                    Ok(Ok(generation)) => drop(generation),
                    Err(_) => {}
                }
            };
            assert_eq!(bench.card.hanging(), 1);
            let text = error.to_string();
            assert!(matches!(error, EngineError::NotResponding { .. }), "{face:?}: {text}");
            assert!(text.contains(run) && text.contains("of the model"), "{face:?}: {text}");
            assert!(bench.engine.current_call().unwrap().contains(run));

            bench.card.release();
            let Event::Done(summary) = read(hanging).await.1 else { panic!("{face:?}") };
            assert_eq!(summary.tokens, bench.expected);
            // The watchdog looks a few times within a limit: it may not have seen the return yet.
            let answer = loop {
                match bench.ask().await {
                    Err(EngineError::NotResponding { .. }) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    other => break other,
                }
            };
            assert_eq!(answer, Ok(bench.expected.clone()));
            bench.end().await;
        });
    }
}

#[test]
fn shutdown_in_a_load_waits_for_the_call_under_way_and_leaves_nothing() {
    for face in Face::ALL {
        block_on(async {
            let bench = Bench::new(face).await;
            bench.unload().await;
            let load = bench.of(LOAD);
            let loaded = bench.card.calls(load);
            let calls = 2.into();
            bench.card.cause(Trouble::Hang { function: load.to_owned(), calls, limit: None });
            let asked = tokio::spawn({
                let (engine, model) = (bench.engine.clone(), bench.store.model.clone());
                async move { engine.load(model, None).await.map(|_| ()) }
            });
            while bench.card.hanging() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(bench.engine.current_call().unwrap().contains(load), "what is waited for is said");
            let ending = tokio::spawn({
                let engine = bench.engine.clone();
                async move { engine.shutdown().await }
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!ending.is_finished(), "{face:?}: a call under way is not abandoned");
            bench.card.release();
            ending.await.unwrap();
            assert_eq!(asked.await.unwrap(), Err(EngineError::ShuttingDown));
            assert_eq!(bench.card.calls(load), loaded + 2, "{face:?}: no further file was begun");
            bench.end().await;
        });
    }
}
