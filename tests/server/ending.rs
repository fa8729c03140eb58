//! Answers that the model ends itself.

use serde_json::{Value, json};

use crate::fixture::{start, write_model_naming};

#[tokio::test]
async fn an_end_token_ends_the_answer_and_is_not_part_of_it() {
    let server = start().await;
    let template = "{{ messages[-1].content }}";
    write_model_naming(server.root.path(), "bare", template, &[], None);
    let ask = |model: &str, stream: bool| json!({"model": model, "prompt": "x", "stream": stream, "options": {"num_predict": 40}});
    let endless = server.post("/api/generate", &ask("bare", false)).await.json();
    assert_eq!(endless["done_reason"], "length");
    let tokens: Vec<u64> =
        endless["context"].as_array().unwrap()[1..].iter().map(|id| id.as_u64().unwrap()).collect();
    // What the model says after a while for the first time becomes its end marker.
    let at = (4..30).find(|&at| !tokens[..at].contains(&tokens[at])).unwrap();
    write_model_naming(server.root.path(), "ending", template, &[(tokens[at], "<end>")], Some(tokens[at]));
    let expected: Vec<u8> = tokens[..at].iter().filter_map(|&id| u8::try_from(id).ok()).collect();
    let expected = String::from_utf8_lossy(&expected);

    let whole = server.post("/api/generate", &ask("ending", false)).await.json();
    assert_eq!(whole["response"], expected.as_ref());
    let records = server.post("/api/generate", &ask("ending", true)).await.lines();
    let text: String = records.iter().map(|record| record["response"].as_str().unwrap()).collect();
    assert_eq!(text, expected);
    let chat = json!({"model": "ending", "stream": false, "messages": [{"role": "user", "content": "x"}]});
    let chat = server.post("/api/chat", &chat).await.json();
    assert_eq!(chat["message"]["content"], expected.as_ref());
    for last in [&whole, records.last().unwrap(), &chat] {
        assert_eq!((&last["done"], &last["done_reason"]), (&Value::Bool(true), &json!("stop")), "{last}");
        // Upstream counts the end token in some paths and not in others.
        let count = last["eval_count"].as_u64().unwrap();
        assert!([at as u64, at as u64 + 1].contains(&count), "{count} tokens for an end at {at}");
    }
    server.stop().await;
}
