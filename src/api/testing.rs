//! A store with a model for the fake card of the engine's tests, and requests to the router over it.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::settings::Settings;
use super::{AppState, router};
use crate::engine::Engine;
use crate::engine::testing::write_model;
use crate::models::store::Store;

/// A store with the model `hidden`, whose files do not say how long its context is and whose manifest guesses so many
/// tokens.
pub(super) fn store(root: &Path, guess: usize) -> Arc<Store> {
    let dir = root.join("ax650/registry.ollama.ai/library/hidden/latest");
    write_model(&dir, "hidden");
    let manifest = dir.join("manifest.json");
    let mut content: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    content["context_length"] = guess.into();
    std::fs::write(manifest, content.to_string()).unwrap();
    let vocab: Map<String, Value> =
        (b'a'..=b'z').enumerate().map(|(id, byte)| (char::from(byte).to_string(), id.into())).collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let tokenizer = json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": []}
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    Arc::new(Store::open(root.to_owned()))
}

/// Posts a body to the router.
pub(super) async fn post(engine: &Engine, store: &Arc<Store>, path: &str, body: &Value) -> Response {
    send(engine, store, "POST", path, body).await
}

/// Sends a body to the router.
pub(super) async fn send(
    engine: &Engine,
    store: &Arc<Store>,
    method: &str,
    path: &str,
    body: &Value,
) -> Response {
    let state = AppState::new(engine.clone(), Arc::clone(store), Settings::default());
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_string())).unwrap();
    router(state).oneshot(request).await.unwrap()
}
