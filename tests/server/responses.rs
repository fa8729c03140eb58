//! `/v1/responses`.

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};

use crate::events::events;
use crate::fixture::{Answer, Server, start};
use crate::openai::error;
use crate::thinking::write_thinker;

const PATH: &str = "/v1/responses";

fn ask(more: &Value) -> Value {
    let mut ask = json!({"model": "tiny", "input": "hello", "temperature": 0, "max_output_tokens": 12});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

/// The events of a stream by their type; numbers are checked.
fn data(answer: &Answer) -> Vec<Value> {
    let check = |(number, event): (usize, crate::events::Event)| {
        assert_eq!(
            (event.name.as_deref(), &event.data["sequence_number"]),
            (event.data["type"].as_str(), &json!(number))
        );
        event.data
    };
    events(answer).into_iter().enumerate().map(check).collect()
}

fn deltas(events: &[Value], kind: &str) -> String {
    events
        .iter()
        .filter(|event| event["type"] == kind)
        .map(|event| event["delta"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn an_answer_whole_and_in_events_is_the_same() {
    let server = start().await;
    let whole = server.post(PATH, &ask(&json!({"instructions": "be brief"}))).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/json"));
    let whole = whole.json();
    assert_eq!(
        (&whole["object"], &whole["status"], &whole["instructions"]),
        (&json!("response"), &json!("completed"), &json!("be brief"))
    );
    assert_eq!((&whole["max_output_tokens"], &whole["temperature"]), (&json!(12), &json!(0.0)));
    let message = &whole["output"][0];
    assert_eq!(
        (&message["type"], &message["role"], &message["status"]),
        (&json!("message"), &json!("assistant"), &json!("completed"))
    );
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]);
    let native =
        json!({"model": "tiny", "messages": messages, "stream": false, "options": {"num_predict": 12}});
    let native = server.post("/api/chat", &native).await.json();
    assert_eq!(message["content"][0]["text"], native["message"]["content"]);
    assert_eq!(
        (&whole["usage"]["input_tokens"], &whole["usage"]["output_tokens"]),
        (&native["prompt_eval_count"], &json!(12))
    );

    let events = data(&server.post(PATH, &ask(&json!({"instructions": "be brief", "stream": true}))).await);
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        types[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added"
        ]
    );
    let end = [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types[types.len() - 4..], end);
    assert!(types[4..types.len() - 4].iter().all(|kind| *kind == "response.output_text.delta"));
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][0]["content"], message["content"]);
    assert_eq!(
        deltas(&events, "response.output_text.delta"),
        message["content"][0]["text"].as_str().unwrap()
    );
    assert_eq!(response["id"], events[0]["response"]["id"]);
    server.stop().await;
}

#[tokio::test]
async fn thoughts_are_an_item_of_their_own() {
    let server = start().await;
    let (thinking, content) = write_thinker(&server).await;
    let more =
        json!({"model": "thinker", "input": [{"role": "user", "content": "x"}], "max_output_tokens": 40});
    let whole = server.post(PATH, &ask(&more)).await.json();
    let [thought, message] = whole["output"].as_array().unwrap().as_slice() else { panic!("{whole}") };
    assert_eq!(
        (&thought["summary"][0]["text"], &message["content"][0]["text"]),
        (&json!(thinking), &json!(content))
    );
    let mut more = more;
    more["stream"] = json!(true);
    let events = data(&server.post(PATH, &ask(&more)).await);
    assert_eq!(deltas(&events, "response.reasoning_summary_text.delta"), thinking);
    assert_eq!(deltas(&events, "response.output_text.delta"), content);
    // The conversation goes on with what was thought.
    let input = json!([thought, message, {"role": "user", "content": "x"}]);
    assert_eq!(server.post(PATH, &ask(&json!({"input": input}))).await.status, 200);
    server.stop().await;
}

async fn compressed(server: &Server, body: &[u8]) -> Answer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://{}{PATH}", server.address)).header("content-encoding", "zstd");
    let response = request.body(body.to_vec()).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

#[tokio::test]
async fn compressed_bodies() {
    let server = start().await;
    let body = ask(&json!({})).to_string();
    let plain = server.post(PATH, &ask(&json!({}))).await.json();
    let answer = compressed(&server, &compress_to_vec(body.as_bytes(), CompressionLevel::Fastest)).await;
    assert_eq!(answer.json()["output"][0]["content"], plain["output"][0]["content"]);
    let broken = compressed(&server, body.as_bytes()).await;
    assert_eq!((broken.status, error(&broken)["type"].as_str()), (400, Some("invalid_request_error")));
    let bomb = compress_to_vec(vec![b' '; (20 << 20) + 1].as_slice(), CompressionLevel::Fastest);
    assert_eq!(compressed(&server, &bomb).await.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused() {
    let server = start().await;
    for (more, status, message) in [
        (json!({"model": null}), 400, "model is required"),
        (json!({"model": "nope"}), 404, "model 'nope' not found"),
        (json!({"input": [{"type": "odd"}]}), 400, "input[0]: unknown input item type: \"odd\""),
        (json!({"input": null}), 400, "input is empty: there is nothing to respond to"),
        (json!({"reasoning": {"effort": "high"}, "stream": true}), 400, "\"tiny\" does not support thinking"),
    ] {
        let answer = server.post(PATH, &ask(&more)).await;
        assert_eq!((answer.status, error(&answer)["message"].as_str()), (status, Some(message)), "{more}");
    }
    let loaded = server.get("/api/ps").await.json();
    assert_eq!(loaded["models"], json!([]), "what is refused loads nothing");
    let empty = server.send("POST", PATH, "").await;
    assert_eq!((empty.status, error(&empty)["message"].as_str()), (400, Some("EOF")));
    server.stop().await;
}
