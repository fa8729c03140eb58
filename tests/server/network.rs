//! Hosts and origins: who may call, and from which pages.

use ax650::api::Origins;
use ax650::api::settings::Settings;

use crate::fixture::{Server, start, start_with};

async fn status(server: &Server, method: &str, headers: &str) -> (u16, String) {
    let answer =
        server.raw(&format!("{method} /api/version HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")).await;
    let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (code, answer.to_lowercase())
}

#[tokio::test]
async fn foreign_hosts_are_refused_on_loopback() {
    let server = start().await;
    for host in ["localhost", "LOCALHOST:11434", "127.0.0.1:1", "[::1]", "box.local", "192.168.0.4:80"] {
        assert_eq!(status(&server, "GET", &format!("Host: {host}\r\n")).await.0, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:11434", "localhost.evil.example"] {
        let (code, answer) = status(&server, "GET", &format!("Host: {host}\r\n")).await;
        assert_eq!(code, 403, "{host}");
        assert!(answer.ends_with("\r\n\r\n"), "the body must be empty: {answer}");
    }
    for headers in [
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nHost: localhost\r\n",
        "Host: caf\u{e9}.example\r\n",
    ] {
        assert!(status(&server, "GET", headers).await.0 == 403, "{headers:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn origins_of_local_pages_are_let_in_and_others_are_not() {
    let server = start().await;
    let (code, answer) = status(&server, "GET", "Host: localhost\r\nOrigin: http://localhost:3000\r\n").await;
    assert_eq!(code, 200);
    assert!(
        answer.contains("access-control-allow-origin: http://localhost:3000\r\n")
            && answer.contains("vary: origin")
            && answer.contains("access-control-expose-headers: x-request-id,request-id\r\n")
    );
    let (code, answer) = status(&server, "GET", "Host: localhost\r\n").await;
    assert!(code == 200 && !answer.contains("access-control"));
    for method in ["GET", "POST", "OPTIONS"] {
        let (code, answer) =
            status(&server, method, "Host: localhost\r\nOrigin: https://evil.example\r\n").await;
        assert_eq!(code, 403, "{method}");
        assert!(answer.ends_with("\r\n\r\n"));
    }
    let (code, _) = status(&server, "GET", "Host: box.local\r\nOrigin: http://box.local\r\n").await;
    assert_eq!(code, 200, "the server's own page");
    server.stop().await;
}

#[tokio::test]
async fn preflights() {
    let server = start().await;
    let headers = "Host: localhost\r\nOrigin: app://desk\r\nAccess-Control-Request-Method: POST\r\n";
    let (code, answer) = status(&server, "OPTIONS", headers).await;
    assert_eq!(code, 204);
    for part in [
        "access-control-allow-origin: app://desk",
        "access-control-allow-methods: get,post,put,patch,delete,head,options",
        "access-control-max-age: 43200",
        "x-stainless-retry-count",
        "authorization",
        "x-api-key",
        "anthropic-version",
        "anthropic-dangerous-direct-browser-access",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    assert_eq!(status(&server, "OPTIONS", "Host: localhost\r\n").await.0, 204);
    server.stop().await;
}

#[tokio::test]
async fn configured_origins() {
    let origins = Origins::new("https://chat.example").unwrap();
    let server = start_with(Settings { origins, ..Settings::default() }, 8).await;
    assert_eq!(status(&server, "GET", "Host: localhost\r\nOrigin: https://chat.example\r\n").await.0, 200);
    assert_eq!(status(&server, "GET", "Host: localhost\r\nOrigin: https://other.example\r\n").await.0, 403);
    server.stop().await;
    let origins = Origins::new("*").unwrap();
    let server = start_with(Settings { origins, ..Settings::default() }, 8).await;
    let (code, answer) = status(&server, "GET", "Host: localhost\r\nOrigin: https://other.example\r\n").await;
    assert!(code == 200 && answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
    server.stop().await;
}
