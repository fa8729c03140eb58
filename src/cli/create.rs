//! `ax650 create`.

mod modelfile;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressStyle};

use super::{connect, format, terminal::Output};
use crate::models::{
    changes::Changes,
    import::{
        ImportOptions, Progress, Registered, SyntheticShape, Weights, Wishes,
        safetensors::is_weights_directory,
    },
    model::{CONFIG_FILE, Model},
    name::ModelName,
    store::Store,
};

/// Make a model from a GGUF file or a text encoder, or register a directory with a model compiled for the NPU
///
/// From a GGUF file (Llama, Qwen2, Qwen3 in any common quantisation) it writes layer files for the software card, with
/// tokenizer and chat template, into the model store. A directory as the vendor publishes it is checked as a whole and
/// stays as it is: the store gets links to its weights, so it must not move. A directory of safetensors with a text
/// encoder (BERT family, as sentence-transformers has them) is copied; it gives embeddings and runs on the host.
/// Nothing is left behind when it fails.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 create smollm2 --from SmolLM2-135M-Instruct.Q4_1.gguf\n  \
    ax650 create qwen:exact --from qwen2.5-coder-0.5b.gguf --weights bf16 --context 2048\n  \
    ax650 create qwen3 --from ~/Qwen3-4B             a directory as downloaded from AXERA-TECH\n  \
    ax650 create qwen3:int4 --from ~/Qwen3-4B/run_qwen3_4b_int4_ctx_axcl_aarch64.sh\n  \
    ax650 create minilm --from ~/all-MiniLM-L6-v2    a text encoder, for embeddings\n  \
    ax650 create pirate -f Modelfile                 FROM smollm2, SYSTEM You are a pirate.\n  \
    ax650 create timing --synthetic qwen3-4b")]
pub(super) struct Arguments {
    /// Name of the new model: NAME or NAME:TAG; a model of that name is replaced
    name: String,

    /// GGUF file to read; or a directory of the vendor's with layers compiled for the NPU, or one of its run scripts;
    /// or a directory with a text encoder as safetensors
    #[arg(long, value_name = "FILE.gguf | DIR", required_unless_present_any = ["synthetic", "file"])]
    from: Option<PathBuf>,

    /// Instead of --from: a Modelfile as Ollama has them, with FROM (a model of the store or a path), PARAMETER,
    /// TEMPLATE, SYSTEM, MESSAGE, LICENSE; - is standard input
    #[arg(short, long, value_name = "MODELFILE", conflicts_with_all = ["from", "synthetic"])]
    file: Option<PathBuf>,

    /// Instead of --from: the shapes of a real model without weights, for measuring. Takes no room on the disk, runs on
    /// the software card only, and its answers mean nothing
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["from", "weights", "context"],
        value_parser = PossibleValuesParser::new(SyntheticShape::ALL.map(SyntheticShape::name)).try_map(|name| name.parse::<SyntheticShape>()))]
    synthetic: Option<SyntheticShape>,

    /// How weights of a GGUF file are stored: w8a16 (default) is half the size and twice as fast, bf16 nearer to the
    /// original
    #[arg(long, value_enum)]
    weights: Option<WeightsArgument>,

    /// Tokens a conversation with a model from a GGUF file may hold (default: what the model was trained for, at most
    /// 4096)
    #[arg(long, value_name = "N")]
    context: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WeightsArgument {
    /// 8-bit integers, one scale per output
    W8a16,
    /// 16-bit brain floats
    Bf16,
}

impl From<WeightsArgument> for Weights {
    fn from(argument: WeightsArgument) -> Self {
        match argument {
            WeightsArgument::W8a16 => Self::W8A16,
            WeightsArgument::Bf16 => Self::Bf16,
        }
    }
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        super::start_logging("warn");
        let name = connect::name(&self.name)?;
        let store = Store::from_env();
        let start = Instant::now();
        let Registered { model, notes } = match (&self.from, &self.file, self.synthetic) {
            (_, _, Some(shape)) => plain(store.synthesise(&name, shape)?),
            (_, Some(file), None) => self.follow(&store, &name, file)?,
            (Some(source), None, None) => self.take(&store, &name, source, Changes::default())?,
            (None, None, None) => bail!("nothing to make '{name}' from; give --from, --file or --synthetic"),
        };
        report(&model, &notes, start.elapsed())
    }

    /// Makes a model of a file or a directory, with these changes, in one step.
    fn take(
        &self,
        store: &Store,
        name: &ModelName,
        source: &Path,
        changes: Changes,
    ) -> anyhow::Result<Registered> {
        if !is_package(source) {
            refuse_part(source)?;
            return Ok(plain(self.import(store, name, source, changes)?));
        }
        match encoder_directory(source) {
            Some(dir) => self.import_encoder(store, name, dir, &changes),
            None => self.register(store, name, source, &changes),
        }
    }

    fn register(
        &self,
        store: &Store,
        name: &ModelName,
        source: &Path,
        changes: &Changes,
    ) -> anyhow::Result<Registered> {
        if self.weights.is_some() || self.context.is_some() {
            bail!(
                "--weights and --context are for GGUF files; the layers in {} are compiled, and stay as they are",
                source.display()
            );
        }
        Ok(store.register(name, source, changes)?)
    }

    fn import_encoder(
        &self,
        store: &Store,
        name: &ModelName,
        source: &Path,
        changes: &Changes,
    ) -> anyhow::Result<Registered> {
        if self.weights.is_some() || self.context.is_some() {
            bail!("--weights and --context are for GGUF files; a text encoder is taken as it is");
        }
        Ok(store.import_encoder(name, source, changes)?)
    }

    fn import(
        &self,
        store: &Store,
        name: &ModelName,
        source: &Path,
        changes: Changes,
    ) -> anyhow::Result<Arc<Model>> {
        let options = ImportOptions {
            weights: self.weights.map_or_else(Weights::default, Into::into),
            context: self.context,
        };
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {eta}",
        )?);
        let wishes = Wishes { options, changes, ..Wishes::default() };
        let created = store.import_changed(name, source, &wishes, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        Ok(created?)
    }
}

/// A model of which there is nothing to say.
fn plain(model: Arc<Model>) -> Registered {
    Registered { model, notes: Vec::new() }
}

fn report(model: &Model, notes: &[String], took: Duration) -> anyhow::Result<ExitCode> {
    let output = Output::open();
    let known = |text: &str| if text.is_empty() { String::new() } else { format!(", {text}") };
    let parameters = match model.manifest.parameter_size.as_str() {
        "" => String::new(),
        size => format!("{size} parameters"),
    };
    output.line(&format!(
        "created '{}': {}{}{}, context {}, {} in {}",
        model.name,
        model.manifest.family,
        known(&parameters),
        known(&model.manifest.quantization_level),
        model.context_len(),
        format::bytes(model.size),
        format::duration(took),
    ))?;
    for line in notes {
        output.line(&format!("note: {line}"))?;
    }
    if let Some(dir) = model.manifest.source() {
        output.line(&format!(
            "the weights stay in {dir}; on a card the model takes about {} with one conversation",
            format::bytes(model.device_bytes_estimate())
        ))?;
    }
    if model.is_synthetic() {
        output.line("it has shapes and no weights: measure with it, its answers mean nothing")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether this is a model's directory, or a file with settings in one, and not a GGUF file.
fn is_package(source: &Path) -> bool {
    let is_script = source.extension().is_some_and(|end| end.eq_ignore_ascii_case("sh"));
    source.is_dir() || is_script || source.file_name().is_some_and(|name| name == CONFIG_FILE)
}

/// The directory of a text encoder, where it or its settings are named.
fn encoder_directory(source: &Path) -> Option<&Path> {
    let dir = if source.is_dir() { source } else { directory_of(source) };
    is_weights_directory(dir).then_some(dir)
}

/// The directory that a file lies in.
fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Says what to give instead of one of the other files of such a directory.
fn refuse_part(source: &Path) -> anyhow::Result<()> {
    let end = source.extension().unwrap_or_default().to_ascii_lowercase();
    let what = match end.to_str() {
        Some("axmodel") => "one layer of a model compiled for the NPU",
        Some("json" | "txt" | "bin" | "py" | "safetensors") => "one file of a model",
        _ => return Ok(()),
    };
    let dir = directory_of(source);
    bail!(
        "{} is {what}; give its directory ({}), a run script of it, or a .gguf file",
        source.display(),
        dir.display()
    )
}

fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.done_bytes);
    if bar.message() != progress.file {
        bar.set_message(progress.file.to_owned());
    }
}
