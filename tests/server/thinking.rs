//! Thoughts: apart from the answer, on both routes, streamed and whole.

use serde_json::{Value, json};

use crate::fixture::{Server, answer_tokens, start, write_model_naming};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";
/// Mentions the tag, as templates of thinking families do, and renders only the last message.
const TEMPLATE: &str = "{% if false %}<think>{% endif %}{{ messages[-1].content }}";

/// Writes `thinker`, which opens its thoughts with its first token and closes them some tokens later. Returns what it
/// thinks and what it says then, up to 40 tokens.
pub(crate) async fn write_thinker(server: &Server) -> (String, String) {
    let tokens = answer_tokens(server, "x").await;
    let at = (4..30).find(|&at| !tokens[..at].contains(&tokens[at])).unwrap();
    let names = [(tokens[0], OPEN), (tokens[at], CLOSE)];
    write_model_naming(server.root.path(), "thinker", TEMPLATE, &names, None);
    let inside = "{{ messages[-1].content }}<think>\n";
    write_model_naming(server.root.path(), "inside", inside, &names, None);
    let mut bytes = Vec::new();
    for id in tokens {
        match names.iter().find(|(named, _)| *named == id) {
            Some((_, name)) => bytes.extend(name.as_bytes()),
            None => bytes.extend(u8::try_from(id)),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (thinking, content) = text.strip_prefix(OPEN).unwrap().split_once(CLOSE).unwrap();
    (thinking.trim_start().to_owned(), content.trim_start().to_owned())
}

/// Thoughts and answer of a record, whatever its route.
fn parts(record: &Value) -> (&str, &str) {
    let part = |value: &'_ Value| value.as_str().map_or(0, str::len);
    let message = record.get("message").unwrap_or(record);
    assert!(message.get("thinking").is_none_or(|thinking| part(thinking) > 0), "an empty field: {record}");
    let content = message.get("content").or_else(|| message.get("response")).unwrap();
    (message["thinking"].as_str().unwrap_or_default(), content.as_str().unwrap())
}

/// Asks on both routes, streamed and whole, and returns the four answers.
async fn ask(server: &Server, more: &Value) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for (path, input) in [
        ("/api/generate", json!({"prompt": "x"})),
        ("/api/chat", json!({"messages": [{"role": "user", "content": "x"}]})),
    ] {
        for stream in [true, false] {
            let mut ask = json!({"model": "thinker", "stream": stream, "options": {"num_predict": 40}});
            ask.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
            ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = server.post(path, &ask).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let records = if stream { answer.lines() } else { vec![answer.json()] };
            assert_eq!(records.last().unwrap()["eval_count"], 40);
            let (thinking, content): (Vec<&str>, Vec<&str>) = records.iter().map(parts).unzip();
            answers.push((thinking.concat(), content.concat()));
        }
    }
    answers
}

#[tokio::test]
async fn thoughts_are_reported_apart_unless_switched_off() {
    let server = start().await;
    let (thinking, content) = write_thinker(&server).await;
    assert!(!thinking.is_empty() && !content.is_empty());
    for more in [json!({}), json!({"think": true}), json!({"think": "high"})] {
        for answer in ask(&server, &more).await {
            assert_eq!(answer, (thinking.clone(), content.clone()), "{more}");
        }
    }
    // A model that thinks although its template was told: the thoughts go nowhere.
    for answer in ask(&server, &json!({"think": false})).await {
        assert_eq!(answer, (String::new(), content.clone()));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_prompt_that_opens_the_thoughts_and_raw_mode() {
    let server = start().await;
    write_thinker(&server).await;
    for (thinking, content) in ask(&server, &json!({"model": "inside"})).await {
        assert!(!thinking.is_empty() && !content.contains(CLOSE), "{thinking:?} {content:?}");
    }
    let ask = json!({"model": "thinker", "prompt": "x", "raw": true, "stream": false, "options": {"num_predict": 40}});
    let answer = server.post("/api/generate", &ask).await.json();
    assert!(answer.get("thinking").is_none());
    assert!(answer["response"].as_str().unwrap().starts_with(OPEN));
    server.stop().await;
}

#[tokio::test]
async fn every_token_has_its_log_probability_whatever_becomes_of_its_text() {
    let server = start().await;
    write_thinker(&server).await;
    let calls = "{{ messages[-1].content }}{% if false %}{{ tools }}<tool_call>{% endif %}";
    let tokens = answer_tokens(&server, "x").await;
    write_model_naming(server.root.path(), "caller", calls, &[(tokens[0], "<tool_call>")], None);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for more in [
        json!({"model": "thinker"}),
        json!({"model": "thinker", "think": false}),
        json!({"model": "caller", "tools": tools}),
    ] {
        for stream in [true, false] {
            let mut ask = json!({
                "messages": [{"role": "user", "content": "x"}], "stream": stream, "logprobs": true, "top_logprobs": 1,
                "options": {"num_predict": 25}
            });
            ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let answer = server.post("/api/chat", &ask).await;
            let records = if stream { answer.lines() } else { vec![answer.json()] };
            let count = |record: &Value| record["logprobs"].as_array().map_or(0, Vec::len);
            assert_eq!(records.iter().map(count).sum::<usize>(), 25, "{ask}");
        }
    }
    server.stop().await;
}
