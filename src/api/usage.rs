//! `GET /api/ax650/usage`: what is in use right now.
//!
//! Everything that a request takes is counted somewhere, and here it can be seen: whoever has put the server under load
//! can check that nothing is left over. The request that asks does not count itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ApiError, NativeError};
use super::openapi::operation::Operation;
use super::{AppState, body, lookup};

/// Path of the route.
const PATH: &str = "/api/ax650/usage";

/// Every path with its methods.
pub(crate) fn routes() -> Vec<(&'static str, MethodRouter<AppState>)> {
    vec![(PATH, routing::get(usage))]
}

/// Those paths, described.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("ax650", "get", PATH, "What is in use right now")
            .has_head()
            .gives::<Usage>()
            .fails::<NativeError>(),
    ]
}

/// Connections and requests that are open. Shared by the listener and the middleware.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Traffic>);

impl Traffic {
    /// Counts a connection until the result is dropped.
    pub(crate) fn connect(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    pub(crate) fn begin_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_request(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests whose answer has not ended.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Open connections, the one that asks included.
    connections: usize,
    /// Requests whose answer has not ended, without the one that asks.
    requests: usize,
    /// What requests take before they reach the card.
    intake: IntakeUse,
    /// What they take there.
    card: CardUse,
    /// Tasks of the program that are alive: one per connection, and a few of its own.
    tasks: usize,
    /// Memory of the program in bytes, models included; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
}

/// What requests take that have not reached the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct IntakeUse {
    /// Memory set aside for request bodies.
    pub(crate) body_bytes: usize,
    /// Requests whose prompt is being prepared.
    pub(crate) preparing: usize,
    /// Requests that wait to be prepared.
    pub(crate) waiting: usize,
}

/// What requests take on the card.
#[derive(Debug, Serialize, ToSchema)]
struct CardUse {
    /// Requests that take turns.
    running: usize,
    /// Requests that wait in line.
    waiting: usize,
    /// Sequences (keys and values of conversations), those at rest included; they go with their model.
    sequences: usize,
    /// Models that are loaded.
    models: usize,
}

/// The handler.
async fn usage(State(state): State<AppState>) -> Result<Response, ApiError> {
    let memory_bytes = lookup::blocking(|| Ok(resident_bytes())).await?;
    let counters = state.engine.counters();
    body::json(&Usage {
        connections: state.traffic.connections.load(Ordering::Relaxed),
        requests: state.traffic.requests().saturating_sub(1),
        intake: state.intake.in_use(),
        card: CardUse {
            running: counters.running,
            waiting: counters.queued,
            sequences: counters.sequences,
            models: state.engine.loaded().len(),
        },
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        memory_bytes,
    })
}

/// Resident memory of this process as Linux reports it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
