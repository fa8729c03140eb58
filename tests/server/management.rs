//! `/api/tags`, `/api/show`, `/api/ps`, `/api/delete`.

use ax650::api::settings::Settings;
use serde_json::{Value, json};

use crate::fixture::{CONTEXT, start, start_with, write_model};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn tags_lists_the_newest_first() {
    let server = start().await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    write_model(server.root.path(), "newer", "{{ messages }}");
    let value = server.get("/api/tags").await.json();
    let models = value["models"].as_array().unwrap();
    assert_eq!(
        models.iter().map(|model| &model["name"]).collect::<Vec<_>>(),
        ["newer:latest", "tiny:latest"]
    );
    let tiny = &models[1];
    assert_eq!(keys(tiny), ["name", "model", "modified_at", "size", "digest", "details", "capabilities"]);
    assert_eq!(tiny["digest"].as_str().unwrap().len(), 64);
    assert_eq!(
        tiny["details"],
        json!({"parent_model": "", "format": "axmodel", "family": "llama", "families": ["llama"],
               "parameter_size": "100.0K", "quantization_level": "BF16", "context_length": CONTEXT,
               "embedding_length": 64})
    );
    assert_eq!(tiny["capabilities"], json!(["completion"]));
    server.stop().await;
}

#[tokio::test]
async fn an_empty_store_is_an_empty_list() {
    let server = start().await;
    let answer = server.send("DELETE", "/api/delete", r#"{"name":"Tiny"}"#).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(server.get("/api/tags").await.text, r#"{"models":[]}"#);
    for (body, status, error) in [
        (r#"{"model":"tiny"}"#, 404, "model 'tiny' not found"),
        (r#"{"model":""}"#, 400, "model is required"),
        (r#"{"model":"a b"}"#, 400, "name \"a b\" is invalid"),
        (r#"{"model":"../.."}"#, 400, "name \"../..\" is invalid"),
    ] {
        let answer = server.send("DELETE", "/api/delete", body).await;
        assert_eq!((answer.status, answer.error().as_str()), (status, error));
    }
    server.stop().await;
}

#[tokio::test]
async fn show_describes_a_model() {
    let server = start().await;
    let value = server.post("/api/show", &json!({"model": "tiny"})).await.json();
    assert_eq!(
        keys(&value),
        [
            "license",
            "modelfile",
            "parameters",
            "template",
            "details",
            "model_info",
            "capabilities",
            "modified_at"
        ]
    );
    assert_eq!(
        value["model_info"],
        json!({"general.architecture": "llama", "llama.context_length": 2048, "tokenizer.ggml.tokens": [], "general.tags": ["a", "b"]})
    );
    assert_eq!(value["parameters"], "temperature                    0");
    let modelfile = value["modelfile"].as_str().unwrap();
    assert!(
        modelfile.contains("# FROM tiny:latest") && modelfile.contains("PARAMETER temperature 0"),
        "{modelfile}"
    );
    assert!(value["details"].get("context_length").is_none());
    let asked = json!({"model": "tiny", "system": "Be brief.", "options": {"temperature": 0.5, "top_k": 3}});
    let otherwise = server.post("/api/show", &asked).await.json();
    assert_eq!((&otherwise["system"], &otherwise["parameters"]), (&json!("Be brief."), &value["parameters"]));
    let modelfile = otherwise["modelfile"].as_str().unwrap();
    for line in ["SYSTEM \"Be brief.\"\n", "PARAMETER temperature 0.5\n", "PARAMETER top_k 3\n"] {
        assert!(modelfile.contains(line), "{line} in {modelfile}");
    }
    let verbose = server.post("/api/show", &json!({"name": "tiny", "verbose": true})).await.json();
    assert_eq!(verbose["model_info"]["tokenizer.ggml.tokens"], json!(["a", "b", "c", "d", "e", "f"]));
    server.stop().await;
}

#[tokio::test]
async fn ps_lists_what_is_on_the_card() {
    let server = start().await;
    assert_eq!(server.get("/api/ps").await.text, r#"{"models":[]}"#);
    server.post("/api/generate", &json!({"model": "tiny", "keep_alive": "10m"})).await;
    let value = server.get("/api/ps").await.json();
    let model = &value["models"][0];
    assert_eq!(
        keys(model),
        ["name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length", "ax650"]
    );
    assert_eq!(
        (model["name"].as_str(), model["context_length"].as_u64()),
        (Some("tiny:latest"), Some(CONTEXT as u64))
    );
    assert!(model["size"].as_u64().unwrap() > 0);
    assert_eq!(model["size_vram"], 0, "the software card is the CPU");
    assert_eq!(keys(&model["ax650"]), ["paths", "off", "verdicts"]);
    assert_eq!(model["ax650"]["off"], json!([]), "the software card does everything right");
    let expires = chrono::DateTime::parse_from_rfc3339(model["expires_at"].as_str().unwrap()).unwrap();
    let minutes = (expires.to_utc() - chrono::Utc::now()).num_minutes();
    assert!((9..=10).contains(&minutes), "{minutes}");
    server.stop().await;
}

#[tokio::test]
async fn ps_tells_the_window_of_the_last_request() {
    let settings = Settings { context_length: Some(300), ..Settings::default() };
    let server = start_with(settings, 8).await;
    server
        .post("/api/create", &json!({"model": "narrow", "from": "tiny", "parameters": {"num_ctx": 200}}))
        .await;
    // What a request says outranks the model's parameter, that the server's default; no more than there is compiled.
    for (ask, window) in [
        (json!({"model": "tiny"}), 300),
        (json!({"model": "tiny", "options": {"num_ctx": 128}}), 128),
        (json!({"model": "tiny", "prompt": "x", "options": {"num_ctx": 1, "num_predict": 1}}), 4),
        (
            json!({"model": "tiny", "prompt": "x", "options": {"num_ctx": 1_000_000, "num_predict": 1}}),
            CONTEXT,
        ),
        (json!({"model": "narrow"}), 200),
        (json!({"model": "narrow", "options": {"num_ctx": null}}), 200),
    ] {
        assert_eq!(server.post("/api/generate", &ask).await.status, 200, "{ask}");
        let listed = server.get("/api/ps").await.json()["models"].clone();
        let name = format!("{}:latest", ask["model"].as_str().unwrap());
        let model = listed.as_array().unwrap().iter().find(|model| model["name"] == name.as_str()).unwrap();
        assert_eq!(model["context_length"], window, "{ask}");
    }
    server.stop().await;
}

/// What the last request got, not what one was refused.
#[tokio::test]
async fn ps_tells_nothing_of_requests_that_were_refused() {
    let server = start().await;
    let ask = json!({"model": "tiny", "prompt": "a", "options": {"num_ctx": 100, "num_predict": 1}});
    assert_eq!(server.post("/api/generate", &ask).await.status, 200);
    let window = async || server.get("/api/ps").await.json()["models"][0]["context_length"].clone();
    assert_eq!(window().await, 100);
    let ask =
        |text: &str| json!({"model": "tiny", "input": text, "truncate": false, "options": {"num_ctx": 16}});
    assert_eq!(server.post("/api/embed", &ask(&"a".repeat(50))).await.status, 400);
    assert_eq!(window().await, 100);
    assert_eq!(server.post("/api/embed", &ask("a")).await.status, 200);
    assert_eq!(window().await, 16);
    server.stop().await;
}
