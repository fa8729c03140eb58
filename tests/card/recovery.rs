//! Clients that leave and calls that fail, on the card as it is driven by the product.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ax650::engine::{Engine, EngineConfig, EngineError, Event};
use ax650_sim::control::ClaimedCard;
use ax650_sim::testing::TinySpec;

use crate::support::{
    Face, block_on, built_in, built_in_config, prompt, read, request, run, tiny_model, tokens,
};

/// A run: they are queued.
const RUN: &str = "axclrtEngineExecuteAsync";
/// A general failure of the engine, as the vendor encodes it.
const FAILED: i32 = 0x8030_0283_u32.cast_signed();

fn config() -> EngineConfig {
    built_in_config(Face::Pcie)
}

/// Runs `test` on an engine of its own with the controls of its card; afterwards nothing may be left there.
fn with_controls<F: Future<Output = ()>>(
    config: EngineConfig,
    test: impl FnOnce(Engine, Rc<ClaimedCard>) -> F,
) {
    let card = Rc::new(built_in());
    block_on(async {
        let engine = Engine::start(config).unwrap();
        test(engine.clone(), Rc::clone(&card)).await;
        engine.shutdown().await;
    });
    assert_eq!((card.models(), card.allocations(), card.memory_in_use()), (0, 0, 0), "left on the card");
}

#[test]
fn a_client_that_leaves_frees_the_card_within_one_layer() {
    let store = tiny_model(&TinySpec { layers: 8, ..TinySpec::default() }, None);
    let model = &store.model;
    let prompt = prompt(1, 250);
    with_controls(EngineConfig { sequences: 1, ..config() }, async |engine, card| {
        let expected = tokens(&engine, request(model, &prompt[..30], 5)).await;
        card.slow_down(RUN, Duration::from_millis(20));
        let generation = engine.generate(request(model, &prompt, -1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(90)).await;
        drop(generation);
        let left = card.calls(RUN);
        while engine.counters().running > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(card.calls(RUN) <= left + 1, "{} layers ran for nobody", card.calls(RUN) - left);
        card.slow_down(RUN, Duration::ZERO);
        assert_eq!(tokens(&engine, request(model, &prompt[..30], 5)).await, expected);
    });
}

#[test]
fn a_failed_call_names_its_layer_and_the_next_request_is_answered() {
    let store = tiny_model(&TinySpec { layers: 3, ..TinySpec::default() }, None);
    let model = &store.model;
    let prompt = prompt(2, 40);
    with_controls(config(), async |engine, card| {
        let expected = tokens(&engine, request(model, &prompt, 6)).await;
        // The second layer of the third step of the answer: four runs a step.
        card.fail_call(RUN, 4 * 3 + 2, FAILED);
        let (_, last) = read(engine.generate(request(model, &prompt, 6)).await.unwrap()).await;
        let Event::Error(EngineError::Device(text)) = last else { panic!("{last:?}") };
        assert!(text.contains("_l1_"), "the file is named: {text}");
        assert_eq!(tokens(&engine, request(model, &prompt, 6)).await, expected);
    });
}

#[test]
fn a_card_that_fails_and_comes_back_is_used_again() {
    let store = tiny_model(&TinySpec::default(), None);
    let model = &store.model;
    let prompt = prompt(3, 40);
    with_controls(config(), async |engine, card| {
        let expected = tokens(&engine, request(model, &prompt, 6)).await;
        for _ in 0..3 {
            // The chunk passes, a run of the first token fails: a model that does nothing but fail is taken off.
            card.fail_call(RUN, model.card_parts().unwrap().files.layers.len() as u64 + 2, FAILED);
            let (_, last) = read(engine.generate(request(model, &prompt, 6)).await.unwrap()).await;
            assert!(matches!(last, Event::Error(EngineError::Device(_))), "{last:?}");
        }
        assert_eq!(tokens(&engine, request(model, &prompt, 6)).await, expected);
    });
}

#[test]
fn too_little_memory_is_said_and_nothing_is_left_behind() {
    let store = tiny_model(&TinySpec::default(), None);
    let model = &store.model;
    with_controls(config(), async |engine, card| {
        let summary = run(&engine, request(model, &prompt(4, 5), 1)).await;
        assert!(!summary.load.is_zero());
        assert!(engine.unload(model).await.unwrap());
        let idle = card.memory_in_use();
        card.set_memory_bytes(idle + 100_000);
        let error = engine.generate(request(model, &prompt(4, 5), 1)).await.unwrap_err();
        assert!(error.to_string().contains("model requires more system memory"), "{error}");
        assert_eq!(card.memory_in_use(), idle);
        card.set_memory_bytes(1 << 30);
        run(&engine, request(model, &prompt(4, 5), 1)).await;
    });
}

#[test]
fn a_layer_file_that_is_damaged_after_the_check_fails_the_load_by_name() {
    let store = tiny_model(&TinySpec::default(), None);
    let file = &store.model.card_parts().unwrap().files.layers[1];
    let bytes = std::fs::read(file).unwrap();
    with_controls(config(), async |engine, card| {
        std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        let error = engine.load(store.model.clone(), None).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::ModelLoad { reason, .. } if reason.contains("_l1_")),
            "{error:?}"
        );
        assert_eq!(card.models(), 0);
        std::fs::write(file, &bytes).unwrap();
        engine.load(store.model.clone(), None).await.unwrap();
    });
}

#[test]
fn a_file_compiled_for_the_npu_is_explained_and_not_tried() {
    let store = tiny_model(&TinySpec::default(), None);
    let file = &store.model.card_parts().unwrap().files.layers[1];
    let ours = std::fs::read(file).unwrap();
    with_controls(config(), async |engine, card| {
        std::fs::write(file, b"\x08\x08\x12\x07Pulsar2\x1a\x035.1 and machine code of the NPU").unwrap();
        let error = engine.load(store.model.clone(), None).await.unwrap_err().to_string();
        assert!(error.contains("_l1_") && error.contains("compiled for the NPU"), "{error}");
        assert!(error.contains("use a card") && error.contains("ax650 create"), "{error}");
        assert_eq!(card.calls("axclrtEngineLoadFromFile"), 0);
        std::fs::write(file, &ours).unwrap();
        engine.load(store.model.clone(), None).await.unwrap();
    });
}

#[test]
fn shutdown_in_the_middle_of_an_answer_leaves_the_card_clean() {
    let store = tiny_model(&TinySpec::default(), None);
    with_controls(config(), async |engine, card| {
        run(&engine, request(&store.model, &prompt(5, 40), 1)).await;
        card.slow_down(RUN, Duration::from_millis(5));
        let generation = engine.generate(request(&store.model, &prompt(5, 40), -1)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        engine.shutdown().await;
        let (_, last) = read(generation).await;
        assert_eq!(last, Event::Error(EngineError::ShuttingDown));
    });
}

#[test]
fn an_engine_that_is_dropped_gives_the_card_back() {
    let card = built_in();
    let engine = Engine::start(config()).unwrap();
    assert_eq!(engine.device().kind, "software");
    assert!(card.calls("axclInit") >= 1);
    drop(engine);
    assert_eq!((card.calls("axclInit"), card.allocations()), (card.calls("axclFinalize"), 0));
}
