//! `ax650 create`.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::{connect, format, terminal::Output};
use crate::models::{
    import::{ImportOptions, Progress, Weights},
    store::Store,
};

/// Make a model from a GGUF file
///
/// Reads Llama, Qwen2 and Qwen3 models in any common quantisation and writes layer files for the software card, with
/// tokenizer and chat template, into the model store. Nothing is left behind when it fails.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 create smollm2 --from SmolLM2-135M-Instruct.Q4_1.gguf\n  \
    ax650 create qwen:exact --from qwen2.5-coder-0.5b.gguf --weights bf16 --context 2048")]
pub(super) struct Arguments {
    /// Name of the new model: NAME or NAME:TAG; a model of that name is replaced
    name: String,

    /// GGUF file to read
    #[arg(long, value_name = "FILE.gguf")]
    from: PathBuf,

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
        let options = ImportOptions { weights: self.weights.into(), context: self.context };
        let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
            "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {eta}",
        )?);
        let start = Instant::now();
        let created =
            Store::from_env().import(&name, &self.from, &options, &mut |progress| show(&bar, &progress));
        bar.finish_and_clear();
        let model = created?;
        Output::open().line(&format!(
            "created '{}': {}, {} parameters, {}, context {}, {} in {}",
            model.name,
            model.manifest.family,
            model.manifest.parameter_size,
            model.manifest.quantization_level,
            model.context_len(),
            format::bytes(model.size),
            format::duration(start.elapsed()),
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(bar: &ProgressBar, progress: &Progress<'_>) {
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.done_bytes);
    if bar.message() != progress.file {
        bar.set_message(progress.file.to_owned());
    }
}
