//! `/v1/chat/completions` and `/v1/completions`.

use serde_json::{Value, json};

use crate::cancel::{idle, running};
use crate::events::{Event, events};
use crate::fixture::{Answer, Server, start, write_endless_model};
use crate::openai::error;
use crate::thinking::write_thinker;

const CHAT: &str = "/v1/chat/completions";

/// A request whose answer is the same each time, with further fields.
fn chat(more: Value) -> Value {
    with(
        json!({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "temperature": 0, "max_tokens": 12}),
        more,
    )
}

fn completion(more: Value) -> Value {
    with(json!({"model": "tiny", "prompt": "hello", "temperature": 0, "max_tokens": 12}), more)
}

fn with(mut ask: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("fields are an object") };
    ask.as_object_mut().unwrap().extend(more);
    ask
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The chunks of a stream, whose end is checked.
fn chunks(answer: &Answer) -> Vec<Value> {
    let mut events = events(answer);
    assert_eq!(events.pop(), Some(Event { name: None, data: "[DONE]".into() }));
    events
        .into_iter()
        .map(|event| {
            assert_eq!(event.name, None);
            event.data
        })
        .collect()
}

/// The texts of one field of all deltas, joined.
fn joined(chunks: &[Value], field: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][field].as_str()).collect()
}

#[tokio::test]
async fn a_chat_in_one_piece() {
    let server = start().await;
    let answer = server.post(CHAT, &chat(json!({}))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let answer = answer.json();
    assert_eq!(keys(&answer), ["id", "object", "created", "model", "system_fingerprint", "choices", "usage"]);
    assert_eq!(
        (answer["object"].as_str(), answer["model"].as_str()),
        (Some("chat.completion"), Some("tiny"))
    );
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("length")));
    assert_eq!(keys(&choice["message"]), ["role", "content"]);
    let native = json!({"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": false, "options": {"num_predict": 12}});
    let native = server.post("/api/chat", &native).await.json();
    assert_eq!(choice["message"]["content"], native["message"]["content"]);
    let (prompt, answered) = (native["prompt_eval_count"].as_u64().unwrap(), 12);
    let usage =
        json!({"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered});
    assert_eq!(answer["usage"], usage);
    server.stop().await;
}

#[tokio::test]
async fn a_chat_in_chunks_is_the_same_answer() {
    let server = start().await;
    let whole = server.post(CHAT, &chat(json!({}))).await.json();
    let plain = chunks(&server.post(CHAT, &chat(json!({"stream": true}))).await);
    assert!(
        plain.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk.get("usage").is_none())
    );
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut chunks = chunks(&server.post(CHAT, &chat(usage)).await);
    let last = chunks.pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    assert_eq!(joined(&chunks, "content"), whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert!(
        chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["created"] == chunks[0]["created"])
    );
    let (first, rest) = chunks.split_first().unwrap();
    assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
    assert!(rest.iter().all(|chunk| chunk["choices"][0]["delta"].get("role").is_none()));
    let (finish, before) = chunks.split_last().unwrap();
    assert_eq!(
        (&finish["choices"][0]["delta"], &finish["choices"][0]["finish_reason"]),
        (&json!({}), &json!("length"))
    );
    assert!(before.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    server.stop().await;
}

#[tokio::test]
async fn stop_seed_and_limits() {
    let server = start().await;
    let content = |answer: &Value| answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let whole = content(&server.post(CHAT, &chat(json!({"max_tokens": 40}))).await.json());
    let middle: String = whole.chars().skip(whole.chars().count() / 2).take(3).collect();
    for stop in [json!(middle), json!(["never there", middle, 7])] {
        let cut = server.post(CHAT, &chat(json!({"max_tokens": 40, "stop": stop}))).await.json();
        assert_eq!(content(&cut), whole[..whole.find(&middle).unwrap()]);
        assert_eq!(cut["choices"][0]["finish_reason"], "stop");
    }
    let seeded = |seed: u64| chat(json!({"temperature": null, "max_tokens": 40, "seed": seed}));
    let first = content(&server.post(CHAT, &seeded(1)).await.json());
    assert_eq!(content(&server.post(CHAT, &seeded(1)).await.json()), first);
    // At the family's own temperature the next seed makes another answer.
    assert_ne!(content(&server.post(CHAT, &seeded(2)).await.json()), first);
    let newer = chat(json!({"max_tokens": null, "max_completion_tokens": 5}));
    assert_eq!(server.post(CHAT, &newer).await.json()["usage"]["completion_tokens"], 5);
    server.stop().await;
}

#[tokio::test]
async fn messages_in_all_their_forms() {
    let server = start().await;
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "4"}]}
    ]);
    let answer =
        server.post(CHAT, &chat(json!({"messages": messages, "_debug_render_only": true}))).await.json();
    let expected = "<|turn|>developer\nbe brief\n<|turn|>user\na\n\nb\n<|turn|>assistant\n\n<|turn|>tool\n4\n<|turn|>assistant\n";
    assert_eq!(answer["_debug_info"]["rendered_template"], expected);
    server.stop().await;
}

#[tokio::test]
async fn log_probabilities() {
    let server = start().await;
    let ask = chat(json!({"logprobs": true, "top_logprobs": 2, "max_tokens": 6}));
    let whole = server.post(CHAT, &ask).await.json();
    let entries = whole["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(entries.len(), 6);
    for entry in entries {
        assert_eq!(keys(entry), ["token", "logprob", "bytes", "top_logprobs"]);
        assert_eq!(entry["top_logprobs"].as_array().unwrap().len(), 2);
        assert_eq!(entry["top_logprobs"][0]["logprob"], entry["logprob"]);
    }
    let chunks = chunks(&server.post(CHAT, &with(ask, json!({"stream": true}))).await);
    let streamed = chunks.iter().filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array());
    assert_eq!(streamed.flatten().collect::<Vec<_>>(), entries.iter().collect::<Vec<_>>());
    let without = server.post(CHAT, &chat(json!({"logprobs": true}))).await.json();
    assert_eq!(keys(&without["choices"][0]["logprobs"]["content"][0]), ["token", "logprob", "bytes"]);
    let none = server.post(CHAT, &chat(json!({"top_logprobs": 3}))).await.json();
    assert!(none["choices"][0].get("logprobs").is_none());
    server.stop().await;
}

#[tokio::test]
async fn thoughts_are_reasoning() {
    let server = start().await;
    let (thinking, content) = write_thinker(&server).await;
    let ask = |more: Value| {
        let messages = json!([{"role": "user", "content": "x"}]);
        with(chat(json!({"model": "thinker", "messages": messages, "max_tokens": 40})), more)
    };
    for effort in
        [json!({}), json!({"reasoning_effort": "high"}), json!({"reasoning": {"effort": "minimal"}})]
    {
        let message = server.post(CHAT, &ask(effort)).await.json()["choices"][0]["message"].clone();
        assert_eq!(
            (message["reasoning"].as_str(), message["content"].as_str()),
            (Some(&*thinking), Some(&*content))
        );
    }
    let chunks = chunks(&server.post(CHAT, &ask(json!({"stream": true}))).await);
    assert_eq!((joined(&chunks, "reasoning"), joined(&chunks, "content")), (thinking, content.clone()));
    let mixed = |delta: &Value| delta.get("reasoning").is_some() && delta["content"] != "";
    assert!(!chunks.iter().any(|chunk| mixed(&chunk["choices"][0]["delta"])));
    let none = json!({"reasoning_effort": "high", "reasoning": {"effort": "none"}});
    let message = server.post(CHAT, &ask(none)).await.json()["choices"][0]["message"].clone();
    assert_eq!(message, json!({"role": "assistant", "content": content}));
    server.stop().await;
}

#[tokio::test]
async fn completions_of_a_prompt() {
    let server = start().await;
    let path = "/v1/completions";
    let whole = server.post(path, &completion(json!({"logprobs": 3}))).await.json();
    assert_eq!(keys(&whole), ["id", "object", "created", "model", "system_fingerprint", "choices", "usage"]);
    assert_eq!(whole["object"], "text_completion");
    let text = whole["choices"][0]["text"].as_str().unwrap();
    assert_eq!(whole["choices"][0], json!({"text": text, "index": 0, "finish_reason": "length"}));
    // The prompt goes through the template.
    let native = json!({"model": "tiny", "prompt": "hello", "stream": false, "options": {"num_predict": 12}});
    assert_eq!(server.post("/api/generate", &native).await.json()["response"], text);

    let plain = chunks(&server.post(path, &completion(json!({"stream": true}))).await);
    assert!(plain.iter().all(|chunk| chunk["object"] == "text_completion" && chunk.get("usage").is_none()));
    let joined: String = plain.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(joined, text);
    assert_eq!(plain.last().unwrap()["choices"][0]["finish_reason"], "length");
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let mut counted = chunks(&server.post(path, &completion(usage)).await);
    let last = counted.pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    assert!(counted.iter().all(|chunk| chunk["usage"]["total_tokens"] == 0));
    // Nothing to complete.
    let empty = server.post(path, &completion(json!({"prompt": ""}))).await.json();
    assert_eq!(
        (&empty["choices"][0]["text"], &empty["choices"][0]["finish_reason"]),
        (&json!(""), &json!("stop"))
    );
    let empty = chunks(&server.post(path, &completion(json!({"prompt": "", "stream": true}))).await);
    assert_eq!(empty[0]["choices"], json!([{"text": "", "index": 0, "finish_reason": "stop"}]));
    assert_eq!(empty.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_envelope_and_ollamas_texts() {
    let server = start().await;
    let image = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (more, status, message) in [
        (json!({"messages": []}), 400, "[] is too short - 'messages'"),
        (json!({"model": ""}), 400, "model is required"),
        (json!({"model": "nope"}), 404, "model 'nope' not found"),
        (json!({"model": "a b", "stream": true}), 400, "invalid model name"),
        (json!({"reasoning_effort": "high"}), 400, "\"tiny\" does not support thinking"),
        (json!({"tools": tools}), 400, "registry.ollama.ai/library/tiny:latest does not support tools"),
        (image("data:image/png;base64,aGk="), 400, "\"tiny\" does not support vision"),
        (
            image("https://example.com/x.png"),
            400,
            "image URLs are not currently supported, please use base64 encoded data instead",
        ),
        (json!({"messages": [{"role": "user"}]}), 400, "invalid message content type: <nil>"),
        (json!({"top_logprobs": -1}), 400, "top_logprobs must be between 0 and 20"),
    ] {
        refused(&server, CHAT, &chat(more), status, message).await;
    }
    for (more, status, message) in [
        (json!({"model": null}), 404, "model '' not found"),
        (json!({"suffix": "x"}), 400, "registry.ollama.ai/library/tiny:latest does not support insert"),
    ] {
        refused(&server, "/v1/completions", &completion(more), status, message).await;
    }
    server.stop().await;
}

/// Checks that a request is refused in the words of the family.
async fn refused(server: &Server, path: &str, ask: &Value, status: u16, message: &str) {
    let answer = server.post(path, ask).await;
    let kind = if status == 404 { "not_found_error" } else { "invalid_request_error" };
    let expected = json!({"message": message, "type": kind, "param": null, "code": null});
    assert_eq!((answer.status, error(&answer)), (status, expected), "{ask}");
}

#[tokio::test]
async fn bodies_that_are_none() {
    let server = start().await;
    for path in [CHAT, "/v1/completions"] {
        for (body, message) in [("", "EOF"), (" \n", "EOF"), ("{\"model\":", "unexpected EOF")] {
            let answer = server.send("POST", path, body).await;
            assert_eq!((answer.status, error(&answer)["message"].as_str()), (400, Some(message)));
        }
        assert_eq!(server.send("POST", path, "[]").await.status, 400);
        assert_eq!(server.get(path).await.status, 405);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_card() {
    let server = start().await;
    write_endless_model(server.root.path());
    server.post("/api/generate", &json!({"model": "endless"})).await;
    for stream in [true, false] {
        let body = chat(json!({"model": "endless", "stream": stream, "max_tokens": null})).to_string();
        let request = format!(
            "POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let socket = open(&server, &request).await;
        running(&server).await;
        drop(socket);
        idle(&server).await;
        assert_eq!(server.post(CHAT, &chat(json!({"max_tokens": 1}))).await.status, 200);
    }
    server.stop().await;
}

async fn open(server: &Server, request: &str) -> tokio::net::TcpStream {
    use tokio::io::AsyncWriteExt;
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}
