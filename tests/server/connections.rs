//! What happens on a connection: several requests on one, names of requests, what is in use.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Server, start, write_endless_model};

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Waits until the server says that nothing of a request is left.
async fn at_rest(server: &Server) -> Value {
    let began = Instant::now();
    loop {
        let usage = server.get("/api/ax650/usage").await.json();
        let busy = [
            &usage["requests"],
            &usage["intake"]["body_bytes"],
            &usage["intake"]["preparing"],
            &usage["intake"]["waiting"],
            &usage["card"]["running"],
            &usage["card"]["waiting"],
        ];
        if busy.iter().all(|count| **count == 0) {
            return usage;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{usage}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let server = start().await;
    let generate =
        json!({"model": "tiny", "prompt": "x", "raw": true, "options": {"num_predict": 3}}).to_string();
    let pipeline = [
        request("POST", "/api/generate", "X-Request-Id: a\r\n", &generate),
        request("GET", "/api/version", "X-Request-Id: b\r\n", ""),
        request("POST", "/api/show", "X-Request-Id: c\r\n", r#"{"model":"nope"}"#),
        request("POST", "/api/generate", "X-Request-Id: d\r\n", &generate),
        request("GET", "/", "X-Request-Id: e\r\nConnection: close\r\n", ""),
    ];
    let answers = server.raw(&pipeline.concat()).await;
    let mut rest = answers.as_str();
    for (id, part) in [
        ("a", "\"done\":true"),
        ("b", "0.32"),
        ("c", "HTTP/1.1 404 "),
        ("d", "\"done\":true"),
        ("e", "Ollama is running"),
    ] {
        let at = rest.find(&format!("x-request-id: {id}\r\n")).unwrap_or_else(|| panic!("{id} in {answers}"));
        rest = &rest[at..];
        let end = rest[1..].find("x-request-id: ").map_or(rest.len(), |next| next + 1);
        // The status line of an answer stands before its id.
        let begin = answers[..answers.len() - rest.len()].rfind("HTTP/1.1 ").unwrap();
        let answer = &answers[begin..answers.len() - rest.len() + end];
        assert!(answer.contains(part), "{id}: {answer}");
    }
    at_rest(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_request_keeps_the_name_it_came_with_or_gets_one() {
    let server = start().await;
    let named = |value: &'static str| {
        let server = &server;
        async move {
            let headers = [("x-request-id", value)];
            let answer = server.send_with("GET", "/api/version", &headers, "").await;
            answer.header("x-request-id").to_owned()
        }
    };
    assert_eq!(named("trace-7.1").await, "trace-7.1");
    for replaced in ["two words", "{}"] {
        assert!(named(replaced).await.starts_with("req_"), "{replaced}");
    }
    let (one, other) = (server.get("/nowhere").await, server.get("/nowhere").await);
    assert!(one.header("x-request-id").starts_with("req_"));
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    assert!(one.header("server").starts_with("ax650/"));
    server.stop().await;
}

#[tokio::test]
async fn streams_ask_proxies_not_to_hold_them_back() {
    let server = start().await;
    let ask = json!({"model": "tiny", "prompt": "x", "raw": true, "options": {"num_predict": 2}});
    let answer = server.post("/api/generate", &ask).await;
    assert_eq!(answer.header("x-accel-buffering"), "no");
    server.stop().await;
}

#[tokio::test]
async fn what_requests_take_is_seen_and_given_back() {
    let server = start().await;
    write_endless_model(server.root.path());
    let before = at_rest(&server).await;
    let body = json!({"model": "endless", "prompt": "x", "raw": true}).to_string();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(request("POST", "/api/generate", "", &body).as_bytes()).await.unwrap();
    socket.read_exact(&mut [0; 64]).await.unwrap();
    let usage = server.get("/api/ax650/usage").await.json();
    assert_eq!((&usage["requests"], &usage["card"]["running"]), (&json!(1), &json!(1)), "{usage}");
    assert_eq!(usage["card"]["models"], 1);
    drop(socket);
    let after = at_rest(&server).await;
    assert_eq!(after["tasks"], before["tasks"], "{after}");
    assert!(after["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    server.stop().await;
}

/// What a model is made of is in memory for as long as it is being made.
#[tokio::test]
async fn a_model_that_is_being_made_takes_what_its_request_took() {
    let server = start().await;
    // More records than any buffer takes: the work cannot end while nobody reads them.
    let licences: Vec<String> = (0..150_000).map(|count| count.to_string()).collect();
    let body = json!({"model": "made", "from": "tiny", "license": licences}).to_string();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(request("POST", "/api/create", "", &body).as_bytes()).await.unwrap();
    socket.read_exact(&mut [0; 12]).await.unwrap();
    let usage = server.get("/api/ax650/usage").await.json();
    assert!(usage["intake"]["body_bytes"].as_u64().unwrap() > body.len() as u64, "{usage}");
    drop(socket);
    at_rest(&server).await;
    server.stop().await;
}
