//! `ax650 verify`: does this card compute what it should?

use std::{path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    CardArguments, connect, format,
    signals::{INTERRUPTED, Patience},
    terminal::{Output, note},
};
use crate::{
    device::CancelFlag,
    engine::{
        SamplingOptions,
        sampler::{Sampler, log_prob},
        teacher::Teacher,
    },
    models::{model::Model, store::Store},
    text::{Message, RenderOptions, TextModel},
};
use golden::{Case, Golden};
use report::{Report, Step};

mod golden;
mod report;

/// Compare a model on this card with exact reference outputs
///
/// Runs the model along the greedy tokens of a golden file and compares, at every step, its likeliest token and the
/// log-probability of the reference's token. Prompts (chat template and tokenizer) and tokenizer cases are checked too.
/// Opens the card itself: stop a server that uses the same card first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 verify smollm2 --golden tests/golden/smollm2.json\n  \
    ax650 verify smollm2 --golden tests/golden/smollm2.json --json\n  \
    ax650 verify smollm2 --golden tests/golden/smollm2.json --device pcie --min-agree 0.925 --max-p95 0.25\n\n\
    Exit code: 0 when the comparison could be made, whatever it shows, and every bound given with --min-... and \
    --max-... holds; 1 otherwise. Without bounds the figures are for you to judge: with w8a16 weights about 95 % of \
    the steps agree and the median difference is about 0.02.")]
pub(super) struct Arguments {
    /// Name of the model
    model: String,

    /// Golden file: reference outputs of the same model (JSON)
    #[arg(long, value_name = "FILE")]
    golden: PathBuf,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Fail below this share of agreeing steps (0 to 1)
    #[arg(long, value_name = "SHARE")]
    min_agree: Option<f64>,

    /// Fail below this share of agreement where the reference is sure (margin of 0.3 or more)
    #[arg(long, value_name = "SHARE")]
    min_agree_margin: Option<f64>,

    /// Fail above this median of the absolute log-probability difference
    #[arg(long, value_name = "NATS")]
    max_median: Option<f64>,

    /// Fail above this 95th percentile of the absolute log-probability difference
    #[arg(long, value_name = "NATS")]
    max_p95: Option<f64>,

    #[command(flatten)]
    card: CardArguments,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        super::start_logging("warn");
        // The file first: loading a model to find a typing mistake afterwards wastes a minute.
        let golden = Golden::read(&self.golden)?;
        let store = Store::from_env();
        let model = store.resolve(&connect::name(&self.model)?)?;
        let text = model.text()?;

        let cancel = CancelFlag::new();
        let patience = Patience::install(&cancel)?;
        let compared = self.compare(&golden, &model, &text, &cancel);
        drop(patience);
        if cancel.is_cancelled() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        compared
    }

    fn compare(
        &self,
        golden: &Golden,
        model: &Model,
        text: &TextModel,
        cancel: &CancelFlag,
    ) -> anyhow::Result<ExitCode> {
        let bar =
            ProgressBar::new(0).with_style(ProgressStyle::with_template("{msg} {pos}/{len} {wide_bar}")?);
        bar.set_message("load");
        let mut teacher = Teacher::open(
            &self.card.device,
            &self.card.driver_options(),
            model,
            cancel,
            &mut |done, total| {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            },
        )?;
        bar.finish_and_clear();
        if !self.json {
            note(&teacher.device().summary);
        }

        let start = Instant::now();
        let mut report = Report::default();
        for case in &golden.cases {
            let steps = run_case(&mut teacher, model.vocab(), case)
                .with_context(|| format!("case '{}' of {}", case.name, self.golden.display()))?;
            report.add_case(&case.name, case.prompt_token_ids.len(), steps, prompt_equals(text, case));
        }
        for case in &golden.tokenizer_cases {
            let equal = text.encode(&case.text, false).is_ok_and(|ids| ids == case.ids_parse_special);
            report.add_tokenizer_case(&case.text, equal);
        }
        self.print(&report, start)?;
        self.check(&report)
    }

    fn print(&self, report: &Report, start: Instant) -> anyhow::Result<()> {
        let output = Output::open();
        if self.json {
            output.line(&serde_json::to_string(&report.summary()?)?)?;
        } else {
            output.text(&report.table()?)?;
            output.line(&format!("Took {}", format::duration(start.elapsed())))?;
        }
        Ok(())
    }

    /// Holds the figures against the bounds of the command line.
    fn check(&self, report: &Report) -> anyhow::Result<ExitCode> {
        let summary = report.summary()?;
        let mut broken = Vec::new();
        for (name, figure, least) in [
            ("--min-agree", summary.agree, self.min_agree),
            ("--min-agree-margin", summary.agree_margin_0_3, self.min_agree_margin),
        ] {
            // In this direction a figure that is no number is outside of every bound.
            if !least.is_none_or(|least| figure >= least) {
                broken.push(format!("{name}: {figure:.4}"));
            }
        }
        for (name, figure, most) in [
            ("--max-median", summary.dlogprob_median, self.max_median),
            ("--max-p95", summary.dlogprob_p95, self.max_p95),
        ] {
            if !most.is_none_or(|most| figure <= most) {
                broken.push(format!("{name}: {figure:.4}"));
            }
        }
        if !broken.is_empty() {
            bail!("outside of the bounds given: {}", broken.join(", "));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether our template and tokenizer make the reference's prompt from the messages of a case.
fn prompt_equals(text: &TextModel, case: &Case) -> bool {
    let messages: Vec<Message> = case.messages.iter().map(|m| Message::new(&m.role, &m.content)).collect();
    let options = RenderOptions { add_generation_prompt: true, ..RenderOptions::default() };
    let rendered = text.render(&messages, &options);
    rendered.is_ok_and(|prompt| {
        prompt == case.rendered_prompt
            && text.encode(&prompt, false).is_ok_and(|ids| ids == case.prompt_token_ids)
    })
}

/// Distance of two log-probabilities; an error if there is none, as it would make every figure meaningless.
fn difference(ours: f32, reference: f64) -> anyhow::Result<f64> {
    let difference = (f64::from(ours) - reference).abs();
    if !difference.is_finite() {
        bail!("the log-probability of the reference's token is {ours} here and {reference} in the reference");
    }
    Ok(difference)
}

fn run_case(teacher: &mut Teacher, vocab: usize, case: &Case) -> anyhow::Result<Vec<Step>> {
    // Temperature 0 is the product's own argmax, and it refuses logits that are not numbers.
    let greedy = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
    let mut sampler = Sampler::new(greedy, vocab, 0);
    let mut steps = Vec::with_capacity(case.greedy_token_ids.len());
    let mut broken = None;
    teacher.force(&case.prompt_token_ids, &case.greedy_token_ids, &mut |index, logits| {
        let chosen = case.greedy_token_ids[index];
        let mut compare = || -> anyhow::Result<Step> {
            let agrees = sampler.sample(logits)? == chosen;
            let difference = difference(log_prob(logits, chosen)?, case.logprob_of_chosen[index])?;
            Ok(Step { agrees, margin: case.top1_top2_margin[index], difference })
        };
        match compare() {
            Ok(step) => steps.push(step),
            Err(error) => {
                broken.get_or_insert((index, error));
            }
        }
    })?;
    match broken {
        Some((index, error)) => bail!("step {index}: {error}"),
        None => Ok(steps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_that_is_no_number_is_an_error() {
        assert!((difference(-1.5, -1.0).unwrap() - 0.5).abs() < 1e-12);
        for ours in [f32::NEG_INFINITY, f32::NAN] {
            let error = difference(ours, -1.0).unwrap_err().to_string();
            assert!(error.contains(&ours.to_string()), "{error}");
        }
    }
}
