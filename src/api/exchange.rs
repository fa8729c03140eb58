//! One request and its answer, from the head of the one to the last byte of the other.
//!
//! An answer may go on for minutes after its status was sent, so an exchange ends when its body does: then it is
//! written to the log, with the time that it took and whether the client stayed to the end, and no longer counts as
//! open. A panic while a body is made ends that answer, broken off as the client can see, and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::SERVER;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tracing::{Instrument, Span};

use super::AppState;
use super::request_id::{REQUEST_ID, RequestId, X_REQUEST_ID};
use super::usage::Traffic;

/// Name and version of this program, in every answer's `Server` header.
const PROGRAM: &str = concat!("ax650/", env!("CARGO_PKG_VERSION"));

/// Middleware around everything: names the request, signs the answer, and keeps the exchange open until its end.
pub(crate) async fn attend(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut exchange = Exchange::begin(&state.traffic, &request);
    let span = tracing::info_span!("request", id = %exchange.id);
    let mut response = exchange.id.clone().scope(next.run(request).instrument(span.clone())).await;
    exchange.status = Some(response.status());
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(PROGRAM));
    headers.insert(X_REQUEST_ID, exchange.id.header());
    if exchange.path.starts_with("/v1/messages") {
        headers.insert(REQUEST_ID, exchange.id.header());
    }
    response.map(|body| Body::new(Attended { body, exchange, span }))
}

/// What there is to say of a request at its end.
#[derive(Debug)]
struct Exchange {
    id: RequestId,
    method: Method,
    path: String,
    started: Instant,
    /// `None` until there is an answer.
    status: Option<StatusCode>,
    /// The answer went out whole.
    complete: bool,
    traffic: Arc<Traffic>,
}

impl Exchange {
    fn begin(traffic: &Arc<Traffic>, request: &Request) -> Self {
        traffic.begin_request();
        Self {
            id: RequestId::of(request.headers()),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            status: None,
            complete: false,
            traffic: Arc::clone(traffic),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.traffic.end_request();
        // Escaped: a path may carry terminal control sequences.
        let (id, path, elapsed) = (&self.id, self.path.escape_debug(), self.started.elapsed());
        let status = self.status.map(|status| status.as_u16());
        let method = &self.method;
        if self.complete {
            tracing::info!(parent: None, %id, status, %method, %path, ?elapsed, "request");
        } else {
            tracing::info!(parent: None, %id, status, %method, %path, ?elapsed, "request, not answered to its end");
        }
    }
}

/// The body of an answer, with the exchange that ends when it does.
struct Attended {
    body: Body,
    exchange: Exchange,
    span: Span,
}

impl HttpBody for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let _entered = this.span.enter();
        let body = Pin::new(&mut this.body);
        let poll = || this.exchange.id.enter(|| body.poll_frame(cx));
        let polled = catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|payload| {
            let panic = panic_text(payload.as_ref());
            tracing::error!(panic, "making the body of an answer panicked; the answer is broken off");
            this.body = Body::empty();
            Poll::Ready(Some(Err(axum::Error::new("the answer cannot be continued"))))
        });
        match &polled {
            Poll::Ready(None) => this.exchange.complete = true,
            // A body of known length is not polled again after its last frame.
            Poll::Ready(Some(Ok(_))) => this.exchange.complete = this.body.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        // An empty body is never polled at all.
        self.exchange.complete |= self.body.is_end_stream();
    }
}

/// The message of a panic, if it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    fn attended(traffic: &Arc<Traffic>, body: Body) -> Attended {
        let exchange = Exchange::begin(traffic, &Request::new(Body::empty()));
        Attended { body, exchange, span: Span::none() }
    }

    #[tokio::test]
    async fn an_exchange_is_open_until_its_body_has_ended_or_is_dropped() {
        let traffic = Arc::new(Traffic::default());
        let mut body = attended(&traffic, Body::from("abc"));
        assert_eq!(traffic.requests(), 1);
        assert!(!body.exchange.complete);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
        assert!(body.exchange.complete);
        drop(body);
        assert_eq!(traffic.requests(), 0);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>("x"));
        let mut body = attended(&traffic, Body::from_stream(endless));
        body.frame().await.unwrap().unwrap();
        assert!(!body.exchange.complete);
        drop(body);
        assert_eq!(traffic.requests(), 0);
    }

    #[tokio::test]
    async fn a_panic_in_a_body_breaks_the_answer_off() {
        let traffic = Arc::new(Traffic::default());
        let mut left = 2;
        let frames = stream::repeat_with(move || {
            left -= 1;
            assert!(left > 0, "out of frames");
            Ok::<_, std::io::Error>("x")
        });
        let mut body = attended(&traffic, Body::from_stream(frames));
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
        assert!(!body.exchange.complete);
    }
}
