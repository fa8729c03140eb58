//! Letting requests begin: a model on the card, a sequence of it, in the order of arrival.
//!
//! The first in line may have to wait for a busy model to become idle, for a sequence, or for memory. Those behind it
//! wait with it, even if they could begin: otherwise a stream of requests for one model would keep those for another
//! one out for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Active, CardThread, Job, Limits, LoadJob, Waiting};
use crate::device::CancelFlag;
use crate::engine::card::{Card, CardModel, Fault};
use crate::engine::error::EngineError;
use crate::engine::generation::Run;
use crate::engine::keep_alive::KeepAlive;
use crate::engine::pooled::Pooled;
use crate::engine::request::{LoadReport, Request};
use crate::engine::resident::Resident;
use crate::models::model::Model;

/// Whether something could be had.
enum Try<T> {
    Got(T),
    /// Not before a running request has ended.
    Later,
}

/// A request with everything it needs.
struct Prepared<M: CardModel> {
    run: Run<M>,
    /// Time spent loading the model.
    load: Duration,
}

impl<C: Card> CardThread<C> {
    /// Lets requests begin until the first in line has to wait.
    pub(super) fn admit(&mut self) {
        while !self.starved_of_memory {
            let Some(waiting) = self.mailbox.next_in_line() else { return };
            if waiting.abandoned() {
                continue;
            }
            let must_wait = match waiting {
                Waiting::Generate(job) => self.begin(job).map(Waiting::Generate),
                Waiting::Load(job) => self.begin_load(job).map(Waiting::Load),
            };
            if let Some(waiting) = must_wait {
                self.mailbox.put_back(waiting);
                return;
            }
        }
    }

    /// Lets a request begin, or refuses it; gives it back if it has to wait.
    fn begin(&mut self, mut job: Box<Job>) -> Option<Box<Job>> {
        let Prepared { run, load } = match self.prepare(&mut job) {
            Ok(Try::Later) => return Some(job),
            Ok(Try::Got(prepared)) => prepared,
            Err(error) => {
                Waiting::Generate(job).refuse(error);
                return None;
            }
        };
        let Job { request, continues, outlet, begun, arrived, place, .. } = *job;
        let active = Active { run, outlet, model: request.model, load, arrived, place, stalled_since: None };
        if begun.send(Ok(())).is_err() {
            self.end(active, &crate::engine::request::Event::Error(EngineError::Cancelled));
        } else if continues {
            self.active.requeue(active);
        } else {
            self.active.begin(active);
        }
        None
    }

    /// Finds the model and a sequence for a request.
    fn prepare(&mut self, job: &mut Job) -> Result<Try<Prepared<C::Model>>, EngineError> {
        let request = &job.request;
        let Try::Got(load) = self.place(&request.model)? else { return Ok(Try::Later) };
        let Some(resident) = self.residents.get(&request.model) else {
            return Err(EngineError::Internal("a model vanished from the card".into()));
        };
        check_prompt(resident, request)?;
        let from_beginning = job.pooled.as_ref().is_some_and(Pooled::needs_beginning);
        let reusable = if from_beginning { &[] } else { request.prompt.as_slice() };
        let sequence = match resident.take_sequence(reusable) {
            Ok(Some(sequence)) => sequence,
            Ok(None) => return Ok(Try::Later),
            Err(fault) => return Err(self.refuse_load(fault, &request.model)),
        };
        resident.set_keep_alive(request.keep_alive);
        let prompt = request.prompt.clone();
        let run = Run::new(&resident.card_model, sequence, prompt, request.options.clone(), &mut self.masks);
        let run = match job.pooled.take() {
            Some(pooled) => run.pooled(pooled),
            None => run,
        };
        Ok(Try::Got(Prepared { run, load }))
    }

    /// Loads a model without a request; gives the job back if it has to wait.
    fn begin_load(&mut self, job: LoadJob) -> Option<LoadJob> {
        if job.keep_alive.is_some_and(KeepAlive::is_now) && self.residents.get(&job.model).is_none() {
            // Loading only to unload at once would cost minutes of a real card for nothing.
            let report =
                LoadReport { load: Duration::ZERO, context_len: job.model.context_len(), size_bytes: 0 };
            drop(job.place);
            job.reply.send(Ok(report)).ok();
            return None;
        }
        let result = match self.place(&job.model) {
            Ok(Try::Later) => return Some(job),
            Ok(Try::Got(load)) => Ok(load),
            Err(error) => Err(error),
        };
        let report = result.and_then(|load| {
            let resident = self.residents.get(&job.model);
            let resident = resident.ok_or(EngineError::Internal("a model vanished from the card".into()))?;
            resident.set_keep_alive(job.keep_alive);
            resident.touch(Instant::now());
            let context_len = resident.card_model.sizes().context_len;
            Ok(LoadReport { load, context_len, size_bytes: resident.memory_bytes() })
        });
        self.publish();
        drop(job.place);
        job.reply.send(report).ok();
        None
    }

    /// Sees to it that a model is on the card; tells how long loading took.
    fn place(&mut self, model: &Arc<Model>) -> Result<Try<Duration>, EngineError> {
        if let Some(resident) = self.residents.get(model) {
            // It may have been loaded by another name, or before its parameters were changed.
            resident.model = Arc::clone(model);
            model.learn_context(resident.card_model.sizes().context_len);
            return Ok(Try::Got(Duration::ZERO));
        }
        while self.residents.len() >= self.limits.models.max(1) {
            if !self.residents.evict_idle(model) {
                return Ok(Try::Later);
            }
        }
        self.status.begin_loading(model, self.limits.keep_alive);
        let result = self.load(model);
        self.publish();
        result
    }

    /// Puts a model on the card, at the cost of idle ones if its memory does not suffice.
    fn load(&mut self, model: &Arc<Model>) -> Result<Try<Duration>, EngineError> {
        let began = Instant::now();
        loop {
            self.reopen()?;
            let Some(card) = &self.card else { return Err(EngineError::CardLost("it is not open".into())) };
            let cancel = CancelFlag::new();
            if !self.mailbox.begin_step(&cancel) {
                return Err(EngineError::ShuttingDown);
            }
            let loaded = card.load(model, &cancel);
            self.mailbox.end_step();
            match loaded {
                Ok(card_model) => {
                    model.learn_context(card_model.sizes().context_len);
                    let load = began.elapsed().max(Duration::from_nanos(1));
                    tracing::info!(model = %model.name, seconds = load.as_secs_f64(), "loaded a model");
                    let Limits { keep_alive, sequences, .. } = self.limits;
                    let model = Arc::clone(model);
                    self.residents.add(Resident::new(
                        model,
                        card_model,
                        keep_alive,
                        sequences,
                        Instant::now(),
                    ));
                    return Ok(Try::Got(load));
                }
                // Nothing but shutdown sets the flag.
                Err(Fault::Cancelled) => return Err(EngineError::ShuttingDown),
                Err(Fault::OutOfMemory(reason)) => {
                    if self.residents.evict_idle(model) {
                        continue;
                    }
                    if self.active.len() > 0 {
                        tracing::info!(model = %model.name, reason, "waiting for memory of the card");
                        self.starved_of_memory = true;
                        return Ok(Try::Later);
                    }
                    return Err(Fault::OutOfMemory(reason).into_load_error(model));
                }
                Err(fault) => return Err(self.refuse_load(fault, model)),
            }
        }
    }

    /// The error for a model that could not be loaded; a lost card takes everything with it.
    fn refuse_load(&mut self, fault: Fault, model: &Arc<Model>) -> EngineError {
        let lost = matches!(fault, Fault::Lost(_));
        let error = fault.into_load_error(model);
        tracing::error!(%error, model = %model.name, "a request cannot begin");
        if lost {
            self.drop_everything(&error);
        }
        error
    }

    /// Opens the card again if it was lost.
    fn reopen(&mut self) -> Result<(), EngineError> {
        if self.card.is_some() {
            return Ok(());
        }
        let card = (self.open)().map_err(Fault::into_open_error)?;
        tracing::info!("the card is open again");
        self.status.set_device(card.info());
        self.card = Some(card);
        Ok(())
    }
}

fn check_prompt<M: CardModel>(resident: &Resident<M>, request: &Request) -> Result<(), EngineError> {
    let sizes = resident.card_model.sizes();
    let tokens = request.prompt.len();
    if tokens == 0 {
        return Err(EngineError::EmptyPrompt);
    }
    if tokens > sizes.context_len {
        return Err(EngineError::PromptTooLong { tokens, context: sizes.context_len });
    }
    let outside = request.prompt.iter().find(|&&token| token as usize >= sizes.vocab);
    outside.map_or(Ok(()), |&token| Err(EngineError::InvalidToken { token, vocab: sizes.vocab }))
}
