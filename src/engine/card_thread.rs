//! The one thread that touches a card.
//!
//! It owns the driver, the models on it and all their sequences; nothing of that ever leaves it. Each turn of its
//! loop reads the mailbox, lets requests begin as far as there is room, and computes one step of one of them; with
//! nothing to compute it sleeps until the bell rings or a keep-alive runs out.
//!
//! What a failed step takes with it:
//!
//! | what happened | what goes |
//! |---|---|
//! | the client left, the answer leaves its grammar | the request |
//! | logits cannot be sampled, states are not numbers | the request and its sequence |
//! | a vendor call failed, a panic | the request and its sequence |
//! | the next vendor call on that model failed too | the model, with all requests on it |
//! | the card is gone, a panic outside of a step | everything; the next request opens the card again |
//! | something could not be given back | nothing; once no model is on the card it is opened again |
//!
//! Letting requests begin is in `admission`, a child of this module, because it is half of the work.

mod admission;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::card::{Card, CardModel, Fault};
use super::error::EngineError;
use super::generation::{Output, Run, StepError};
use super::guide::MaskWorker;
use super::keep_alive::KeepAlive;
use super::mailbox::{Mailbox, Place};
use super::pooled::Pooled;
use super::request::{Event, LoadReport, Outlet, Request, Summary};
use super::resident::{Resident, Residents, same_model};
use super::scheduler::Turns;
use super::status::Status;
use crate::models::model::Model;

/// What other threads ask of the card thread and wait in line for.
pub(crate) enum Waiting {
    /// Continue a prompt.
    Generate(Box<Job>),
    /// Put a model on the card.
    Load(LoadJob),
}

/// A model that is to be taken off the card once its running requests have ended. There is nothing to wait for, so this
/// passes the line by.
pub(crate) struct UnloadJob {
    pub(crate) model: Arc<Model>,
    /// Answers whether it was there.
    pub(crate) reply: oneshot::Sender<bool>,
    pub(crate) place: Place,
}

/// The mailbox of the card thread.
pub(crate) type CardMailbox = Mailbox<UnloadJob, Waiting>;

/// A request that waits for its turn to begin.
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Set where a vector of the prompt is wanted.
    pub(crate) pooled: Option<Pooled>,
    /// Whether it goes on with something of which a part was computed before: then it takes its turn as what runs does.
    pub(crate) continues: bool,
    pub(crate) outlet: Outlet,
    /// Tells whether the request could begin.
    pub(crate) begun: oneshot::Sender<Result<(), EngineError>>,
    pub(crate) arrived: Instant,
    pub(crate) place: Place,
}

/// A model that is to be loaded.
pub(crate) struct LoadJob {
    pub(crate) model: Arc<Model>,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) reply: oneshot::Sender<Result<LoadReport, EngineError>>,
    pub(crate) place: Place,
}

/// A request that runs.
struct Active<M: CardModel> {
    run: Run<M>,
    outlet: Outlet,
    model: Arc<Model>,
    load: Duration,
    arrived: Instant,
    place: Place,
    /// Since when the client has not read although its channel is full.
    stalled_since: Option<Instant>,
}

/// Limits of the card thread; see [`super::EngineConfig`].
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) keep_alive: KeepAlive,
    pub(crate) sequences: usize,
    pub(crate) models: usize,
    pub(crate) stall: Duration,
}

/// Opens the card, at the start and again after it was lost.
pub(crate) type Opener<C> = Box<dyn FnMut() -> Result<C, Fault> + Send>;

/// The state of the card thread.
pub(crate) struct CardThread<C: Card> {
    // Dropped in this order: sequences, models, card; and requests before the worker that they speak to.
    active: Turns<Active<C::Model>>,
    residents: Residents<C::Model>,
    card: Option<C>,
    /// The first in line found no memory; nothing changes that before it leaves, a request ends or a model goes.
    starved_of_memory: bool,
    /// Something could not be given back: only opening the card again makes all of its memory free.
    leaking: bool,
    logits: Vec<u16>,
    open: Opener<C>,
    mailbox: Arc<CardMailbox>,
    status: Arc<Status>,
    limits: Limits,
    masks: MaskWorker,
}

impl<C: Card> CardThread<C> {
    pub(crate) fn new(
        card: C,
        open: Opener<C>,
        mailbox: Arc<CardMailbox>,
        status: Arc<Status>,
        limits: Limits,
    ) -> Self {
        Self {
            active: Turns::new(),
            residents: Residents::new(),
            card: Some(card),
            starved_of_memory: false,
            leaking: false,
            logits: Vec::new(),
            open,
            mailbox,
            status,
            limits,
            masks: MaskWorker::default(),
        }
    }

    /// Works until the mailbox is closed, then ends all requests and gives the card back.
    pub(crate) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(panic) => {
                    let what = panic_text(panic.as_ref());
                    tracing::error!(what, "the card thread panicked; all models are taken off the card");
                    self.mailbox.end_step();
                    self.drop_everything(&EngineError::Internal(what));
                }
            }
        }
        for job in self.mailbox.take().commands {
            self.obey(job);
        }
        for waiting in self.mailbox.dissolve_line() {
            waiting.refuse(EngineError::ShuttingDown);
        }
        self.drop_everything(&EngineError::ShuttingDown);
    }

    /// One turn; false when the engine shuts down.
    fn turn(&mut self) -> bool {
        let mail = self.mailbox.take();
        for job in mail.commands {
            self.obey(job);
        }
        if mail.closed {
            return false;
        }
        if mail.first_left {
            self.starved_of_memory = false;
        }
        let now = Instant::now();
        self.let_go_of_the_absent(now);
        self.follow_up_drops();
        // In this order: a model that the first in line wants is in use again before its time is up.
        self.admit();
        self.residents.expire(now);
        self.publish();
        // One whose grammar is not there yet would hold up the others; if there are none, its step can begin.
        let next = self.active.next_ready(|active| active.outlet.has_room() && active.run.is_ready());
        match next.or_else(|| self.active.next_ready(|active| active.outlet.has_room())) {
            Some(active) => self.step(active),
            None => self.mailbox.wait(self.next_deadline()),
        }
        true
    }

    fn obey(&mut self, job: UnloadJob) {
        let UnloadJob { model, reply, place } = job;
        let found = self.unload(&model);
        drop(place);
        // Visible to whoever asks after the answer, which is why it is published before it.
        self.publish();
        reply.send(found).ok();
    }

    /// Takes a model off the card, or has it go once it is idle.
    fn unload(&mut self, model: &Model) -> bool {
        // One whose time is up has been told to be gone already.
        self.residents.expire(Instant::now());
        let found = self.residents.let_go(model);
        if found {
            self.starved_of_memory = false;
            self.residents.expire(Instant::now());
        }
        found
    }

    /// Ends requests whose client has left, and those whose client has not read for too long while others wait.
    fn let_go_of_the_absent(&mut self, now: Instant) {
        // Those in line leave it by themselves, except one who has left while he was looked at.
        self.mailbox.sweep(Waiting::abandoned);
        for active in self.active.take_where(|active| active.outlet.abandoned()) {
            self.end(active, &Event::Error(EngineError::Cancelled));
        }
        for active in self.active.iter_mut() {
            let stalled = !active.outlet.has_room();
            active.stalled_since = stalled.then(|| active.stalled_since.unwrap_or(now));
        }
        if !self.mailbox.someone_waits() {
            return;
        }
        let limit = self.limits.stall;
        for active in self.active.take_where(|active| active.stalled_too_long(now, limit)) {
            tracing::warn!(model = %active.model.name, "ended a request whose client does not read");
            self.end(active, &Event::Error(EngineError::SlowClient { seconds: limit.as_secs() }));
        }
    }

    /// Acts on what went wrong while sequences and models were given back.
    fn follow_up_drops(&mut self) {
        match self.card.as_ref().and_then(Card::take_drop_fault) {
            None => {}
            Some(fault @ Fault::Lost(_)) => self.give_up_card(&fault.into_step_error()),
            Some(_) => self.leaking = true,
        }
        if self.leaking && self.residents.len() == 0 {
            tracing::info!("closing the card, to have all of its memory free when it is opened again");
            self.drop_card();
        }
    }

    fn give_up_card(&mut self, error: &EngineError) {
        tracing::error!(%error, "all requests end and the next one opens the card again");
        self.drop_everything(error);
    }

    fn drop_card(&mut self) {
        self.card = None;
        self.leaking = false;
        self.starved_of_memory = false;
    }

    /// When to wake up without the bell.
    fn next_deadline(&self) -> Option<Instant> {
        let stalled = self.active.iter().filter_map(|active| active.stalled_since);
        let stall_ends = stalled.filter_map(|since| since.checked_add(self.limits.stall)).min();
        let stall_ends = stall_ends.filter(|_| self.mailbox.someone_waits());
        [self.residents.next_expiry(), stall_ends].into_iter().flatten().min()
    }

    /// Computes one step of a request.
    fn step(&mut self, mut active: Active<C::Model>) {
        let Some(resident) = self.residents.get(&active.model) else {
            return self
                .end_without_sequence(active, EngineError::Internal("its model is not on the card".into()));
        };
        let cancel = active.outlet.cancel().clone();
        if !self.mailbox.begin_step(&cancel) {
            return self.active.requeue(active);
        }
        let vocab = resident.card_model.sizes().vocab;
        if self.logits.len() < vocab {
            self.logits.resize(vocab, 0);
        }
        let logits = &mut self.logits[..vocab];
        let result =
            catch_unwind(AssertUnwindSafe(|| active.run.step(&resident.card_model, logits, &cancel)));
        self.mailbox.end_step();
        match result {
            Ok(Ok(output)) => {
                resident.note_success();
                self.deliver(active, output);
            }
            Ok(Err(error)) => self.fail(active, error),
            Err(panic) => {
                let what = panic_text(panic.as_ref());
                tracing::error!(what, model = %active.model.name, "a step panicked");
                self.end_without_sequence(active, EngineError::Internal(what));
            }
        }
    }

    fn deliver(&mut self, active: Active<C::Model>, output: Output) {
        active.outlet.text(output.text, output.logprobs);
        let Some(reason) = output.done else { return self.active.requeue(active) };
        let (prompt_eval, eval) = active.run.durations();
        let summary = Summary {
            reason,
            load: active.load,
            prompt_tokens: active.run.prompt_len(),
            reused_tokens: active.run.reused(),
            prompt_eval,
            eval_tokens: active.run.eval_tokens(),
            eval,
            grammar: active.run.grammar_time(),
            total: active.arrived.elapsed().max(Duration::from_nanos(1)),
            tokens: active.run.generated().to_vec(),
        };
        self.end(active, &Event::Done(summary));
    }

    /// A step of a request has failed: takes away what it has damaged.
    fn fail(&mut self, active: Active<C::Model>, error: StepError) {
        tracing::debug!(?error, model = %active.model.name, "a step failed");
        match error {
            StepError::Fault(Fault::Cancelled) => {
                // The flag is set by the client's end, or by shutdown, which closes the mailbox first.
                let closed = self.mailbox.is_closed();
                let error = if closed { EngineError::ShuttingDown } else { EngineError::Cancelled };
                self.end(active, &Event::Error(error));
            }
            StepError::Fault(fault @ Fault::Request(_)) => {
                self.end(active, &Event::Error(fault.into_step_error()));
            }
            StepError::Answer(error) => self.end(active, &Event::Error(error)),
            StepError::Fault(fault @ Fault::Lost(_)) => {
                self.active.requeue(active);
                self.give_up_card(&fault.into_step_error());
            }
            StepError::Sampling(_) | StepError::NotFinite => {
                self.end_without_sequence(active, error.into_engine_error());
            }
            StepError::Fault(Fault::OutOfMemory(_) | Fault::Model(_) | Fault::Call(_)) => {
                let error = error.into_engine_error();
                tracing::error!(%error, model = %active.model.name, "a step failed on the card");
                let model = Arc::clone(&active.model);
                let give_up = self.residents.get(&model).is_some_and(Resident::note_failure);
                let mut outlets = vec![self.release(active)];
                if give_up {
                    tracing::error!(model = %model.name, "taking the model off the card after repeated failures");
                    let others = self.active.take_where(|other| same_model(&other.model, &model));
                    outlets.extend(others.into_iter().map(|other| self.release(other)));
                    self.residents.remove(&model);
                }
                self.conclude(outlets, &Event::Error(error));
            }
        }
    }

    /// Ends a request; its sequence stays for later ones.
    fn end(&mut self, active: Active<C::Model>, event: &Event) {
        let Active { run, outlet, model, place, .. } = active;
        let (sequence, tokens) = run.into_sequence();
        if let Some(resident) = self.residents.get(&model) {
            resident.rest_sequence(sequence, tokens, Instant::now());
        }
        drop(place);
        self.conclude(vec![outlet], event);
    }

    /// Ends a request whose sequence is not to be trusted any more.
    fn end_without_sequence(&mut self, active: Active<C::Model>, error: EngineError) {
        let outlet = self.release(active);
        self.conclude(vec![outlet], &Event::Error(error));
    }

    /// Gives back all that a request holds, without keeping its sequence; the last event is still to be sent.
    fn release(&mut self, active: Active<C::Model>) -> Outlet {
        let Active { run, outlet, model, .. } = active;
        drop(run);
        if let Some(resident) = self.residents.get(&model) {
            resident.end_run(Instant::now());
        }
        outlet
    }

    /// Sends the last event, after everything that its receivers may look at is up to date.
    fn conclude(&mut self, outlets: Vec<Outlet>, event: &Event) {
        self.starved_of_memory = false;
        self.publish();
        for outlet in outlets {
            outlet.finish(event.clone());
        }
    }

    /// Ends all running requests and takes all models off the card, and the card off the host.
    fn drop_everything(&mut self, error: &EngineError) {
        let all = self.active.take_where(|_| true);
        let outlets = all.into_iter().map(|active| self.release(active)).collect();
        self.residents.clear();
        self.drop_card();
        self.conclude(outlets, &Event::Error(error.clone()));
    }

    fn publish(&mut self) {
        self.status.update(&self.residents, self.active.len());
    }
}

impl<M: CardModel> Active<M> {
    fn stalled_too_long(&self, now: Instant, limit: Duration) -> bool {
        self.stalled_since.is_some_and(|since| now.saturating_duration_since(since) >= limit)
    }
}

impl Waiting {
    /// Whether nobody waits for the answer any more.
    pub(crate) fn abandoned(&self) -> bool {
        match self {
            Self::Generate(job) => job.outlet.abandoned(),
            Self::Load(job) => job.reply.is_closed(),
        }
    }

    fn refuse(self, error: EngineError) {
        match self {
            Self::Generate(job) => {
                let Job { begun, place, .. } = *job;
                drop(place);
                begun.send(Err(error)).ok();
            }
            Self::Load(LoadJob { reply, place, .. }) => {
                drop(place);
                reply.send(Err(error)).ok();
            }
        }
    }
}

/// The message of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a message"))
}
