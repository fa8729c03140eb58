//! Routes of Ollama's cloud, and those that transfer models: what a server without them answers.

use serde_json::json;

use crate::fixture::start;

#[tokio::test]
async fn what_is_not_here_says_so() {
    let server = start().await;
    let status = server.get("/api/status").await;
    assert_eq!(status.text, r#"{"cloud":{"disabled":true,"source":"env"}}"#);
    assert_eq!(server.get("/api/experimental/model-recommendations").await.text, r#"{"recommendations":[]}"#);
    for (method, path, body, code, error) in [
        ("POST", "/api/me", "", 401, "unauthorized"),
        ("POST", "/api/signout", "", 401, "you are not currently signed in"),
        ("DELETE", "/api/user/keys/abc", "", 401, "you are not currently signed in"),
        ("POST", "/api/experimental/web_search", "", 400, "missing request body"),
        (
            "POST",
            "/api/experimental/web_search",
            r#"{"query":"x"}"#,
            403,
            "ollama cloud is disabled: web search is unavailable",
        ),
        (
            "POST",
            "/api/experimental/web_fetch",
            r#"{"url":"x"}"#,
            403,
            "ollama cloud is disabled: web fetch is unavailable",
        ),
        (
            "POST",
            "/api/generate",
            r#"{"model":"gpt-oss:120b-cloud","prompt":"x"}"#,
            403,
            "ollama cloud is disabled: remote model is unavailable",
        ),
        (
            "POST",
            "/api/chat",
            r#"{"model":"x:cloud:local"}"#,
            400,
            "use either :local or :cloud, not both: \"x:cloud:local\"",
        ),
        (
            "POST",
            "/api/show",
            r#"{"model":"x:cloud"}"#,
            403,
            "ollama cloud is disabled: remote model is unavailable",
        ),
    ] {
        let answer = server.send(method, path, body).await;
        assert_eq!((answer.status, answer.error().as_str()), (code, error), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn where_a_model_runs_may_be_said_on_every_route() {
    let server = start().await;
    for (path, ask) in [
        ("/api/generate", json!({"model": "tiny:local"})),
        ("/api/show", json!({"model": "tiny:local"})),
        ("/api/create", json!({"model": "made", "from": "tiny:local", "stream": false})),
        ("/api/copy", json!({"source": "tiny:local", "destination": "second"})),
        (
            "/v1/chat/completions",
            json!({"model": "tiny:local", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}),
        ),
    ] {
        assert_eq!(server.post(path, &ask).await.status, 200, "{path}");
    }
    assert_eq!(server.get("/v1/models/tiny:local").await.json()["id"], "tiny:local");
    // Deleted by its name without the end.
    assert_eq!(server.send("DELETE", "/api/delete", r#"{"model":"made:local"}"#).await.status, 200);
    assert_eq!(server.post("/api/show", &json!({"model": "made"})).await.status, 404);
    let absent = server.post("/api/show", &json!({"model": "nope:8b:local"})).await;
    assert_eq!((absent.status, absent.error().as_str()), (404, "model 'nope:8b' not found"));
    let absent = server.post("/api/copy", &json!({"source": "nope:local", "destination": "x"})).await;
    assert_eq!((absent.status, absent.error().as_str()), (404, "model \"nope:local\" not found"));
    let ask = json!({"source": "x:cloud:local", "destination": "x"});
    assert_eq!(server.post("/api/copy", &ask).await.status, 400);
    let both = "use either :local or :cloud, not both: \"x:cloud:local\"";
    for (method, path) in [("POST", "/api/show"), ("DELETE", "/api/delete"), ("POST", "/api/pull")] {
        let answer = server.send(method, path, r#"{"model":"x:cloud:local"}"#).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, both), "{path}");
    }
    assert_eq!(server.get("/v1/models/x:cloud:local").await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_pulled_or_pushed_yet() {
    let server = start().await;
    for (path, first, start) in [
        ("/api/pull", "pulling manifest", "pull model manifest: "),
        ("/api/push", "retrieving manifest", "push model manifest: "),
    ] {
        let answer = server.post(path, &json!({"name": "tiny", "insecure": true})).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
        let lines = answer.lines();
        assert_eq!((lines.len(), &lines[0]), (2, &json!({"status": first})));
        assert!(lines[1]["error"].as_str().unwrap().starts_with(start), "{}", answer.text);
        let answer = server.post(path, &json!({"model": "tiny", "stream": false})).await;
        assert_eq!((answer.status, answer.header("content-type")), (500, "application/json"));
        assert!(answer.error().starts_with(start));
        for stream in [true, false] {
            let plain = server.post(path, &json!({"model": "http://host/a/b", "stream": stream})).await;
            assert_eq!((plain.status, plain.error().as_str()), (500, "insecure protocol http"));
        }
        let wished = json!({"model": "http://host/a/b", "insecure": true});
        assert_eq!(server.post(path, &wished).await.lines()[0], json!({"status": first}));
        let answer = server.post(path, &json!({"model": "a b"})).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid model name"));
    }
    assert_eq!(server.post("/api/pull", &json!({})).await.error(), "invalid model name");
    assert_eq!(server.post("/api/push", &json!({})).await.error(), "model is required");
    let lines = server.post("/api/push", &json!({"model": "nope"})).await.lines();
    assert_eq!(lines[1], json!({"status": "couldn't retrieve manifest"}));
    assert_eq!(lines[2]["error"], "push model manifest: model 'nope' not found");
    server.stop().await;
}

#[tokio::test]
async fn methods() {
    let server = start().await;
    for (path, method, status) in [
        ("/api/status", "HEAD", 405),
        ("/api/status", "POST", 405),
        ("/api/me", "GET", 405),
        ("/api/create", "GET", 405),
        ("/api/copy", "HEAD", 405),
        ("/api/pull/", "POST", 307),
        ("/api/blobs", "POST", 404),
        ("/api/version", "HEAD", 200),
    ] {
        assert_eq!(server.send(method, path, "").await.status, status, "{method} {path}");
    }
    server.stop().await;
}
