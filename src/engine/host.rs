//! Models that the host computes: text encoders, on a thread of their own beside the card's.
//!
//! They need no card, so they answer while a card is loading, hangs or is gone, and a card's model stays where it is.
//! For the rest it is as with a card: a bounded queue, a keep-alive after the last use, a client that leaves is let go
//! of before the next layer, a panic ends the requests and not the thread. Requests take turns text by text, a few at a
//! time, so that a few with thousands of texts hold up nobody. Others begin in their order, when one of those has ended
//! and there is room for the model of the first in line.
//!
//! Products of matrices use all cores, so texts are computed one after the other and not beside each other.

mod memory;
mod residents;
#[cfg(test)]
mod tests;
mod thread;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use self::memory::{HostMemory, Memory};
use self::residents::Residents;
use self::thread::{Command, HostMailbox, HostThread, Job};
use super::card_thread::panic_text;
use super::embed::{EmbedRequest, Embeddings};
use super::error::EngineError;
use super::keep_alive::KeepAlive;
use super::mailbox::{Gate, Mailbox};
use super::resident::goes_with;
use super::status::LoadedInfo;
use crate::models::model::Model;

/// Name of the thread.
const THREAD_NAME: &str = "ax650-encoder";

/// The handle of the thread. Dropping it ends the thread, and waits for that: for one layer of a text, or for some
/// megabytes of a model that is being read.
pub(super) struct Host {
    mailbox: Arc<HostMailbox>,
    gate: Arc<Gate>,
    shown: Arc<Mutex<Shown>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<bool>,
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
        Self::start_with(max_queue, keep_alive, Box::new(HostMemory))
    }

    /// Starts with any kind of memory.
    fn start_with(
        max_queue: usize,
        keep_alive: KeepAlive,
        memory: Box<dyn Memory>,
    ) -> Result<Self, EngineError> {
        let mailbox = Arc::new(Mailbox::new());
        let shown = Arc::new(Mutex::default());
        let residents = Residents::new(memory, keep_alive);
        let run = HostThread::new(Arc::clone(&mailbox), Arc::clone(&shown), residents);
        let (exit, ended) = watch::channel(false);
        let of_thread = Arc::clone(&mailbox);
        let body = move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run.run())) {
                tracing::error!(what = panic_text(panic.as_ref()), "the encoder thread ends");
            }
            // Requests that came too late are dropped here, which answers them.
            of_thread.close();
            drop(of_thread.take());
            exit.send_replace(true);
        };
        let thread =
            std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(body).map_err(|error| {
                EngineError::Internal(format!("cannot start the thread for encoders: {error}"))
            })?;
        // One is computed, the others wait.
        let gate = Gate::new(max_queue.saturating_add(1));
        Ok(Self { mailbox, gate, shown, thread: Mutex::new(Some(thread)), ended })
    }

    /// Computes the vectors of all texts; none at all only loads the model. Dropping the future takes the request back.
    pub(super) async fn embed(&self, request: EmbedRequest) -> Result<Embeddings, EngineError> {
        let place = self.gate.enter().ok_or(EngineError::Busy)?;
        let (reply, answer) = oneshot::channel();
        let job = Job::new(request, reply, Instant::now(), place);
        self.post(Command::Embed(Box::new(job)))?;
        answer.await.unwrap_or_else(|_| Err(self.reason_of_silence()))
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
        answer.await.map_err(|_| self.reason_of_silence())
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

    /// Tells the thread to end all requests and itself; does not wait for it.
    pub(super) fn close(&self) {
        self.mailbox.close();
    }

    /// Waits until the thread has ended.
    pub(super) async fn until_ended(&self) {
        let mut ended = self.ended.clone();
        // An error says that the thread is gone, too.
        ended.wait_for(|ended| *ended).await.ok();
        // Does not block: saying that it ends is the last thing the thread does.
        self.join();
    }

    fn join(&self) {
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    /// Why the thread dropped a request without an answer.
    fn reason_of_silence(&self) -> EngineError {
        if self.mailbox.is_closed() {
            return EngineError::ShuttingDown;
        }
        EngineError::Internal("the encoder thread dropped the request; its log says why".into())
    }

    fn post(&self, command: Command) -> Result<(), EngineError> {
        self.mailbox.post(command).map_err(|_| EngineError::ShuttingDown)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.close();
        self.join();
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
