//! `/api/copy`: other names for a model.

use serde_json::json;

use crate::fixture::{list_files, start};

#[tokio::test]
async fn a_copy_is_the_same_model_under_another_name() {
    let server = start().await;
    let answer = server.post("/api/copy", &json!({"source": "Tiny", "destination": "bob/other:x"})).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    let tags = server.get("/api/tags").await.json();
    let models = tags["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    assert_eq!(models[0]["digest"], models[1]["digest"]);
    assert_eq!(server.send("DELETE", "/api/delete", r#"{"model":"tiny"}"#).await.status, 200);
    let answer = server
        .post(
            "/api/generate",
            &json!({"model": "bob/other:x", "prompt": "a", "stream": false, "options": {"num_predict": 2}}),
        )
        .await;
    assert_eq!(answer.json()["eval_count"], 2, "{}", answer.text);
    server.stop().await;
}

#[tokio::test]
async fn an_existing_name_is_taken_over_in_its_spelling() {
    let server = start().await;
    for destination in ["Other", "OTHER", "tiny", "TINY:Latest"] {
        let answer = server.post("/api/copy", &json!({"source": "tiny", "destination": destination})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let tags = server.get("/api/tags").await.json();
    let mut names: Vec<&str> =
        tags["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Other:latest", "tiny:latest"]);
    server.stop().await;
}

#[tokio::test]
async fn a_loaded_model_is_unloaded_by_any_of_its_names() {
    let server = start().await;
    list_files(server.root.path(), "tiny");
    server.post("/api/copy", &json!({"source": "tiny", "destination": "alias"})).await;
    server.post("/api/create", &json!({"model": "made", "from": "tiny", "system": "short"})).await;
    let names = async || {
        let running = server.get("/api/ps").await.json();
        let models = running["models"].as_array().unwrap().clone();
        models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (path, unloaded) in [("/api/generate", "alias"), ("/api/chat", "alias"), ("/api/generate", "made")] {
        assert_eq!(server.post(path, &json!({"model": "tiny"})).await.status, 200);
        assert_eq!(names().await, ["tiny:latest"]);
        let answer = server.post(path, &json!({"model": unloaded, "keep_alive": 0})).await;
        assert_eq!(answer.json()["done_reason"], "unload", "{}", answer.text);
        assert_eq!(names().await, [""; 0], "{path} {unloaded}");
    }
    // What runs is listed by the name it was last asked for.
    for name in ["tiny", "alias"] {
        server.post("/api/generate", &json!({"model": name})).await;
        assert_eq!(names().await, [format!("{name}:latest")]);
    }
    server.stop().await;
}

#[tokio::test]
async fn mistakes() {
    let server = start().await;
    for (source, destination, status, error) in [
        ("a b", "x", 400, "source \"a b\" is invalid"),
        ("", "x", 400, "source \"\" is invalid"),
        ("tiny", "../x", 400, "destination \"../x\" is invalid"),
        ("nope", "x", 404, "model \"nope\" not found"),
    ] {
        let answer = server.post("/api/copy", &json!({"source": source, "destination": destination})).await;
        assert_eq!((answer.status, answer.error().as_str()), (status, error));
    }
    server.stop().await;
}
