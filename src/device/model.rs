//! A model on a card.

use std::any::Any;
use std::cell::Cell;
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
    /// What the verdicts of the self-test are kept under: it changes when the files change.
    pub digest: String,
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
    pub(super) info: c::axl_model_info,
    pub(super) sequences: Cell<u64>,
}

impl LoadedModel {
    pub(super) fn open(
        card: Rc<Card>,
        spec: &ModelSpec,
        cancel: &CancelFlag,
        progress: &mut dyn FnMut(LoadProgress<'_>),
    ) -> Result<Self, DeviceError> {
        let files: Vec<PathBuf> = spec.layers.iter().chain([&spec.head]).cloned().collect();
        let sizes = files.iter().map(|file| inspect(file, card.software)).collect::<Result<Vec<u64>, _>>()?;
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
            paths: c::AXL_PATHS_ALL,
            cancel: cancel.as_ptr(),
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
        Context { files: &files, software: card.software, ..Context::default() }.check(status)?;
        let raw = NonNull::new(raw).ok_or_else(|| DeviceError::Internal("no model".into()))?;
        let mut info = c::axl_model_info::default();
        // SAFETY: the model is open; `info` is a local.
        unsafe { c::axl_model_query(raw.as_ptr(), &raw mut info) };
        let file_bytes = sizes.iter().sum();
        let model = Model { raw, card, files, file_bytes, info, sequences: Cell::new(0) };
        if let Some(panic) = panic {
            drop(model);
            resume_unwind(panic);
        }
        Ok(Self { inner: Rc::new(model) })
    }

    /// Tokens that a sequence can hold.
    pub fn context_len(&self) -> usize {
        self.inner.info.context as usize
    }

    /// Most tokens of one [`Sequence::prefill`].
    pub fn chunk_len(&self) -> usize {
        self.inner.info.chunk as usize
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
        self.inner.file_bytes + self.inner.info.buffer_bytes + sequences * self.inner.info.sequence_bytes
    }

    /// The paths that are on.
    pub fn paths(&self) -> Paths {
        Paths::PLAIN
    }

    /// The paths that driver and model have the means for, whether or not they compute the right thing.
    pub fn available_paths(&self) -> Paths {
        Paths::PLAIN
    }

    /// Switches to these paths and no others, between steps; sequences keep what they hold. On an error the paths
    /// are what they were.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] names a path that is not available; [`DeviceError::OutOfMemory`] if there is none
    /// for the buffers that plainer paths need.
    pub fn set_paths(&self, paths: Paths) -> Result<(), DeviceError> {
        match (paths - self.available_paths()).iter().next() {
            None => Ok(()),
            Some(path) => Err(DeviceError::Unsupported(format!("the path {path} is not available here"))),
        }
    }

    /// What the self-test has shown; `None` if there was none.
    pub fn verdicts(&self) -> Option<&Verdicts> {
        None
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
    pub(super) fn as_ptr(&self) -> *mut c::axl_model {
        self.raw.as_ptr()
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { files: &self.files, software: self.card.software, ..Context::default() }
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

fn c_path(path: &Path) -> Result<CString, DeviceError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| DeviceError::Model(format!("{}: the path holds a NUL byte", path.display())))
}

fn count(value: usize, what: &str) -> Result<u32, DeviceError> {
    u32::try_from(value).map_err(|_| DeviceError::Model(format!("the model's {what} ({value}) is absurd")))
}
