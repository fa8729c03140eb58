//! `/api/create`: models made of other models.

use ax650::models::modelfile::Modelfile;
use serde_json::{Value, json};

use crate::fixture::{Server, start};

const TEMPLATE: &str = "{{ if .System }}[{{ .System }}] {{ end }}<{{ .Prompt }}> {{ .Response }}";

async fn create(server: &Server, body: &Value) -> Vec<String> {
    let answer = server.post("/api/create", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.lines().iter().map(|record| record["status"].as_str().unwrap().to_owned()).collect()
}

async fn show(server: &Server, model: &str) -> Value {
    server.post("/api/show", &json!({"model": model})).await.json()
}

/// The prompt that a request comes to.
async fn rendered(server: &Server, path: &str, body: Value) -> String {
    let mut body = body;
    body["_debug_render_only"] = true.into();
    body["stream"] = false.into();
    let answer = server.post(path, &body).await;
    answer.json()["_debug_info"]["rendered_template"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.text))
        .to_owned()
}

#[tokio::test]
async fn what_is_given_is_in_effect_and_shown() {
    let server = start().await;
    let told = create(
        &server,
        &json!({
            "model": "Mine", "from": "TINY", "template": TEMPLATE, "system": "Be \"brief\".", "license": ["MIT", "BSD"],
            "parameters": {"num_predict": 3, "stop": ["<|x|>"]},
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            "info": {"model_family": "mine", "parameter_size": "1K", "capabilities": ["vision"]}
        }),
    )
    .await;
    assert_eq!(told.last().unwrap(), "success");
    assert_eq!(told[told.len() - 2], "writing manifest");
    assert_eq!(told.iter().filter(|status| status.starts_with("creating new layer sha256:")).count(), 6);

    let shown = show(&server, "mine").await;
    assert_eq!(shown["template"], TEMPLATE);
    assert_eq!(shown["system"], "Be \"brief\".");
    assert_eq!(shown["license"], "MIT\nBSD");
    assert_eq!(shown["messages"][1], json!({"role": "assistant", "content": "b"}));
    assert_eq!(shown["details"]["parent_model"], "tiny:latest");
    server.post("/api/generate", &json!({"model": "mine"})).await;
    for path in ["/api/tags", "/api/ps"] {
        let listed = server.get(path).await.json()["models"].clone();
        let mine = listed.as_array().unwrap().iter().find(|model| model["name"] == "Mine:latest").unwrap();
        assert_eq!(mine["details"]["parent_model"], "", "{path}");
    }
    assert_eq!(
        (&shown["details"]["family"], &shown["details"]["parameter_size"]),
        (&json!("mine"), &json!("1K"))
    );
    assert_eq!(shown["capabilities"], json!(["completion", "vision"]));
    let parameters = shown["parameters"].as_str().unwrap();
    for line in [
        "temperature                    0",
        "num_predict                    3",
        "stop                           \"<|x|>\"",
    ] {
        assert!(parameters.contains(line), "{parameters}");
    }
    let modelfile = shown["modelfile"].as_str().unwrap();
    assert!(
        modelfile.contains("MESSAGE user \"a\"") && modelfile.contains("SYSTEM \"\"\"Be \"brief\".\"\"\""),
        "{modelfile}"
    );

    let chat = json!({"model": "mine", "messages": [{"role": "user", "content": "c"}]});
    assert_eq!(rendered(&server, "/api/chat", chat).await, "[Be \"brief\".] <a> b<c> ");
    let told = json!({"model": "mine", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "c"}]});
    assert_eq!(rendered(&server, "/api/chat", told).await, "<a> b[s] <c> ");
    let generate = json!({"model": "mine", "prompt": "c"});
    assert_eq!(rendered(&server, "/api/generate", generate).await, "[Be \"brief\".] <a> b<c> ");
    let answer =
        server.post("/api/generate", &json!({"model": "mine", "prompt": "c", "stream": false})).await.json();
    assert_eq!((&answer["eval_count"], &answer["done_reason"]), (&json!(3), &json!("length")));
    server.stop().await;
}

/// Whatever a model was given: what is shown of it can be given to `ax650 create`.
#[tokio::test]
async fn the_modelfile_that_is_shown_can_be_read() {
    let server = start().await;
    let parameters = json!({
        "heat": 1, "x\nnum_ctx 9": 1, "two words": 2, "": 3, "num_ctx": 256.0, "stop": ["a b", "\n"], "mirostat": [1, 2]
    });
    let ask = json!({
        "model": "odd", "from": "tiny", "parameters": parameters, "requires": "0.6.0\nSYSTEM x",
        "messages": [{"role": "tool", "content": "t"}, {"role": "user", "content": "u"}]
    });
    create(&server, &ask).await;
    let ask = json!({"model": "odd", "options": {"y\nseed 3": 1, "top_k": "many", "min_p": 0.5}});
    let shown = server.post("/api/show", &ask).await.json();
    let lines: Vec<&str> = shown["parameters"].as_str().unwrap().lines().collect();
    let named = |name: &str| lines.iter().filter(|line| line.split(' ').next() == Some(name)).count();
    assert_eq!((named("heat"), named("num_ctx"), named("x"), named("two"), named("")), (1, 1, 0, 0, 0));
    let read = Modelfile::parse(shown["modelfile"].as_str().unwrap()).unwrap().changes;
    assert_eq!((&read.parameters["num_ctx"], &read.parameters["min_p"]), (&json!(256), &json!(0.5)));
    assert!(["heat", "seed", "top_k", "x", "y"].iter().all(|name| !read.parameters.contains_key(*name)));
    assert_eq!(read.system, None);
    assert_eq!(read.messages, [json!({"role": "user", "content": "u"})]);
    server.stop().await;
}

#[tokio::test]
async fn a_derived_model_is_another_one_and_outlives_its_base() {
    let server = start().await;
    create(&server, &json!({"model": "a", "from": "tiny", "system": "one"})).await;
    create(&server, &json!({"model": "b", "from": "a", "parameters": {"num_predict": 2}})).await;
    let tags = server.get("/api/tags").await.json();
    let digests: std::collections::BTreeSet<&str> =
        tags["models"].as_array().unwrap().iter().map(|model| model["digest"].as_str().unwrap()).collect();
    assert_eq!(digests.len(), 3);
    for model in ["tiny", "a"] {
        assert_eq!(
            server.send("DELETE", "/api/delete", json!({"model": model}).to_string()).await.status,
            200
        );
    }
    let answer =
        server.post("/api/generate", &json!({"model": "b", "prompt": "c", "stream": false})).await.json();
    assert_eq!(answer["eval_count"], 2);
    assert_eq!(show(&server, "b").await["system"], "one");
    server.stop().await;
}

#[tokio::test]
async fn a_model_made_of_itself_and_case() {
    let server = start().await;
    create(&server, &json!({"model": "TINY", "from": "tiny", "system": "one", "messages": [{"role": "user", "content": "x"}]})).await;
    create(
        &server,
        &json!({"model": "tiny", "from": "Tiny", "messages": [{"role": "user", "content": "y"}]}),
    )
    .await;
    let tags = server.get("/api/tags").await.json();
    assert_eq!(tags["models"].as_array().unwrap().len(), 1);
    assert_eq!(tags["models"][0]["name"], "tiny:latest");
    let shown = show(&server, "tiny").await;
    assert_eq!(
        (&shown["system"], &shown["messages"]),
        (&json!("one"), &json!([{"role": "user", "content": "y"}]))
    );
    assert_eq!(shown["details"]["parent_model"], "");
    server.stop().await;
}

#[tokio::test]
async fn in_one_piece_and_refused() {
    let server = start().await;
    let answer = server.post("/api/create", &json!({"model": "m", "from": "tiny", "stream": false})).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"status":"success"}"#));
    assert_eq!(answer.header("content-type"), "application/json");
    for stream in [true, false] {
        for (body, status, error) in [
            (json!({"model": "m"}), 400, "neither 'from' or 'files' was specified"),
            (json!({"model": "m", "from": "nope"}), 404, "model 'nope:latest' not found"),
            (
                json!({"model": "m", "from": "big:cloud"}),
                403,
                "ollama cloud is disabled: remote model is unavailable",
            ),
            (
                json!({"model": "m", "from": "tiny", "template": "{{ if }}"}),
                400,
                "template error: line 1: missing value for if",
            ),
        ] {
            let mut body = body;
            body["stream"] = stream.into();
            let answer = server.post("/api/create", &body).await;
            assert_eq!((answer.status, answer.error().as_str()), (status, error));
        }
    }
    let answer = server.send("POST", "/api/create", "").await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "missing request body"));
    server.stop().await;
}
