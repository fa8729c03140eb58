//! Request bodies as Go's decoder takes them.

use serde_json::json;

use crate::fixture::start;

#[tokio::test]
async fn the_content_type_is_never_looked_at() {
    let server = start().await;
    for content_type in
        ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""]
    {
        let body = r#"{"model":"tiny","prompt":"","keep_alive":0}"#;
        let request = format!(
            "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = server.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{content_type}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn names_fold_nulls_are_absent_and_the_rest_of_the_body_is_ignored() {
    let server = start().await;
    let body = r#" {"MODEL":"nope","Model":"tiny","Prompt":"","KEEP_ALIVE":0,"stream":null,"format":null,"options":null,
        "images":null,"think":null,"width":5,"username":"u","tools":[]} }}} trailing"#;
    let answer = server.send("POST", "/api/generate", body).await;
    assert_eq!((answer.status, answer.json()["done_reason"].as_str()), (200, Some("unload")));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_400() {
    let server = start().await;
    for path in ["/api/generate", "/api/chat", "/api/show"] {
        for empty in ["", "  \r\n "] {
            let answer = server.send("POST", path, empty).await;
            assert_eq!((answer.status, answer.error().as_str()), (400, "missing request body"), "{path}");
            assert!(answer.header("content-type").starts_with("application/json"));
        }
        for broken in [
            "x",
            "{",
            "{\"model\":",
            "[]",
            "\"text\"",
            "12",
            "{\"model\":\"tiny\",}",
            "{\"model\":{}}",
            "\u{1}",
        ] {
            let answer = server.send("POST", path, broken).await;
            assert_eq!(answer.status, 400, "{path} {broken}");
            assert!(!answer.error().is_empty());
        }
        let deep = format!("{{\"model\":{}", "[".repeat(500_000));
        assert_eq!(server.send("POST", path, deep).await.status, 400);
    }
    assert_eq!(server.send("DELETE", "/api/delete", "").await.error(), "missing request body");
    assert_eq!(server.get("/").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_the_client_hears_it() {
    let server = start().await;
    let body = vec![b' '; ax650::api::MAX_BODY_BYTES + 1];
    let answer = server.send("POST", "/api/chat", body).await;
    assert_eq!(answer.status, 413);
    assert!(answer.error().contains("larger than"));
    // Large, but allowed: pictures make such bodies.
    let text = "x".repeat(70 << 20);
    let answer = server
        .post("/api/chat", &json!({"model": "nope", "messages": [{"role": "user", "content": text}]}))
        .await;
    assert_eq!(answer.status, 404);
    server.stop().await;
}
