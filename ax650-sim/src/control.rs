//! The side of the software card that only tests see: what happened, and what shall go wrong.
//!
//! Two ways to a card:
//!
//! - A test that calls the vendor's functions itself makes a [`SoftwareCard`] and [attaches](SoftwareCard::attach)
//!   it to its thread. Tests run side by side, each with its own card.
//! - A test of code that starts its own threads [claims](claim) the process: until the claim is dropped,
//!   every function table, on any thread, is over the claimed card. Claims wait for each other, and a claim
//!   that is dropped fails the test if violations were not taken. A claim also catches the tables of tests
//!   that run beside it without one: in a test binary either all tests that open a card claim, or none.

pub(crate) mod injection;
pub(crate) mod mistakes;
mod trouble;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::card::{self, Attachment, CLAIMED, Card, Origin};
use crate::clock::Source;
use crate::options::CardOptions;
use crate::violations::Violation;

pub use trouble::{Calls, Mistake, Trouble, TroubleError, Troubles};

/// One claim at a time.
static CLAIM: Mutex<()> = Mutex::new(());

/// A software card seen from behind. Any thread.
pub struct SoftwareCard {
    card: Arc<Card>,
}

impl SoftwareCard {
    /// A card of its own, reached by nobody until it is attached.
    pub fn new(options: CardOptions) -> Self {
        Self { card: Card::new(options) }
    }

    /// As [`Self::new`], with a clock that goes by `time`.
    pub fn with_time(options: CardOptions, time: &ManualTime) -> Self {
        let source = Source::Manual(Arc::clone(&time.0));
        Self { card: Card::with_source(options, || source) }
    }

    /// The card that vendor calls of the calling thread reach.
    pub fn of_this_thread() -> Self {
        Self { card: card::current() }
    }

    /// Directs the vendor calls of the calling thread to this card until the guard is dropped.
    #[must_use = "the card is attached only as long as the guard lives"]
    pub fn attach(&self) -> AttachedCard {
        let previous = card::attach(Some((self.card.clone(), Origin::Control)));
        AttachedCard { previous, thread_bound: PhantomData }
    }

    /// The violations so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.card.log.lock().violations.as_slice().to_vec()
    }

    /// The violations so far, which are forgotten.
    pub fn take_violations(&self) -> Vec<Violation> {
        self.card.log.lock().violations.take()
    }

    /// Makes calls fail for breaches that a real card would not notice, and `axclFinalize` for leaks; these
    /// then include what programs usually leave to the end of the process (IO infos, a running engine, a device that
    /// is set).
    pub fn set_fatal(&self, fatal: bool) {
        self.card.fatal.store(fatal, Ordering::Relaxed);
    }

    /// Makes the board list the tensors of each shape group in another order, for models loaded from now on.
    pub fn set_mixed_tensors(&self, mixed: bool) {
        self.card.mixed_tensors.store(mixed, Ordering::Relaxed);
    }

    /// Runs of `AX_ENGINE` that have not returned yet.
    pub fn runs_in_flight(&self) -> u32 {
        self.card.running.load(Ordering::SeqCst)
    }

    /// Bytes of device memory in use, on all devices: buffers and weights.
    pub fn memory_in_use(&self) -> u64 {
        self.card.state.lock().devices_mut().iter().map(|device| device.memory.used()).sum()
    }

    /// Live allocations of device memory, on all devices.
    pub fn allocations(&self) -> usize {
        self.card.state.lock().devices_mut().iter().map(|device| device.memory.allocations()).sum()
    }

    /// Sets the size of the memory of each device. What is allocated already stays.
    pub fn set_memory_bytes(&self, bytes: u64) {
        for device in self.card.state.lock().devices_mut() {
            device.memory.set_limit(bytes);
        }
    }

    /// Models on all devices.
    pub fn models(&self) -> usize {
        self.card.state.lock().devices_mut().iter().map(|device| device.engines.models.len()).sum()
    }

    /// How often `function` (its vendor name) was called.
    pub fn calls(&self, function: &str) -> u64 {
        self.card.log.lock().calls.get(function).copied().unwrap_or_default()
    }

    /// How often each function was called.
    pub fn all_calls(&self) -> BTreeMap<&'static str, u64> {
        self.card.log.lock().calls.clone()
    }

    /// What a caller would leave behind if it ended now: allocations, models, queued work and the like, counted.
    pub fn leaks(&self) -> Vec<String> {
        self.card.state.lock().leaks(false)
    }

    /// Makes something go wrong, once or from now on, as the [`Trouble`] has it. Several add up.
    pub fn cause(&self, trouble: Trouble) {
        self.card.cause(trouble);
    }

    /// Nothing goes wrong any more. A card that is gone is there again as it was.
    pub fn calm(&self) {
        self.card.mistakes.lock().clear();
        self.card.log.lock().injection.clear();
        self.release();
    }

    /// Makes the `nth` next call of `function` (1 = the next one) fail with `code` and do nothing else.
    pub fn fail_call(&self, function: &str, nth: u64, code: i32) {
        self.cause(Trouble::Fail { function: function.to_owned(), calls: nth.into(), code });
    }

    /// Makes every call fail with `code`; `None` ends it, and nothing is lost.
    pub fn fail_all(&self, code: Option<i32>) {
        let injection = &mut self.card.log.lock().injection;
        match code {
            Some(code) => injection.set_lost(Some(code)),
            None => injection.forget_loss(),
        }
    }

    /// Lets a card that is [lost](Trouble::Lost) be found again: it is empty then, and answers a program that begins
    /// anew (`axclInit`, `AX_SYS_Init`). Until that every call fails as before.
    pub fn bring_back(&self) {
        self.card.log.lock().injection.bring_back();
    }

    /// Makes every call of `function` take `delay` longer; zero ends it.
    pub fn slow_down(&self, function: &str, delay: Duration) {
        self.card.log.lock().injection.set_delay(function, delay);
    }

    /// Calls that [hang](Trouble::Hang) now.
    pub fn hanging(&self) -> usize {
        self.card.hangs.calls()
    }

    /// Lets the calls that hang go on, as if nothing had been.
    pub fn release(&self) {
        self.card.hangs.release();
    }
}

#[cfg(test)]
impl From<Arc<Card>> for SoftwareCard {
    fn from(card: Arc<Card>) -> Self {
        Self { card }
    }
}

impl Card {
    /// See [`SoftwareCard::cause`].
    pub(crate) fn cause(&self, trouble: Trouble) {
        match trouble {
            Trouble::Wrong(mistake) => self.mistakes.lock().add(mistake, None),
            Trouble::WrongIn { mistake, group } => self.mistakes.lock().add(mistake, Some(group)),
            other => self.log.lock().injection.add(other),
        }
    }
}

/// A host's time that stands still until it is moved, for tests of what takes how long.
#[derive(Debug, Clone, Default)]
pub struct ManualTime(Arc<AtomicU64>);

impl ManualTime {
    /// Moves the time.
    pub fn advance(&self, by: Duration) {
        let nanoseconds = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Ordering::SeqCst);
    }
}

/// Keeps a card attached to the thread that made it.
pub struct AttachedCard {
    previous: Attachment,
    /// The attachment is the thread's, so the guard must stay on it.
    thread_bound: PhantomData<*const ()>,
}

impl Drop for AttachedCard {
    fn drop(&mut self) {
        card::attach(self.previous.take());
    }
}

/// Waits until no other claim is held, then makes a strict card and directs every function table that is filled
/// from now on to it.
pub fn claim(options: CardOptions) -> ClaimedCard {
    let turn = CLAIM.lock();
    let options = CardOptions { strict: true, ..options };
    let card = SoftwareCard::new(options);
    *CLAIMED.lock() = Some(card.card.clone());
    ClaimedCard { card, turn }
}

/// The card of the whole process. Dropping it fails the test if violations are left.
pub struct ClaimedCard {
    card: SoftwareCard,
    #[expect(dead_code, reason = "held until the claim ends")]
    turn: MutexGuard<'static, ()>,
}

impl Deref for ClaimedCard {
    type Target = SoftwareCard;

    fn deref(&self) -> &SoftwareCard {
        &self.card
    }
}

impl Drop for ClaimedCard {
    fn drop(&mut self) {
        *CLAIMED.lock() = None;
        let violations = self.take_violations();
        let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
        assert!(lines.is_empty() || thread::panicking(), "violations:\n{}", lines.join("\n"));
    }
}
