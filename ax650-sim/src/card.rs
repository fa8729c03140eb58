//! One software card: its state, its log, and how a call of the process-wide C interface finds it.
//!
//! The vendor's functions take no card argument, and one process has one vendor library. Tests want many
//! cards in one process. So a call goes to the card of its **thread**:
//!
//! 1. the card that the thread is attached to: [`attach_for_table`] attaches a new card (or the claimed one)
//!    to the thread that fills a function table, which is the thread that makes all calls of the product;
//! 2. else the card that a test has claimed for the whole process;
//! 3. else the card attached last by any thread, so that a call from a stray thread reaches a live card
//!    and is told that it has no context;
//! 4. else the process's card for the interface of the function ([`crate::process`]).
//!
//! A card lives as long as a thread is attached to it. Everything in it is behind one lock: the vendor leaves
//! the order of calls from several threads to the caller.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use crate::axcl::unit::Unit;
use crate::board::state::Board;
use crate::clock::{Clock, Source};
use crate::context::Contexts;
use crate::engine::{Engines, unknown};
use crate::fault::Fault;
use crate::host::HostMemory;
use crate::io::Io;
use crate::memory::DeviceMemory;
use crate::options::{CardOptions, Compute};
use crate::process;
use crate::signature::Signature;
use crate::status;
use crate::stream::Streams;
use crate::violations::{Rule, Violation, ViolationLog};

/// Values of contexts, streams, events, models and the like: never reused, never a host address, never a
/// device address.
const FIRST_HANDLE: u64 = 0x00C1_0000_0000_0010;
const HANDLE_STEP: u64 = 0x10;

/// How the devices of a card are made.
#[derive(Debug, Clone, Copy)]
struct Setup {
    memory_limit: u64,
    cards: usize,
    compute: Compute,
    strict: bool,
}

impl Setup {
    fn new(options: &CardOptions) -> Self {
        let CardOptions { compute, strict, .. } = *options;
        Self { memory_limit: options.memory_limit(), cards: options.card_count(), compute, strict }
    }
}

/// What one device of the list has for itself: nothing of it can be used with another one.
pub(crate) struct Device {
    pub(crate) memory: DeviceMemory,
    pub(crate) engines: Engines,
    pub(crate) streams: Streams,
    pub(crate) board: Board,
    /// Files that the host put on the card, by path.
    pub(crate) files: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Device {
    fn new(setup: Setup, index: usize) -> Self {
        let memory = DeviceMemory::of_device(setup.memory_limit, setup.strict, index);
        let (engines, streams, board) = (Engines::new(setup.compute), Streams::default(), Board::default());
        Self { memory, engines, streams, board, files: BTreeMap::new() }
    }

    /// What a caller should have given back before the last `axclFinalize`.
    fn leaks(&self) -> [(usize, &'static str); 6] {
        [
            (self.memory.allocations(), "device allocations"),
            (self.engines.models.len(), "models"),
            (self.engines.ios.len(), "IO objects"),
            (self.streams.streams(), "streams"),
            (self.streams.events(), "events"),
            (self.streams.queued(), "tasks that were never synchronised"),
        ]
    }

    /// What many programs leave to the end of the process, without harm.
    fn loose_ends(&self) -> [(usize, &'static str); 2] {
        [
            (self.engines.infos.len(), "IO infos"),
            (usize::from(self.engines.kind().is_ok()), "running engines"),
        ]
    }
}

/// What calls change. It stands for the device that a call is about: that of the calling thread's context, or
/// the one that the call [selects](State::select) by an id or by a handle.
pub(crate) struct State {
    /// `axclInit` calls without their `axclFinalize`.
    pub(crate) users: u32,
    setup: Setup,
    finalized: bool,
    next_handle: u64,
    selected: usize,
    devices: Vec<Device>,
    pub(crate) host: HostMemory,
    pub(crate) contexts: Contexts,
    /// Of several cards, by handle.
    pub(crate) units: BTreeMap<u64, Unit>,
}

impl Deref for State {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.devices[self.selected]
    }
}

impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Device {
        &mut self.devices[self.selected]
    }
}

impl State {
    fn new(setup: Setup) -> Self {
        Self {
            setup,
            users: 0,
            finalized: false,
            next_handle: FIRST_HANDLE,
            selected: 0,
            devices: (0..setup.cards).map(|index| Device::new(setup, index)).collect(),
            host: HostMemory::default(),
            contexts: Contexts::new(setup.cards),
            units: BTreeMap::new(),
        }
    }

    /// Index of the device that the call is about.
    pub(crate) fn device(&self) -> usize {
        self.selected
    }

    /// Makes the call about another device.
    pub(crate) fn select(&mut self, device: usize) {
        if device < self.devices.len() {
            self.selected = device;
        }
    }

    /// Makes the call about the device of the calling thread's context; the first one if it has none.
    pub(crate) fn select_of_thread(&mut self) {
        self.select(self.contexts.current_device().unwrap_or_default());
    }

    /// Makes the call about the device that knows what it is given, if there is one.
    pub(crate) fn select_owner(&mut self, knows: impl Fn(&Device) -> bool) {
        if let Some(device) = self.devices.iter().position(knows) {
            self.select(device);
        }
    }

    /// Description of a model's tensors, of whichever device: it lives on the host and needs no context.
    pub(crate) fn info(&self, handle: u64) -> Result<&Arc<Signature>, Fault> {
        let found = self.devices.iter().find_map(|device| device.engines.infos.get(&handle));
        found.ok_or_else(|| unknown("IO info", handle))
    }

    /// An IO object, of whichever device.
    pub(crate) fn io(&mut self, handle: u64) -> Result<&mut Io, Fault> {
        let found = self.devices.iter_mut().find_map(|device| device.engines.ios.get_mut(&handle));
        found.ok_or_else(|| unknown("IO", handle))
    }

    /// All devices, in the order of the list.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn devices_mut(&mut self) -> &mut [Device] {
        &mut self.devices
    }

    /// A value for a new object.
    pub(crate) fn handle(&mut self) -> u64 {
        self.next_handle += HANDLE_STEP;
        self.next_handle
    }

    /// Fails unless the interface is initialised.
    pub(crate) fn require_live(&self) -> Result<(), Fault> {
        self.live(status::DEVICE_NOT_ACTIVE)
    }

    /// Fails unless the interface is initialised and the calling thread has a context, which it returns.
    pub(crate) fn require_context(&self) -> Result<u64, Fault> {
        self.live(status::CONTEXT_UNBOUND)?;
        self.contexts.require()
    }

    fn live(&self, code: i32) -> Result<(), Fault> {
        if self.users > 0 {
            return Ok(());
        }
        if self.finalized {
            return Err(Fault::breach(code, Rule::UseAfterFinalize, "the interface was finalised"));
        }
        Err(Fault::breach(code, Rule::NotInitialised, "axclInit was not called"))
    }

    /// Everything that a caller should have given back before the last `axclFinalize`; `exact` also what
    /// programs usually leave to the end of the process.
    pub(crate) fn leaks(&self, exact: bool) -> Vec<String> {
        let mut counts: Vec<_> = self.devices.iter().flat_map(Device::leaks).collect();
        counts.push((self.contexts.created(), "contexts"));
        counts.push((self.host.blocks(), "host allocations"));
        counts.push((self.units.len(), "units of cards"));
        if exact {
            counts.extend(self.devices.iter().flat_map(Device::loose_ends));
            counts.push((self.contexts.activations(), "devices set and not reset"));
        }
        let left = counts.into_iter().filter(|(count, _)| *count > 0);
        left.map(|(count, what)| format!("{count} {what} left")).collect()
    }

    /// Gives everything back and forgets it, but for pinned memory, which is the caller's until it frees it. Returns
    /// what was left.
    pub(crate) fn finalize(&mut self, exact: bool) -> Vec<String> {
        let leaks = self.leaks(exact);
        let next_handle = self.next_handle;
        let mut fresh = Self::new(Setup { memory_limit: self.memory.limit(), ..self.setup });
        for (new, old) in fresh.devices.iter_mut().zip(&mut self.devices) {
            new.memory = old.memory.renewed();
            new.board.kept = old.board.take_lent(&mut old.memory);
        }
        let host = std::mem::take(&mut self.host);
        *self = Self { finalized: true, next_handle, host, ..fresh };
        leaks
    }
}

#[cfg(any(test, feature = "testing"))]
impl State {
    /// As after the card was lost: nothing is left of it but what the host has.
    pub(crate) fn renew(&mut self) {
        self.finalize(false);
    }
}

/// What is written down about calls, and what tests prepare for them.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) violations: ViolationLog,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) injection: crate::control::injection::Injection,
}

/// One software card.
pub(crate) struct Card {
    pub(crate) options: CardOptions,
    /// `None` without a profile.
    pub(crate) clock: Option<Clock>,
    pub(crate) state: Mutex<State>,
    /// Notified when a call is over: what another thread waits for may have been submitted.
    pub(crate) changed: Condvar,
    pub(crate) log: Mutex<Log>,
    /// Breaches that would only be written down make their call fail too.
    pub(crate) fatal: AtomicBool,
    /// Runs that have not returned yet.
    pub(crate) running: AtomicU32,
    /// Why every call fails, if the process is configured wrongly.
    pub(crate) refused: Option<String>,
    on_violation: Option<fn(&Violation)>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) hangs: crate::control::injection::Hangs,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) mistakes: Mutex<crate::control::mistakes::Mistakes>,
    /// See [`Self::mixes_tensors`].
    pub(crate) mixed_tensors: AtomicBool,
}

impl Card {
    pub(crate) fn new(options: CardOptions) -> Arc<Self> {
        Self::with_source(options, Source::system)
    }

    /// A card that all threads share; `Err` is why all its calls fail.
    pub(crate) fn of_process(setup: Result<process::Setup, String>) -> Arc<Self> {
        let (setup, refused) = match setup {
            Ok(setup) => (setup, None),
            Err(reason) => (process::Setup::default(), Some(reason)),
        };
        let plain = Self::unshared(setup.options, Source::system);
        let fatal = AtomicBool::new(setup.fatal);
        let card = Self { refused, on_violation: setup.on_violation, fatal, ..plain };
        #[cfg(any(test, feature = "testing"))]
        setup.troubles.into_iter().for_each(|trouble| card.cause(trouble));
        Arc::new(card)
    }

    /// A card whose clock, if it has one, takes the host's time from `source`.
    pub(crate) fn with_source(options: CardOptions, source: impl FnOnce() -> Source) -> Arc<Self> {
        Arc::new(Self::unshared(options, source))
    }

    fn unshared(options: CardOptions, source: impl FnOnce() -> Source) -> Self {
        let clock = options
            .profile
            .clone()
            .map(|profile| Clock::new(profile, options.pace, options.card_count(), source()));
        Self {
            clock,
            state: Mutex::new(State::new(Setup::new(&options))),
            changed: Condvar::new(),
            options,
            log: Mutex::default(),
            fatal: AtomicBool::new(false),
            running: AtomicU32::new(0),
            refused: None,
            on_violation: None,
            #[cfg(any(test, feature = "testing"))]
            hangs: crate::control::injection::Hangs::default(),
            #[cfg(any(test, feature = "testing"))]
            mistakes: Mutex::default(),
            mixed_tensors: AtomicBool::new(false),
        }
    }

    /// Whether models list the tensors of each shape group in another order. Only tests ask for it.
    pub(crate) fn mixes_tensors(&self) -> bool {
        self.mixed_tensors.load(Ordering::Relaxed)
    }

    pub(crate) fn record(&self, call: &'static str, rule: Rule, detail: String) {
        let violation = Violation { call, rule, detail };
        if let Some(tell) = self.on_violation {
            tell(&violation);
        }
        self.log.lock().violations.push(violation);
    }

    fn is_live(&self) -> bool {
        let state = self.state.lock();
        state.users > 0 || state.devices.iter().any(|device| device.board.any_user())
    }
}

/// How a thread came to its card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By filling a function table.
    Table,
    /// By the control interface.
    #[cfg(any(test, feature = "testing"))]
    Control,
}

pub(crate) type Attachment = Option<(Arc<Card>, Origin)>;

thread_local! {
    static ATTACHED: RefCell<Attachment> = const { RefCell::new(None) };
}

/// The card that a test keeps for itself. See `control::claim`.
pub(crate) static CLAIMED: Mutex<Option<Arc<Card>>> = Mutex::new(None);
/// The card attached last.
static LATEST: Mutex<Weak<Card>> = Mutex::new(Weak::new());

/// Replaces the attachment of the calling thread and returns the previous one.
pub(crate) fn attach(next: Attachment) -> Attachment {
    if let Some((card, _)) = &next {
        *LATEST.lock() = Arc::downgrade(card);
    }
    // While the storage of an ending thread is destroyed there is nothing to attach to.
    ATTACHED.try_with(|attached| attached.replace(next)).ok().flatten()
}

/// Attaches the calling thread, which is about to fill a function table: to the claimed card, else to the
/// card that it uses already, else to a new one with `options`.
pub(crate) fn attach_for_table(options: CardOptions) {
    let kept = ATTACHED.try_with(|attached| attached.borrow().clone()).ok().flatten();
    #[cfg(any(test, feature = "testing"))]
    if kept.as_ref().is_some_and(|(_, origin)| *origin == Origin::Control) {
        return;
    }
    let claimed = CLAIMED.lock().clone();
    let card = match (claimed, kept) {
        (Some(claimed), _) => claimed,
        (None, Some((kept, _))) if kept.is_live() => kept,
        (None, _) => Card::new(options),
    };
    attach(Some((card, Origin::Table)));
}

/// The card of the calling thread, which is none of the process's.
pub(crate) fn current() -> Arc<Card> {
    reached("")
}

/// The card that a call of `function` by the calling thread reaches.
pub(crate) fn reached(function: &str) -> Arc<Card> {
    let attached = ATTACHED.try_with(|attached| attached.borrow().as_ref().map(|(card, _)| card.clone()));
    attached
        .ok()
        .flatten()
        .or_else(|| CLAIMED.lock().clone())
        .or_else(|| LATEST.lock().upgrade())
        .unwrap_or_else(|| process::card(function))
}

#[cfg(test)]
mod tests {
    use std::panic;
    use std::thread;

    use super::*;
    use crate::control::{SoftwareCard, claim};
    use crate::pcie_table;

    /// A claim reaches into every thread, so these tests take turns.
    static TURN: Mutex<()> = Mutex::new(());

    fn small() -> CardOptions {
        CardOptions { threads: Some(1), memory_bytes: Some(1 << 20), ..CardOptions::default() }
    }

    /// Fills a table and initialises its card, on a thread of its own.
    fn open_elsewhere() -> Arc<Card> {
        let open = || {
            let init = pcie_table(small()).axclInit.unwrap();
            // SAFETY: the configuration may be null.
            assert_eq!(unsafe { init(std::ptr::null()) }, 0);
            current()
        };
        thread::spawn(open).join().unwrap()
    }

    #[test]
    fn tables_share_a_card_within_a_thread_until_it_is_finalised() {
        let _turn = TURN.lock();
        let card = open_elsewhere();
        assert_eq!(card.state.lock().users, 1);
        let other = thread::spawn(|| {
            pcie_table(small());
            let first = current();
            first.state.lock().users = 1;
            pcie_table(small());
            assert!(Arc::ptr_eq(&first, &current()));
            first.state.lock().finalize(false);
            pcie_table(small());
            assert!(!Arc::ptr_eq(&first, &current()));
            first
        });
        assert!(!Arc::ptr_eq(&card, &other.join().unwrap()));
    }

    #[test]
    fn a_claim_covers_all_threads_and_ends() {
        let _turn = TURN.lock();
        let claimed = claim(small());
        let card = open_elsewhere();
        assert_eq!(claimed.calls("axclInit"), 1);
        drop(claimed);
        assert!(!Arc::ptr_eq(&card, &open_elsewhere()));
    }

    #[test]
    fn a_claim_with_violations_fails_its_test() {
        let _turn = TURN.lock();
        let ended = panic::catch_unwind(|| {
            let claimed = claim(small());
            open_elsewhere().record("axclTest", Rule::Leak, "on purpose".into());
            drop(claimed);
        });
        assert!(ended.is_err());
    }

    #[test]
    fn a_card_of_a_process_has_its_troubles() {
        let troubles = "axclInit:2=7".parse().unwrap();
        let card = Card::of_process(Ok(process::Setup { options: small(), troubles, ..Default::default() }));
        let card = SoftwareCard::from(card);
        let _attached = card.attach();
        let init = pcie_table(small()).axclInit.unwrap();
        // SAFETY: the configuration may be null.
        assert_eq!([(); 3].map(|()| unsafe { init(std::ptr::null()) }), [0, 7, 0]);
    }

    #[test]
    fn attachments_nest() {
        let (outer, inner) = (SoftwareCard::new(small()), SoftwareCard::new(small()));
        let _outer = outer.attach();
        let expected = current();
        {
            let _inner = inner.attach();
            pcie_table(small());
            assert!(!Arc::ptr_eq(&expected, &current()), "the control interface goes first");
        }
        assert!(Arc::ptr_eq(&expected, &current()));
    }
}
