//! Listening, and ending well.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::host::{DEFAULT_PORT, HostAddress};
use super::socket::Taken;
use super::usage::Traffic;
use super::{AppState, router};

/// How long connections may take to send their last bytes after the engine has ended all answers.
const GRACE: Duration = Duration::from_secs(3);
/// How long to wait before accepting again when the system has no resources for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Time for the head of a request. A connection that takes longer, or rests longer between requests, is closed:
    /// later than the libraries of clients close theirs at rest, 90 seconds at most, because a request sent into a
    /// connection that is being closed here is lost.
    head: Duration,
    /// How long a client may take nothing of what it is sent before its connection is closed.
    unread: Duration,
    /// Connections at a time; further ones wait in the system's queue.
    connections: usize,
}

const LIMITS: Limits =
    Limits { head: Duration::from_mins(2), unread: Duration::from_mins(5), connections: 1024 };

/// Why the server cannot listen or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Somebody else listens there.
    #[error(
        "cannot listen on {address}: the address is in use, by ollama or another ax650 perhaps; \
         stop that program, or choose another address: OLLAMA_HOST=127.0.0.1:{other_port}"
    )]
    InUse {
        /// Where.
        address: HostAddress,
        /// A port to propose.
        other_port: u16,
    },
    /// The address is not ours, not allowed, or no address.
    #[error("cannot listen on {address}: {source}; OLLAMA_HOST sets the address")]
    Listen {
        /// Where.
        address: HostAddress,
        /// What the system said.
        source: io::Error,
    },
    /// The listener failed while serving.
    #[error("the server stopped: {0}")]
    Serve(#[from] io::Error),
}

/// Opens the listener that `OLLAMA_HOST` describes. An empty host means every interface.
///
/// # Errors
/// [`ServeError::InUse`] with a way out, [`ServeError::Listen`] for anything else.
pub async fn bind(address: &HostAddress) -> Result<TcpListener, ServeError> {
    let opened = if address.host.is_empty() {
        // One socket for both families where the system has IPv6.
        match TcpListener::bind(("::", address.port)).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(("0.0.0.0", address.port)).await
            }
            opened => opened,
        }
    } else {
        TcpListener::bind((address.host.as_str(), address.port)).await
    };
    opened.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => {
            let other_port = address.port.checked_add(1).unwrap_or(DEFAULT_PORT);
            ServeError::InUse { address: address.clone(), other_port }
        }
        _ => ServeError::Listen { address: address.clone(), source },
    })
}

/// Serves until `shutdown` completes, then ends well: nothing new is accepted, the engine ends running answers (each
/// with an error as its last line, and never in the middle of a vendor call), and connections get a moment to send it.
///
/// The engine is shut down when this returns.
pub async fn serve(
    listener: TcpListener,
    mut state: AppState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    state.listen_on(listener.local_addr()?);
    let (engine, traffic) = (state.engine.clone(), Arc::clone(&state.traffic));
    let connections = Connections { traffic, ..Connections::default() };
    let connections = connections.accept_until(listener, router(state), LIMITS, shutdown).await;
    tracing::info!("shutting down");
    // Connections at rest close at once, the others after their answer, which the engine ends.
    let closed = tokio::spawn(connections.graceful.shutdown());
    engine.shutdown().await;
    if tokio::time::timeout(GRACE, closed).await.is_err() {
        tracing::debug!("connections still open at the end are dropped");
    }
    Ok(())
}

/// Open connections. Dropping them closes them.
#[derive(Default)]
struct Connections {
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
    traffic: Arc<Traffic>,
}

impl Connections {
    /// Answers whoever connects until `shutdown` completes, then closes the listener.
    async fn accept_until(
        mut self,
        listener: TcpListener,
        router: Router,
        limits: Limits,
        shutdown: impl Future<Output = ()>,
    ) -> Self {
        tokio::select! {
            never = self.accept(&listener, &router, limits) => match never {},
            () = shutdown => {}
        }
        self
    }

    async fn accept(&mut self, listener: &TcpListener, router: &Router, limits: Limits) -> Infallible {
        let places = Arc::new(Semaphore::new(limits.connections));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(limits.head);
        loop {
            while self.tasks.try_join_next().is_some() {}
            // Never closed, so there is always a place in the end.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            // Records are small and each is to arrive at once; without this option they may be late, and no worse.
            socket.set_nodelay(true).ok();
            let service = TowerToHyperService::new(router.clone());
            let socket = TokioIo::new(Taken::new(socket, limits.unread));
            let connection = self.graceful.watch(http.serve_connection(socket, service));
            let open = self.traffic.connect();
            self.tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop((open, place));
            });
        }
    }
}

/// Whether accepting failed because of the one that connected, and the next may go well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::api::host;

    /// Sends `request`, waits for the connection to be closed and returns what came back.
    async fn exchange(socket: &mut TcpStream, request: &str) -> String {
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let end = tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut answer));
        end.await.expect("the connection stays open").ok();
        answer
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_closes_the_connection_and_frees_its_place() {
        let listener = bind(&host::parse("127.0.0.1:0")).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { head: Duration::from_millis(200), connections: 1, ..LIMITS };
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let shutdown = async move { stopped.await.unwrap_or_default() };
            Connections::default()
                .accept_until(listener, router, limits, shutdown)
                .await
                .graceful
                .shutdown()
                .await;
        });
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        // Waits for the place of the first.
        assert!(exchange(&mut next, request).await.ends_with("here"));
        assert!(!exchange(&mut slow, "").await.contains("200 OK"));
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(&mut silent, "").await, "");
        stop.send(()).unwrap();
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_explained() {
        let taken = bind(&host::parse("127.0.0.1:0")).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(&host::parse(&format!("127.0.0.1:{port}"))).await.unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("OLLAMA_HOST="), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        let error = bind(&host::parse("192.0.2.1:0")).await.unwrap_err();
        assert!(matches!(error, ServeError::Listen { .. }), "{error}");
    }
}
