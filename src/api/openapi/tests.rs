//! What is described is what there is.

use std::collections::BTreeSet;

use super::*;
use crate::api::fields::record;
use crate::api::testing::{send, store};
use crate::engine::EngineConfig;
use crate::engine::testing::{CONTEXT, World, scramble};

fn parsed() -> Value {
    serde_json::from_str(&DOCUMENT).unwrap()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described: BTreeSet<String> = parsed()["paths"].as_object().unwrap().keys().cloned().collect();
    let served = super::super::routes().into_iter().map(|(path, _)| path.to_owned());
    assert_eq!(described, served.collect());
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                object.values().for_each(|value| walk(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    let document = parsed();
    walk(&document, &document);
    assert!(document["components"]["schemas"].as_object().unwrap().len() > 20);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    for forbidden in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!PAGE.contains(forbidden), "{forbidden}");
    }
}

/// The fields of a schema, or of all that it may be.
fn fields(schema: &Value) -> BTreeSet<String> {
    let own = schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let parts = schema["oneOf"].as_array().into_iter().flatten().flat_map(fields);
    own.chain(parts).collect()
}

/// Bodies, and in every object of them the name of the schema that describes it.
fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    let schema =
        |name: &str| json!({"type": "json_schema", record::FIELD: name, "schema": {"type": "object"}});
    let source = |name: &str| json!({"type": "base64", "data": "aGk=", record::FIELD: name});
    let ollama = |name: &str| json!({"model": "m", "name": "m", "from": "m", "source": "m", "destination": "n", record::FIELD: format!("ollama.{name}")});
    let mut chat = ollama("ChatRequest");
    chat["messages"] = json!([{"role": "user", record::FIELD: "ollama.ChatRequest.Message"}]);
    let openai = json!({
        "model": "m", record::FIELD: "openai.ChatCompletionRequest",
        "messages": [{"role": "assistant", record::FIELD: "openai.ChatCompletionRequest.Message", "tool_calls": [{
            record::FIELD: "openai.ChatCompletionRequest.Call",
            "function": {"arguments": "{}", record::FIELD: "openai.ChatCompletionRequest.Called"}
        }]}],
        "stream_options": {record::FIELD: "openai.ChatCompletionRequest.StreamOptions"},
        "reasoning": {record::FIELD: "openai.ChatCompletionRequest.ChatReasoning"},
    });
    let item =
        |kind: &str| json!({"type": kind, "role": "user", record::FIELD: "openai.ResponseRequest.Item"});
    let part = |kind: &str| json!({"type": kind, "image_url": "data:;base64,aGk=", record::FIELD: "openai.ResponseRequest.SaidPart"});
    let said = json!({
        "type": "message", "role": "user", "content": [part("input_text"), part("input_image")],
        record::FIELD: "openai.ResponseRequest.Item"
    });
    let tool = "openai.ResponseRequest.ResponseTool";
    let responses = json!({
        "model": "m", record::FIELD: "openai.ResponseRequest",
        "input": [said, item("reasoning"), item("function_call"), item("function_call_output")],
        "reasoning": {record::FIELD: "openai.ResponseRequest.Reasoning"},
        "text": {record::FIELD: "openai.ResponseRequest.TextOptions", "format": schema("openai.ResponseRequest.TextFormat")},
        "tools": [{"type": "namespace", "name": "n", record::FIELD: tool, "tools": [{"type": "function", "name": "f", record::FIELD: tool}]}],
    });
    let block = |kind: &str| {
        json!({"type": kind, "id": "i", "name": "f", record::FIELD: "anthropic.MessagesRequest.Block",
            "source": source("anthropic.MessagesRequest.ImageSource")})
    };
    let blocks: Vec<Value> = ["text", "thinking", "image", "tool_use", "tool_result"].map(block).into();
    let anthropic = json!({
        "model": "m", "max_tokens": 1, record::FIELD: "anthropic.MessagesRequest",
        "messages": [{"role": "user", record::FIELD: "anthropic.MessagesRequest.Message", "content": blocks}],
        "tools": [{"name": "f", record::FIELD: "anthropic.MessagesRequest.Tool"}],
        "thinking": {"type": "enabled", record::FIELD: "anthropic.MessagesRequest.Thinking"},
        "output_config": {record::FIELD: "anthropic.MessagesRequest.OutputConfig", "format": schema("anthropic.MessagesRequest.OutputFormat")},
    });
    vec![
        ("POST", "/api/generate", ollama("GenerateRequest")),
        ("POST", "/api/chat", chat),
        ("POST", "/api/embed", ollama("EmbedRequest")),
        ("POST", "/api/embeddings", ollama("EmbeddingsRequest")),
        ("POST", "/api/show", ollama("ShowRequest")),
        ("POST", "/api/copy", ollama("CopyRequest")),
        ("POST", "/api/create", ollama("CreateRequest")),
        ("POST", "/api/pull", ollama("TransferRequest")),
        ("POST", "/api/push", ollama("TransferRequest")),
        ("DELETE", "/api/delete", ollama("DeleteRequest")),
        ("POST", "/v1/chat/completions", openai),
        ("POST", "/v1/completions", json!({"model": "m", record::FIELD: "openai.CompletionRequest"})),
        (
            "POST",
            "/v1/embeddings",
            json!({"model": "m", "input": "x", record::FIELD: "openai.EmbeddingRequest"}),
        ),
        ("POST", "/v1/responses", responses),
        ("POST", "/v1/messages", anthropic),
    ]
}

/// The names of schemas in a body.
fn names(body: &Value) -> BTreeSet<String> {
    match body {
        Value::Object(object) => {
            let own = object.get(record::FIELD).and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(names)).collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

#[tokio::test]
async fn every_field_that_is_read_is_described() {
    let root = tempfile::tempdir().unwrap();
    let (store, engine) =
        (store(root.path(), CONTEXT), World::new(scramble).engine(&EngineConfig::default()));
    let document = parsed();
    let takes_json = |operation: &&Value| !operation["requestBody"]["content"]["application/json"].is_null();
    let items = document["paths"].as_object().unwrap().values();
    let described = items.flat_map(|item| item.as_object().unwrap().values()).filter(takes_json).count();
    assert_eq!(bodies().len(), described, "every route with fields is asked here");
    let mut wrong = Vec::new();
    for (method, path, body) in bodies() {
        let response = send(&engine, &store, method, path, &body).await;
        let status = response.status();
        for name in names(&body) {
            let asked = record::asked(&name);
            let described = fields(&document["components"]["schemas"][&name]);
            let more: Vec<_> = asked.difference(&described).collect();
            if asked.is_empty() || !more.is_empty() {
                wrong.push(format!("{path} ({status}) {name}: not described is {more:?} of {asked:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    engine.shutdown().await;
}
