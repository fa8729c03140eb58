//! The engine as the rest of the program sees it: a handle that any thread may hold, clone and drop.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::adapter::DeviceCard;
use super::card::{Card, Fault};
use super::card_thread::{CardMailbox, CardThread, Job, Limits, LoadJob, UnloadJob, Waiting, panic_text};
use super::embed::EmbedRequest;
use super::error::EngineError;
use super::host::Host;
use super::keep_alive::KeepAlive;
use super::mailbox::{Gate, Mailbox, Place};
use super::pooled::Pooled;
use super::request::{self, Event, Generation, LoadReport, Request};
use super::resident::goes_with;
use super::status::{Counters, LoadedInfo, Status};
use super::watchdog::{CallLimits, Watchdog};
use crate::device::{DeviceChoice, DeviceInfo, DriverOptions};
use crate::models::encoder::Pooling;
use crate::models::model::Model;

/// Name of the thread that owns the card.
pub const CARD_THREAD_NAME: &str = "ax650-card";

/// How the engine works.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Which card to open.
    pub device: DeviceChoice,
    /// How to find its driver.
    pub driver: DriverOptions,
    /// Requests that may wait; one more is answered with [`EngineError::Busy`].
    pub max_queue: usize,
    /// How long a model stays loaded unless a request says otherwise.
    pub keep_alive: KeepAlive,
    /// Requests that may run at a time on one model, each with a sequence (keys and values) of its own. Sequences are
    /// made when needed, and fewer than this if the card has no memory for more.
    pub sequences: usize,
    /// Models that may be on the card at a time.
    pub models: usize,
    /// Events of a request that wait to be read; when there are more, the request pauses.
    pub event_buffer: usize,
    /// How long a client may leave its request paused while others wait for its place.
    pub stall_limit: Duration,
    /// How long a call into the card's driver may take before it is said to hang and new requests are refused.
    pub call_limits: CallLimits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            device: DeviceChoice::Auto,
            driver: DriverOptions::default(),
            max_queue: 512,
            keep_alive: KeepAlive::default(),
            sequences: 4,
            models: 1,
            event_buffer: 256,
            stall_limit: Duration::from_secs(30),
            call_limits: CallLimits::default(),
        }
    }
}

/// Runs requests on one card. Clones share the card; dropping the last one shuts it down.
///
/// No method blocks the thread it is called on, except [`Engine::start`], and the drop of the last handle without
/// [`Engine::shutdown`], which waits for the vendor call under way so that the card is given back in order, and for the
/// layer of a text encoder that is being computed.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    mailbox: Arc<CardMailbox>,
    status: Arc<Status>,
    gate: Arc<Gate>,
    event_buffer: usize,
    watchdog: Watchdog,
    host: Host,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<Option<String>>,
}

impl Engine {
    /// Opens the card on a thread of its own and returns when it is ready. Blocks until then: call it at start-up.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoCard`] with what the driver said if there is no card to open.
    pub fn start(mut config: EngineConfig) -> Result<Self, EngineError> {
        config.driver.activity.get_or_insert_default();
        let driver = config.driver.clone();
        let open = always_the_same(config.device.clone(), move |choice| DeviceCard::open(choice, &driver));
        let host = Host::start(config.max_queue, config.keep_alive)?;
        Self::start_with(&config, host, open)
    }

    /// Starts with any kind of card, and a thread for encoders.
    pub(super) fn start_with<C: Card>(
        config: &EngineConfig,
        host: Host,
        mut open: impl FnMut() -> Result<C, Fault> + Send + 'static,
    ) -> Result<Self, EngineError> {
        let EngineConfig { max_queue, keep_alive, sequences, models, event_buffer, stall_limit, .. } =
            *config;
        let activity = config.driver.activity.clone().unwrap_or_default();
        let watchdog = Watchdog::start(activity, config.call_limits)
            .map_err(|error| EngineError::Internal(format!("cannot start the watchdog: {error}")))?;
        let mailbox = Arc::new(Mailbox::new());
        let limits =
            Limits { keep_alive, sequences: sequences.max(1), models: models.max(1), stall: stall_limit };
        let places = max_queue.saturating_add(limits.sequences * limits.models);
        let (ready, opened) = std::sync::mpsc::sync_channel(1);
        let (exit, ended) = watch::channel(None);
        let thread_mailbox = Arc::clone(&mailbox);
        let body = move || {
            let card = match open() {
                Ok(card) => card,
                Err(fault) => return ready.send(Err(fault)).unwrap_or(()),
            };
            let status = Arc::new(Status::new(card.info()));
            if ready.send(Ok(Arc::clone(&status))).is_err() {
                return;
            }
            let run = CardThread::new(card, Box::new(open), Arc::clone(&thread_mailbox), status, limits);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.run()));
            // Requests that came too late for the card thread are dropped here, which answers them.
            thread_mailbox.close();
            drop((thread_mailbox.take(), thread_mailbox.dissolve_line()));
            let reason = outcome.map_or_else(|panic| panic_text(panic.as_ref()), |()| "shut down".to_owned());
            tracing::debug!(reason, "the card thread ends");
            exit.send_replace(Some(reason));
        };
        let thread = std::thread::Builder::new()
            .name(CARD_THREAD_NAME.to_owned())
            .spawn(body)
            .map_err(|error| EngineError::Internal(format!("cannot start the card thread: {error}")))?;
        let status = match opened.recv() {
            Ok(Ok(status)) => status,
            Ok(Err(fault)) => {
                thread.join().ok();
                return Err(fault.into_open_error());
            }
            Err(_) => {
                let what =
                    thread.join().map_or_else(|panic| panic_text(panic.as_ref()), |()| "it ended".to_owned());
                return Err(EngineError::Internal(format!("the card thread did not start: {what}")));
            }
        };
        Ok(Self(Arc::new(Inner {
            mailbox,
            status,
            gate: Gate::new(places),
            watchdog,
            host,
            event_buffer,
            thread: Mutex::new(Some(thread)),
            ended,
        })))
    }

    /// What the card is.
    pub fn device(&self) -> DeviceInfo {
        self.0.status.device()
    }

    /// Puts a model on the card, if it is not there, and restarts its keep-alive. Waits for a busy model that has to
    /// go first; dropping the future before loading has begun takes the request back.
    ///
    /// With a keep-alive of zero nothing is loaded; a loaded model goes as soon as it is idle.
    pub async fn load(
        &self,
        model: Arc<Model>,
        keep_alive: Option<KeepAlive>,
    ) -> Result<LoadReport, EngineError> {
        if let Some(parts) = model.encoder() {
            let (context_len, size_bytes) = (model.context_len(), parts.config.memory_bytes());
            let request = EmbedRequest { model: Arc::clone(&model), inputs: Vec::new(), keep_alive };
            let load = self.0.host.embed(request).await?.load;
            return Ok(LoadReport { load, context_len, size_bytes });
        }
        let place = self.enter()?;
        let mut stay = StayInLine::new(&self.0.mailbox);
        let (reply, answer) = oneshot::channel();
        self.join(Waiting::Load(LoadJob { model, keep_alive, reply, place }))?;
        let report = answer.await.unwrap_or_else(|_| Err(self.reason_of_silence()));
        stay.answered = true;
        report
    }

    /// Takes a model off the card, once its running requests have ended, by whatever name it was loaded. False if it
    /// was not there. An encoder leaves the memory of the host.
    ///
    /// # Errors
    ///
    /// [`EngineError::Busy`] if too many requests wait: the card thread cannot answer during a load, and what waits
    /// meanwhile must not grow without bound. [`EngineError::ShuttingDown`].
    pub async fn unload(&self, model: &Arc<Model>) -> Result<bool, EngineError> {
        // Its thread may be in the middle of a text: it is asked only about what it has.
        let was_on_host = self.0.host.has(model) && self.0.host.unload(model).await?;
        let on_card = |info: &LoadedInfo| goes_with(&info.model, model);
        if model.encoder().is_some() && !self.0.status.loaded().iter().any(on_card) {
            return Ok(was_on_host);
        }
        let place = self.enter()?;
        let (reply, answer) = oneshot::channel();
        let job = UnloadJob { model: Arc::clone(model), reply, place };
        self.0.mailbox.post(job).map_err(|_| EngineError::ShuttingDown)?;
        let was_on_card = answer.await.map_err(|_| self.reason_of_silence())?;
        Ok(was_on_host || was_on_card)
    }

    /// Queues a request and returns when it begins: its model is on the card and its prompt is about to be computed.
    /// Requests begin in the order of their arrival. Dropping the future takes the request back.
    ///
    /// # Errors
    ///
    /// Everything that is known before the prompt is computed: [`EngineError::Busy`] at once if too many wait,
    /// [`EngineError::PromptTooLong`], [`EngineError::EmptyPrompt`], [`EngineError::InvalidToken`],
    /// [`EngineError::ModelLoad`], [`EngineError::OutOfMemory`], [`EngineError::CardLost`],
    /// [`EngineError::NotResponding`], [`EngineError::ShuttingDown`].
    pub async fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let place = self.enter()?;
        self.begin(request, place, None, false).await
    }

    /// Computes a prompt as [`generate`](Self::generate) does and returns its vector, and the time that loading took.
    /// `place` is that of the whole request, which `continues` if this is not its first text.
    pub(super) async fn pool(
        &self,
        request: Request,
        pooling: Pooling,
        place: Place,
        continues: bool,
    ) -> Result<(Vec<f32>, Duration), EngineError> {
        self.check_card()?;
        let (reply, vector) = oneshot::channel();
        let mut generation = self.begin(request, place, Some(Pooled::new(pooling, reply)), continues).await?;
        loop {
            match generation.next().await {
                Some(Event::Text { .. }) => {}
                Some(Event::Error(error)) => return Err(error),
                Some(Event::Done(summary)) => {
                    let vector = vector.await.map_err(|_| self.reason_of_silence())?;
                    return Ok((vector, summary.load));
                }
                None => return Err(self.reason_of_silence()),
            }
        }
    }

    async fn begin(
        &self,
        request: Request,
        place: Place,
        pooled: Option<Pooled>,
        continues: bool,
    ) -> Result<Generation, EngineError> {
        if request.prompt.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        let arrived = Instant::now();
        let mut stay = StayInLine::new(&self.0.mailbox);
        // Dropped with this future if the client leaves while it waits, which cancels the request.
        let (generation, outlet) = request::channel(self.0.event_buffer, self.0.mailbox.bell());
        let (begun, answer) = oneshot::channel();
        let job = Job { request, pooled, continues, outlet, begun, arrived, place };
        self.join(Waiting::Generate(Box::new(job)))?;
        let begun = answer.await.unwrap_or_else(|_| Err(self.reason_of_silence()));
        stay.answered = true;
        begun.map(|()| generation)
    }

    /// The thread of the encoders.
    pub(super) fn host(&self) -> &Host {
        &self.0.host
    }

    /// The models on the card, and the encoders in the host's memory.
    pub fn loaded(&self) -> Vec<LoadedInfo> {
        let mut loaded = self.0.status.loaded();
        loaded.extend(self.0.host.loaded());
        loaded
    }

    /// The model that is being put on the card, else the encoder that is being read, if any. Its end is an estimate.
    pub fn loading(&self) -> Option<LoadedInfo> {
        self.0.status.loading().or_else(|| self.0.host.loading())
    }

    /// How much there is to do.
    pub fn counters(&self) -> Counters {
        let running = self.0.status.running();
        let queued = self.0.gate.taken().saturating_sub(running);
        let on_host = self.0.host.requests();
        let (running, queued) = (running + on_host.min(1), queued + on_host.saturating_sub(1));
        Counters { running, queued, sequences: self.0.status.sequences() }
    }

    /// Why the card thread has ended; `None` while it works.
    pub fn ended(&self) -> Option<String> {
        self.0.ended.borrow().clone()
    }

    /// Waits for the end of the card thread and tells its reason. Ending without [`Engine::shutdown`] is a fault that
    /// nothing in this process can repair.
    pub async fn until_ended(&self) -> String {
        let mut ended = self.0.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| "it left no reason".to_owned())
    }

    /// Ends all requests with [`EngineError::ShuttingDown`], gives the card back and ends the thread. A vendor call
    /// under way is let to its end; a model load stops before its next file, because a load that is killed within one
    /// wedges real cards. Idempotent.
    pub async fn shutdown(&self) {
        self.0.mailbox.close();
        self.0.host.close();
        self.until_ended().await;
        self.0.host.until_ended().await;
        if let Some(thread) = self.0.thread.lock().take() {
            // Does not block: saying that it ends is the last thing the thread does.
            thread.join().ok();
        }
    }

    /// The call into the card's driver that is under way, and for how long: what somebody waits for who has asked to
    /// shut down. `None` between calls.
    pub fn current_call(&self) -> Option<String> {
        self.0.watchdog.current()
    }

    /// Takes a place among those who wait or run.
    pub(super) fn enter(&self) -> Result<Place, EngineError> {
        self.check_card()?;
        self.0.gate.enter().ok_or(EngineError::Busy)
    }

    /// Refuses what would wait for a call that does not return.
    fn check_card(&self) -> Result<(), EngineError> {
        self.0.watchdog.refusal().map_or(Ok(()), Err)
    }

    fn join(&self, waiting: Waiting) -> Result<(), EngineError> {
        self.0.mailbox.join(waiting).map_err(|_| EngineError::ShuttingDown)
    }

    /// Why the card thread dropped a request without an answer.
    fn reason_of_silence(&self) -> EngineError {
        if self.0.mailbox.is_closed() {
            return EngineError::ShuttingDown;
        }
        EngineError::Internal("the card thread dropped the request; its log says why".into())
    }
}

/// Opens the card of the choice, and after the first success only the card that was found then: a lost card comes back
/// as that card. `auto` would take the software card meanwhile, which cannot run the models of a real one.
pub(crate) fn always_the_same<C: Card>(
    mut choice: DeviceChoice,
    mut open: impl FnMut(&DeviceChoice) -> Result<C, Fault>,
) -> impl FnMut() -> Result<C, Fault> {
    move || {
        let card = open(&choice)?;
        choice = choice.of_found(card.info().kind);
        Ok(card)
    }
}

/// Somebody's stay in the line. Made before what tells that he is gone, so dropped after it: a client that leaves is
/// out of the line at once, and its place is another's.
struct StayInLine<'a> {
    mailbox: &'a CardMailbox,
    answered: bool,
}

impl<'a> StayInLine<'a> {
    fn new(mailbox: &'a CardMailbox) -> Self {
        Self { mailbox, answered: false }
    }
}

impl Drop for StayInLine<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.mailbox.sweep(Waiting::abandoned);
            // Whoever is first now may be able to begin.
            self.mailbox.bell().ring();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("status", &self.0.status)
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.mailbox.close();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }
}
