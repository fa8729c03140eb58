//! Errors of the inference routes: status and exact text.

use serde_json::{Value, json};

use crate::fixture::{start, write_model};

#[tokio::test]
async fn models_that_are_not_there() {
    let server = start().await;
    for (path, ask, status, error) in [
        ("/api/generate", json!({}), 404, "model '' not found"),
        ("/api/chat", json!({}), 400, "model is required"),
        ("/api/show", json!({}), 400, "model is required"),
        ("/api/generate", json!({"model": "a b"}), 400, "invalid model name"),
        ("/api/chat", json!({"model": "../../etc/passwd"}), 400, "invalid model name"),
        ("/api/show", json!({"model": "x".repeat(90)}), 400, "invalid model name"),
        ("/api/generate", json!({"model": "nope"}), 404, "model 'nope' not found"),
        ("/api/chat", json!({"model": "bob/nope:7b", "stream": true}), 404, "model 'bob/nope:7b' not found"),
        ("/api/show", json!({"name": "nope"}), 404, "model 'nope:latest' not found"),
    ] {
        let answer = server.post(path, &ask).await;
        assert_eq!((answer.status, answer.error().as_str()), (status, error), "{path} {ask}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_the_model_or_this_version_cannot_do() {
    let server = start().await;
    let quoted = "\"tiny\" does not support";
    let canonical = "registry.ollama.ai/library/tiny:latest does not support";
    let user = json!([{"role": "user", "content": "hi"}]);
    let picture = json!([{"role": "user", "content": "hi", "images": ["aGk="]}]);
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (path, ask, status, error) in [
        ("/api/generate", json!({"prompt": "x", "suffix": "y"}), 400, format!("{canonical} insert")),
        ("/api/chat", json!({"messages": user, "tools": tools}), 400, format!("{canonical} tools")),
        ("/api/chat", json!({"messages": user, "think": true}), 400, format!("{quoted} thinking")),
        ("/api/generate", json!({"prompt": "", "think": "high"}), 400, format!("{quoted} thinking")),
        (
            "/api/chat",
            json!({"messages": user, "tools": tools, "think": true}),
            400,
            format!("{quoted} thinking"),
        ),
        (
            "/api/generate",
            json!({"prompt": "x", "suffix": "y", "think": true}),
            400,
            format!("{quoted} thinking"),
        ),
        ("/api/chat", json!({"messages": picture}), 400, format!("{quoted} vision")),
        ("/api/generate", json!({"prompt": "x", "images": ["aGk="]}), 400, format!("{quoted} vision")),
        (
            "/api/generate",
            json!({"prompt": "x", "images": ["data:image/png;base64,aGk="]}),
            400,
            "illegal base64 data at input byte 4".to_owned(),
        ),
        (
            "/api/generate",
            json!({"prompt": "x", "format": "xml"}),
            500,
            "invalid format: \"\\\"xml\\\"\"; expected \"json\" or a valid JSON Schema object".to_owned(),
        ),
        (
            "/api/generate",
            json!({"prompt": "x", "options": {"temperature": "hot"}}),
            500,
            "option \"temperature\" must be of type float32".to_owned(),
        ),
        (
            "/api/chat",
            json!({"messages": user, "options": {"stop": "x"}}),
            500,
            "option \"stop\" must be of type array".to_owned(),
        ),
        (
            "/api/chat",
            json!({"messages": user, "keep_alive": "1d"}),
            400,
            "time: unknown unit \"d\" in duration \"1d\"".to_owned(),
        ),
        (
            "/api/chat",
            json!({"messages": user, "keep_alive": true}),
            400,
            "Unsupported type: 'bool'".to_owned(),
        ),
        (
            "/api/chat",
            json!({"messages": user, "top_logprobs": 21}),
            400,
            "top_logprobs must be between 0 and 20".to_owned(),
        ),
    ] {
        let mut ask = ask;
        ask["model"] = json!("tiny");
        let answer = server.post(path, &ask).await;
        assert_eq!((answer.status, answer.error()), (status, error), "{path} {ask}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_looks_wrong_but_is_accepted() {
    let server = start().await;
    for more in [
        json!({"think": false}),
        json!({"think": null, "format": "", "options": {"mirostat": "x", "num_gpu": 1.5, "top_k": null}}),
        json!({"logprobs": false, "top_logprobs": 20}),
        json!({"options": {"num_ctx": 1_000_000}}),
    ] {
        let mut ask: Value =
            json!({"model": "tiny", "messages": [{"role": "user", "content": "x"}], "stream": false});
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask["options"]["num_predict"] = json!(1);
        assert_eq!(server.post("/api/chat", &ask).await.status, 200, "{ask}");
    }
    server.stop().await;
}

#[tokio::test]
async fn templates_that_refuse_or_fail() {
    let server = start().await;
    write_model(server.root.path(), "strict", "{{ raise_exception('roles must alternate') }}");
    let ask = json!({"model": "strict", "messages": [{"role": "user", "content": "x"}]});
    let answer = server.post("/api/chat", &ask).await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("roles must alternate"));
    server.stop().await;
}

#[tokio::test]
async fn a_broken_model_is_named_and_does_not_hide_the_others() {
    let server = start().await;
    write_model(server.root.path(), "broken", "{{ messages }}");
    let dir = server.root.path().join("ax650/registry.ollama.ai/library/broken/latest");
    std::fs::remove_file(dir.join("llama_p128_l1_together.axmodel")).unwrap();
    let answer = server.post("/api/generate", &json!({"model": "broken", "prompt": "x"})).await;
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("llama_p128_l1_together.axmodel"), "{}", answer.text);
    // Where the models are is for the log.
    let directory = server.root.path().file_name().unwrap().to_str().unwrap();
    assert!(!answer.error().contains(directory), "{}", answer.text);
    let tags = server.get("/api/tags").await.json();
    assert_eq!(tags["models"].as_array().unwrap().len(), 1);
    server.stop().await;
}
