//! Paths, methods and the answers that need no model.

use serde_json::json;

use crate::fixture::start;

#[tokio::test]
async fn the_root_says_that_it_lives() {
    let server = start().await;
    let answer = server.get("/").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "Ollama is running"));
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(answer.header("server").starts_with("ax650/"));
    let head = server.send("HEAD", "/", "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    server.stop().await;
}

#[tokio::test]
async fn the_version_is_numeric() {
    let server = start().await;
    let answer = server.get("/api/version").await;
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let value = answer.json();
    assert_eq!(value.as_object().unwrap().len(), 1);
    let parts: Vec<u32> =
        value["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![0, 6, 4], "{parts:?}");
    assert_eq!(server.send("HEAD", "/api/version", "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_a_slash_too_many() {
    let server = start().await;
    let unknown = server.get("/api/nothing").await;
    assert_eq!((unknown.status, unknown.text.as_str()), (404, "404 page not found"));
    assert_eq!(unknown.header("content-type"), "text/plain");
    for (method, path) in
        [("GET", "/api/show"), ("GET", "/api/generate"), ("POST", "/api/tags"), ("DELETE", "/api/chat")]
    {
        let wrong = server.send(method, path, "").await;
        assert_eq!((wrong.status, wrong.text.as_str()), (405, "405 method not allowed"), "{method} {path}");
        assert_eq!(wrong.header("content-type"), "text/plain");
    }
    assert_eq!(server.send("HEAD", "/api/ps", "").await.status, 405);
    assert_eq!(server.send("HEAD", "/api/tags", "").await.status, 200);

    let moved = server.get("/api/tags/?a=b").await;
    assert_eq!((moved.status, moved.header("location")), (301, "/api/tags?a=b"));
    let moved = server.post("/api/chat/", &json!({})).await;
    assert_eq!((moved.status, moved.header("location")), (307, "/api/chat"));
    let moved = server.get("/v1/models/library%2Ftiny/?a=b").await;
    assert_eq!((moved.status, moved.header("location")), (301, "/v1/models/library%2Ftiny?a=b"));
    for (method, path) in
        [("POST", "/api/blobs/x/"), ("HEAD", "/api/blobs/x/"), ("DELETE", "/api/user/keys/x/")]
    {
        let moved = server.send(method, path, "").await;
        assert_eq!(
            (moved.status, moved.header("location")),
            (307, path.trim_end_matches('/')),
            "{method} {path}"
        );
    }
    assert_eq!(server.get("/api/nothing/").await.status, 404);
    assert_eq!(server.get("/api/tags//").await.status, 404);
    assert_eq!(server.get("//").await.status, 404);
    server.stop().await;
}
