//! A server whose owner has set keys.

use ax650::api::ApiKeys;
use ax650::api::settings::Settings;
use serde_json::Value;

use crate::fixture::{Answer, Server, start_with};

async fn start() -> Server {
    let api_keys = Some(ApiKeys::parse("alpha,beta").unwrap());
    start_with(Settings { api_keys, ..Settings::default() }, 8).await
}

async fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    server.send_with(method, path, headers, r#"{"model":"tiny","messages":[],"max_tokens":1}"#).await
}

#[tokio::test]
async fn who_shows_no_key_is_refused_in_the_words_of_the_routes_family() {
    let server = start().await;
    for (method, path) in [
        ("GET", "/api/tags"),
        ("POST", "/api/chat"),
        ("HEAD", "/api/version"),
        ("GET", "/api/ax650/usage"),
        ("GET", "/nowhere"),
        ("PUT", "/api/chat"),
    ] {
        for headers in [&[][..], &[("authorization", "Bearer gamma")], &[("x-api-key", "alph")]] {
            let answer = ask(&server, method, path, headers).await;
            assert_eq!(
                (answer.status, answer.header("www-authenticate")),
                (401, "Bearer"),
                "{method} {path}"
            );
            if method != "HEAD" {
                assert!(answer.error().starts_with("unauthorized"), "{}", answer.text);
            }
        }
    }
    let error = ask(&server, "POST", "/v1/chat/completions", &[]).await.json();
    assert!(error["error"]["message"].as_str().unwrap().starts_with("unauthorized"), "{error}");
    let error = ask(&server, "POST", "/v1/messages", &[]).await.json();
    assert_eq!(error["error"]["type"], "authentication_error", "{error}");
    server.stop().await;
}

#[tokio::test]
async fn who_shows_one_is_let_in() {
    let server = start().await;
    for header in [("authorization", "Bearer alpha"), ("authorization", "bearer beta"), ("x-api-key", "beta")]
    {
        let answer = ask(&server, "GET", "/api/tags", &[header]).await;
        assert_eq!((answer.status, answer.json()["models"].as_array().map(Vec::len)), (200, Some(1)));
        assert_eq!(ask(&server, "GET", "/nowhere", &[header]).await.status, 404);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_tells_nothing_stays_open() {
    let server = start().await;
    assert_eq!(ask(&server, "GET", "/", &[]).await.text, "Ollama is running");
    assert_eq!(ask(&server, "HEAD", "/", &[]).await.status, 200);
    let page = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
    assert_eq!(ask(&server, "OPTIONS", "/api/chat", &page).await.status, 204);
    // A page must be able to read why it was refused.
    let answer = ask(&server, "POST", "/api/chat", &page).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, "http://localhost:3000"));
    let usage: Value = ask(&server, "GET", "/api/ax650/usage", &[("x-api-key", "alpha")]).await.json();
    assert_eq!(usage["requests"], 0);
    server.stop().await;
}
