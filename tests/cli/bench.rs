//! `ax650 bench`: what it tells, and the counts that must hold on every machine.
//!
//! Speeds are the software card's by its own clock, in which the host's own work counts as it really is; so bounds on
//! anything with time in it are wide here, and `benches/card.py` holds the strict ones.

use serde_json::Value;

use crate::program::{Program, stderr, stdout};

/// A program with a synthetic model of this shape under the name `m`.
fn with_model(shape: &str) -> Program {
    let program = Program::new();
    program.run(&["create", "m", "--synthetic", shape]).success();
    program
}

fn bench(program: &Program, arguments: &[&str]) -> Value {
    let assert = program.run(&[&["bench", "m", "--json"], arguments].concat()).success();
    serde_json::from_str(&stdout(&assert)).unwrap()
}

/// A figure by its place, "/decode/tokens"; not a number if it is not there.
fn figure(report: &Value, place: &str) -> f64 {
    report.pointer(place).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// Tokens enough for a steady state; counts do not depend on them.
const SHORT: [&str; 4] = ["--prompt", "200", "--tokens", "8"];

#[test]
fn a_token_over_pcie_waits_once_and_carries_what_it_must() {
    let program = with_model("qwen3-4b");
    let report = bench(&program, &[&SHORT[..], &["--device", "software:instant"]].concat());
    assert_eq!((report["layers"].as_u64(), report["vocab"].as_u64()), (Some(36), Some(151_936)));
    let tokens = |phase: &str| report[phase]["tokens"].as_u64();
    assert_eq!((tokens("prefill"), tokens("decode")), (Some(200), Some(8)));
    assert!(figure(&report, "/decode/round_trips_per_token") <= 6.0, "{report}");
    assert!(figure(&report, "/decode/extra_bus_bytes_per_token") <= 8_192.0, "{report}");
    assert!(figure(&report, "/decode/bytes_from_device_per_token") >= 2.0 * 151_936.0, "{report}");
    assert!(
        figure(&report, "/decode/tokens_per_second") > 0.0
            && report["decode"]["cache_calls_per_token"].is_null()
    );

    // The plain path beside it does the same work in many more calls.
    let plain = figure(&report, "/plain_path/decode/driver_calls_per_token");
    assert!(plain > 1.5 * figure(&report, "/decode/driver_calls_per_token"), "{report}");
    assert!(figure(&report, "/plain_path/decode/round_trips_per_token") > 36.0, "{report}");
}

#[test]
fn a_chunk_over_pcie_waits_a_few_times() {
    let program = with_model("qwen3-4b");
    let report = bench(&program, &[&SHORT[..], &["--device", "software:instant"]].concat());
    // Two chunks of 36 layers, three waits each, and the rows of the second one while the first is computed.
    let trips = figure(&report, "/prefill/round_trips_per_token") * 200.0;
    assert!((1.0..=8.0).contains(&trips), "{report}");
    let plain = figure(&report, "/plain_path/prefill/round_trips_per_token") * 200.0;
    assert!(plain > 2.0 * 36.0, "{report}");
}

#[test]
fn without_a_queue_each_run_is_one_round_trip() {
    let program = with_model("qwen3-4b");
    let report =
        bench(&program, &[&SHORT[..], &["--device", "software:instant", "--paths", "-async"]].concat());
    let paths: Vec<&str> =
        report["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(!paths.contains(&"async") && paths.contains(&"kv-in-place"), "{paths:?}");
    let trips = figure(&report, "/decode/round_trips_per_token");
    assert!((37.0..=42.0).contains(&trips), "{report}");
}

#[test]
fn a_token_on_the_board_leaves_the_caches_alone() {
    let program = with_model("qwen3-4b");
    let report = bench(&program, &[&SHORT[..], &["--device", "software:board-ax650n"]].concat());
    assert_eq!(report["device"]["profile"], "board-ax650n");
    assert!(figure(&report, "/decode/cache_calls_per_token") <= 6.0, "{report}");
    assert!(figure(&report, "/decode/extra_copied_bytes_per_token") <= 8_192.0, "{report}");
    assert!(report["decode"]["bytes_to_device_per_token"].is_null(), "nothing crosses a bus: {report}");
}

#[test]
fn the_card_of_a_profile_takes_its_time() {
    let program = with_model("qwen3-4b");
    // 37 runs of 5.33 ms; how much longer a token takes, and how busy the card is, this machine has a say in.
    let device = ["--device", "software:seed-python-diagnosis"];
    let report = bench(&program, &[&SHORT[..], &device].concat());
    let seconds = 1.0 / figure(&report, "/decode/tokens_per_second");
    assert!(seconds >= 0.197, "{report}");
    for phase in ["decode", "prefill"] {
        let busy = figure(&report, &format!("/{phase}/npu_busy"));
        assert!(busy > 0.0 && busy <= 1.0, "{report}");
    }
    assert!(figure(&report, "/time_to_first_token_seconds") > 0.1, "{report}");
    assert_eq!(report["device"]["npu_busy_estimated"], false);
}

#[test]
fn a_prompt_may_fill_the_whole_context() {
    let program = with_model("qwen3-4b");
    let report =
        bench(&program, &["--plain", "--prompt", "2559", "--tokens", "1", "--device", "software:instant"]);
    assert_eq!(report["prefill"]["tokens"], 2_559);
    assert!(report["decode"].is_null() && report["plain"] == true && report.get("plain_path").is_none());
    assert_eq!(report["paths"], serde_json::json!([]));

    for arguments in [&["--prompt", "2560"][..], &["--prompt", "2559", "--tokens", "2"]] {
        let text = stderr(&program.run(&[&["bench", "m"], arguments].concat()).code(1));
        assert!(text.contains("context of 2559") && text.contains("--prompt"), "{text}");
    }
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
    for arguments in [&["bench"][..], &["bench", "m", "--tokens", "0"], &["bench", "m", "--paths", "fast"]] {
        assert!(!stderr(&program.run(arguments).code(2)).is_empty(), "{arguments:?}");
    }
    program.create("m");
    let text = stderr(&program.run(&["bench", "m", "--device", "pcie"]).code(1));
    assert!(text.contains("--device software"), "{text}");
    let text = stderr(&program.run(&["bench", "m", "--device", "software:nothing"]).code(1));
    assert!(text.contains("nothing") && text.contains("pi5-llm8850"), "{text}");
}
