//! `/api/generate` and `/api/chat`: records, framing, options.

use serde_json::{Value, json};

use crate::fixture::{Answer, start, write_model};

/// Keys of a record in the order they were sent.
fn keys(record: &Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

fn assert_metrics(last: &Value) {
    assert_eq!(last["done"], true);
    for name in [
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ] {
        assert!(last[name].as_u64().unwrap() > 0, "{name} in {last}");
    }
}

fn assert_stream(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    assert_eq!(answer.header("transfer-encoding"), "chunked");
    let records = answer.lines();
    assert!(records[..records.len() - 1].iter().all(|record| record["done"] == false));
    assert_metrics(records.last().unwrap());
    records
}

#[tokio::test]
async fn generate_streams_records_and_their_sum_is_the_whole_answer() {
    let server = start().await;
    let mut ask = json!({"model": "tiny", "prompt": "hello", "options": {"num_predict": 20}});
    let streamed = server.post("/api/generate", &ask).await;
    let records = assert_stream(&streamed);
    assert_eq!(keys(&records[0]), ["model", "created_at", "response", "done"]);
    let last = records.last().unwrap();
    let metrics = [
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ];
    let expected =
        [&["model", "created_at", "response", "done", "done_reason", "context"][..], &metrics].concat();
    assert_eq!(keys(last), expected);
    assert_eq!((last["done_reason"].as_str(), last["eval_count"].as_u64()), (Some("length"), Some(20)));
    let prompt_tokens = last["prompt_eval_count"].as_u64().unwrap();
    assert_eq!(last["context"].as_array().unwrap().len() as u64, prompt_tokens + 20);

    ask["stream"] = json!(false);
    let whole = server.post("/api/generate", &ask).await;
    assert_eq!(whole.header("content-type"), "application/json; charset=utf-8");
    let whole = whole.json();
    assert_metrics(&whole);
    assert_eq!(keys(&whole), expected);
    let text: String = records.iter().map(|record| record["response"].as_str().unwrap()).collect();
    assert_eq!(whole["response"], text);
    assert_eq!(whole["context"], last["context"]);
    server.stop().await;
}

#[tokio::test]
async fn chat_streams_records_and_their_sum_is_the_whole_answer() {
    let server = start().await;
    let mut ask = json!({
        "model": "TINY:Latest", "messages": [{"role": "User", "content": "hello"}], "tools": [],
        "options": {"num_predict": 9.0, "temperature": 0.7, "seed": 3}
    });
    let records = assert_stream(&server.post("/api/chat", &ask).await);
    assert_eq!(keys(&records[0]), ["model", "created_at", "message", "done"]);
    assert_eq!(keys(&records[0]["message"]), ["role", "content"]);
    // The name as requested, not as stored.
    assert!(
        records
            .iter()
            .all(|record| record["model"] == "TINY:Latest" && record["message"]["role"] == "assistant")
    );
    ask["stream"] = json!(false);
    let whole = server.post("/api/chat", &ask).await.json();
    assert_metrics(&whole);
    assert!(whole.get("context").is_none());
    let text: String = records.iter().map(|record| record["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(whole["message"]["content"], text);
    assert!(whole["created_at"].as_str().unwrap().ends_with('Z'));
    server.stop().await;
}

#[tokio::test]
async fn debug_shows_the_prompt_and_runs_nothing() {
    let server = start().await;
    write_model(server.root.path(), "thinker", "{{ messages[-1].content }}<|turn|>{{ enable_thinking }}");
    let turns = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hé"}]);
    let expected = "<|turn|>system\nbe brief\n<|turn|>user\nhé\n<|turn|>assistant\n";
    for (path, ask, prompt) in [
        ("/api/chat", json!({"model": "tiny", "messages": turns}), expected),
        (
            "/api/generate",
            json!({"model": "tiny", "prompt": "hé", "system": "be brief", "stream": false}),
            expected,
        ),
        ("/api/generate", json!({"model": "tiny", "prompt": "hé", "raw": true}), "hé"),
        // What thinking templates are told.
        ("/api/generate", json!({"model": "thinker", "prompt": "x"}), "x<|turn|>True"),
        ("/api/chat", json!({"model": "thinker", "messages": turns, "think": "low"}), "hé<|turn|>True"),
        ("/api/chat", json!({"model": "thinker", "messages": turns, "think": false}), "hé<|turn|>False"),
    ] {
        let mut ask = ask;
        ask["_debug_render_only"] = json!(true);
        let answer = server.post(path, &ask).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json; charset=utf-8"));
        let answer = answer.json();
        assert_eq!(answer["_debug_info"], json!({"rendered_template": prompt, "image_count": 0}), "{ask}");
        assert_eq!(answer["done"], false);
    }
    assert!(server.engine.loaded().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn raw_takes_the_prompt_as_it_is() {
    let server = start().await;
    let ask = json!({"model": "tiny", "prompt": "hello", "raw": true, "stream": false, "options": {"num_predict": 2}});
    let answer = server.post("/api/generate", &ask).await.json();
    assert_eq!(answer["prompt_eval_count"], 5);
    assert!(answer.get("context").is_none());
    for other in [json!({"system": "s"}), json!({"template": "t"}), json!({"context": [1]})] {
        let mut ask = ask.clone();
        ask.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        let answer = server.post("/api/generate", &ask).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.error(), "raw mode does not support template, system, or context");
    }
    server.stop().await;
}

#[tokio::test]
async fn system_and_template_of_a_generate_request() {
    let server = start().await;
    let ask = |more: Value| {
        let mut ask =
            json!({"model": "tiny", "prompt": "hi", "stream": false, "options": {"num_predict": 1}});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask
    };
    let plain = server.post("/api/generate", &ask(json!({}))).await.json();
    let with_system = server.post("/api/generate", &ask(json!({"system": "abc"}))).await.json();
    // "<|turn|>system\nabc\n" is one special token and eleven bytes.
    let more =
        with_system["prompt_eval_count"].as_u64().unwrap() - plain["prompt_eval_count"].as_u64().unwrap();
    assert_eq!(more, 12);
    let own = server.post("/api/show", &json!({"model": "tiny"})).await.json()["template"].clone();
    assert_eq!(server.post("/api/generate", &ask(json!({"template": own}))).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn stop_texts_end_the_answer_and_are_not_part_of_it() {
    let server = start().await;
    let ask = |stop: Value| {
        json!({"model": "tiny", "prompt": "hello", "raw": true, "stream": false,
               "options": {"num_predict": 60, "stop": stop}})
    };
    let whole =
        server.post("/api/generate", &ask(json!([]))).await.json()["response"].as_str().unwrap().to_owned();
    let characters: Vec<char> = whole.chars().collect();
    let stop: String = characters[characters.len() / 2..].iter().take(3).collect();
    let cut = server.post("/api/generate", &ask(json!(["never there", stop]))).await.json();
    assert_eq!(cut["response"], whole[..whole.find(&stop).unwrap()]);
    assert_eq!(cut["done_reason"], "stop");
    server.stop().await;
}

#[tokio::test]
async fn log_probabilities() {
    let server = start().await;
    let mut ask = json!({"model": "tiny", "prompt": "hello", "options": {"num_predict": 10}});
    let plain = server.post("/api/generate", &ask).await.lines();
    assert!(plain.iter().all(|record| record.get("logprobs").is_none()));
    ask["logprobs"] = json!(true);
    ask["top_logprobs"] = json!(3);
    let records = server.post("/api/generate", &ask).await.lines();
    let entries: Vec<&Value> =
        records.iter().filter_map(|record| record["logprobs"].as_array()).flatten().collect();
    assert_eq!(entries.len(), 10);
    for entry in entries {
        let top = entry["top_logprobs"].as_array().unwrap();
        let values: Vec<f64> = top.iter().map(|candidate| candidate["logprob"].as_f64().unwrap()).collect();
        assert!(values.len() == 3 && values.is_sorted_by(|a, b| a >= b), "{entry}");
        // Temperature 0: the token chosen is the best one.
        assert_eq!(entry["logprob"], top[0]["logprob"]);
        assert!(entry["logprob"].as_f64().unwrap() <= 0.0);
    }
    ask["top_logprobs"] = json!(0);
    let records = server.post("/api/generate", &ask).await.lines();
    assert!(records[0]["logprobs"][0].get("top_logprobs").is_none());
    server.stop().await;
}

#[tokio::test]
async fn loading_and_unloading_is_one_plain_object() {
    let server = start().await;
    let chat = |keep_alive: Value| json!({"model": "tiny", "messages": [], "keep_alive": keep_alive, "stream": true});
    // Unloading what is not loaded loads nothing.
    let answer = server.post("/api/chat", &chat(json!(0))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json; charset=utf-8"));
    assert!(server.engine.loaded().is_empty());
    let value = answer.json();
    assert_eq!(keys(&value), ["model", "created_at", "message", "done", "done_reason"]);
    assert_eq!(
        (value["message"]["content"].as_str(), value["done_reason"].as_str()),
        (Some(""), Some("unload"))
    );

    let loaded = server.post("/api/generate", &json!({"model": "tiny", "keep_alive": -1})).await.json();
    assert_eq!(keys(&loaded), ["model", "created_at", "response", "done", "done_reason"]);
    assert_eq!(loaded["done_reason"], "load");
    let running = server.get("/api/ps").await.json();
    let expires = running["models"][0]["expires_at"].as_str().unwrap();
    assert!(expires > "2290", "{expires}");

    server.post("/api/chat", &chat(json!("0s"))).await;
    for _ in 0..100 {
        if server.engine.loaded().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.get("/api/ps").await.text, r#"{"models":[]}"#);
    server.stop().await;
}
