//! The thread that computes encoders: its queue, one text per turn.
//!
//! Requests begin in the order of their arrival, as many as may take turns; the first in line waits where its model
//! finds no room beside those in use, and those behind it with it. What begins keeps its encoder to its end, so
//! nobody's model is read again for each text because others want theirs.

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
use super::memory::Encode;
use super::residents::{Placed, Resident, Residents};
use super::{Ends, Shown, ShownModel};
use crate::encoder::EncoderError;
use crate::models::model::Model;

/// Requests that take turns; the others wait for one of them to end. What is computed of each takes memory until it is
/// complete.
pub(super) const MOST_AT_A_TIME: usize = 8;
/// No answer took no time.
pub(super) const LEAST: Duration = Duration::from_nanos(1);

/// What the thread is asked for.
pub(super) enum Command {
    Embed(Box<Job>),
    /// Lets a model go. Answers whether it was there.
    Unload(Arc<Model>, oneshot::Sender<bool>, Place),
}

/// How the thread is told things. Nobody waits in its line: those of clients that left are dropped at each turn.
pub(super) type HostMailbox = Mailbox<Command, Infallible>;

/// A request.
pub(super) struct Job {
    request: EmbedRequest,
    reply: oneshot::Sender<Result<Embeddings, EngineError>>,
    arrived: Instant,
    /// Of the texts computed so far.
    vectors: Vec<Vec<f32>>,
    load: Duration,
    place: Place,
}

/// A request that takes turns, and what computes it.
struct Running {
    job: Job,
    encoder: Arc<dyn Encode>,
}

/// The state of the thread.
pub(super) struct HostThread {
    /// In the order of their turns.
    running: VecDeque<Running>,
    /// Those that wait to begin, in the order of their arrival. Empty if none runs.
    line: VecDeque<Job>,
    residents: Residents,
    mailbox: Arc<HostMailbox>,
    shown: Arc<Mutex<Shown>>,
}

impl Job {
    pub(super) fn new(
        request: EmbedRequest,
        reply: oneshot::Sender<Result<Embeddings, EngineError>>,
        arrived: Instant,
        place: Place,
    ) -> Self {
        Self { request, reply, arrived, vectors: Vec::new(), load: Duration::ZERO, place }
    }

    /// Answers, and gives the place back before anyone can look.
    fn end(self, result: Result<(), EngineError>) {
        let Self { reply, arrived, vectors, load, place, .. } = self;
        drop(place);
        let total = arrived.elapsed().max(LEAST);
        reply.send(result.map(|()| Embeddings { vectors, load, total })).ok();
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

impl HostThread {
    pub(super) fn new(mailbox: Arc<HostMailbox>, shown: Arc<Mutex<Shown>>, residents: Residents) -> Self {
        Self { running: VecDeque::new(), line: VecDeque::new(), residents, mailbox, shown }
    }

    /// Works until the mailbox is closed, then ends all requests.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => {
                    let what = panic_text(panic.as_ref());
                    tracing::error!(what, "the encoder thread panicked; all encoders are unloaded");
                    self.drop_everything(&EngineError::Internal(what));
                }
            }
        }
        for command in self.mailbox.take().commands {
            self.receive(command);
        }
        self.drop_everything(&EngineError::ShuttingDown);
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
        self.let_go_of_the_absent();
        // In this order: a model that the first in line wants is in use again before its time is up.
        self.admit();
        self.residents.expire(Instant::now());
        self.publish();
        match self.running.pop_front() {
            Some(running) => self.step(running),
            None => self.mailbox.wait(self.residents.next_expiry()),
        }
        true
    }

    /// Drops the requests whose clients have left.
    fn let_go_of_the_absent(&mut self) {
        let Self { running, residents, line, .. } = self;
        running.retain(|Running { job, .. }| {
            let stays = !job.is_abandoned();
            if !stays {
                residents.touch(&job.request.model, None);
            }
            stays
        });
        line.retain(|job| !job.is_abandoned());
    }

    fn receive(&mut self, command: Command) {
        match command {
            Command::Embed(job) => self.line.push_back(*job),
            Command::Unload(model, reply, place) => {
                self.residents.expire(Instant::now());
                let found = self.residents.let_go(&model);
                drop(place);
                // Visible to whoever asks after the answer, which is why it is published before it.
                self.publish();
                reply.send(found).ok();
            }
        }
    }

    /// Lets requests begin until the first in line has to wait.
    fn admit(&mut self) {
        while self.running.len() < MOST_AT_A_TIME {
            let Some(job) = self.line.pop_front() else { return };
            if let Some(job) = self.begin(job) {
                self.line.push_front(job);
                return;
            }
        }
    }

    /// Lets a request begin, or ends it; gives it back if it has to wait.
    fn begin(&mut self, mut job: Job) -> Option<Job> {
        let EmbedRequest { model, inputs, keep_alive } = &job.request;
        let only_unloads = inputs.is_empty() && keep_alive.is_some_and(KeepAlive::is_now);
        if only_unloads && !self.residents.has(model) {
            self.end(job, Ok(()));
            return None;
        }
        let Self { residents, mailbox, shown, .. } = self;
        let ends = ends(residents.keep_alive(), None);
        let announce = || {
            let (model, size_bytes) = (Arc::clone(model), model.size);
            shown.lock().loading = Some(ShownModel { model, size_bytes, ends });
        };
        let stop = || job.is_abandoned() || mailbox.is_closed();
        let placed = guarded(model, || residents.place(model, &announce, &stop));
        self.shown.lock().loading = None;
        match placed {
            Ok(Placed::Later) => return Some(job),
            Ok(Placed::There(encoder, load)) => {
                job.load = load;
                self.residents.touch(&job.request.model, job.request.keep_alive);
                if job.request.inputs.is_empty() {
                    drop(encoder);
                    self.end(job, Ok(()));
                } else {
                    self.running.push_back(Running { job, encoder });
                }
            }
            Err(error) => self.end(job, Err(error)),
        }
        None
    }

    /// Computes one text of a request.
    fn step(&mut self, running: Running) {
        let Running { mut job, encoder } = running;
        let EmbedRequest { model, inputs, .. } = &job.request;
        let Some(tokens) = inputs.get(job.vectors.len()) else {
            drop(encoder);
            return self.end(job, Ok(()));
        };
        let stop = || job.is_abandoned() || self.mailbox.is_closed();
        let vector = guarded(model, || encoder.encode(tokens, &stop).map_err(|error| refuse(error, model)));
        let ended = match vector {
            Ok(vector) => {
                job.vectors.push(vector);
                (job.vectors.len() == job.request.inputs.len()).then_some(Ok(()))
            }
            Err(error) => Some(Err(error)),
        };
        match ended {
            None => self.running.push_back(Running { job, encoder }),
            Some(result) => {
                drop(encoder);
                self.end(job, result);
            }
        }
    }

    /// Ends a request that holds no encoder any more.
    fn end(&mut self, job: Job, result: Result<(), EngineError>) {
        self.residents.touch(&job.request.model, None);
        self.publish();
        let stopped = matches!(result, Err(EngineError::Cancelled)) && self.mailbox.is_closed();
        job.end(if stopped { Err(EngineError::ShuttingDown) } else { result });
    }

    /// Ends all requests and lets all models go.
    fn drop_everything(&mut self, error: &EngineError) {
        let running = std::mem::take(&mut self.running).into_iter().map(|running| running.job);
        let jobs: Vec<Job> = running.chain(std::mem::take(&mut self.line)).collect();
        self.residents.clear();
        *self.shown.lock() = Shown::default();
        for job in jobs {
            job.end(Err(error.clone()));
        }
    }

    /// Writes down what is in memory.
    fn publish(&self) {
        let show = |resident: &Resident| ShownModel {
            model: Arc::clone(&resident.model),
            size_bytes: resident.encoder.memory_bytes(),
            ends: ends(resident.keep_alive, resident.expires_at()),
        };
        let loaded = self.residents.staying(Instant::now()).map(show).collect();
        self.shown.lock().loaded = loaded;
    }
}

/// Does what has to do with one request; a panic is its error.
fn guarded<T>(model: &Model, work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic_text(panic.as_ref());
        tracing::error!(what, model = %model.name, "an encoder panicked");
        Err(EngineError::Internal(what))
    })
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

/// The answer to a request whose model could not be read, or whose text could not be computed.
pub(super) fn refuse(error: EncoderError, model: &Model) -> EngineError {
    let name = model.name.to_string();
    match error {
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
