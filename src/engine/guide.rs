//! Follows grammars while the card computes.
//!
//! Which tokens may come next is known as soon as the last one is: a thread of its own computes it while the card
//! computes the logits. The card thread then only rules out the others, chooses, and tells the grammar what was chosen;
//! the latter is quick, and has to be known before the next step, which a complete answer spares the card.
//!
//! There is one such thread per card, made with the first request that has a grammar. The state of a grammar goes to
//! and fro between the two threads, so nothing is shared and nothing locked.
//!
//! While the card has other work, a mask that is not there yet holds up its own request only: others take their turns
//! meanwhile. If none of them is ready, the card thread waits for the one whose turn it is, until its client leaves at
//! the latest; whatever else comes meanwhile, such as another's mask, a new request or an unload, waits with it. How
//! long that can be is bounded by the grammar's own limits (some tens of milliseconds a mask, behind one of each other
//! conversation); a grammar that exceeds them ends its request, never its constraint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::card_thread::panic_text;
use super::error::EngineError;
use crate::device::CancelFlag;
use crate::text::{Constraint, Grammar, GrammarError, TokenId, TokenMask};

/// Name of the thread that computes masks.
const THREAD_NAME: &str = "ax650-grammar";
/// How often a card thread that waits for a mask looks whether the client has left.
const LOOK: Duration = Duration::from_millis(5);

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
    reply: mpsc::SyncSender<Outcome>,
}

type Work = Box<dyn FnOnce() -> Outcome + Send>;
type Outcome = Result<Prepared, EngineError>;

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
    next: mpsc::Receiver<Outcome>,
    /// What came, until the grammar has taken the token that was chosen.
    prepared: Option<Outcome>,
    /// Logits with what is ruled out, where the others are still needed; kept to spare an allocation per token.
    masked: Vec<u16>,
    spent: Spent,
}

impl MaskWorker {
    /// Begins to follow a grammar: its first mask is computed from now on.
    pub(crate) fn begin(&mut self, grammar: Grammar) -> Guide {
        self.begin_with(Box::new(move || prepare(|| Ok(Box::new(grammar.start())))))
    }

    fn begin_with(&mut self, first: Work) -> Guide {
        let jobs = self.jobs();
        let next = post(&jobs, first);
        Guide { jobs, next, prepared: None, masked: Vec::new(), spent: Spent::default() }
    }

    /// Where jobs go. If there can be no thread they go nowhere, and whoever waits for one is told so.
    fn jobs(&mut self) -> mpsc::Sender<Job> {
        if let Some(Running { thread, .. }) = self.running.take_if(|running| running.thread.is_finished()) {
            tracing::error!("the thread that follows grammars had ended; starting another one");
            thread.join().ok();
        }
        if let Some(running) = &self.running {
            return running.jobs.clone();
        }
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name(THREAD_NAME.to_owned());
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
    /// Whether [`Guide::wait`] would return at once.
    pub(crate) fn is_ready(&mut self) -> bool {
        if self.prepared.is_none() {
            self.prepared = match self.next.try_recv() {
                Ok(outcome) => Some(outcome),
                Err(mpsc::TryRecvError::Empty) => None,
                Err(mpsc::TryRecvError::Disconnected) => Some(Err(worker_gone())),
            };
        }
        self.prepared.is_some()
    }

    /// Waits until it is known what may come next; false if the client has left before.
    ///
    /// # Errors
    ///
    /// The answer cannot go on.
    pub(crate) fn wait(&mut self, cancel: &CancelFlag) -> Result<bool, EngineError> {
        let began = Instant::now();
        while !self.is_ready() {
            if cancel.is_cancelled() {
                return Ok(false);
            }
            self.prepared = match self.next.recv_timeout(LOOK) {
                Ok(outcome) => Some(outcome),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => Some(Err(worker_gone())),
            };
        }
        self.spent.waiting += began.elapsed();
        self.spent.computing += self.prepared()?.took;
        Ok(true)
    }

    /// What [`Guide::wait`] has waited for.
    fn prepared(&self) -> Result<&Prepared, EngineError> {
        match &self.prepared {
            Some(Ok(prepared)) => Ok(prepared),
            Some(Err(error)) => Err(error.clone()),
            None => Err(EngineError::Internal("nobody has waited for the mask of a token".into())),
        }
    }

    /// Whether this token may come next. Only after [`Guide::wait`].
    pub(crate) fn allows(&self, token: TokenId) -> bool {
        self.prepared().is_ok_and(|prepared| prepared.mask.allows(token))
    }

    /// The logits with negative infinity for every token that may not come next, in their place unless they are to be
    /// `kept`. Only after [`Guide::wait`].
    pub(crate) fn mask<'a>(
        &'a mut self,
        logits: &'a mut [u16],
        kept: bool,
    ) -> Result<&'a [u16], EngineError> {
        let began = Instant::now();
        let mut masked = std::mem::take(&mut self.masked);
        let mask = &self.prepared()?.mask;
        let logits = if kept {
            masked.clear();
            masked.extend_from_slice(logits);
            mask.apply(&mut masked);
            self.masked = masked;
            self.masked.as_slice()
        } else {
            mask.apply(logits);
            logits
        };
        self.spent.applying += began.elapsed();
        Ok(logits)
    }

    /// Tells the grammar which token was chosen. True when the answer is complete.
    pub(crate) fn accept(&mut self, token: TokenId) -> Result<bool, EngineError> {
        let began = Instant::now();
        let Prepared { mut constraint, .. } = self.prepared.take().unwrap_or_else(|| Err(worker_gone()))?;
        let complete = constraint.accept(token)?;
        if !complete {
            self.next = post(&self.jobs, Box::new(move || prepare(|| Ok(constraint))));
        }
        self.spent.applying += began.elapsed();
        Ok(complete)
    }

    /// What the grammar has cost so far.
    pub(crate) fn spent(&self) -> Spent {
        self.spent
    }
}

fn post(jobs: &mpsc::Sender<Job>, work: Work) -> mpsc::Receiver<Outcome> {
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
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let what = panic_text(panic.as_ref());
            tracing::error!(what, "following a grammar panicked");
            Err(EngineError::Internal(what))
        });
        // A request that has ended meanwhile needs no mask.
        reply.send(outcome).ok();
    }
}

fn prepare(constraint: impl FnOnce() -> Result<Box<Constraint>, EngineError>) -> Outcome {
    let began = Instant::now();
    let mut constraint = constraint()?;
    let mask = constraint.mask()?;
    Ok(Prepared { constraint, mask, took: began.elapsed() })
}

impl From<GrammarError> for EngineError {
    fn from(error: GrammarError) -> Self {
        Self::Grammar(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::VOCAB;
    use crate::engine::tests::grammars::grammar;

    fn letter() -> Grammar {
        grammar(serde_json::json!({ "enum": ["a", "b"] }))
    }

    /// The tokens that may come next.
    fn allowed(guide: &mut Guide) -> Vec<usize> {
        assert!(guide.wait(&CancelFlag::new()).unwrap());
        let mut logits = vec![0x3f80; VOCAB];
        let copy = guide.mask(&mut logits, true).unwrap().to_vec();
        assert_eq!(logits, vec![0x3f80; VOCAB]);
        assert_eq!(guide.mask(&mut logits, false).unwrap(), copy);
        (0..VOCAB).filter(|&token| copy[token] == 0x3f80).collect()
    }

    #[test]
    fn a_job_that_panics_ends_its_request_only() {
        let mut masks = MaskWorker::default();
        let mut sound = masks.begin(letter());
        let mut broken = masks.begin_with(Box::new(|| std::panic::panic_any("in a test")));
        let error = broken.wait(&CancelFlag::new()).unwrap_err();
        assert!(matches!(&error, EngineError::Internal(text) if text.contains("in a test")), "{error}");
        assert_eq!(allowed(&mut sound), [usize::from(b'"')]);
        assert!(!sound.accept(b'"'.into()).unwrap());
        assert_eq!(allowed(&mut sound), [usize::from(b'a'), usize::from(b'b')]);
        assert_eq!(allowed(&mut masks.begin(letter())), [usize::from(b'"')]);
    }

    #[test]
    fn a_thread_that_has_ended_is_replaced() {
        let mut masks = MaskWorker::default();
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::spawn(move || drop(inbox));
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        let next = post(&jobs, Box::new(|| unreachable!("nobody computes it")));
        let mut lost =
            Guide { jobs: jobs.clone(), next, prepared: None, masked: Vec::new(), spent: Spent::default() };
        assert_eq!(lost.wait(&CancelFlag::new()).unwrap_err(), worker_gone());
        masks.running = Some(Running { jobs, thread });
        assert_eq!(allowed(&mut masks.begin(letter())), [usize::from(b'"')]);
    }

    #[test]
    fn a_client_that_leaves_is_not_waited_for() {
        let mut masks = MaskWorker::default();
        let (release, held) = mpsc::channel::<()>();
        let mut guide = masks.begin_with(Box::new(move || {
            held.recv().ok();
            prepare(|| Ok(Box::new(letter().start())))
        }));
        let cancel = CancelFlag::new();
        cancel.cancel();
        assert!(!guide.is_ready());
        assert!(!guide.wait(&cancel).unwrap());
        drop(release);
        assert_eq!(allowed(&mut guide), [usize::from(b'"')]);
    }
}
