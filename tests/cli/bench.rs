//! `ax650 bench`: what it tells, and how it fails.

use serde_json::Value;

use crate::program::{Program, stderr, stdout};

fn bench(program: &Program, arguments: &[&str]) -> Value {
    let assert = program.run(&[&["bench", "m", "--json"], arguments].concat()).success();
    serde_json::from_str(&stdout(&assert)).unwrap()
}

/// A figure by its place, "/decode/tokens"; not a number if it is not there.
fn figure(report: &Value, place: &str) -> f64 {
    report.pointer(place).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

#[test]
fn a_model_that_computes_is_measured_by_the_clock_on_the_wall() {
    let program = Program::new();
    program.create("m");
    let report = bench(&program, &["--prompt", "20", "--tokens", "4"]);
    assert!(report["device"]["profile"].is_null() && report["memory_wall"].is_null());
    assert!(report["decode"]["memory_wall_share"].is_null(), "no wall is known: {report}");
    assert!(figure(&report, "/decode/host_seconds_per_token") > 0.0);
    assert!(figure(&report, "/load/seconds") > 0.0);

    let table = stdout(&program.run(&["bench", "m", "--prompt", "20", "--tokens", "4"]).success());
    for words in ["m:latest", "Fast paths:", "FAST/PLAIN", "tokens per second", "round trips"] {
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_loaded() {
    let program = Program::new();
    let text = stderr(&program.run(&["bench", "nope"]).code(1));
    assert!(text.contains("nope") && text.contains("not found"), "{text}");
    for arguments in [
        &["bench"][..],
        &["bench", "m", "--tokens", "0"],
        &["bench", "m", "--paths", "fast"],
        &["bench", "m", "--paths", "async", "--plain"],
    ] {
        assert!(!stderr(&program.run(arguments).code(2)).is_empty(), "{arguments:?}");
    }
    program.create("m");
    let text = stderr(&program.run(&["bench", "m", "--device", "pcie"]).code(1));
    assert!(text.contains("--device software"), "{text}");
}
