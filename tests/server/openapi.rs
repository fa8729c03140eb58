//! The description of the routes says what the routes do.

use serde_json::{Value, json};

use crate::fixture::{Server, start};

/// Fields whose wrong types are passed over, as upstream does.
const LENIENT: [(&str, &str); 7] = [
    ("/api/chat", "tool_choice"),
    ("/v1/chat/completions", "stop"),
    ("/v1/chat/completions", "tool_choice"),
    ("/v1/completions", "stop"),
    ("/v1/messages", "system"),
    ("/v1/messages", "tool_choice"),
    ("/v1/responses", "tool_choice"),
];

const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

async fn description(server: &Server) -> Value {
    let answer = server.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// What a reference leads to, or the schema itself.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

/// The JSON types that a schema admits.
fn types(document: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    let own = match &schema["type"] {
        Value::String(name) => vec![name.clone()],
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => Vec::new(),
    };
    let parts = ["oneOf", "anyOf", "allOf"].iter().filter_map(|key| schema[key].as_array()).flatten();
    own.into_iter().chain(parts.flat_map(|part| types(document, part))).collect()
}

/// A value that such a schema does not admit.
fn wrong(admitted: &[String]) -> Value {
    let kinds = [
        ("boolean", json!(true)),
        ("number", json!(-3.5)),
        ("string", json!("no such word")),
        ("object", json!({"no": "such"})),
    ];
    let is_admitted =
        |kind: &str| admitted.iter().any(|name| name == kind || name == "integer" && kind == "number");
    kinds.into_iter().find(|(kind, _)| !is_admitted(kind)).unwrap().1
}

#[tokio::test]
async fn methods_that_are_not_described_are_not_allowed() {
    let server = start().await;
    let document = description(&server).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let asked: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in METHODS {
            let status = server.send(&method.to_uppercase(), &asked, "").await.status;
            if item.get(method).is_some() {
                assert_ne!(status, 405, "{method} {path}");
            } else {
                assert!([404, 405].contains(&status), "{method} {path}: {status}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn every_field_that_is_described_is_read() {
    let server = start().await;
    let document = description(&server).await;
    let good = json!({
        "model": "tiny", "prompt": "x", "input": "x", "max_tokens": 1, "stream": false, "from": "tiny",
        "messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 1}, "max_output_tokens": 1,
        "source": "tiny", "destination": "other"
    });
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            for (name, field) in resolved(&document, schema)["properties"].as_object().into_iter().flatten() {
                let mut body = good.clone();
                body[name] = wrong(&types(&document, field));
                let answer = server.send(&method.to_uppercase(), path, body.to_string()).await;
                let refused = answer.status >= 400;
                let lenient = LENIENT.contains(&(path, name));
                assert!(refused != lenient, "{method} {path}: {name} = {}: {}", body[name], answer.text);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    server.stop().await;
}

#[tokio::test]
async fn the_page_comes_with_a_policy() {
    let server = start().await;
    let answer = server.get("/docs").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    assert!(answer.text.contains("openapi.json"));
    server.stop().await;
}
