//! The thread that computes encoders: its queue, the models in memory, one text per turn.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::card_thread::panic_text;
use super::super::embed::{EmbedRequest, Embeddings};
use super::super::error::EngineError;
use super::super::keep_alive::KeepAlive;
use super::super::mailbox::{Mailbox, Place};
use super::super::resident::{goes_with, same_model};
use super::{Ends, Shown, ShownModel};
use crate::encoder::{Encoder, EncoderError};
use crate::models::model::Model;

/// Encoders in memory at a time; they have tens to hundreds of megabytes.
const MOST_MODELS: usize = 3;
/// Requests that take turns; the others wait for one of them to end. What is computed of each takes memory until it is
/// complete.
const MOST_AT_A_TIME: usize = 8;
/// No answer took no time.
const LEAST: Duration = Duration::from_nanos(1);

/// What the thread is asked for.
pub(super) enum Command {
    Embed(Box<Job>),
    /// Lets a model go. Answers whether it was there.
    Unload(Arc<Model>, oneshot::Sender<bool>, Place),
}

/// How the thread is told things. Nobody waits in its line: requests take turns, and those of clients that left are
/// dropped at each.
pub(super) type HostMailbox = Mailbox<Command, Infallible>;

/// A request under way.
pub(super) struct Job {
    request: EmbedRequest,
    reply: oneshot::Sender<Result<Embeddings, EngineError>>,
    arrived: Instant,
    /// Of the texts computed so far.
    vectors: Vec<Vec<f32>>,
    load: Duration,
    _place: Place,
}

/// A model in memory.
struct Resident {
    model: Arc<Model>,
    encoder: Encoder,
    keep_alive: KeepAlive,
    last_used: Instant,
}

/// The state of the thread.
pub(super) struct HostThread {
    /// Whose turn it is first; then the others that take turns, then those that wait, in the order of their arrival.
    jobs: VecDeque<Job>,
    residents: Vec<Resident>,
    mailbox: Arc<HostMailbox>,
    shown: Arc<Mutex<Shown>>,
    keep_alive: KeepAlive,
}

impl Job {
    pub(super) fn new(
        request: EmbedRequest,
        reply: oneshot::Sender<Result<Embeddings, EngineError>>,
        arrived: Instant,
        place: Place,
    ) -> Self {
        Self { request, reply, arrived, vectors: Vec::new(), load: Duration::ZERO, _place: place }
    }

    /// Answers, and gives the place back before anyone can look.
    fn end(self, result: Result<(), EngineError>) {
        let Self { reply, arrived, vectors, load, _place: place, .. } = self;
        drop(place);
        let total = arrived.elapsed().max(LEAST);
        reply.send(result.map(|()| Embeddings { vectors, load, total })).ok();
    }
}

impl HostThread {
    pub(super) fn new(mailbox: Arc<HostMailbox>, shown: Arc<Mutex<Shown>>, keep_alive: KeepAlive) -> Self {
        Self { jobs: VecDeque::new(), residents: Vec::new(), mailbox, shown, keep_alive }
    }

    /// Works until the mailbox is closed, then ends all requests.
    pub(super) fn run(mut self) {
        while self.turn() {}
        for command in self.mailbox.take().commands {
            self.receive(command);
        }
        for job in std::mem::take(&mut self.jobs) {
            job.end(Err(EngineError::ShuttingDown));
        }
        self.residents.clear();
        self.publish();
    }

    /// One turn; false when the engine shuts down.
    fn turn(&mut self) -> bool {
        let mail = self.mailbox.take();
        for command in mail.commands {
            self.receive(command);
        }
        if mail.closed {
            return false;
        }
        self.jobs.retain(|job| !job.reply.is_closed());
        self.expire();
        self.publish();
        match self.jobs.pop_front() {
            Some(job) => self.step(job),
            None => self.mailbox.wait(self.next_expiry()),
        }
        true
    }

    fn receive(&mut self, command: Command) {
        match command {
            Command::Embed(job) => self.jobs.push_back(*job),
            Command::Unload(model, reply, place) => {
                self.expire();
                let mut found = false;
                let meant = |resident: &&mut Resident| goes_with(&resident.model, &model);
                for resident in self.residents.iter_mut().filter(meant) {
                    resident.keep_alive = KeepAlive::NOW;
                    found = true;
                }
                self.expire();
                drop(place);
                self.publish();
                reply.send(found).ok();
            }
        }
    }

    /// Computes one text of a request, or loads its model if it has none.
    fn step(&mut self, mut job: Job) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.advance(&mut job)));
        let result = outcome.unwrap_or_else(|panic| {
            let what = panic_text(panic.as_ref());
            tracing::error!(what, model = %job.request.model.name, "computing a text panicked");
            Err(EngineError::Internal(what))
        });
        self.shown.lock().loading = None;
        match result {
            Ok(false) => {
                let last = self.jobs.len().min(MOST_AT_A_TIME - 1);
                self.jobs.insert(last, job);
            }
            Ok(true) => self.end(job, Ok(())),
            Err(error) => self.end(job, Err(error)),
        }
    }

    /// True when nothing is left to do.
    fn advance(&mut self, job: &mut Job) -> Result<bool, EngineError> {
        let EmbedRequest { model, inputs, keep_alive } = &job.request;
        let only_unloads = inputs.is_empty() && keep_alive.is_some_and(KeepAlive::is_now);
        if only_unloads && !self.residents.iter().any(|resident| same_model(&resident.model, model)) {
            return Ok(true);
        }
        let mailbox = Arc::clone(&self.mailbox);
        let stop = || job.reply.is_closed() || mailbox.is_closed();
        let (resident, load) = self.place(model, &stop)?;
        job.load += load;
        if let Some(keep_alive) = keep_alive {
            resident.keep_alive = *keep_alive;
        }
        if let Some(tokens) = inputs.get(job.vectors.len()) {
            let vector =
                resident.encoder.encode(tokens, &stop).map_err(|error| refuse(error, model, &mailbox))?;
            job.vectors.push(vector);
        }
        Ok(job.vectors.len() == inputs.len())
    }

    /// The model in memory, and how long reading it took.
    fn place(
        &mut self,
        model: &Arc<Model>,
        stop: &dyn Fn() -> bool,
    ) -> Result<(&mut Resident, Duration), EngineError> {
        let known = self.residents.iter().position(|resident| same_model(&resident.model, model));
        if let Some(index) = known {
            return Ok((&mut self.residents[index], Duration::ZERO));
        }
        // One that was made anew takes the place of what it was.
        self.residents.retain(|resident| resident.model.name != model.name);
        while self.residents.len() >= MOST_MODELS {
            let oldest = self.residents.iter().enumerate().min_by_key(|(_, resident)| resident.last_used);
            let Some((index, _)) = oldest else { break };
            let gone = self.residents.swap_remove(index);
            tracing::info!(model = %gone.model.name, wanted = %model.name, "unloading an encoder");
        }
        self.shown.lock().loading = Some(ShownModel {
            model: Arc::clone(model),
            size_bytes: model.size,
            ends: ends(self.keep_alive, None),
        });
        let began = Instant::now();
        let encoder = Encoder::open(model, stop).map_err(|error| refuse(error, model, &self.mailbox))?;
        let load = began.elapsed().max(LEAST);
        tracing::info!(model = %model.name, seconds = load.as_secs_f64(), "loaded an encoder");
        let keep_alive = self.keep_alive;
        let resident = Resident { model: Arc::clone(model), encoder, keep_alive, last_used: Instant::now() };
        let index = self.residents.len();
        self.residents.push(resident);
        Ok((&mut self.residents[index], load))
    }

    fn end(&mut self, job: Job, result: Result<(), EngineError>) {
        let now = Instant::now();
        let of_job = |resident: &&mut Resident| same_model(&resident.model, &job.request.model);
        if let Some(resident) = self.residents.iter_mut().find(of_job) {
            resident.last_used = now;
        }
        self.expire();
        self.publish();
        job.end(result);
    }

    fn is_busy(&self, resident: &Resident) -> bool {
        self.jobs.iter().any(|job| same_model(&job.request.model, &resident.model))
    }

    /// When a model has to go; `None` while requests want it, or if it stays forever.
    fn expiry(&self, resident: &Resident) -> Option<Instant> {
        match resident.keep_alive {
            KeepAlive::For(duration) if !self.is_busy(resident) => resident.last_used.checked_add(duration),
            _ => None,
        }
    }

    fn next_expiry(&self) -> Option<Instant> {
        self.residents.iter().filter_map(|resident| self.expiry(resident)).min()
    }

    /// Lets models go whose keep-alive has run out.
    fn expire(&mut self) {
        let now = Instant::now();
        let over = |resident: &Resident| self.expiry(resident).is_some_and(|end| end <= now);
        let over: Vec<bool> = self.residents.iter().map(over).collect();
        let mut over = over.into_iter();
        self.residents.retain(|resident| {
            let goes = over.next().unwrap_or(false);
            if goes {
                tracing::info!(model = %resident.model.name, "unloading an encoder whose keep-alive has run out");
            }
            !goes
        });
    }

    /// Writes down what is in memory.
    fn publish(&self) {
        let show = |resident: &Resident| ShownModel {
            model: Arc::clone(&resident.model),
            size_bytes: resident.encoder.memory_bytes(),
            ends: ends(resident.keep_alive, self.expiry(resident)),
        };
        self.shown.lock().loaded = self.residents.iter().map(show).collect();
    }
}

/// When a model goes that has this end, or none yet because it is in use.
fn ends(keep_alive: KeepAlive, end: Option<Instant>) -> Ends {
    let left = |end: Instant| end.saturating_duration_since(Instant::now());
    match (keep_alive, end) {
        (KeepAlive::Forever, _) => Ends::Never,
        (KeepAlive::For(_), Some(end)) => {
            SystemTime::now().checked_add(left(end)).map_or(Ends::Never, Ends::At)
        }
        (KeepAlive::For(duration), None) => Ends::After(duration),
    }
}

/// The answer to a request whose text could not be computed.
fn refuse(error: EncoderError, model: &Model, mailbox: &HostMailbox) -> EngineError {
    let name = model.name.to_string();
    match error {
        EncoderError::Stopped if mailbox.is_closed() => EngineError::ShuttingDown,
        EncoderError::Stopped => EngineError::Cancelled,
        EncoderError::NotAnEncoder(_) | EncoderError::Weights { .. } => {
            EngineError::ModelLoad { model: name, reason: error.to_string() }
        }
        EncoderError::Length { tokens: 0, .. } => EngineError::EmptyPrompt,
        EncoderError::Length { tokens, most } => EngineError::PromptTooLong { tokens, context: most },
        EncoderError::Token { token, vocab } => EngineError::InvalidToken { token, vocab },
        other => EngineError::Internal(other.to_string()),
    }
}
