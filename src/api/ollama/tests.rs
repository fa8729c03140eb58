//! Requests to a model whose files hide how long its context is.

use std::sync::Arc;

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::api::testing::{self, store};
use crate::engine::testing::{CONTEXT, World, scramble};
use crate::engine::{Engine, EngineConfig};
use crate::models::store::Store;

async fn post(engine: &Engine, store: &Arc<Store>, path: &str, body: Value) -> Value {
    let response = testing::post(engine, store, path, &body).await;
    let (status, bytes) = (response.status(), response.into_body().collect().await.unwrap().to_bytes());
    let answer = serde_json::from_slice(&bytes).unwrap();
    assert!(status.is_success(), "{status}: {answer}");
    answer
}

fn prompt(length: usize) -> String {
    ('a'..='z').cycle().take(length).collect()
}

#[tokio::test]
async fn a_prompt_is_cut_to_what_the_card_has() {
    for guess in [2047, CONTEXT / 2] {
        let root = tempfile::tempdir().unwrap();
        let store = store(root.path(), guess);
        let world = World::new(scramble);
        let engine = world.engine(&EngineConfig::default());
        let options = json!({"num_predict": 1, "num_keep": 0});
        let ask = json!({"model": "hidden", "prompt": prompt(200), "raw": true, "stream": false, "options": options});
        let first = post(&engine, &store, "/api/generate", ask.clone()).await;
        assert_eq!(
            first["prompt_eval_count"],
            CONTEXT / 2,
            "half of the card's context, with a guess of {guess}"
        );
        // Loading counts although it came before the prompt was prepared.
        let (load, total) =
            (first["load_duration"].as_u64().unwrap(), first["total_duration"].as_u64().unwrap());
        assert!(0 < load && load < total, "{first}");
        let second = post(&engine, &store, "/api/generate", ask).await;
        assert_eq!(second["prompt_eval_count"], CONTEXT / 2);
        // As upstream, nothing takes no time at all.
        assert_eq!(second["load_duration"], 1);

        let messages: Vec<Value> =
            (0..9).map(|_| json!({"role": "user", "content": prompt(CONTEXT / 4)})).collect();
        let ask = json!({"model": "hidden", "messages": messages, "stream": false, "options": options});
        let chat = post(&engine, &store, "/api/chat", ask).await;
        let tokens = usize::try_from(chat["prompt_eval_count"].as_u64().unwrap()).unwrap();
        assert!((CONTEXT / 2 + 1..=CONTEXT).contains(&tokens), "{chat}");
        assert_eq!(world.log().iter().filter(|what| what.starts_with("load")).count(), 1);
        engine.shutdown().await;
    }
}
