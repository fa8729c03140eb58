//! `/api/blobs` and models made of uploaded files.

use futures_util::stream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::fixture::{Server, start};
use crate::gguf;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Files in the folder of uploads.
fn uploads(server: &Server) -> Vec<String> {
    let files = std::fs::read_dir(server.root.path().join("ax650/.blobs")).into_iter().flatten();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

async fn upload(server: &Server, bytes: &[u8]) -> String {
    let digest = digest(bytes);
    let answer = server.send("POST", &format!("/api/blobs/{digest}"), bytes.to_vec()).await;
    assert_eq!((answer.status, answer.text.as_str()), (201, ""));
    digest
}

#[tokio::test]
async fn no_model_is_made_of_a_file_that_was_damaged_on_the_disk() {
    let server = start().await;
    let digest = upload(&server, b"GGUF and more").await;
    let path = server.root.path().join("ax650/.blobs").join(digest.replace(':', "-"));
    std::fs::write(path, b"GGUF and less").unwrap();
    let ask = json!({"model": "m", "files": {"m.gguf": digest}, "stream": false});
    let answer = server.post("/api/create", &ask).await;
    assert!(answer.status >= 400 && answer.text.contains("upload it again"), "{}", answer.text);
    // So that the client does.
    assert_eq!(server.send("HEAD", &format!("/api/blobs/{digest}"), "").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_file_is_kept_under_its_digest() {
    let server = start().await;
    let path = format!("/api/blobs/{}", digest(b"abc"));
    assert_eq!(server.send("HEAD", &path, "").await.status, 404);
    upload(&server, b"abc").await;
    assert_eq!(server.send("HEAD", &path, "").await.status, 200);
    assert_eq!(server.send("HEAD", &path.replace("sha256:", "sha256-"), "").await.status, 200);
    assert_eq!(server.send("POST", &path, "something else").await.status, 200);
    let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 10_000]));
    let chunked = reqwest::Body::wrap_stream(stream::iter(pieces));
    let path = format!("/api/blobs/{}", digest(&vec![7; 1_000_000]));
    assert_eq!(server.send("POST", &path, chunked).await.status, 201);
    assert_eq!(server.send("GET", &path, "").await.status, 405);
    assert_eq!(uploads(&server).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_as_announced_is_not_kept() {
    let server = start().await;
    let (expected, found) = (digest(b"abc"), digest(b"abd"));
    let answer = server.send("POST", &format!("/api/blobs/{expected}"), "abd").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.error(), format!("digest mismatch, expected \"{expected}\", got \"{found}\""));
    let hex = &expected["sha256:".len()..];
    for bad in [
        "sha256:00",
        &format!("sha512:{hex}"),
        &format!("sha256={hex}"),
        &format!("sha256:{hex}0"),
        &format!("sha256:{}g", &hex[1..]),
        &format!("sha256:..%2f{hex}"),
        "..%2f..%2fetc%2fpasswd",
        "sha256:%2fetc%2fpasswd",
        "%ff",
    ] {
        let path = format!("/api/blobs/{bad}");
        let refused = server.send("POST", &path, "abc").await;
        assert_eq!((refused.status, refused.error().as_str()), (400, "invalid digest format"), "{bad}");
        assert_eq!(server.send("HEAD", &path, "").await.status, 400, "{bad}");
    }
    // These are other paths.
    for bad in ["../tags", &format!("x/{expected}"), ""] {
        let raw = format!("POST /api/blobs/{bad} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(server.raw(&raw).await.starts_with("HTTP/1.1 404 "), "{bad}");
    }
    assert!(uploads(&server).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn half_a_file_is_removed() {
    let server = start().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/blobs/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        digest(b"abc")
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&[0; 5000]).await.unwrap();
    while uploads(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    drop(socket);
    while !uploads(&server).is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_gguf_file_becomes_a_model() {
    let server = start().await;
    let source = server.root.path().join("source.gguf");
    gguf::write_tiny_llama(&source);
    let bytes = std::fs::read(&source).unwrap();
    let digest = upload(&server, &bytes).await;
    let body = json!({"model": "made", "files": {"some/tiny.gguf": digest}, "system": "be", "parameters": {"num_predict": 2}});
    let answer = server.post("/api/create", &body).await;
    let statuses: Vec<Value> = answer.lines().iter().map(|record| record["status"].clone()).collect();
    assert_eq!(
        (&statuses[..2], statuses.last().unwrap()),
        (&[json!(format!("verifying {digest}")), json!("parsing GGUF")][..], &json!("success")),
        "{}",
        answer.text
    );
    let last = answer.lines().into_iter().rfind(|record| record["status"] == "converting model").unwrap();
    assert_eq!((&last["digest"], &last["total"]), (&json!(digest), &last["completed"]));
    let answer = server
        .post(
            "/api/chat",
            &json!({"model": "made", "messages": [{"role": "user", "content": "a"}], "stream": false}),
        )
        .await;
    assert_eq!(answer.json()["eval_count"], 2, "{}", answer.text);
    let shown = server.post("/api/show", &json!({"model": "made"})).await.json();
    assert_eq!((&shown["system"], &shown["model_info"]["tokenizer.ggml.tokens"]), (&json!("be"), &json!([])));
    let verbose = server.post("/api/show", &json!({"model": "made", "verbose": true})).await.json();
    let tokens = verbose["model_info"]["tokenizer.ggml.tokens"].as_array().unwrap();
    assert_eq!(json!(tokens.len()), verbose["model_info"]["llama.vocab_size"]);
    assert!(tokens.contains(&json!("<|im_end|>")) && tokens.contains(&json!("he")));

    // A model made of it has the same files, and so is on the card already.
    server.post("/api/create", &json!({"model": "other", "from": "made", "system": "x"})).await;
    server.post("/api/generate", &json!({"model": "other", "prompt": "a"})).await;
    let loaded = server.get("/api/ps").await.json();
    assert_eq!(loaded["models"].as_array().unwrap().len(), 1);
    assert_eq!(loaded["models"][0]["name"], "other:latest");
    server.stop().await;
}

#[tokio::test]
async fn hostile_files_are_refused() {
    let server = start().await;
    let mut endless = b"GGUF".to_vec();
    endless.extend(3_u32.to_le_bytes());
    endless.extend(u64::MAX.to_le_bytes());
    endless.extend(u64::MAX.to_le_bytes());
    for (name, bytes, error) in [
        ("x.gguf", b"GGUF".as_slice(), ""),
        ("x.gguf", &endless, ""),
        ("x.gguf", b"PK\x03\x04", "supplied file was not in GGUF format"),
        ("x.bin", b"PK\x03\x04", "unknown type"),
        ("x.bin", b"", "unknown type"),
        ("model.safetensors", b"{}", "safetensors files are not converted by the server"),
    ] {
        let digest = upload(&server, bytes).await;
        let answer = server
            .post("/api/create", &json!({"model": "m", "files": {name: digest}, "stream": false}))
            .await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        let text = answer.error();
        assert!(text.starts_with(error) && !text.contains("blobs"), "{text}");
        if error.is_empty() {
            // The first record came before the file was looked into.
            let answer = server.post("/api/create", &json!({"model": "m", "files": {name: digest}})).await;
            assert!(answer.lines().last().unwrap()["error"].is_string(), "{}", answer.text);
        }
        server.send("DELETE", "/api/delete", r#"{"model":"m"}"#).await;
        std::fs::remove_file(server.root.path().join("ax650/.blobs").join(digest.replace(':', "-"))).unwrap();
    }
    let unknown = format!("sha256:{}", "ab".repeat(32));
    let answer = server.post("/api/create", &json!({"model": "m", "files": {"x.gguf": unknown}})).await;
    assert_eq!(answer.error(), format!("blob \"{unknown}\" not found; upload it first"));
    assert_eq!(server.get("/api/tags").await.json()["models"].as_array().unwrap().len(), 1);
    server.stop().await;
}
