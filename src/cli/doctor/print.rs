//! A report for people.

use std::fmt::Write;

use crate::cli::terminal::sanitise;
use crate::doctor::{Finding, Level, Report};

/// Column where texts begin.
const INDENT: usize = 11;

/// The report as lines: what computes, the groups with their worst last, and a count at the end, where the eye is.
pub(super) fn text(report: &Report, verbose: bool) -> String {
    let mut text = format!("ax650 {}: {}\n", report.version, one_line(&report.summary));
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
    push(text, format_args!("  {:<8} {}\n", finding.level, one_line(&finding.text)));
    if verbose || finding.level >= Level::Warning {
        for seen in &finding.seen {
            push(text, format_args!("{:INDENT$}{}: {}\n", "", one_line(&seen.place), one_line(&seen.value)));
        }
    }
    if !finding.advice.is_empty() {
        push(text, format_args!("{:INDENT$}-> {}\n", "", one_line(&finding.advice)));
    }
    for command in &finding.commands {
        push(text, format_args!("{:INDENT$}   $ {}\n", "", one_line(command)));
    }
}

/// Texts hold what was read from files, perhaps of others: they move no cursor and make no lines of their own.
fn one_line(text: &str) -> String {
    sanitise(text).split_whitespace().collect::<Vec<_>>().join(" ")
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

    #[test]
    fn what_files_say_makes_no_lines_and_moves_no_cursor() {
        let bad = "a\u{1b}]0;title\u{7}\n  ok       forged\u{9b}2J";
        let finding = Finding::new("host.model", Group::Host, Level::Warning, bad)
            .seen(bad, bad)
            .advice(bad)
            .command(bad);
        let report = Report {
            version: "1.0".into(),
            verdict: Level::Warning,
            summary: bad.into(),
            card: CardProbe::Skipped,
            findings: vec![finding],
        };
        let text = text(&report, true);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("  ok")), "{text}");
        assert_eq!(text.lines().count(), 9, "{text}");
    }

    #[test]
    fn a_report_without_complaints_says_so() {
        let finding = Finding::new("host.model", Group::Host, Level::Note, "a Pi");
        let (version, summary) = ("1.0".into(), "the pcie card computes".into());
        let report = Report {
            version,
            verdict: Level::Note,
            summary,
            card: CardProbe::Skipped,
            findings: vec![finding],
        };
        assert!(text(&report, false).ends_with("\nNothing is wrong.\n"));
    }
}
