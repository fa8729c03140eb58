//! Routes in the manner of `OpenAI`.

use serde_json::{Value, json};

use crate::fixture::{Answer, start, write_model};

/// The error object of an answer, which must have the family's envelope.
pub(crate) fn error(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), "application/json");
    let value = answer.json();
    let keys: Vec<&str> = value["error"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"], "{value}");
    value["error"].clone()
}

#[tokio::test]
async fn models_are_listed_and_found_by_name() {
    let server = start().await;
    let list = server.get("/v1/models").await;
    assert_eq!((list.status, list.header("content-type")), (200, "application/json"));
    let list = list.json();
    assert_eq!(list["object"], "list");
    let tiny = &list["data"][0];
    assert_eq!(
        (tiny["id"].as_str(), tiny["object"].as_str(), tiny["owned_by"].as_str()),
        (Some("tiny:latest"), Some("model"), Some("library"))
    );
    assert!(tiny["created"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);

    // The name as requested, not as stored.
    let one = server.get("/v1/models/TINY").await.json();
    assert_eq!((one["id"].as_str(), one["created"].clone()), (Some("TINY"), tiny["created"].clone()));
    let encoded = server.get("/v1/models/library%2Ftiny%3Alatest").await.json();
    assert_eq!((&encoded["id"], &encoded["owned_by"]), (&json!("library/tiny:latest"), &json!("library")));
    let parts = server.get("/v1/models/library/tiny").await;
    assert_eq!((parts.status, parts.text.as_str()), (404, "404 page not found"));
    let absent = server.get("/v1/models/nope").await;
    assert_eq!(absent.status, 404);
    assert_eq!(
        error(&absent),
        json!({"message": "model 'nope:latest' not found", "type": "not_found_error", "param": null, "code": null})
    );
    let invalid = server.get("/v1/models/a%20b").await;
    assert_eq!((invalid.status, error(&invalid)["type"].as_str()), (400, Some("invalid_request_error")));
    server.send("DELETE", "/api/delete", r#"{"model":"tiny"}"#).await;
    assert_eq!(server.get("/v1/models").await.text, r#"{"object":"list","data":[]}"#);
    server.stop().await;
}

#[tokio::test]
async fn a_broken_model_does_not_hide_the_others() {
    let server = start().await;
    write_model(server.root.path(), "broken", "");
    let manifest = server.root.path().join("ax650/registry.ollama.ai/library/broken/latest/manifest.json");
    std::fs::write(manifest, "{").unwrap();
    let list = server.get("/v1/models").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/v1/models/broken").await.status, 500);
    server.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let server = start().await;
    for (method, path) in [("POST", "/v1/models"), ("HEAD", "/v1/models"), ("DELETE", "/v1/models/tiny")] {
        assert_eq!(server.send(method, path, "").await.status, 405, "{method} {path}");
    }
    let unknown = server.get("/v1/moderations").await;
    assert_eq!((unknown.status, unknown.text.as_str()), (404, "404 page not found"));
    let moved = server.get("/v1/models/").await;
    assert_eq!((moved.status, moved.header("location")), (301, "/v1/models"));
    server.stop().await;
}
