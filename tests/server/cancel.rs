//! Clients that leave, and a queue that is full.

use std::time::{Duration, Instant};

use ax650::api::settings::Settings;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Server, start, start_with, write_endless_model};

/// Opens a connection and asks for an answer that goes on until the window is full.
async fn ask_for_much(server: &Server, stream: bool) -> TcpStream {
    let body = json!({"model": "endless", "prompt": "x", "raw": true, "stream": stream}).to_string();
    let request = format!(
        "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Waits until nothing runs or waits on the card.
pub(crate) async fn idle(server: &Server) -> Duration {
    let started = Instant::now();
    loop {
        let counters = server.engine.counters();
        if counters.running == 0 && counters.queued == 0 {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(10), "the card is still at work");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn running(server: &Server) {
    let started = Instant::now();
    while server.engine.counters().running == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the request never began");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_frees_the_card() {
    let server = start().await;
    write_endless_model(server.root.path());
    server.post("/api/generate", &json!({"model": "endless"})).await;
    for _ in 0..5 {
        let mut socket = ask_for_much(&server, true).await;
        let mut start = [0; 64];
        socket.read_exact(&mut start).await.unwrap();
        drop(socket);
        let freed = idle(&server).await;
        assert!(freed < Duration::from_millis(500), "{freed:?}");
        let ask = json!({"model": "endless", "prompt": "x", "stream": false, "options": {"num_predict": 1}});
        assert_eq!(server.post("/api/generate", &ask).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_for_the_whole_answer_frees_the_card() {
    let server = start().await;
    write_endless_model(server.root.path());
    server.post("/api/generate", &json!({"model": "endless"})).await;
    let socket = ask_for_much(&server, false).await;
    running(&server).await;
    drop(socket);
    let freed = idle(&server).await;
    assert!(freed < Duration::from_millis(500), "{freed:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_full_queue_is_an_honest_503() {
    let server = start_with(Settings::default(), 1).await;
    let ask = json!({"model": "tiny", "prompt": "x", "raw": true, "stream": false});
    let answers = futures_util::future::join_all((0..30).map(|_| server.post("/api/generate", &ask))).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.status == 503));
    assert!(!refused.is_empty() && refused.len() < 30, "{} refused", refused.len());
    for answer in refused {
        assert_eq!(answer.error(), "server busy, please try again.  maximum pending requests exceeded");
    }
    idle(&server).await;
    server.stop().await;
}
