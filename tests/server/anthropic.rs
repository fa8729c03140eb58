//! Routes in the manner of Anthropic.

use serde_json::{Value, json};

use crate::cancel::{idle, running};
use crate::events::events;
use crate::fixture::{Answer, start, write_endless_model};
use crate::thinking::write_thinker;

const PATH: &str = "/v1/messages";

/// A request whose answer is the same each time, with further fields.
fn ask(more: &Value) -> Value {
    let mut ask = json!({
        "model": "tiny", "max_tokens": 12, "temperature": 0, "messages": [{"role": "user", "content": "hello"}]
    });
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

/// The data of the events of a stream; names are checked.
fn data(answer: &Answer) -> Vec<Value> {
    let check = |event: crate::events::Event| {
        assert_eq!(event.name.as_deref(), event.data["type"].as_str());
        event.data
    };
    events(answer).into_iter().map(check).collect()
}

/// The error object of an answer, which must have the family's envelope.
fn error(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), "application/json");
    let value = answer.json();
    assert_eq!(value["type"], "error", "{value}");
    let id = value["request_id"].as_str().unwrap();
    assert!(id.starts_with("req_") && id.len() == 28, "{id}");
    assert_eq!((answer.header("request-id"), answer.header("x-request-id")), (id, id));
    value["error"].clone()
}

#[tokio::test]
async fn an_answer_whole_and_in_events_is_the_same() {
    let server = start().await;
    let whole = server.post(PATH, &ask(&json!({"system": "be brief"}))).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/json"));
    let whole = whole.json();
    let id = whole["id"].as_str().unwrap();
    assert!(id.starts_with("msg_") && id.len() == 28, "{id}");
    assert_eq!(
        (&whole["type"], &whole["role"], &whole["model"]),
        (&json!("message"), &json!("assistant"), &json!("tiny"))
    );
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]);
    let native =
        json!({"model": "tiny", "messages": messages, "stream": false, "options": {"num_predict": 12}});
    let native = server.post("/api/chat", &native).await.json();
    assert_eq!(whole["content"], json!([{"type": "text", "text": native["message"]["content"]}]));
    let usage = json!({"input_tokens": native["prompt_eval_count"], "output_tokens": 12});
    assert_eq!((&whole["stop_reason"], &whole["usage"]), (&json!("max_tokens"), &usage));

    let events = data(&server.post(PATH, &ask(&json!({"system": "be brief", "stream": true}))).await);
    let start = &events[0]["message"];
    // The real length of the prompt, before the first token.
    assert_eq!(start["usage"], json!({"input_tokens": native["prompt_eval_count"], "output_tokens": 0}));
    assert_eq!((&start["content"], &start["stop_reason"]), (&json!([]), &Value::Null));
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, native["message"]["content"].as_str().unwrap());
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types[..3], ["message_start", "content_block_start", "content_block_delta"]);
    assert_eq!(types[types.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let last = &events[events.len() - 2];
    assert_eq!((&last["delta"]["stop_reason"], &last["usage"]), (&json!("max_tokens"), &usage));
    server.stop().await;
}

#[tokio::test]
async fn thoughts_are_a_block_of_their_own() {
    let server = start().await;
    let (thinking, content) = write_thinker(&server).await;
    let more = json!({
        "model": "thinker", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "max_tokens": 40, "thinking": {"type": "enabled", "budget_tokens": 1024}
    });
    let whole = server.post(PATH, &ask(&more)).await.json();
    let expected = json!([
        {"type": "thinking", "thinking": thinking, "signature": ""}, {"type": "text", "text": content}
    ]);
    assert_eq!(whole["content"], expected);
    let mut streamed = more.clone();
    streamed["stream"] = json!(true);
    let events = data(&server.post(PATH, &ask(&streamed)).await);
    let text =
        |field: &str| events.iter().filter_map(|event| event["delta"][field].as_str()).collect::<String>();
    assert_eq!((text("thinking"), text("text")), (thinking, content.clone()));
    // One token of thoughts, a line end, and the answer.
    let mut brief = more.clone();
    brief["thinking"]["budget_tokens"] = json!(1);
    let brief = server.post(PATH, &ask(&brief)).await.json();
    assert!(brief["content"][0]["thinking"].as_str().unwrap().chars().count() <= 2, "{brief}");
    assert!(!brief["content"][1]["text"].as_str().unwrap().is_empty(), "{brief}");
    let mut off = more;
    off["thinking"] = json!({"type": "disabled"});
    assert_eq!(
        server.post(PATH, &ask(&off)).await.json()["content"],
        json!([{"type": "text", "text": content}])
    );
    // Asked of a model that cannot think, it is dropped.
    let dropped = server.post(PATH, &ask(&json!({"thinking": {"type": "enabled"}}))).await;
    assert_eq!((dropped.status, &dropped.json()["content"][0]["type"]), (200, &json!("text")));
    server.stop().await;
}

#[tokio::test]
async fn stop_sequences_end_the_answer() {
    let server = start().await;
    let whole = server.post(PATH, &ask(&json!({"max_tokens": 40}))).await.json();
    let whole = whole["content"][0]["text"].as_str().unwrap();
    let middle: String = whole.chars().skip(whole.chars().count() / 2).take(3).collect();
    let cut = server.post(PATH, &ask(&json!({"max_tokens": 40, "stop_sequences": [middle]}))).await.json();
    assert_eq!(cut["content"][0]["text"], whole[..whole.find(&middle).unwrap()]);
    assert_eq!(cut["stop_reason"], "end_turn");
    server.stop().await;
}

#[tokio::test]
async fn errors_have_the_envelope() {
    let server = start().await;
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
    let link = json!({"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}});
    let user = |block: &Value| json!([{"role": "user", "content": [block]}]);
    for (more, status, kind, message) in [
        (json!({"model": ""}), 400, "invalid_request_error", "model is required"),
        (
            json!({"max_tokens": 0}),
            400,
            "invalid_request_error",
            "max_tokens is required and must be positive",
        ),
        (json!({"messages": []}), 400, "invalid_request_error", "messages is required"),
        (json!({"model": "nope", "stream": true}), 404, "not_found_error", "model 'nope' not found"),
        (json!({"messages": user(&image)}), 400, "invalid_request_error", "\"tiny\" does not support vision"),
        (
            json!({"messages": user(&link)}),
            400,
            "invalid_request_error",
            "invalid image source type: url. Only base64 images are supported.",
        ),
    ] {
        let answer = server.post(PATH, &ask(&more)).await;
        assert_eq!(
            (answer.status, error(&answer)),
            (status, json!({"type": kind, "message": message})),
            "{more}"
        );
    }
    let empty = server.send("POST", PATH, "").await;
    assert_eq!((empty.status, &error(&empty)["message"]), (400, &json!("EOF")));
    assert_eq!(server.get(PATH).await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_card() {
    let server = start().await;
    write_endless_model(server.root.path());
    server.post("/api/generate", &json!({"model": "endless"})).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = ask(&json!({"model": "endless", "max_tokens": 16_000, "stream": true})).to_string();
    let request = client.post(format!("http://{}{PATH}", server.address)).body(body);
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().unwrap().starts_with(b"event: message_start\n"));
    running(&server).await;
    drop((response, client));
    idle(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn tokens_are_not_counted_and_the_answer_is_the_familys() {
    let server = start().await;
    let answer = server.post("/v1/messages/count_tokens", &json!({"model": "tiny", "messages": []})).await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
    let value = answer.json();
    assert_eq!(
        (value["type"].as_str(), value["error"]["type"].as_str()),
        (Some("error"), Some("not_found_error"))
    );
    let id = value["request_id"].as_str().unwrap();
    assert!(id.starts_with("req_") && id.len() == 28, "{id}");
    server.stop().await;
}
