//! Answers that fail: before they have begun, and after.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::testing::events;
use crate::api::testing::{post, store};
use crate::engine::testing::{CONTEXT, Mishap, World, scramble};
use crate::engine::{Engine, EngineConfig};

/// A request to each route that streams.
fn asks() -> [(&'static str, Value); 4] {
    let messages = json!([{"role": "user", "content": "abc"}]);
    [
        ("/v1/chat/completions", json!({"messages": messages, "max_tokens": 9})),
        ("/v1/completions", json!({"prompt": "abc", "max_tokens": 9})),
        ("/v1/messages", json!({"messages": messages, "max_tokens": 9})),
        ("/v1/responses", json!({"input": "abc", "max_output_tokens": 9})),
    ]
}

fn ask(ask: &Value, stream: bool) -> Value {
    let mut ask = ask.clone();
    ask["model"] = "hidden".into();
    ask["stream"] = stream.into();
    ask["temperature"] = 0.into();
    ask
}

/// The error of an answer, in whichever envelope.
fn message(value: &Value) -> &str {
    value["error"]["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_told_and_nothing_follows() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path(), CONTEXT);
    let world = World::new(scramble);
    let engine = world.engine(&EngineConfig::default());
    for (path, asked) in asks() {
        let whole = post(&engine, &store, path, &ask(&asked, true)).await;
        let whole = events([whole.into_body().collect().await.unwrap().to_bytes().to_vec()]);
        // The last step of the same answer goes wrong.
        world.break_step(world.steps() + 7, Mishap::NotANumber);
        let broken = post(&engine, &store, path, &ask(&asked, true)).await;
        assert!(broken.status().is_success() && broken.headers()["content-type"] == "text/event-stream");
        let broken = events([broken.into_body().collect().await.unwrap().to_bytes().to_vec()]);
        let (name, last) = broken.last().unwrap();
        assert!(!message(last).is_empty(), "{path}: {last}");
        let expected = if path.contains("completions") { None } else { Some("error") };
        assert_eq!(name.as_deref(), expected, "{path}");
        assert!(broken.len() > 3 && broken.len() < whole.len() + 2, "{path}: {broken:?}");

        world.break_step(world.steps() + 7, Mishap::NotANumber);
        let broken = post(&engine, &store, path, &ask(&asked, false)).await;
        assert_eq!(broken.status().as_u16(), 500, "{path}");
        let body = broken.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(message(&serde_json::from_slice(&body).unwrap()), message(last), "{path}");
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_failure_before_the_first_event_has_its_status() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path(), CONTEXT);
    let world = World::new(scramble);
    for (path, asked) in asks() {
        let engine: Engine = world.engine(&EngineConfig::default());
        world.break_next_load(Mishap::Panic);
        let broken = post(&engine, &store, path, &ask(&asked, true)).await;
        assert!(broken.status().is_server_error(), "{path}: {}", broken.status());
        assert_eq!(broken.headers()["content-type"], "application/json");
        let body = broken.into_body().collect().await.unwrap().to_bytes();
        assert!(!message(&serde_json::from_slice(&body).unwrap()).is_empty());
        engine.shutdown().await;
    }
}
