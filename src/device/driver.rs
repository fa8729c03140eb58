//! An opened card.

use std::cell::RefCell;
use std::path::PathBuf;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Instant;

use ax650_sys::axloop as c;
use ax650_sys::loader::Libraries;
use ax650_sys::vendor::{ax_board_table, ax_pcie_table};

use super::error::Context;
use super::model::{LoadProgress, LoadedModel, ModelSpec};
use super::open::{self, DriverOptions};
use super::verdict::Identity;
use super::{Activity, CancelFlag, CardClock, DeviceChoice, DeviceError, Interface, Paths};

/// What is known of an opened card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// "board", "pcie" or "software".
    pub kind: &'static str,
    /// One line for people: what was found and why it was chosen.
    pub summary: String,
    /// The driver's version; empty where the library does not tell.
    pub version: String,
    /// The chip's name; empty where the library does not tell.
    pub soc: String,
    /// The vendor's interface that it is driven through.
    pub interface: Interface,
    /// The profile of a software card that keeps time.
    pub profile: Option<String>,
    /// How fast a layer reads its weights by that profile, in bytes per second; `None` if nobody knows.
    pub weight_bytes_per_second: Option<u64>,
    /// Device memory in bytes; 0 where the library does not tell.
    pub total_memory: u64,
    /// Device memory that was free when the card was opened, in bytes.
    pub free_memory: u64,
}

/// What the loop did since the driver was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls into the vendor's library.
    pub driver_calls: u64,
    /// Those of them that waited for the card.
    pub blocking_calls: u64,
    /// Runs of a compiled file.
    pub runs: u64,
    /// Bytes copied from the host to the card.
    pub bytes_to_device: u64,
    /// Bytes copied from the card to the host.
    pub bytes_from_device: u64,
    /// Bytes copied on the card.
    pub bytes_on_device: u64,
    /// Calls that flush or invalidate the CPU's cache (board).
    pub cache_calls: u64,
    /// Bytes that the CPU copied between buffers (board).
    pub bytes_copied: u64,
    /// Time inside runs and waits for them, in nanoseconds.
    pub run_ns: u64,
    /// Time inside the vendor's library, in nanoseconds.
    pub driver_ns: u64,
    /// Time inside prefill and decode, in nanoseconds.
    pub step_ns: u64,
}

/// Errors met while models and sequences were given back: a destructor cannot return them. Each has been logged.
#[derive(Debug, Clone)]
pub struct DropErrors {
    /// How many there were.
    pub count: u64,
    /// The last of them.
    pub last: DeviceError,
}

/// A card, bound to the thread that opened it.
#[derive(Debug)]
pub struct Driver {
    card: Rc<Card>,
    info: DeviceInfo,
    opened: Instant,
}

impl Driver {
    /// Opens the card of the choice, on the thread that will do all work with it.
    pub fn open(choice: &DeviceChoice, options: &DriverOptions) -> Result<Self, DeviceError> {
        let (mut card, info) = open::open(choice, options)?;
        card.identity = Identity::new(&info);
        tracing::info!(device = info.kind, version = %info.version, "{}", info.summary);
        Ok(Self { card: Rc::new(card), info, opened: Instant::now() })
    }

    /// What was found when the card was opened.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Loads a model; `progress` is called after each file. Nothing stays on the card when it fails, and no file is
    /// loaded where all of them and a sequence do not fit into what is free then.
    ///
    /// `cancel` is read before each file and in the self-test: a vendor call is never interrupted.
    pub fn load(
        &self,
        spec: &ModelSpec,
        cancel: &CancelFlag,
        progress: &mut dyn FnMut(LoadProgress<'_>),
    ) -> Result<LoadedModel, DeviceError> {
        LoadedModel::open(Rc::clone(&self.card), spec, cancel, progress)
    }

    /// How much time has passed for the card, and what it did meanwhile.
    pub fn clock(&self) -> CardClock {
        let reading = if self.card.traits.software { ax650_sim::clock::clock() } else { None };
        reading.map_or_else(
            || CardClock::of_host(self.opened, &self.stats()),
            |reading| CardClock::from(&reading),
        )
    }

    /// What the loop did since the driver was opened.
    pub fn stats(&self) -> Stats {
        self.card.stats()
    }

    /// The errors met while dropping models and sequences since the last call: memory of the card may not be free.
    pub fn take_drop_errors(&self) -> Option<DropErrors> {
        self.card.drop_errors.take()
    }
}

/// What distinguishes one card from another for those who load models on it.
#[derive(Debug)]
pub(super) struct Traits {
    /// The card is in this process: its own words on a failure can be asked for.
    pub(super) software: bool,
    /// It takes the software card's layer files and not compiled ones.
    pub(super) software_files: bool,
    /// Whether runs compute; a card that only keeps time cannot be tested.
    pub(super) computes: bool,
    /// The paths that are wanted.
    pub(super) paths: Paths,
    /// Where verdicts are kept.
    pub(super) verdicts: Option<PathBuf>,
}

impl Default for Traits {
    /// A real PCIe card with every path and no memory of verdicts.
    fn default() -> Self {
        Self { software: false, software_files: false, computes: true, paths: Paths::ALL, verdicts: None }
    }
}

/// Which table the card is reached through.
#[derive(Debug)]
pub(super) enum Table<'a> {
    /// A card of the list, by its index.
    Pcie(&'a ax_pcie_table, u16),
    /// The chip of this system.
    Board(&'a ax_board_table),
}

/// The loop's driver with what it stands on. Models and sequences share it.
#[derive(Debug)]
pub(super) struct Card {
    raw: NonNull<c::axl_driver>,
    pub(super) traits: Traits,
    /// Driver version, chip and kind, as the card is known to the keeper of verdicts.
    pub(super) identity: Identity,
    drop_errors: RefCell<Option<DropErrors>>,
    /// Written by the loop until the driver is closed.
    _activity: Option<Activity>,
    /// The code behind the function table; dropped after the driver is closed.
    _libraries: Libraries,
}

impl Card {
    /// Opens a card through a table whose functions live in `libraries` or in this program.
    pub(super) fn open(
        table: &Table<'_>,
        libraries: Libraries,
        traits: Traits,
        activity: Option<Activity>,
    ) -> Result<Self, DeviceError> {
        let device_index = match table {
            Table::Pcie(_, index) => u32::from(*index),
            Table::Board(_) => 0,
        };
        let activity_memory = activity.as_ref().map_or(std::ptr::null_mut(), Activity::as_ptr);
        let options = c::axl_driver_options { device_index, vnpu: 0, activity: activity_memory };
        let mut raw = std::ptr::null_mut();
        let status = match *table {
            // SAFETY: `table` is valid for the call, which copies it; its functions have the vendor's signatures
            // and stay loaded, because `libraries` is dropped after the driver is closed, as is `activity`.
            Table::Pcie(table, _) => unsafe {
                c::axl_driver_open_pcie(table, &raw const options, &raw mut raw)
            },
            // SAFETY: as above.
            Table::Board(table) => unsafe {
                c::axl_driver_open_board(table, &raw const options, &raw mut raw)
            },
        };
        Context { software: traits.software, device_index, ..Context::default() }.check(status)?;
        let raw = NonNull::new(raw).ok_or_else(|| DeviceError::Internal("no driver".into()))?;
        Ok(Self {
            raw,
            traits,
            identity: Identity::default(),
            drop_errors: RefCell::default(),
            _activity: activity,
            _libraries: libraries,
        })
    }

    pub(super) fn as_ptr(&self) -> *mut c::axl_driver {
        self.raw.as_ptr()
    }

    pub(super) fn query(&self) -> c::axl_driver_info {
        let mut info = c::axl_driver_info::default();
        // SAFETY: the driver is open and this is its thread (`Card` is not `Send`); `info` is a local.
        unsafe { c::axl_driver_query(self.as_ptr(), &raw mut info) };
        info
    }

    /// What the card is used without, and the last failure that is the reason; nothing that is merely unwanted.
    pub(super) fn tolerated(&self) -> Vec<(&'static str, DeviceError)> {
        let kinds = [
            (c::AXL_WITHOUT_PINNED, "pinned memory"),
            (c::AXL_WITHOUT_ASYNC, "queued runs"),
            (c::AXL_WITHOUT_MEMORY, "the sizes of its memory"),
        ];
        let reason = |kind| {
            // SAFETY: the driver is open and this is its thread.
            let status = unsafe { c::axl_driver_tolerated(self.as_ptr(), kind) };
            Context { software: self.traits.software, ..Context::default() }.check(status).err()
        };
        kinds.into_iter().filter_map(|(kind, what)| Some((what, reason(kind)?))).collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = c::axl_stats::default();
        // SAFETY: the driver is open; `stats` is a local.
        unsafe { c::axl_driver_stats(self.as_ptr(), &raw mut stats) };
        Stats {
            driver_calls: stats.driver_calls,
            blocking_calls: stats.blocking_calls,
            runs: stats.runs,
            bytes_to_device: stats.bytes_to_device,
            bytes_from_device: stats.bytes_from_device,
            bytes_on_device: stats.bytes_on_device,
            cache_calls: stats.cache_calls,
            bytes_copied: stats.bytes_copied,
            run_ns: stats.run_ns,
            driver_ns: stats.driver_ns,
            step_ns: stats.step_ns,
        }
    }

    /// Notes the outcome of giving something back, where it cannot be returned.
    pub(super) fn note_drop(&self, what: &str, outcome: Result<(), DeviceError>) {
        if let Err(error) = outcome {
            tracing::error!(%error, "cannot give back {what}");
            let mut errors = self.drop_errors.borrow_mut();
            let count = errors.as_ref().map_or(0, |errors| errors.count) + 1;
            *errors = Some(DropErrors { count, last: error });
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // SAFETY: the driver is open and is used no more: models hold an `Rc` of this card, so none is left.
        let status = unsafe { c::axl_driver_close(self.as_ptr()) };
        let outcome = Context { software: self.traits.software, ..Context::default() }.check(status);
        self.note_drop("the driver", outcome);
    }
}
