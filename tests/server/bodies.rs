//! Request bodies as Go's decoder takes them.

use serde_json::json;

use crate::fixture::{CONTEXT, start};

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
    server.stop().await;
}

#[tokio::test]
async fn large_bodies_are_read_and_cut_to_the_window() {
    let server = start().await;
    let text = "x".repeat(70 << 20);
    let turn = |content: &str| json!({"role": "user", "content": content});
    let few = json!({"num_predict": 1});
    for messages in [
        json!([turn(&text)]),
        json!(vec![turn(&text[..1 << 20]); 4]),
        json!([{"role": "system", "content": text[..4 << 20]}, turn("x")]),
        json!(vec![turn("x"); 20_000]),
    ] {
        let mut ask = json!({"model": "tiny", "messages": messages, "options": few, "stream": false});
        let answer = server.post("/api/chat", &ask).await.json();
        let tokens = answer["prompt_eval_count"].as_u64().unwrap();
        assert!((CONTEXT as u64 / 3..=CONTEXT as u64).contains(&tokens), "{tokens}");
        ask["truncate"] = json!(false);
        let refused = server.post("/api/chat", &ask).await;
        assert_eq!(refused.status, 400);
        assert!(refused.error().starts_with("the prompt is longer than the context length"));
    }
    for more in [json!({"raw": true}), json!({}), json!({"context": [1, 2, 3]})] {
        let prompt = &text[..4 << 20];
        let mut ask = json!({"model": "tiny", "prompt": prompt, "options": few, "stream": false});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = server.post("/api/generate", &ask).await.json();
        // num_keep (4) tokens of the start, and about half of the rest.
        assert_eq!(answer["prompt_eval_count"], 4 + (CONTEXT - 4) / 2);
        ask["shift"] = json!(false);
        assert_eq!(server.post("/api/generate", &ask).await.status, 400);
    }
    server.stop().await;
}
