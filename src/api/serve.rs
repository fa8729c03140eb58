//! Listening, and ending well.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;

use super::host::{DEFAULT_PORT, HostAddress};
use super::{AppState, router};

/// How long connections may take to send their last bytes after the engine has ended all answers.
const GRACE: Duration = Duration::from_secs(3);

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
    let engine = state.engine.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router(state)).with_graceful_shutdown(async move {
        stopped.await.ok();
    });
    let end = async move {
        shutdown.await;
        tracing::info!("shutting down");
        drop(stop);
        engine.shutdown().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server.into_future() => result?,
        () = end => tracing::debug!("connections still open at the end were dropped"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::host;

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
