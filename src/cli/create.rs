//! `ax650 create`.

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
    import::{ImportOptions, Progress, SyntheticShape, Weights},
    model::Model,
    name::ModelName,
    store::Store,
};

/// Make a model from a GGUF file
///
/// Reads Llama, Qwen2 and Qwen3 models in any common quantisation and writes layer files for the software card, with
/// tokenizer and chat template, into the model store. Nothing is left behind when it fails.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 create smollm2 --from SmolLM2-135M-Instruct.Q4_1.gguf\n  \
    ax650 create qwen:exact --from qwen2.5-coder-0.5b.gguf --weights bf16 --context 2048\n  \
    ax650 create timing --synthetic qwen3-4b")]
pub(super) struct Arguments {
    /// Name of the new model: NAME or NAME:TAG; a model of that name is replaced
    name: String,

    /// GGUF file to read
    #[arg(long, value_name = "FILE.gguf", required_unless_present = "synthetic")]
    from: Option<PathBuf>,

    /// Instead of --from: the shapes of a real model without weights, for measuring. Takes no room on the disk, runs on
    /// the software card only, and its answers mean nothing
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["from", "weights", "context"],
        value_parser = PossibleValuesParser::new(SyntheticShape::ALL.map(SyntheticShape::name)).try_map(|name| name.parse::<SyntheticShape>()))]
    synthetic: Option<SyntheticShape>,

    /// How weights are stored: w8a16 is half the size and twice as fast, bf16 nearer to the original
    #[arg(long, value_enum, default_value_t = WeightsArgument::W8a16)]
    weights: WeightsArgument,

    /// Tokens a conversation may hold (default: what the model was trained for, at most 4096)
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
        let model = match (&self.from, self.synthetic) {
            (_, Some(shape)) => store.synthesise(&name, shape)?,
            (Some(source), None) => self.import(&store, &name, source)?,
            (None, None) => bail!("nothing to make '{name}' from; give --from or --synthetic"),
        };
        report(&model, start.elapsed())
    }

    fn import(&self, store: &Store, name: &ModelName, source: &Path) -> anyhow::Result<Arc<Model>> {
        let options = ImportOptions { weights: self.weights.into(), context: self.context };
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {eta}",
        )?);
        let created = store.import(name, source, &options, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        Ok(created?)
    }
}

fn report(model: &Model, took: Duration) -> anyhow::Result<ExitCode> {
    let output = Output::open();
    output.line(&format!(
        "created '{}': {}, {} parameters, {}, context {}, {} in {}",
        model.name,
        model.manifest.family,
        model.manifest.parameter_size,
        model.manifest.quantization_level,
        model.context_len(),
        format::bytes(model.size),
        format::duration(took),
    ))?;
    if model.is_synthetic() {
        output.line("it has shapes and no weights: measure with it, its answers mean nothing")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.done_bytes);
    if bar.message() != progress.file {
        bar.set_message(progress.file.to_owned());
    }
}
