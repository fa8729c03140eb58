//! From a GGUF file to a model directory in the vendor's layout.
//!
//! Everything that can be wrong with the file is found before the first byte is written: header, architecture, every
//! tensor's shape, the vocabulary, the space on the disk. Weights are then converted block by block (see `weights`),
//! so that memory does not grow with the model, into a staging directory (see `staging`) that becomes visible only
//! when complete, and leaves nothing when anything fails.

mod documents;
mod plan;
pub mod safetensors;
mod source;
pub(super) mod staging;
pub(super) mod synthetic;
pub(super) mod vendor;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

pub use plan::PlanError;
pub use synthetic::SyntheticShape;
pub use vendor::Registered;

use self::documents::{FileNames, TextFiles};
use self::plan::{LayerPlan, Plan};
use self::source::GgufFile;
use self::staging::Staging;
use self::weights::{FilePlan, stream_rows};
use super::changes::Changes;
use super::dequantise::TensorError;
use super::gguf::GgufError;
use super::layer_file::{CHUNK, FORMAT, history_ladder};
use super::manifest::MANIFEST_FILE;
use super::model::{Model, ModelError};
use super::name::ModelName;
pub use super::quantise::Weights;
use super::store::{Store, StoreError};
use super::vendor::VendorError;
use crate::text::TextError;

/// What the user chose.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// How the weights are stored.
    pub weights: Weights,
    /// Tokens whose keys and values fit; by default what the model was trained with, at most 4096.
    pub context: Option<usize>,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is being written.
    pub file: &'a str,
    /// Bytes of weights written so far, all files together.
    pub done_bytes: u64,
    /// Bytes of weights of the whole model.
    pub total_bytes: u64,
}

/// Why an import failed. Nothing of it is left in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Open {
        /// The source.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The source is a directory, a device or a pipe.
    #[error("cannot import {path}: it is not a regular file; give the path of a .gguf file")]
    NotAFile {
        /// The source.
        path: PathBuf,
    },
    /// The source cannot become a model.
    #[error("cannot import {path}: {reason}")]
    Source {
        /// The source.
        path: PathBuf,
        /// Why.
        #[source]
        reason: Box<ImportError>,
    },
    /// A file of an encoder's directory, or the directory, cannot be used; the reason continues its name.
    #[error("cannot import: {path} {reason}")]
    Part {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] GgufError),
    /// The model is not one that can be computed, or is incomplete.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A tensor's data cannot be read or makes no sense.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The vocabulary makes no sense.
    #[error("broken vocabulary: {0}; convert the model again")]
    Vocabulary(String),
    /// The vocabulary cannot be used.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The model would not fit on the disk.
    #[error(
        "not enough space in {path}: the model takes {needed} and {free} are free; free some space or set OLLAMA_MODELS to a directory on another disk"
    )]
    Space {
        /// The store's folder.
        path: PathBuf,
        /// Bytes the model takes, for people.
        needed: String,
        /// Bytes that are free, for people.
        free: String,
    },
    /// A file of the model cannot be written.
    #[error(
        "cannot write {path}: {source}; nothing was kept: check free space and permissions of the model store"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A vendor's directory cannot be registered.
    #[error(transparent)]
    Vendor(#[from] VendorError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The finished directory does not pass its own check.
    #[error("the finished model does not pass its check: {0}")]
    Check(#[from] ModelError),
    /// Whoever asked for it did not wait.
    #[error("the import was cancelled; nothing of it was kept")]
    Cancelled,
    /// Something that cannot happen did.
    #[error("internal error: {0}")]
    Internal(String),
}

impl ImportError {
    fn open(path: &Path, source: std::io::Error) -> Self {
        Self::Open { path: path.to_owned(), source }
    }

    fn part(path: &Path, reason: &str) -> Self {
        Self::Part { path: path.to_owned(), reason: reason.to_owned() }
    }

    pub(super) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    /// Puts the source's name before errors that are about it.
    fn about(self, path: &Path) -> Self {
        match self {
            Self::Header(_) | Self::Plan(_) | Self::Tensor(_) | Self::Vocabulary(_) | Self::Text(_) => {
                Self::Source { path: path.to_owned(), reason: Box::new(self) }
            }
            other => other,
        }
    }
}

/// Makes the model `name` of `store` from the GGUF file `source`.
///
/// Replaces a model of that name. `progress` is called on the calling thread after every block of rows; the import ends
/// at the next one once `cancel` is set.
///
/// # Errors
///
/// Every error leaves the store as it was.
pub fn create(
    store: &Store,
    name: &ModelName,
    source: &Path,
    wishes: &Wishes,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Arc<Model>, ImportError> {
    let file = GgufFile::open(source)?;
    convert(store, name, &file, wishes, progress).map_err(|error| error.about(source))
}

/// What an import is to do besides converting.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// How it converts.
    pub options: ImportOptions,
    /// What the model is to have otherwise than the file.
    pub changes: Changes,
    /// Set when nobody waits for the model any more.
    pub cancel: Arc<AtomicBool>,
}

fn convert(
    store: &Store,
    name: &ModelName,
    file: &GgufFile,
    wishes: &Wishes,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Arc<Model>, ImportError> {
    let options = &wishes.options;
    let header = file.header()?;
    let plan = Plan::new(&header, options.context)?;
    let text = TextFiles::new(&header, plan.vocab)?;
    let names = FileNames::new(&name.model)?;

    let mut total_bytes = plan.embedding.elements() * 2;
    let mut jobs = Vec::new();
    for (index, layer) in plan.layers.iter().enumerate() {
        let job = layer_file(&plan, layer, index, file, options.weights)?;
        total_bytes += job.bytes();
        jobs.push((names.layer.file_name(index), job));
    }
    let head = head_file(&plan, file, options.weights)?;
    total_bytes += head.bytes();
    jobs.push((names.head.clone(), head));

    let SetUp { name, target, mut staging } = set_up(store, name)?;
    staging.stop_when(Arc::clone(&wishes.cancel));
    check_space(store.folder(), total_bytes + text.bytes())?;
    let mut done_bytes = 0;
    let mut advance = |file: &str, bytes: u64| {
        done_bytes += bytes;
        progress(Progress { file, done_bytes: done_bytes.min(total_bytes), total_bytes });
    };
    for (name, job) in jobs {
        let mut output = staging.create(&name)?;
        job.write(&mut output, &mut advance)?;
        staging.finish(output)?;
    }
    let mut output = staging.create(&names.embedding)?;
    stream_rows(file.reader(plan.embedding), Weights::Bf16, &mut output, &mut Vec::new(), &mut advance)?;
    staging.finish(output)?;
    write_documents(&mut staging, &plan, &names, &text)?;
    let mut manifest = documents::manifest(&header, &plan, options.weights, staging.entries())?;
    wishes.changes.apply(&mut manifest);
    staging.write(MANIFEST_FILE, &documents::pretty(&json!(manifest))?)?;

    let model = staging.complete(store, name, &target)?;
    progress(Progress { file: MANIFEST_FILE, done_bytes: total_bytes, total_bytes });
    Ok(model)
}

/// Where a new model is built, and where it will be.
struct SetUp {
    /// In the spelling of a model that is there already.
    name: ModelName,
    target: PathBuf,
    staging: Staging,
}

fn set_up(store: &Store, name: &ModelName) -> Result<SetUp, ImportError> {
    let (name, target) = store.place(name)?;
    Ok(SetUp { name, target, staging: Staging::new(store.folder())? })
}

fn write_documents(
    staging: &mut Staging,
    plan: &Plan<'_>,
    names: &FileNames,
    text: &TextFiles,
) -> Result<(), ImportError> {
    for (name, bytes) in text.files() {
        staging.write(name, bytes)?;
    }
    let vendor_name = plan.architecture.vendor_name();
    let config = names.config(vendor_name, plan.layers.len(), plan.vocab, plan.hidden, text.adds_bos());
    for (name, bytes) in documents::configuration(config)? {
        staging.write(name, &bytes)?;
    }
    Ok(())
}

fn layer_file<'a>(
    plan: &Plan<'a>,
    layer: &LayerPlan<'a>,
    index: usize,
    file: &'a GgufFile,
    weights: Weights,
) -> Result<FilePlan<'a>, ImportError> {
    let mut job = FilePlan::new(weights);
    job.set("format", FORMAT);
    job.set("kind", "layer");
    job.set("architecture", plan.architecture.name());
    job.set("layer", index);
    job.set("hidden", plan.hidden);
    job.set("heads", plan.heads);
    job.set("kv_heads", plan.kv_heads);
    job.set("head_dim", plan.head_dim);
    job.set("intermediate", plan.intermediate);
    job.set("rms_eps", plan.rms_eps);
    job.set("rope_theta", plan.rope_theta);
    job.set("rope_pairs", plan.architecture.rope_pairs());
    job.set("kv_len", plan.context);
    job.set("chunk", CHUNK);
    let ladder: Vec<String> = history_ladder(plan.context).iter().map(usize::to_string).collect();
    job.set("history", ladder.join(","));

    job.floats("attn_norm", file.reader(layer.attn_norm).read_all()?);
    job.floats("ffn_norm", file.reader(layer.ffn_norm).read_all()?);
    for (name, tensor) in layer.biases.iter().chain(&layer.head_norms) {
        job.floats(name, file.reader(tensor).read_all()?);
    }
    if let Some(factors) = rope_factors(plan, file)? {
        job.floats("rope_factors", factors);
    }
    for (name, tensor) in &layer.weights {
        job.matrix(&format!("{name}."), file.reader(tensor));
    }
    Ok(job)
}

/// Divisors of the rope frequencies: Llama 3's own, or the one factor of linear scaling.
fn rope_factors(plan: &Plan<'_>, file: &GgufFile) -> Result<Option<Vec<f32>>, ImportError> {
    #[expect(clippy::cast_possible_truncation, reason = "a factor is kept as f32")]
    let scale = plan.rope_scale.unwrap_or(1.0) as f32;
    let factors = match plan.rope_factors {
        Some(tensor) => file.reader(tensor).read_all()?,
        None if plan.rope_scale.is_some() => vec![1.0; plan.head_dim / 2],
        None => return Ok(None),
    };
    if factors.iter().any(|&factor| factor <= 0.0) {
        let detail = "it has a factor that is not above 0".to_owned();
        return Err(PlanError::Unsupported { what: "tensor \"rope_freqs.weight\"".to_owned(), detail }.into());
    }
    Ok(Some(factors.iter().map(|factor| factor * scale).collect()))
}

fn head_file<'a>(plan: &Plan<'a>, file: &'a GgufFile, weights: Weights) -> Result<FilePlan<'a>, ImportError> {
    let mut job = FilePlan::new(weights);
    job.set("format", FORMAT);
    job.set("kind", "head");
    job.set("hidden", plan.hidden);
    job.set("vocab", plan.vocab);
    job.set("rms_eps", plan.rms_eps);
    job.floats("norm", file.reader(plan.output_norm).read_all()?);
    job.matrix("", file.reader(plan.output));
    Ok(job)
}

/// Says so beforehand when the disk cannot hold the model; a disk that fills up meanwhile is found when writing.
fn check_space(folder: &Path, needed: u64) -> Result<(), ImportError> {
    // Not every file system can tell; then writing will.
    let Ok(status) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let people = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    Err(ImportError::Space { path: folder.to_owned(), needed: people(needed), free: people(free) })
}
