//! A model on a card.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::rc::Rc;

use ax650_sys::axloop as c;

use super::driver::{Card, Stats};
use super::error::Context;
use super::files::inspect;
use super::keeper::Keeper;
use super::self_test;
use super::{CancelFlag, DeviceError, Paths, Sequence, Verdicts};

/// The compiled files of a model and the sizes that they must agree with.
#[derive(Debug, Clone)]
pub struct ModelSpec {
    /// Layer files in order.
    pub layers: Vec<PathBuf>,
    /// The file that turns the last hidden state into logits.
    pub head: PathBuf,
    /// Values of one hidden state.
    pub hidden: usize,
    /// Tokens of the vocabulary.
    pub vocab: usize,
    /// Bytes on the card of one sequence, which has to fit beside the files; 0 where the files do not tell.
    pub sequence_bytes: u64,
    /// What the verdicts of the self-test are kept under: it changes when the files change.
    pub digest: String,
}

/// A shape group of a model: steps of so many rows behind so many rows of a sequence, or fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ShapeGroup {
    /// 1 in a decode group, else the chunk.
    pub(super) rows: usize,
    pub(super) history: usize,
}

/// How far a load is: told after each file.
#[derive(Debug, Clone, Copy)]
pub struct LoadProgress<'a> {
    /// The file that has just been loaded.
    pub file: &'a Path,
    /// Files loaded so far, this one included.
    pub index: usize,
    /// Files in all.
    pub total: usize,
    /// Bytes of the files loaded so far.
    pub bytes: u64,
}

/// A model whose files are all on the card. Clones share it; the last one unloads it.
#[derive(Debug, Clone)]
pub struct LoadedModel {
    pub(super) inner: Rc<Model>,
}

/// The loop's model with what it stands on.
#[derive(Debug)]
pub(super) struct Model {
    raw: NonNull<c::axl_model>,
    pub(super) card: Rc<Card>,
    /// The head last.
    pub(super) files: Vec<PathBuf>,
    file_bytes: u64,
    /// Sizes that do not change. What depends on the paths is asked for anew.
    pub(super) info: c::axl_model_info,
    pub(super) row_bytes: usize,
    pub(super) sequences: Cell<u64>,
    verdicts: OnceCell<Verdicts>,
}

impl LoadedModel {
    pub(super) fn open(
        card: Rc<Card>,
        spec: &ModelSpec,
        cancel: &CancelFlag,
        progress: &mut dyn FnMut(LoadProgress<'_>),
    ) -> Result<Self, DeviceError> {
        let files: Vec<PathBuf> = spec.layers.iter().chain([&spec.head]).cloned().collect();
        let sizes = files
            .iter()
            .map(|file| inspect(file, card.traits.software_files))
            .collect::<Result<Vec<u64>, _>>()?;
        let paths = files.iter().map(|file| c_path(file)).collect::<Result<Vec<CString>, _>>()?;
        let entries: Vec<c::axl_file> = paths
            .iter()
            .zip(&sizes)
            .map(|(path, &bytes)| c::axl_file { path: path.as_ptr(), bytes })
            .collect();
        let raw_spec = c::axl_model_spec {
            files: entries.as_ptr(),
            file_count: count(entries.len(), "files")?,
            hidden: count(spec.hidden, "hidden size")?,
            vocab: count(spec.vocab, "vocabulary")?,
            paths: card.traits.paths.bits(),
            cancel: cancel.as_ptr(),
            sequence_bytes: spec.sequence_bytes,
        };
        let mut report = Report { files: &files, sizes: &sizes, progress, panic: None };
        let mut raw = std::ptr::null_mut();
        // SAFETY: the driver is open and this is its thread; the spec, its files, their paths and the flag outlive
        // the call, as does `report`, which `on_progress` alone uses meanwhile.
        let status = unsafe {
            c::axl_model_open(
                card.as_ptr(),
                &raw const raw_spec,
                Some(on_progress),
                (&raw mut report).cast::<c_void>(),
                &raw mut raw,
            )
        };
        let panic = report.panic.take();
        Context { files: &files, software: card.traits.software, ..Context::default() }.check(status)?;
        let raw = NonNull::new(raw).ok_or_else(|| DeviceError::Internal("no model".into()))?;
        let model = Model::new(raw, card, files, sizes.iter().sum());
        if let Some(panic) = panic {
            drop(model);
            resume_unwind(panic);
        }
        let loaded = Self { inner: Rc::new(model) };
        loaded.choose_paths(&spec.digest, cancel)?;
        Ok(loaded)
    }

    /// Tokens that a sequence can hold.
    pub fn context_len(&self) -> usize {
        self.inner.info.context as usize
    }

    /// Most tokens of one [`Sequence::prefill`].
    pub fn chunk_len(&self) -> usize {
        self.inner.info.chunk as usize
    }

    /// In the order in which a step looks for one that suffices: decode groups, then prefill groups, each by ascending
    /// history.
    pub(super) fn groups(&self) -> Vec<ShapeGroup> {
        // SAFETY: the model is open; nothing is written where there is no room.
        let count = unsafe { c::axl_model_groups(self.inner.as_ptr(), std::ptr::null_mut(), 0) };
        let mut groups = vec![c::axl_group_info::default(); count as usize];
        // SAFETY: the model is open; `groups` has room for `count` entries.
        unsafe { c::axl_model_groups(self.inner.as_ptr(), groups.as_mut_ptr(), count) };
        let told = |group: c::axl_group_info| ShapeGroup {
            rows: group.rows as usize,
            history: group.history as usize,
        };
        groups.into_iter().map(told).collect()
    }

    /// Values of one hidden state, and of one embedding row.
    pub fn hidden(&self) -> usize {
        self.inner.info.hidden as usize
    }

    /// Tokens of the vocabulary, and values of the logits.
    pub fn vocab(&self) -> usize {
        self.inner.info.vocab as usize
    }

    /// Bytes on the card: files, buffers, and the open sequences (at least one, which any use needs).
    pub fn memory_bytes(&self) -> u64 {
        let sequences = self.inner.sequences.get().max(1);
        let info = self.inner.query();
        self.inner.file_bytes + info.buffer_bytes + sequences * info.sequence_bytes
    }

    /// The paths that are on.
    pub fn paths(&self) -> Paths {
        Paths::from_bits(self.inner.query().paths)
    }

    /// The paths that driver and model have the means for, whether or not they compute the right thing.
    pub fn available_paths(&self) -> Paths {
        Paths::from_bits(self.inner.query().available_paths)
    }

    /// Switches to these paths and no others, between steps; sequences keep what they hold. On an error the paths
    /// are what they were. That something they need no more could not be given back is none, but counted with what
    /// could not be dropped.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] names a path that is not available; [`DeviceError::OutOfMemory`] if there is none
    /// for the buffers that plainer paths need.
    pub fn set_paths(&self, paths: Paths) -> Result<(), DeviceError> {
        if let Some(path) = (paths - self.available_paths()).iter().next() {
            return Err(DeviceError::Unsupported(format!(
                "the path {path} is not available: this card or this model has no means for it"
            )));
        }
        // SAFETY: the model is open, this is its thread, and no step runs: a step borrows its sequence for as long
        // as it takes, on this thread.
        let status = unsafe { c::axl_model_set_paths(self.inner.as_ptr(), paths.bits()) };
        let outcome = self.inner.context().check(status);
        if self.paths() == paths {
            self.inner.card.note_drop("buffers of other paths", outcome);
            return Ok(());
        }
        outcome
    }

    /// What the self-test has shown; `None` if there was none, because no path is wanted or the card only keeps time.
    pub fn verdicts(&self) -> Option<&Verdicts> {
        self.inner.verdicts.get()
    }

    /// Host bytes of one row of a sequence: its keys and its values in all layers.
    pub fn row_bytes(&self) -> usize {
        self.inner.row_bytes
    }

    /// Switches on what is wanted and passes the test, whose verdicts are asked of an earlier load first.
    fn choose_paths(&self, digest: &str, cancel: &CancelFlag) -> Result<(), DeviceError> {
        let Card { traits, identity, .. } = &*self.inner.card;
        let wanted = traits.paths;
        if traits.computes && !wanted.is_plain() {
            let keeper = Keeper::new(traits.verdicts.as_deref(), identity, digest);
            let verdicts = if let Some(known) = keeper.find(wanted) {
                known
            } else {
                tracing::info!("the model is new to this card: testing the paths that save work");
                let found = keeper.verdicts(self_test::run(self, wanted, cancel)?);
                keeper.keep(wanted, &found);
                found
            };
            self.set_paths(verdicts.usable() & wanted & self.available_paths())?;
            tell_bad(&verdicts);
            self.inner.verdicts.set(verdicts).ok();
        }
        tracing::info!(paths = %self.paths(), "paths that save work");
        for (what, error) in self.inner.card.tolerated() {
            tracing::warn!(%error, "the card is used without {what}");
        }
        Ok(())
    }

    /// What the loop did since the driver was opened.
    pub fn stats(&self) -> Stats {
        self.inner.card.stats()
    }

    /// An empty sequence. Its memory on the card is taken now, for the whole context.
    pub fn new_sequence(&self) -> Result<Sequence, DeviceError> {
        Sequence::open(Rc::clone(&self.inner))
    }
}

impl Model {
    fn new(raw: NonNull<c::axl_model>, card: Rc<Card>, files: Vec<PathBuf>, file_bytes: u64) -> Self {
        let info = c::axl_model_info::default();
        let (sequences, verdicts) = (Cell::new(0), OnceCell::new());
        let mut model = Self { raw, card, files, file_bytes, info, row_bytes: 0, sequences, verdicts };
        model.info = model.query();
        // SAFETY: the model is open.
        let row_bytes = unsafe { c::axl_model_row_bytes(model.as_ptr()) };
        model.row_bytes = usize::try_from(row_bytes).unwrap_or(usize::MAX);
        model
    }

    fn query(&self) -> c::axl_model_info {
        let mut info = c::axl_model_info::default();
        // SAFETY: the model is open; `info` is a local.
        unsafe { c::axl_model_query(self.as_ptr(), &raw mut info) };
        info
    }

    pub(super) fn as_ptr(&self) -> *mut c::axl_model {
        self.raw.as_ptr()
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { files: &self.files, software: self.card.traits.software, ..Context::default() }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the model is open and is used no more: sequences hold an `Rc` of it, so none is left.
        let status = unsafe { c::axl_model_close(self.as_ptr()) };
        self.card.note_drop("a model", self.context().check(status));
    }
}

/// What the progress callback needs.
struct Report<'a> {
    files: &'a [PathBuf],
    sizes: &'a [u64],
    progress: &'a mut dyn FnMut(LoadProgress<'_>),
    /// A panic of the callback, kept until the loop has returned: it must not unwind through C.
    panic: Option<Box<dyn Any + Send>>,
}

/// # Safety
///
/// `user` points to a [`Report`] that nobody else uses during the call.
unsafe extern "C" fn on_progress(user: *mut c_void, loaded: u32, total: u32) {
    // SAFETY: `LoadedModel::open` passes its own report, which outlives the load.
    let report = unsafe { &mut *user.cast::<Report<'_>>() };
    let loaded = loaded as usize;
    let Some(file) = loaded.checked_sub(1).and_then(|last| report.files.get(last)) else { return };
    let bytes = report.sizes.iter().take(loaded).sum();
    let told = LoadProgress { file, index: loaded, total: total as usize, bytes };
    if report.panic.is_none() {
        report.panic = catch_unwind(AssertUnwindSafe(|| (report.progress)(told))).err();
    }
}

/// One line per path that the card gets wrong.
fn tell_bad(verdicts: &Verdicts) {
    for (path, verdict) in verdicts.bad() {
        tracing::warn!(%path, %verdict, "the card gets a path wrong; it is off");
    }
    if verdicts.together.is_bad() {
        tracing::warn!(verdict = %verdicts.together, "the paths do not work together; all are off");
    }
}

fn c_path(path: &Path) -> Result<CString, DeviceError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| DeviceError::Model(format!("{}: the path holds a NUL byte", path.display())))
}

fn count(value: usize, what: &str) -> Result<u32, DeviceError> {
    u32::try_from(value).map_err(|_| DeviceError::Model(format!("the model's {what} ({value}) is absurd")))
}
