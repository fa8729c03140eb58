//! `format`: answers that are JSON, or fit a schema, whatever the model would say. The weights are random.

use serde_json::{Value, json};

use crate::fixture::{Server, answer_tokens, start, write_model_naming};

/// A schema whose answers are short, so that random weights come to their end.
fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"kind": {"enum": ["cat", "dog"]}, "tame": {"type": "boolean"}, "age": {"enum": [1, 2, null]}},
        "required": ["kind", "tame", "age"],
        "additionalProperties": false
    })
}

fn assert_fits(text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["kind", "tame", "age"], "in the order of the schema");
    assert!([json!("cat"), json!("dog")].contains(&value["kind"]), "{value}");
    assert!(value["tame"].is_boolean(), "{value}");
}

/// The answers of both routes, streamed and whole, and of raw mode: text, thoughts, last record.
async fn answers(server: &Server, more: &Value) -> Vec<(String, String, Value)> {
    let mut answers = Vec::new();
    for (path, input) in [
        ("/api/generate", json!({"prompt": "x"})),
        ("/api/generate", json!({"prompt": "x", "raw": true})),
        ("/api/chat", json!({"messages": [{"role": "user", "content": "x"}]})),
    ] {
        for stream in [true, false] {
            let mut ask = json!({"model": "tiny", "stream": stream, "options": {"num_predict": 400}});
            ask.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
            ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = server.post(path, &ask).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let records = if stream { answer.lines() } else { vec![answer.json()] };
            let (mut text, mut thoughts) = (String::new(), String::new());
            for record in &records {
                let part = record.get("message").unwrap_or(record);
                text += part.get("content").or(part.get("response")).unwrap().as_str().unwrap();
                thoughts += part["thinking"].as_str().unwrap_or_default();
            }
            answers.push((text, thoughts, records.last().unwrap().clone()));
        }
    }
    answers
}

#[tokio::test]
async fn a_schema_is_kept_and_ends_the_answer() {
    let server = start().await;
    for options in [json!({"temperature": 0}), json!({"temperature": 1.5, "seed": 7})] {
        for (text, _, last) in answers(&server, &json!({"format": schema(), "options": options})).await {
            assert_fits(&text);
            assert_eq!(last["done_reason"], "stop", "{last}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn json_is_one_object() {
    let server = start().await;
    let mut ended = 0;
    for seed in 0..8 {
        let options = json!({"temperature": 2.0, "seed": seed, "num_predict": 300, "top_k": 0, "top_p": 1.0});
        let ask = json!({
            "model": "tiny", "prompt": "x", "stream": false, "format": "json", "options": options
        });
        let answer = server.post("/api/generate", &ask).await.json();
        let text = answer["response"].as_str().unwrap();
        assert!(text.starts_with('{'), "{text:?}");
        if answer["done_reason"] == "stop" {
            ended += 1;
            assert!(serde_json::from_str::<Value>(text).unwrap().is_object(), "{text:?}");
        }
    }
    assert!(ended > 0, "no answer of eight came to its end");
    server.stop().await;
}

#[tokio::test]
async fn num_predict_still_ends_it() {
    let server = start().await;
    for (text, _, last) in answers(&server, &json!({"format": schema(), "options": {"num_predict": 5}})).await
    {
        assert!(text.starts_with('{') && text.len() <= 5, "{text:?}");
        assert_eq!((last["done_reason"].as_str(), last["eval_count"].as_u64()), (Some("length"), Some(5)));
    }
    server.stop().await;
}

#[tokio::test]
async fn thoughts_come_before_the_form_unless_there_are_to_be_none() {
    let server = start().await;
    let template = "{% if false %}<think>{% endif %}{{ messages[-1].content }}";
    let tokens = answer_tokens(&server, "x").await;
    let at = (4..30).find(|&at| !tokens[..at].contains(&tokens[at])).unwrap();
    let names = [(tokens[0], "<think>"), (tokens[at], "</think>")];
    write_model_naming(server.root.path(), "thinker", template, &names, None);
    let inside = "{{ messages[-1].content }}<think>\n";
    write_model_naming(server.root.path(), "inside", inside, &names, None);
    for (more, thinks) in
        [(json!({}), true), (json!({"think": true}), true), (json!({"think": false}), false)]
    {
        let mut ask = json!({"model": "thinker", "format": schema()});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for (index, (text, thinking, _)) in answers(&server, &ask).await.into_iter().enumerate() {
            assert_fits(&text);
            // The answers in the middle are those of raw mode.
            let expected = thinks && !(2..4).contains(&index);
            assert_eq!(!thinking.is_empty(), expected, "{more} {index}: {thinking:?}");
            assert!(!thinking.contains('>'), "{thinking:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_format_or_cannot_be_kept() {
    let server = start().await;
    let user = json!([{"role": "user", "content": "x"}]);
    for (format, status) in [
        (json!("xml"), 500),
        (json!(["json"]), 500),
        (json!({"type": "nonsense"}), 400),
        (json!({"$ref": "#/nowhere"}), 400),
    ] {
        let ask = json!({"model": "tiny", "messages": user, "format": format});
        let answer = server.post("/api/chat", &ask).await;
        assert_eq!(answer.status, status, "{format}: {}", answer.text);
        assert!(!answer.error().is_empty());
        // Nothing is written, so nothing is checked.
        let load = json!({"model": "tiny", "messages": [], "format": format});
        assert_eq!(server.post("/api/chat", &load).await.json()["done_reason"], "load");
    }
    let missing = json!({"model": "nope", "messages": user, "format": "xml"});
    assert_eq!(server.post("/api/chat", &missing).await.status, 404);
    server.stop().await;
}
