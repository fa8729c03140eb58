//! One client for both ways to a model: a server over HTTP, or the same routes inside this process.

use std::{pin::Pin, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

use crate::api::settings::trimmed;

/// How long a server may take to answer a request that costs it nothing.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there, or the connection broke.
    #[error("no answer from {address}: {reason}")]
    Unreachable {
        /// Where the request went.
        address: String,
        /// The innermost cause.
        reason: String,
    },
    /// The server answered with an error; its text is made for people.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// The `error` field of the answer.
        message: String,
    },
    /// What came back is not what the protocol says.
    #[error("the server at {address} sent an answer this client does not understand: {reason}")]
    Malformed {
        /// Where the request went.
        address: String,
        /// What was wrong.
        reason: String,
    },
}

impl ClientError {
    /// Whether the server knows no such model (or route).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }
}

/// Speaks the Ollama protocol. Dropping a [`Records`] stream closes the connection, which stops the generation.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
}

#[derive(Debug, Clone)]
enum Transport {
    Http { base: String, http: reqwest::Client },
    InProcess(axum::Router),
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// The key of `OLLAMA_API_KEY`, for a server that wants one; libraries of Ollama read the same variable.
fn credentials() -> header::HeaderMap {
    let key = std::env::var("OLLAMA_API_KEY").unwrap_or_default();
    let value = header::HeaderValue::from_str(&format!("Bearer {}", trimmed(&key)));
    let value = value.ok().filter(|_| !trimmed(&key).is_empty());
    value.into_iter().map(|value| (header::AUTHORIZATION, value)).collect()
}

impl Client {
    /// Client of the server at `base` (`http://127.0.0.1:11434`); nothing is sent yet.
    pub fn http(base: impl Into<String>) -> Result<Self, ClientError> {
        let base = base.into();
        // A model may load for minutes before the first byte: only connecting has a limit.
        // Proxies are for the internet; the server stands in this house.
        let http = reqwest::Client::builder()
            .default_headers(credentials())
            .connect_timeout(2 * ANSWER_LIMIT)
            .no_proxy()
            .user_agent(concat!("ax650/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::Unreachable { address: base.clone(), reason: innermost(&error) })?;
        Ok(Self { transport: Transport::Http { base, http } })
    }

    /// Client of routes in this process: no socket, the same answers.
    pub fn in_process(router: axum::Router) -> Self {
        Self { transport: Transport::InProcess(router) }
    }

    /// Where requests go, for messages.
    pub fn address(&self) -> &str {
        match &self.transport {
            Transport::Http { base, .. } => base,
            Transport::InProcess(_) => "this process",
        }
    }

    /// Whether a server answers at all.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if something is there but silent: nobody can tell then whether a server uses the
    /// card and the store.
    pub async fn is_alive(&self) -> Result<bool, ClientError> {
        match tokio::time::timeout(ANSWER_LIMIT, self.send(Method::HEAD, "/", None)).await {
            Ok(Ok((status, _))) => Ok(status.is_success()),
            Ok(Err(_)) => Ok(false),
            Err(_) => Err(self.unreachable(format!("nothing came back within {} s", ANSWER_LIMIT.as_secs()))),
        }
    }

    /// `GET path`, one JSON value.
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.json(Method::GET, path, None).await
    }

    /// `POST path`, one JSON value.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// `DELETE path`; what comes back says nothing.
    pub async fn delete(&self, path: &str, body: &Value) -> Result<(), ClientError> {
        self.done(Method::DELETE, path, body).await
    }

    /// `POST path`; what comes back says nothing.
    pub async fn tell(&self, path: &str, body: &Value) -> Result<(), ClientError> {
        self.done(Method::POST, path, body).await
    }

    async fn done(&self, method: Method, path: &str, body: &Value) -> Result<(), ClientError> {
        let (status, chunks) = self.send(method, path, Some(body)).await?;
        let body = collect(chunks).await.map_err(|reason| self.unreachable(reason))?;
        if status.is_success() { Ok(()) } else { Err(refused(status, &body)) }
    }

    /// `POST path`, a stream of JSON records, one a line.
    pub async fn stream(&self, path: &str, body: &Value) -> Result<Records, ClientError> {
        let (status, chunks) = self.send(Method::POST, path, Some(body)).await?;
        if !status.is_success() {
            let body = collect(chunks).await.map_err(|reason| self.unreachable(reason))?;
            return Err(refused(status, &body));
        }
        Ok(Records { chunks, buffer: BytesMut::new(), address: self.address().to_owned(), ended: false })
    }

    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        let (status, chunks) = self.send(method, path, body).await?;
        let body = collect(chunks).await.map_err(|reason| self.unreachable(reason))?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::Malformed {
            address: self.address().to_owned(),
            reason: error.to_string(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Chunks), ClientError> {
        match &self.transport {
            Transport::Http { base, http } => {
                let mut request = http.request(method, format!("{base}{path}"));
                if let Some(body) = body {
                    request = request.json(body);
                }
                let response = request.send().await.map_err(|error| self.unreachable(innermost(&error)))?;
                let status = response.status();
                let chunks = response.bytes_stream().map(|chunk| chunk.map_err(|error| innermost(&error)));
                Ok((status, Box::pin(chunks)))
            }
            Transport::InProcess(router) => {
                let body = body.map_or_else(Body::empty, |value| Body::from(value.to_string()));
                let request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body)
                    .map_err(|error| self.unreachable(error.to_string()))?;
                let Ok(response) = router.clone().oneshot(request).await;
                let status = response.status();
                let chunks = response.into_body().into_data_stream().map(|c| c.map_err(|e| e.to_string()));
                Ok((status, Box::pin(chunks)))
            }
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { address: self.address().to_owned(), reason }
    }
}

/// The records of one streamed answer. Dropping it closes the connection.
pub struct Records {
    chunks: Chunks,
    buffer: BytesMut,
    address: String,
    ended: bool,
}

impl Records {
    /// The next record; `None` at the end. A record with an `error` field is the error it describes.
    pub async fn next(&mut self) -> Option<Result<Value, ClientError>> {
        loop {
            if let Some(line) = self.take_line() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Some(self.parse(&line));
            }
            if self.ended {
                return None;
            }
            match self.chunks.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(reason)) => {
                    self.ended = true;
                    self.buffer.clear();
                    return Some(Err(ClientError::Unreachable { address: self.address.clone(), reason }));
                }
                None => self.ended = true,
            }
        }
    }

    /// A whole line of the buffer, or what is left of it once the stream has ended.
    fn take_line(&mut self) -> Option<BytesMut> {
        match self.buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => Some(self.buffer.split_to(end + 1)),
            None if self.ended && !self.buffer.is_empty() => Some(self.buffer.split()),
            None => None,
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Value, ClientError> {
        let record: Value = serde_json::from_slice(line).map_err(|error| ClientError::Malformed {
            address: self.address.clone(),
            reason: error.to_string(),
        })?;
        match record.get("error").and_then(Value::as_str) {
            Some(message) => {
                Err(ClientError::Refused { status: StatusCode::OK, message: message.to_owned() })
            }
            None => Ok(record),
        }
    }
}

async fn collect(mut chunks: Chunks) -> Result<BytesMut, String> {
    let mut body = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
    }
    Ok(body)
}

/// The text of an error answer: its `error` field, else its body, else the status alone.
fn refused(status: StatusCode, body: &[u8]) -> ClientError {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed
        .as_ref()
        .and_then(|value| value.get("error")?.as_str())
        .map(str::to_owned)
        .or_else(|| {
            std::str::from_utf8(body).ok().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
        })
        .unwrap_or_else(|| format!("the server answered {status} without a reason"));
    ClientError::Refused { status, message }
}

/// reqwest wraps the cause three layers deep, and only the innermost says what happened.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::post};
    use serde_json::json;

    use super::*;

    async fn records(body: &'static str) -> Vec<Result<Value, String>> {
        let router = Router::new().route("/api/chat", post(move || async move { body }));
        let client = Client::in_process(router);
        let mut records = client.stream("/api/chat", &json!({})).await.unwrap();
        let mut all = Vec::new();
        while let Some(record) = records.next().await {
            all.push(record.map_err(|error| error.to_string()));
        }
        all
    }

    #[tokio::test]
    async fn records_are_lines_and_the_last_needs_no_line_end() {
        assert_eq!(records("{\"a\":1}\n\n{\"b\":2}").await, [Ok(json!({"a": 1})), Ok(json!({"b": 2}))]);
    }

    #[tokio::test]
    async fn an_error_record_ends_as_error() {
        assert_eq!(
            records("{\"a\":1}\n{\"error\":\"lost the card\"}\n").await,
            [Ok(json!({"a": 1})), Err("lost the card".to_owned())]
        );
        assert!(records("{broken\n").await[0].is_err());
    }

    #[tokio::test]
    async fn an_unknown_route_is_not_found_with_its_text() {
        let client =
            Client::in_process(Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "404 page") }));
        let error = client.get("/nowhere").await.unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), "404 page");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_named() {
        // Connections are accepted by the system, and nobody ever reads them.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", silent.local_addr().unwrap());
        let error = Client::http(&address).unwrap().is_alive().await.unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("within 5 s"), "{error}");
    }

    #[tokio::test]
    async fn nobody_listening_is_said_with_the_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::http(&address).unwrap();
        assert!(!client.is_alive().await.unwrap());
        let error = client.get("/api/tags").await.unwrap_err().to_string();
        assert!(error.contains(&address) && error.contains("refused"), "{error}");
    }
}
