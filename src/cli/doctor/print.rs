//! A report for people.

use std::fmt::Write;

use crate::doctor::{Finding, Level, Report};

/// Column where texts begin.
const INDENT: usize = 11;

/// The report as lines: what computes, the groups with their worst last, and a count at the end, where the eye is.
pub(super) fn text(report: &Report, verbose: bool) -> String {
    let mut text = format!("ax650 {}: {}\n", report.version, report.summary);
    let mut group = None;
    for finding in &report.findings {
        if group != Some(finding.group) {
            push(&mut text, format_args!("\n{}\n", finding.group.title()));
            group = Some(finding.group);
        }
        one(&mut text, finding, verbose);
    }
    push(&mut text, format_args!("\n{}\n", verdict(report)));
    text
}

fn one(text: &mut String, finding: &Finding, verbose: bool) {
    push(text, format_args!("  {:<8} {}\n", finding.level, finding.text));
    if verbose || finding.level >= Level::Warning {
        for seen in &finding.seen {
            push(text, format_args!("{:INDENT$}{}: {}\n", "", seen.place, one_line(&seen.value)));
        }
    }
    if !finding.advice.is_empty() {
        push(text, format_args!("{:INDENT$}-> {}\n", "", finding.advice));
    }
    for command in &finding.commands {
        push(text, format_args!("{:INDENT$}   $ {command}\n", ""));
    }
}

fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn verdict(report: &Report) -> String {
    let problems = report.of_level(Level::Problem).count();
    let warnings = report.of_level(Level::Warning).count();
    match (problems, warnings) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (0, warnings) => format!("Nothing keeps it from working; {}.", count(warnings, "warning")),
        (problems, 0) => format!("{}.", count(problems, "problem")),
        (problems, warnings) => format!("{}, {}.", count(problems, "problem"), count(warnings, "warning")),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Writing to a string cannot fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{CardProbe, Group};

    #[test]
    fn a_report_reads_top_down() {
        let findings = vec![
            Finding::new("host.model", Group::Host, Level::Ok, "a Pi").seen("/proc/x", "a Pi"),
            Finding::new("memory.cma", Group::Memory, Level::Warning, "little memory")
                .seen("/proc/meminfo", "CmaTotal\n 1 kB")
                .advice("more of it")
                .command("sudo reboot"),
        ];
        let report = Report {
            version: "1.0".into(),
            verdict: Level::Warning,
            summary: "the pcie card computes".into(),
            card: CardProbe::Skipped,
            findings,
        };
        assert_eq!(
            text(&report, false),
            "ax650 1.0: the pcie card computes\n\nMachine\n  ok       a Pi\n\nMemory\n  warning  little memory\n           \
             /proc/meminfo: CmaTotal 1 kB\n           -> more of it\n              $ sudo reboot\n\n\
             Nothing keeps it from working; 1 warning.\n"
        );
        assert!(text(&report, true).contains("/proc/x: a Pi"));
    }
}
