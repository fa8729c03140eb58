//! What other threads may know of the card thread without asking it.
//!
//! The card thread writes, anybody reads; a question to the card thread itself would wait for the step under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::card::CardModel;
use super::keep_alive::KeepAlive;
use super::resident::Residents;
use crate::device::{DeviceInfo, Paths, Verdicts};
use crate::models::model::Model;

/// A model on the card, or an encoder in the memory of the host, as `ps` shows it.
#[derive(Debug, Clone)]
pub struct LoadedInfo {
    /// The model.
    pub model: Arc<Model>,
    /// When it is unloaded if no further request comes; `None`: never. While requests run on it, this lies one
    /// keep-alive in the future.
    pub expires_at: Option<SystemTime>,
    /// Bytes of memory.
    pub size_bytes: u64,
    /// Tokens one conversation can hold.
    pub context_len: usize,
    /// Whether it lies in the memory of the host, which computes it, and not on the card.
    pub on_host: bool,
    /// How it runs; `None` while it is being loaded.
    pub paths: Option<LoadedPaths>,
}

/// The ways to save work that a model on the card uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedPaths {
    /// Those that are on.
    pub on: Paths,
    /// What the self-test has shown, if there was one.
    pub verdicts: Option<Arc<Verdicts>>,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Requests that take turns on the card.
    pub running: usize,
    /// Requests that wait for their first turn.
    pub queued: usize,
    /// Sequences on the card, those at rest included.
    pub sequences: usize,
}

/// Shared between the card thread and the handles.
#[derive(Debug)]
pub(crate) struct Status {
    device: Mutex<DeviceInfo>,
    loaded: Mutex<Vec<Loaded>>,
    /// The model that is being put on the card, and how long it will stay when idle.
    loading: Mutex<Option<(Arc<Model>, KeepAlive)>>,
    running: AtomicUsize,
    sequences: AtomicUsize,
}

#[derive(Debug)]
struct Loaded {
    info: LoadedInfo,
    /// The keep-alive begins when the last request ends, so until then it begins now.
    busy_for: Option<Duration>,
}

impl Status {
    pub(crate) fn new(device: DeviceInfo) -> Self {
        Self {
            device: Mutex::new(device),
            loaded: Mutex::default(),
            loading: Mutex::default(),
            running: AtomicUsize::new(0),
            sequences: AtomicUsize::new(0),
        }
    }

    pub(crate) fn device(&self) -> DeviceInfo {
        self.device.lock().clone()
    }

    pub(crate) fn set_device(&self, device: DeviceInfo) {
        *self.device.lock() = device;
    }

    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn sequences(&self) -> usize {
        self.sequences.load(Ordering::SeqCst)
    }

    pub(crate) fn loaded(&self) -> Vec<LoadedInfo> {
        let now = SystemTime::now();
        let loaded = self.loaded.lock();
        let with_end = |entry: &Loaded| match entry.busy_for {
            Some(duration) => LoadedInfo { expires_at: now.checked_add(duration), ..entry.info.clone() },
            None => entry.info.clone(),
        };
        loaded.iter().map(with_end).collect()
    }

    /// The model that is being put on the card, with the end it would have if it were there now and the sizes that are
    /// known before it is: of its files, and of the context it was made for.
    pub(crate) fn loading(&self) -> Option<LoadedInfo> {
        let (model, keep_alive) = self.loading.lock().clone()?;
        let expires_at = match keep_alive {
            KeepAlive::Forever => None,
            KeepAlive::For(duration) => SystemTime::now().checked_add(duration),
        };
        Some(LoadedInfo {
            expires_at,
            size_bytes: model.size,
            context_len: model.context_len(),
            on_host: false,
            paths: None,
            model,
        })
    }

    /// Writes down that a model is being put on the card, until the next [`Self::update`].
    pub(crate) fn begin_loading(&self, model: &Arc<Model>, keep_alive: KeepAlive) {
        *self.loading.lock() = Some((Arc::clone(model), keep_alive));
    }

    /// Writes down what is on the card. A model whose keep-alive has run out is as good as gone.
    pub(crate) fn update<M: CardModel>(&self, residents: &Residents<M>, running: usize) {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let stays = residents.iter().filter(|resident| resident.expires_at().is_none_or(|end| end > now));
        let loaded = stays.map(|resident| {
            let left = |end: Instant| clock.checked_add(end.saturating_duration_since(now));
            let info = LoadedInfo {
                model: Arc::clone(&resident.model),
                expires_at: resident.expires_at().and_then(left),
                size_bytes: resident.memory_bytes(),
                context_len: resident.card_model.sizes().context_len,
                on_host: false,
                paths: Some(resident.card_model.paths()),
            };
            let busy_for = match resident.keep_alive() {
                KeepAlive::For(duration) if !resident.is_idle() => Some(duration),
                _ => None,
            };
            Loaded { info, busy_for }
        });
        *self.loaded.lock() = loaded.collect();
        *self.loading.lock() = None;
        self.running.store(running, Ordering::SeqCst);
        self.sequences.store(residents.sequences(), Ordering::SeqCst);
    }
}
