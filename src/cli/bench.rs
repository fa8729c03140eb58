//! `ax650 bench`: how fast is this card with this model, and what does a token cost?

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    CardArguments, connect,
    signals::{INTERRUPTED, Patience},
    terminal::Output,
};
use crate::{
    device::{
        CancelFlag, ClockSource, DeviceInfo, Driver, DriverOptions, LoadedModel, ModelSpec, Pace, Path,
        Paths, PathsWish,
    },
    models::{model::Model, store::Store},
};
use figures::Setting;
use form::Form;
use measure::{Bench, Load};
use report::{MemoryWall, Report};

mod figures;
mod form;
mod measure;
mod report;

/// Prompt and answer when the command line does not say, if the context has room for them.
const DEFAULT_PROMPT: usize = 512;
const DEFAULT_TOKENS: usize = 128;
/// Most tokens that the cost of a grammar is measured over.
const FORM_TOKENS: usize = 64;

/// Measure how fast a model is on this card and what each token costs
///
/// Computes a prompt and an answer the way `serve` does, without a server: once with every fast path that the card
/// passes the test of, once the plain way. With a profile of the software card all speeds are those of the card it
/// describes. Opens the card itself: stop a server that uses the same card first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 bench smollm2\n  \
    ax650 bench smollm2 --json --tokens 64 --prompt 1000\n  \
    ax650 create big --synthetic qwen3-4b && ax650 bench big --device software:pi5-llm8850\n  \
    ax650 bench smollm2 --paths -async,-pinned")]
pub(super) struct Arguments {
    /// Name of the model
    model: String,

    /// Tokens of the prompt (512, or what the model has room for)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    prompt: Option<u32>,

    /// Tokens of the answer (128, or what the prompt leaves room for)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tokens: Option<u32>,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Measure the plain path alone, whatever --paths says
    #[arg(long)]
    plain: bool,

    #[command(flatten)]
    card: CardArguments,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        super::start_logging("warn");
        let model = Store::from_env().resolve(&connect::name(&self.model)?)?;
        // Before a load that may take a minute; the card has the last word below.
        if model.knows_context() {
            self.load(model.context_len())?;
        }
        let cancel = CancelFlag::new();
        let patience = Patience::install(&cancel)?;
        let measured = self.measure(&model, &cancel);
        drop(patience);
        match measured {
            _ if cancel.is_cancelled() => Ok(ExitCode::from(INTERRUPTED)),
            Ok(report) => {
                let output = Output::open();
                if self.json {
                    output.line(&report.json()?)?;
                } else {
                    output.text(&report.table())?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Err(error),
        }
    }

    fn measure(&self, model: &Model, cancel: &CancelFlag) -> anyhow::Result<Report> {
        let embedding = model.embedding()?;
        let driver = Driver::open(&self.card.device, &self.driver_options())?;
        let start = driver.clock().now;
        let loaded = load_with_bar(&driver, model, cancel)?;
        let load_time = driver.clock().now.saturating_sub(start);

        let load = self.load(loaded.context_len())?;
        let fast = loaded.paths();
        let wall = memory_wall(driver.info());
        let setting = setting(model, &loaded, driver.info(), wall.as_ref())?;
        let mut bench = Bench::new(&driver, &loaded, &embedding, cancel)?;
        let mut run = bench.run(load, &setting)?;
        if let Some(decode) = &mut run.decode {
            let form = Form::new(model, loaded.vocab(), load.steps.min(FORM_TOKENS) + 1)?;
            decode.grammar = bench.grammar(&form)?;
        }
        let plain_path = if self.plain {
            None
        } else {
            loaded.set_paths(Paths::PLAIN).context("switch to the plain path")?;
            Some(bench.run(load, &setting)?)
        };
        Ok(Report {
            version: env!("CARGO_PKG_VERSION"),
            model: model.name.to_string(),
            device: device(&driver),
            layers: model.card_parts()?.files.layers.len(),
            vocab: loaded.vocab(),
            context: loaded.context_len(),
            plain: self.plain,
            paths: fast.iter().map(Path::name).collect(),
            load: report::Load { seconds: load_time.as_secs_f64() },
            run,
            memory_wall: wall,
            plain_path,
        })
    }

    fn driver_options(&self) -> DriverOptions {
        DriverOptions {
            paths: if self.plain { PathsWish(Paths::PLAIN) } else { self.card.paths },
            pace: Pace::Virtual,
            ..self.card.driver_options()
        }
    }

    /// What is to be computed in a context of so many tokens.
    fn load(&self, context: usize) -> anyhow::Result<Load> {
        let wanted = |tokens: Option<u32>| tokens.map(|tokens| tokens as usize);
        size(wanted(self.prompt), wanted(self.tokens), context)
    }
}

/// Puts the model on the card, telling how far it is.
fn load_with_bar(driver: &Driver, model: &Model, cancel: &CancelFlag) -> anyhow::Result<LoadedModel> {
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{msg} {pos}/{len} {wide_bar}")?);
    bar.set_message(format!("load ({})", driver.info().kind));
    let files = &model.card_parts()?.files;
    let spec = ModelSpec {
        layers: files.layers.clone(),
        head: files.head.clone(),
        hidden: model.hidden(),
        vocab: model.vocab(),
        sequence_bytes: model.sequence_bytes(),
        digest: model.check_contents()?,
    };
    let loaded = driver.load(&spec, cancel, &mut |load| {
        bar.set_length(load.total as u64);
        bar.set_position(load.index as u64);
    });
    bar.finish_and_clear();
    Ok(loaded?)
}

fn device(driver: &Driver) -> report::Device {
    let info = driver.info();
    report::Device {
        kind: info.kind,
        summary: info.summary.clone(),
        profile: info.profile.clone(),
        npu_busy_estimated: driver.clock().source == ClockSource::Host,
    }
}

/// How fast the card's memory can be read, where that is known.
fn memory_wall(info: &DeviceInfo) -> Option<MemoryWall> {
    let (bytes_per_second, source) = match (info.kind, &info.profile) {
        (_, Some(profile)) => (info.weight_bytes_per_second?, format!("profile {profile}")),
        // ax-llm.md 5.4, from W-GGML: the best marginal rate ever seen, of an LPDDR4x peak of 34.1 GB/s.
        ("board" | "pcie", None) => (
            25_000_000_000,
            "assumed: the best that was seen of these cards' memory, whose peak is 34.1".into(),
        ),
        _ => return None,
    };
    Some(MemoryWall { bytes_per_second, source })
}

fn setting(
    model: &Model,
    loaded: &LoadedModel,
    info: &DeviceInfo,
    wall: Option<&MemoryWall>,
) -> anyhow::Result<Setting> {
    // Each run reads its file once. What the compiler adds to the weights is small beside them.
    let bytes = |file: &std::path::Path| std::fs::metadata(file).map(|data| data.len());
    let files = &model.card_parts()?.files;
    let layers = files.layers.iter().map(|file| bytes(file)).sum::<std::io::Result<u64>>();
    Ok(Setting {
        layers: files.layers.len(),
        row_bytes: 2 * loaded.hidden() as u64,
        logits_bytes: 2 * loaded.vocab() as u64,
        layer_weight_bytes: layers.context("read the sizes of the layer files")?,
        head_weight_bytes: bytes(&files.head).context("read the size of the head's file")?,
        memory_bytes_per_second: wall.map(|wall| wall.bytes_per_second as f64),
        interface: info.interface,
    })
}

/// Fits prompt and answer into the context. The first token of an answer comes with the prompt, so that a prompt may
/// fill the context and still be answered by one token; every further one takes a step and a place.
fn size(prompt: Option<usize>, tokens: Option<usize>, context: usize) -> anyhow::Result<Load> {
    let prompt = prompt.unwrap_or_else(|| DEFAULT_PROMPT.min((context / 2).max(1)));
    let room = context.checked_sub(prompt);
    match (room, tokens) {
        (Some(room), None) => Ok(Load { prompt, steps: DEFAULT_TOKENS.min(room) }),
        (Some(room), Some(tokens)) if tokens <= room + 1 => Ok(Load { prompt, steps: tokens.min(room) }),
        (_, tokens) => {
            let answer = tokens.map_or_else(String::new, |tokens| format!(" and {tokens} of an answer"));
            bail!(
                "{prompt} tokens of a prompt{answer} do not fit into the model's context of {context}: use a smaller --prompt or --tokens"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompt_and_answer_fit_the_context() {
        let sizes = |prompt, tokens, context| size(prompt, tokens, context).unwrap();
        assert_eq!(sizes(None, None, 2_559), Load { prompt: 512, steps: 128 });
        assert_eq!(sizes(None, None, 256), Load { prompt: 128, steps: 128 });
        assert_eq!(sizes(Some(2_500), None, 2_559), Load { prompt: 2_500, steps: 59 });
        assert_eq!(sizes(Some(2_559), None, 2_559), Load { prompt: 2_559, steps: 0 });
        assert_eq!(sizes(Some(2_559), Some(1), 2_559), Load { prompt: 2_559, steps: 0 });
        assert_eq!(sizes(Some(2_558), Some(1), 2_559), Load { prompt: 2_558, steps: 1 });
        for (prompt, tokens) in [(Some(2_560), None), (Some(2_559), Some(2)), (None, Some(2_100))] {
            let error = size(prompt, tokens, 2_559).unwrap_err().to_string();
            assert!(error.contains("context of 2559") && error.contains("--prompt"), "{error}");
        }
    }
}
