//! Real models against exact reference outputs, through the program's own `verify`.
//!
//! The models are fetched by `deploy/models.sh` when they are not there yet, 634 MB in all.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "../common/models.rs"]
mod models;

use std::{path::Path, process::Command};

use serde_json::Value;

use models::fetch;

/// What a model must reach: shares at least, differences at most.
struct Bounds {
    agree: f64,
    agree_sure: f64,
    median: f64,
    p95: f64,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ax650(store: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ax650"))
        .args(arguments)
        .env("OLLAMA_MODELS", store)
        .env("AX650_DEVICE", "software")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ax650 {}: {stderr}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

fn check(model: &str, weights: &str, bounds: &Bounds) {
    let file = fetch(model);
    let store = tempfile::tempdir().unwrap();
    ax650(
        store.path(),
        &["create", "m", "--from", file.to_str().unwrap(), "--weights", weights, "--context", "1024"],
    );
    let golden = root().join(format!("tests/golden/{model}.json"));
    let text = ax650(store.path(), &["verify", "m", "--golden", golden.to_str().unwrap(), "--json"]);
    println!("{model} {weights}: {}", text.trim());
    let report: Value = serde_json::from_str(&text).unwrap();
    let figure = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("no {key}: {text}"));
    assert!(figure("steps") >= 80.0, "{text}");
    assert!(figure("agree") >= bounds.agree, "{text}");
    assert!(figure("agree_margin_0_3") >= bounds.agree_sure, "{text}");
    assert!(figure("dlogprob_median") <= bounds.median, "{text}");
    assert!(figure("dlogprob_p95") <= bounds.p95, "{text}");
    for what in ["tokenizer", "prompt"] {
        assert_eq!(report[format!("{what}_equal")], report[format!("{what}_cases")], "{text}");
    }
}

#[test]
fn smollm2_bf16() {
    check("smollm2", "bf16", &Bounds { agree: 0.96, agree_sure: 0.995, median: 0.025, p95: 0.10 });
}

#[test]
fn smollm2_w8a16() {
    check("smollm2", "w8a16", &Bounds { agree: 0.925, agree_sure: 0.985, median: 0.05, p95: 0.25 });
}

#[test]
fn qwen3_tiny_bf16() {
    check("qwen3-tiny", "bf16", &Bounds { agree: 0.95, agree_sure: 0.99, median: 0.03, p95: 0.12 });
}

#[test]
fn qwen2_5_coder_w8a16() {
    check("qwen2.5-coder-0.5b", "w8a16", &Bounds { agree: 0.96, agree_sure: 0.99, median: 0.02, p95: 0.12 });
}
