//! Follows grammars while the card computes.
//!
//! Which tokens may come next is known as soon as the last one is: a thread of its own computes it while the card
//! computes the logits. The card thread then only rules out the others, chooses, and tells the grammar what was chosen;
//! the latter is quick, and has to be known before the next step, which a complete answer spares the card.
//!
//! There is one such thread per card, made with the first request that has a grammar. The state of a grammar goes to and
//! fro between the two threads, so nothing is shared and nothing locked. What one token may cost is bounded by the
//! grammar's own limits; a grammar that exceeds them ends its request, never its constraint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::card_thread::panic_text;
use super::error::EngineError;
use crate::text::{Constraint, Grammar, GrammarError, TokenId, TokenMask};

/// Name of the thread that computes masks.
const THREAD_NAME: &str = "ax650-grammar";
/// Its stack: lexers recurse along regular expressions.
const STACK_BYTES: usize = 16 << 20;

/// The thread that computes masks.
#[derive(Default)]
pub(crate) struct MaskWorker {
    running: Option<Running>,
}

struct Running {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// One mask to compute.
struct Job {
    work: Work,
    reply: mpsc::SyncSender<Result<Prepared, EngineError>>,
}

enum Work {
    Start(Grammar),
    Next(Box<Constraint>),
}

/// A grammar that knows what may come next.
struct Prepared {
    constraint: Box<Constraint>,
    mask: TokenMask,
    /// Time of the worker.
    took: Duration,
}

/// What a grammar has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// The card thread waited for a mask.
    pub(crate) waiting: Duration,
    /// The card thread ruled tokens out, and told the grammar which one was chosen.
    pub(crate) applying: Duration,
    /// The worker computed masks, those that were used.
    pub(crate) computing: Duration,
}

/// The grammar of one answer, as the card thread holds it.
pub(crate) struct Guide {
    jobs: mpsc::Sender<Job>,
    next: mpsc::Receiver<Result<Prepared, EngineError>>,
    /// Set from the choice of a token until the grammar has taken it.
    prepared: Option<Prepared>,
    /// Logits with what is ruled out; kept to spare an allocation per token.
    masked: Vec<u16>,
    spent: Spent,
}

impl MaskWorker {
    /// Begins to follow a grammar: its first mask is computed from now on.
    pub(crate) fn begin(&mut self, grammar: Grammar) -> Guide {
        let jobs = self.jobs();
        let next = post(&jobs, Work::Start(grammar));
        Guide { jobs, next, prepared: None, masked: Vec::new(), spent: Spent::default() }
    }

    /// Where jobs go. If there can be no thread they go nowhere, and whoever waits for one is told so.
    fn jobs(&mut self) -> mpsc::Sender<Job> {
        if let Some(running) = &self.running {
            return running.jobs.clone();
        }
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned()).stack_size(STACK_BYTES);
        match thread.spawn(move || work(&inbox)) {
            Ok(thread) => self.running = Some(Running { jobs: jobs.clone(), thread }),
            Err(error) => tracing::error!(%error, "cannot start the thread that follows grammars"),
        }
        jobs
    }
}

impl Drop for MaskWorker {
    /// Waits for the thread. Every [`Guide`] must be gone by then.
    fn drop(&mut self) {
        if let Some(Running { jobs, thread }) = self.running.take() {
            drop(jobs);
            thread.join().ok();
        }
    }
}

impl Guide {
    /// The logits with negative infinity for every token that may not come next. Waits for the mask if need be.
    pub(crate) fn mask(&mut self, logits: &[u16]) -> Result<&[u16], EngineError> {
        let began = Instant::now();
        let prepared = self.next.recv().map_err(|_| worker_gone())??;
        let waited = began.elapsed();
        prepared.mask.apply(logits, &mut self.masked);
        self.spent.waiting += waited;
        self.spent.applying += began.elapsed().saturating_sub(waited);
        self.spent.computing += prepared.took;
        self.prepared = Some(prepared);
        Ok(&self.masked)
    }

    /// Tells the grammar which token was chosen. True when the answer is complete.
    pub(crate) fn accept(&mut self, token: TokenId) -> Result<bool, EngineError> {
        let began = Instant::now();
        let Some(Prepared { mut constraint, .. }) = self.prepared.take() else { return Err(worker_gone()) };
        let complete = constraint.accept(token)?;
        if !complete {
            self.next = post(&self.jobs, Work::Next(constraint));
        }
        self.spent.applying += began.elapsed();
        Ok(complete)
    }

    /// What the grammar has cost so far.
    pub(crate) fn spent(&self) -> Spent {
        self.spent
    }
}

fn post(jobs: &mpsc::Sender<Job>, work: Work) -> mpsc::Receiver<Result<Prepared, EngineError>> {
    let (reply, next) = mpsc::sync_channel(1);
    // If the thread is gone so is `reply`, which the receiver finds out.
    jobs.send(Job { work, reply }).ok();
    next
}

fn worker_gone() -> EngineError {
    EngineError::Internal("the thread that follows grammars has ended; its log says why".into())
}

/// Computes masks until nobody can ask for one any more.
fn work(inbox: &mpsc::Receiver<Job>) {
    for Job { work, reply } in inbox {
        let outcome = catch_unwind(AssertUnwindSafe(|| prepare(work))).unwrap_or_else(|panic| {
            let what = panic_text(panic.as_ref());
            tracing::error!(what, "following a grammar panicked");
            Err(EngineError::Internal(what))
        });
        // A request that has ended meanwhile needs no mask.
        reply.send(outcome).ok();
    }
}

fn prepare(work: Work) -> Result<Prepared, EngineError> {
    let began = Instant::now();
    let mut constraint = match work {
        Work::Start(grammar) => Box::new(grammar.start()),
        Work::Next(constraint) => constraint,
    };
    let mask = constraint.mask()?;
    Ok(Prepared { constraint, mask, took: began.elapsed() })
}

impl From<GrammarError> for EngineError {
    fn from(error: GrammarError) -> Self {
        Self::Grammar(error)
    }
}
