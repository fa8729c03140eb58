//! Figures of a comparison, for people and for programs.

use anyhow::Context;
use serde::Serialize;

use crate::cli::format;

/// From this margin on the reference is sure of its choice.
const SURE: f64 = 0.3;

/// One compared step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Whether our likeliest token is the reference's.
    pub(super) agrees: bool,
    /// Distance of the reference's two largest logits.
    pub(super) margin: f64,
    /// Absolute difference of the log-probabilities of the reference's token, in nats.
    pub(super) difference: f64,
}

#[derive(Debug)]
struct CaseReport {
    name: String,
    prompt_tokens: usize,
    steps: Vec<Step>,
    prompt_equal: bool,
}

/// Everything compared so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    cases: Vec<CaseReport>,
    tokenizer_cases: usize,
    tokenizer_failed: Vec<String>,
}

/// The figures under their published names. Shares lie between 0 and 1.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) steps: usize,
    pub(super) agree: f64,
    pub(super) agree_margin_0_3: f64,
    pub(super) dlogprob_median: f64,
    pub(super) dlogprob_p95: f64,
    pub(super) dlogprob_max: f64,
    pub(super) tokenizer_cases: usize,
    pub(super) tokenizer_equal: usize,
    pub(super) prompt_cases: usize,
    pub(super) prompt_equal: usize,
}

impl Report {
    pub(super) fn add_case(
        &mut self,
        name: &str,
        prompt_tokens: usize,
        steps: Vec<Step>,
        prompt_equal: bool,
    ) {
        self.cases.push(CaseReport { name: name.to_owned(), prompt_tokens, steps, prompt_equal });
    }

    pub(super) fn add_tokenizer_case(&mut self, text: &str, equal: bool) {
        self.tokenizer_cases += 1;
        if !equal {
            self.tokenizer_failed.push(text.to_owned());
        }
    }

    /// The figures over all cases; an error when nothing was compared.
    pub(super) fn summary(&self) -> anyhow::Result<Summary> {
        let steps: Vec<Step> = self.cases.iter().flat_map(|case| case.steps.iter().copied()).collect();
        let differences = sorted_differences(&steps);
        let quantile = |share| quantile(&differences, share).context("no step was compared");
        Ok(Summary {
            steps: steps.len(),
            agree: agreement(&steps, 0.0),
            agree_margin_0_3: agreement(&steps, SURE),
            dlogprob_median: quantile(0.5)?,
            dlogprob_p95: quantile(0.95)?,
            dlogprob_max: quantile(1.0)?,
            tokenizer_cases: self.tokenizer_cases,
            tokenizer_equal: self.tokenizer_cases - self.tokenizer_failed.len(),
            prompt_cases: self.cases.len(),
            prompt_equal: self.cases.iter().filter(|case| case.prompt_equal).count(),
        })
    }

    /// A table of the cases, the figures over all of them, and what differs in the texts.
    pub(super) fn table(&self) -> anyhow::Result<String> {
        let head = ["CASE", "PROMPT", "STEPS", "AGREE", "SURE", "MEDIAN", "P95", "MAX", "TEXT"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for case in &self.cases {
            let text = if case.prompt_equal { "equal" } else { "DIFFERS" };
            rows.push(row(&case.name, &case.prompt_tokens.to_string(), &case.steps, text));
        }
        let all: Vec<Step> = self.cases.iter().flat_map(|case| case.steps.iter().copied()).collect();
        rows.push(row("all", "", &all, ""));
        let summary = self.summary()?;
        let mut table = format::table(&rows);
        let legend = format!(
            "\nAGREE: likeliest token equals the reference's; SURE: the same where its margin is {SURE} or more;\n\
             MEDIAN, P95, MAX: absolute log-probability difference in nats; TEXT: chat template and token ids\n\
             Tokenizer: {} of {} texts give the reference's ids\n",
            summary.tokenizer_equal, summary.tokenizer_cases
        );
        table.push_str(&legend);
        table.extend(self.tokenizer_failed.iter().map(|text| format!("  differs: {text:?}\n")));
        Ok(table)
    }
}

fn row(name: &str, prompt: &str, steps: &[Step], text: &str) -> Vec<String> {
    let differences = sorted_differences(steps);
    let figure =
        |share| quantile(&differences, share).map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    vec![
        name.to_owned(),
        prompt.to_owned(),
        steps.len().to_string(),
        percent(agreement(steps, 0.0)),
        percent(agreement(steps, SURE)),
        figure(0.5),
        figure(0.95),
        figure(1.0),
        text.to_owned(),
    ]
}

/// Share of agreeing steps among those with at least this margin; 1 when there is none, as nothing disagrees.
fn agreement(steps: &[Step], margin: f64) -> f64 {
    let counted: Vec<&Step> = steps.iter().filter(|step| step.margin >= margin).collect();
    if counted.is_empty() {
        return 1.0;
    }
    counted.iter().filter(|step| step.agrees).count() as f64 / counted.len() as f64
}

fn sorted_differences(steps: &[Step]) -> Vec<f64> {
    let mut differences: Vec<f64> = steps.iter().map(|step| step.difference).collect();
    differences.sort_by(f64::total_cmp);
    differences
}

/// Quantile with linear interpolation between neighbours; `None` of nothing.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * sorted.len().checked_sub(1)? as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the slice")]
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    let (low, high) = (sorted.get(low)?, sorted.get(high)?);
    Some(low + (high - low) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(agrees: bool, margin: f64, difference: f64) -> Step {
        Step { agrees, margin, difference }
    }

    #[test]
    fn figures_of_a_known_comparison() {
        let mut report = Report::default();
        report.add_case("a", 3, vec![step(true, 1.0, 0.01), step(false, 0.1, 0.3)], true);
        report.add_case("b", 4, vec![step(true, 0.3, 0.02), step(true, 0.2, 0.03)], false);
        report.add_tokenizer_case("x", true);
        report.add_tokenizer_case("y", false);
        let summary = report.summary().unwrap();
        assert_eq!((summary.steps, summary.tokenizer_cases, summary.tokenizer_equal), (4, 2, 1));
        assert_eq!((summary.prompt_cases, summary.prompt_equal), (2, 1));
        assert!((summary.agree - 0.75).abs() < 1e-12 && (summary.agree_margin_0_3 - 1.0).abs() < 1e-12);
        assert!((summary.dlogprob_median - 0.025).abs() < 1e-12);
        assert!((summary.dlogprob_p95 - 0.2595).abs() < 1e-12);
        assert!((summary.dlogprob_max - 0.3).abs() < 1e-12);
        let table = report.table().unwrap();
        assert!(table.contains("DIFFERS") && table.contains("1 of 2") && table.contains("75.0 %"), "{table}");
    }

    #[test]
    fn nothing_compared_is_an_error() {
        assert!(Report::default().summary().is_err());
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[2.0], 0.95), Some(2.0));
    }
}
