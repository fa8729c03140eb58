//! Models that the host computes: text encoders, on a thread of their own beside the card's.
//!
//! They need no card, so they answer while a card is loading, hangs or is gone, and a card's model stays where it is. For
//! the rest it is as with a card: a bounded queue, a keep-alive after the last use, a client that leaves is let go of
//! before the next layer. Requests take turns text by text, a few at a time, so that one with thousands of texts holds
//! up nobody.
//!
//! Products of matrices use all cores, so texts are computed one after the other and not beside each other.

mod thread;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::thread::{Command, HostMailbox, HostThread, Job};
use super::embed::{EmbedRequest, Embeddings};
use super::error::EngineError;
use super::keep_alive::KeepAlive;
use super::mailbox::{Gate, Mailbox};
use super::resident::goes_with;
use super::status::LoadedInfo;
use crate::models::model::Model;

/// Name of the thread.
const THREAD_NAME: &str = "ax650-encoder";

/// The handle of the thread. Dropping it ends the thread, within one layer.
pub(super) struct Host {
    mailbox: Arc<HostMailbox>,
    gate: Arc<Gate>,
    shown: Arc<Mutex<Shown>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What other threads may know without asking.
#[derive(Debug, Default)]
struct Shown {
    loaded: Vec<ShownModel>,
    loading: Option<ShownModel>,
}

#[derive(Debug, Clone)]
struct ShownModel {
    model: Arc<Model>,
    size_bytes: u64,
    ends: Ends,
}

/// When a model goes.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Never,
    At(SystemTime),
    /// So long after the last request on it has ended.
    After(Duration),
}

impl Host {
    /// Starts the thread; it sleeps until there is something to do.
    pub(super) fn start(max_queue: usize, keep_alive: KeepAlive) -> Result<Self, EngineError> {
        let mailbox = Arc::new(Mailbox::new());
        let shown = Arc::new(Mutex::default());
        let run = HostThread::new(Arc::clone(&mailbox), Arc::clone(&shown), keep_alive);
        let thread =
            std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || run.run()).map_err(
                |error| EngineError::Internal(format!("cannot start the thread for encoders: {error}")),
            )?;
        // One is computed, the others wait.
        let gate = Gate::new(max_queue.saturating_add(1));
        Ok(Self { mailbox, gate, shown, thread: Mutex::new(Some(thread)) })
    }

    /// Computes the vectors of all texts; none at all only loads the model. Dropping the future takes the request back.
    pub(super) async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, EngineError> {
        let place = self.gate.enter().ok_or(EngineError::Busy)?;
        let (reply, answer) = oneshot::channel();
        let job = Job::new(request, reply, Instant::now(), place);
        self.post(Command::Embed(Box::new(job)))?;
        answer.await.unwrap_or(Err(EngineError::ShuttingDown))
    }

    /// Whether a model is in memory or being read into it.
    pub(super) fn has(&self, model: &Model) -> bool {
        let shown = self.shown.lock();
        shown.loaded.iter().chain(&shown.loading).any(|shown| goes_with(&shown.model, model))
    }

    /// Lets a model go once its requests have ended. False if it is not there.
    pub(super) async fn unload(&self, model: &Arc<Model>) -> Result<bool, EngineError> {
        let place = self.gate.enter().ok_or(EngineError::Busy)?;
        let (reply, answer) = oneshot::channel();
        self.post(Command::Unload(Arc::clone(model), reply, place))?;
        answer.await.map_err(|_| EngineError::ShuttingDown)
    }

    /// The models in memory.
    pub(super) fn loaded(&self) -> Vec<LoadedInfo> {
        self.shown.lock().loaded.iter().map(ShownModel::info).collect()
    }

    /// The model that is being read into memory.
    pub(super) fn loading(&self) -> Option<LoadedInfo> {
        self.shown.lock().loading.as_ref().map(ShownModel::info)
    }

    /// Requests that are computed or wait.
    pub(super) fn requests(&self) -> usize {
        self.gate.taken()
    }

    /// Ends all requests and the thread: waits for one layer of one text at the most.
    pub(super) fn close(&self) {
        self.mailbox.close();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    fn post(&self, command: Command) -> Result<(), EngineError> {
        self.mailbox.post(command).map_err(|_| EngineError::ShuttingDown)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.close();
    }
}

impl ShownModel {
    fn info(&self) -> LoadedInfo {
        let expires_at = match self.ends {
            Ends::Never => None,
            Ends::At(end) => Some(end),
            Ends::After(duration) => SystemTime::now().checked_add(duration),
        };
        LoadedInfo {
            model: Arc::clone(&self.model),
            expires_at,
            size_bytes: self.size_bytes,
            context_len: self.model.context_len(),
            on_host: true,
            paths: None,
        }
    }
}
