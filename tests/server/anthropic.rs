//! Routes in the manner of Anthropic.

use serde_json::json;

use crate::fixture::start;

#[tokio::test]
async fn tokens_are_not_counted_and_the_answer_is_the_familys() {
    let server = start().await;
    let answer = server.post("/v1/messages/count_tokens", &json!({"model": "tiny", "messages": []})).await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
    let value = answer.json();
    assert_eq!(
        (value["type"].as_str(), value["error"]["type"].as_str()),
        (Some("error"), Some("not_found_error"))
    );
    let id = value["request_id"].as_str().unwrap();
    assert!(id.starts_with("req_") && id.len() == 28, "{id}");
    server.stop().await;
}
