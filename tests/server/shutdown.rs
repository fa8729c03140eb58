//! The end of the server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::fixture::{start, write_endless_model};

#[tokio::test]
async fn running_answers_end_with_an_error_line_and_nobody_is_kept_waiting() {
    let server = start().await;
    write_endless_model(server.root.path());
    server.post("/api/generate", &json!({"model": "endless"})).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = json!({"model": "endless", "prompt": "x", "raw": true}).to_string();
    let url = format!("http://{}/api/generate", server.address);
    let mut response = client.post(url).body(ask).send().await.unwrap();
    let mut text = response.chunk().await.unwrap().unwrap().to_vec();
    let address = server.address;
    // An idle connection must not hold the server up.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let started = Instant::now();
    let end = tokio::spawn(server.stop());
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    end.await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let last = String::from_utf8(text).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"], "the server is shutting down", "{last}");
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
