//! `/api/embed`, `/api/embeddings` and `/v1/embeddings`, with a tiny encoder on the host and a tiny decoder on the
//! card.

use std::{future::Future, time::Duration};

use ax650::{
    engine::EmbedRequest,
    models::{changes::Changes, store::Store},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    bert::TinyBert,
    fixture::{CONTEXT, Server, start},
};

/// Tokens of one text that the encoder takes.
const MOST: usize = 32;
const WIDTH: usize = 16;

/// A server that has the encoder `mini` besides the decoder `tiny`.
async fn with_encoder() -> Server {
    let server = start().await;
    let dir = tempfile::tempdir().unwrap();
    let source = TinyBert::default().write(dir.path());
    store(&server).import_encoder(&"mini".parse().unwrap(), &source, &Changes::default()).unwrap();
    server
}

fn store(server: &Server) -> Store {
    Store::open(server.root.path().to_owned())
}

/// The vectors of an answer of `/api/embed`.
fn vectors(answer: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(answer["embeddings"].clone()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

async fn embed(server: &Server, body: Value) -> Vec<Vec<f64>> {
    let answer = server.post("/api/embed", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    vectors(&answer.json())
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_near(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
}

/// Waits until something is true.
async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    for _ in 0..2000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited in vain");
}

#[tokio::test]
async fn a_text_becomes_a_unit_vector_whatever_stands_beside_it() {
    let server = with_encoder().await;
    let texts = ["the cat", "sat", "", "on the mat"];
    let answer = server.post("/api/embed", &json!({"model": "MINI", "input": texts})).await;
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let value = answer.json();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]);
    // A mark before and one behind each text.
    assert_eq!((&value["model"], &value["prompt_eval_count"]), (&json!("MINI"), &json!(8 + 5 + 2 + 10)));
    assert!(value["total_duration"].as_u64() > Some(0) && value["load_duration"].as_u64() > Some(0));
    let together = vectors(&value);
    assert_eq!(together.len(), 4);
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), WIDTH);
        assert!((length(vector) - 1.0).abs() < 1e-6, "{text}");
        let alone = embed(&server, json!({"model": "mini", "input": [text]})).await;
        assert_eq!(alone, [vector.as_slice()], "{text}: the same bits alone");
    }
    assert!(together[0] != together[1]);
    assert_eq!(embed(&server, json!({"model": "mini", "input": "sat"})).await, [together[1].as_slice()]);
    server.stop().await;
}

#[tokio::test]
async fn no_input_loads_the_model() {
    let server = with_encoder().await;
    for body in [r#"{"model":"mini","input":""}"#, r#"{"model":"mini","input":[]}"#, r#"{"model":"mini"}"#] {
        let answer = server.send("POST", "/api/embed", body).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"model":"mini","embeddings":[]}"#));
    }
    let answer = server.post("/api/embeddings", &json!({"model": "mini"})).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"embedding":[]}"#));
    let loaded = server.get("/api/ps").await.json();
    let model = &loaded["models"][0];
    assert_eq!(
        (&model["name"], &model["size_vram"], &model["context_length"]),
        (&json!("mini:latest"), &json!(0), &json!(MOST))
    );
    assert!(model["size"].as_u64() > Some(1000), "{model}");
    assert_eq!(model["details"]["family"], "bert");
    // The decoder beside it takes nothing away.
    embed(&server, json!({"model": "tiny", "input": "a"})).await;
    assert_eq!(server.get("/api/ps").await.json()["models"].as_array().unwrap().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_encoder_is_unloaded_by_any_of_its_names() {
    let server = with_encoder().await;
    server.post("/api/copy", &json!({"source": "mini", "destination": "alias"})).await;
    for (path, unload) in [
        ("/api/generate", json!({"model": "alias", "keep_alive": 0})),
        ("/api/embed", json!({"model": "alias", "keep_alive": 0})),
    ] {
        embed(&server, json!({"model": "mini", "input": "a"})).await;
        let running = server.get("/api/ps").await.json();
        assert_eq!(running["models"][0]["name"], "mini:latest", "{running}");
        let answer = server.post(path, &unload).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(server.get("/api/ps").await.text, r#"{"models":[]}"#, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn refusals_have_upstreams_status_and_text() {
    let server = with_encoder().await;
    let absent = "model \"nope\" not found, try pulling it first";
    for (path, body, status, text) in [
        ("/api/embed", "", 400, "missing request body"),
        ("/api/embed", "{}", 404, "model '' not found"),
        ("/api/embeddings", "{}", 400, "model is required"),
        ("/api/embed", r#"{"model":"a b"}"#, 400, "invalid model name"),
        ("/api/embed", r#"{"model":"nope","input":"x"}"#, 404, absent),
        ("/api/embeddings", r#"{"model":"nope","prompt":"x"}"#, 404, absent),
        ("/api/embed", r#"{"model":"mini","input":7}"#, 400, "invalid input type"),
        ("/api/embed", r#"{"model":"mini","input":[[1,2]]}"#, 400, "invalid input type"),
        ("/api/embed", r#"{"model":"mini","input":["a",7]}"#, 400, "invalid input type"),
        (
            "/api/embed",
            r#"{"model":"mini","input":"x","options":{"num_ctx":"many"}}"#,
            500,
            "option \"num_ctx\" must be of type integer",
        ),
        (
            "/api/embed",
            r#"{"model":"mini","input":"x","keep_alive":"10"}"#,
            400,
            "time: missing unit in duration \"10\"",
        ),
    ] {
        let answer = server.send("POST", path, body).await;
        assert_eq!((answer.status, answer.error().as_str()), (status, text), "{path} {body}");
    }
    let many = format!(r#"{{"model":"mini","input":[{}""]}}"#, r#""","#.repeat(1 << 20));
    let answer = server.send("POST", "/api/embed", many).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("1048577 inputs"), "{}", answer.text);
    server.stop().await;
}

#[tokio::test]
async fn texts_are_cut_to_the_window_or_refused() {
    let server = with_encoder().await;
    let long = "a ".repeat(50);
    let body = |text: &str, more: Value| {
        let mut body = json!({"model": "mini", "input": text});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let fits = "a ".repeat(MOST - 2);
    let whole = server.post("/api/embed", &body(&fits, json!({"truncate": false}))).await.json();
    assert_eq!(whole["prompt_eval_count"], MOST);
    let cut = server.post("/api/embed", &body(&long, json!({}))).await.json();
    assert_eq!((&cut["prompt_eval_count"], &cut["embeddings"]), (&json!(MOST), &whole["embeddings"]));
    let narrow = server.post("/api/embed", &body(&long, json!({"options": {"num_ctx": 5}}))).await.json();
    assert_eq!(narrow["prompt_eval_count"], 5);
    assert_eq!(vectors(&narrow), embed(&server, body("a a a", json!({}))).await);
    let refused = server.post("/api/embed", &body(&long, json!({"truncate": false}))).await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (400, "the input length exceeds the context length")
    );
    let batch = json!({"model": "mini", "input": ["a", long], "truncate": false});
    assert_eq!(server.post("/api/embed", &batch).await.status, 400, "one bad text fails the request");
    let legacy = server.post("/api/embeddings", &json!({"model": "mini", "prompt": long})).await;
    assert_eq!(
        (legacy.status, legacy.error().as_str()),
        (500, "the input length exceeds the context length")
    );
    server.stop().await;
}

#[tokio::test]
async fn fewer_dimensions_are_normalised_again() {
    let server = with_encoder().await;
    let ask = |dimensions: Value| {
        let body = json!({"model": "mini", "input": "the cat", "dimensions": dimensions});
        let server = &server;
        async move { embed(server, body).await.remove(0) }
    };
    let whole = ask(Value::Null).await;
    let short = ask(json!(5)).await;
    assert_eq!(short.len(), 5);
    assert!((length(&short) - 1.0).abs() < 1e-6);
    let rescaled: Vec<f64> = whole[..5].iter().map(|value| value / length(&whole[..5])).collect();
    assert_near(&short, &rescaled);
    for all in [0, -3, 16, 17, 100_000] {
        assert_eq!(ask(json!(all)).await, whole, "{all}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_older_route_gives_the_vector_as_it_is() {
    let server = with_encoder().await;
    let answer = server.post("/api/embeddings", &json!({"model": "mini", "prompt": "the cat"})).await.json();
    let vector: Vec<f64> = serde_json::from_value(answer["embedding"].clone()).unwrap();
    assert!((length(&vector) - 1.0).abs() > 1e-3, "not normalised: {}", length(&vector));
    let unit: Vec<f64> = vector.iter().map(|value| value / length(&vector)).collect();
    let normalised = embed(&server, json!({"model": "mini", "input": "the cat"})).await;
    assert_near(&unit, &normalised[0]);
    server.stop().await;
}

#[tokio::test]
async fn openai_gets_its_own_form() {
    let server = with_encoder().await;
    let ask = |body: Value| {
        let server = &server;
        async move { server.post("/v1/embeddings", &body).await }
    };
    let answer = ask(json!({"model": "mini", "input": ["the cat", ""]})).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let value = answer.json();
    let native = embed(&server, json!({"model": "mini", "input": ["the cat", ""]})).await;
    assert_eq!(
        value,
        json!({
            "object": "list",
            "data": [{"object": "embedding", "embedding": native[0], "index": 0},
                     {"object": "embedding", "embedding": native[1], "index": 1}],
            "model": "mini", "usage": {"prompt_tokens": 10, "total_tokens": 10}
        })
    );
    let coded = ask(json!({"model": "mini", "input": "the cat", "encoding_format": "Base64"})).await.json();
    let bytes = STANDARD.decode(coded["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let written: Vec<f32> = serde_json::from_value(value["data"][0]["embedding"].clone()).unwrap();
    assert_eq!(floats, written);
    let short = ask(json!({"model": "mini", "input": "the cat", "dimensions": 3})).await.json();
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 3);
    for (body, status, message, kind) in [
        (json!({"model": "mini"}), 400, "invalid input", "invalid_request_error"),
        (json!({"model": "mini", "input": []}), 400, "invalid input", "invalid_request_error"),
        (json!({"model": "mini", "input": [1, 2]}), 400, "invalid input type", "invalid_request_error"),
        (
            json!({"model": "nope", "input": "x"}),
            404,
            "model \"nope\" not found, try pulling it first",
            "not_found_error",
        ),
        (
            json!({"model": "mini", "input": "x", "encoding_format": "hex"}),
            400,
            "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64'].",
            "invalid_request_error",
        ),
    ] {
        let answer = ask(body).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["message"], &error["type"]),
            (status, &json!(message), &json!(kind))
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_encoder_embeds_and_does_nothing_else() {
    let server = with_encoder().await;
    let generate = server.post("/api/generate", &json!({"model": "mini", "prompt": "x"})).await;
    assert_eq!((generate.status, generate.error().as_str()), (400, "\"mini\" does not support generate"));
    let load = server.post("/api/generate", &json!({"model": "mini"})).await;
    assert_eq!((load.status, load.error().as_str()), (400, "\"mini\" does not support generate"));
    let messages = json!([{"role": "user", "content": "x"}]);
    let chat = server.post("/api/chat", &json!({"model": "mini", "messages": messages})).await;
    assert_eq!((chat.status, chat.error().as_str()), (400, "\"mini\" does not support chat"));

    let shown = server.post("/api/show", &json!({"model": "mini"})).await.json();
    assert_eq!(shown["capabilities"], json!(["embedding"]));
    let info = &shown["model_info"];
    assert_eq!((&info["general.architecture"], &info["bert.context_length"]), (&json!("bert"), &json!(40)));
    assert_eq!((&info["bert.embedding_length"], &info["bert.block_count"]), (&json!(WIDTH), &json!(2)));
    let tags = server.get("/api/tags").await.json();
    let listed =
        tags["models"].as_array().unwrap().iter().find(|model| model["name"] == "mini:latest").unwrap();
    assert_eq!(listed["capabilities"], json!(["embedding"]));
    let details = &listed["details"];
    assert_eq!((&details["format"], &details["family"]), (&json!("safetensors"), &json!("bert")));
    assert_eq!((&details["quantization_level"], &details["context_length"]), (&json!("F32"), &json!(MOST)));
    assert!(!details["parameter_size"].as_str().unwrap().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_encoder_stays_as_long_as_it_is_told() {
    let server = with_encoder().await;
    let count = || async { server.get("/api/ps").await.json()["models"].as_array().unwrap().len() };
    embed(&server, json!({"model": "mini", "input": "a", "keep_alive": 0})).await;
    assert_eq!(count().await, 0, "it has gone with the answer");
    embed(&server, json!({"model": "mini", "input": "", "keep_alive": 0})).await;
    assert_eq!(count().await, 0, "nothing is loaded only to be unloaded");
    embed(&server, json!({"model": "mini", "input": "a", "keep_alive": -1})).await;
    let ps = server.get("/api/ps").await.json();
    assert!(ps["models"][0]["expires_at"].as_str().unwrap() > "2200", "{ps}");
    embed(&server, json!({"model": "mini", "input": "a"})).await;
    assert_eq!(count().await, 1, "the duration of before still holds");
    let unloaded = server.post("/api/generate", &json!({"model": "mini", "keep_alive": 0})).await.json();
    assert_eq!(unloaded["done_reason"], "unload");
    assert_eq!(count().await, 0);
    embed(&server, json!({"model": "mini", "input": "a", "keep_alive": "50ms"})).await;
    eventually(|| async { count().await == 0 }).await;
    server.stop().await;
}

#[tokio::test]
async fn one_request_with_many_texts_holds_up_nobody_and_can_be_taken_back() {
    let server = with_encoder().await;
    let model = store(&server).resolve(&"mini".parse().unwrap()).unwrap();
    // Much work.
    let inputs = vec![vec![2; MOST]; 200_000];
    let engine = server.engine.clone();
    let much =
        tokio::spawn(async move { engine.embed(EmbedRequest { model, inputs, keep_alive: None }).await });
    eventually(|| async { server.engine.counters().running == 1 }).await;
    let beside = embed(&server, json!({"model": "mini", "input": ["a", "b"]})).await;
    assert_eq!(beside.len(), 2);
    assert!(!much.is_finished());
    much.abort();
    eventually(|| async { server.engine.counters().running == 0 }).await;
    server.stop().await;
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_texts() {
    let server = with_encoder().await;
    let model = store(&server).resolve(&"mini".parse().unwrap()).unwrap();
    let inputs = vec![vec![2; MOST]; 200_000];
    let engine = server.engine.clone();
    let much =
        tokio::spawn(async move { engine.embed(EmbedRequest { model, inputs, keep_alive: None }).await });
    eventually(|| async { server.engine.counters().running == 1 }).await;
    server.engine.shutdown().await;
    let error = much.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the server is shutting down");
    server.stop().await;
}

#[tokio::test]
async fn a_decoder_gives_its_hidden_state() {
    let server = start().await;
    let long = "x".repeat(300);
    let texts = [json!("Hello"), json!("Hello there"), json!(long), json!("")];
    let first = embed(&server, json!({"model": "tiny", "input": texts})).await;
    assert_eq!(first.len(), 4);
    assert!(first.iter().all(|vector| vector.len() == 64 && (length(vector) - 1.0).abs() < 1e-6));
    assert!(first[0] != first[1]);
    // What a conversation has left on the card changes nothing.
    let generate =
        json!({"model": "tiny", "prompt": "Hello there", "raw": true, "options": {"num_predict": 8}});
    server.post("/api/generate", &generate).await;
    for (text, vector) in texts.iter().zip(&first).rev() {
        assert_eq!(embed(&server, json!({"model": "tiny", "input": [text]})).await, [vector.as_slice()]);
    }
    let value =
        server.post("/api/embed", &json!({"model": "tiny", "input": "x".repeat(CONTEXT + 9)})).await.json();
    assert_eq!(value["prompt_eval_count"], CONTEXT);
    let refused = json!({"model": "tiny", "input": "x".repeat(CONTEXT + 1), "truncate": false});
    assert_eq!(server.post("/api/embed", &refused).await.status, 400);
    server.stop().await;
}
