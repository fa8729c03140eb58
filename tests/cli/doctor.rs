//! The doctor as a user meets it, with libraries that misbehave in the vendor's place.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ax650_sys::table;
use serde_json::Value;

use crate::program::{Program, stderr, stdout};

/// Builds a library under the vendor's name. `bodies` are C functions by name; the rest return 0.
fn vendor_library(directory: &Path, bodies: &[(&str, &str)]) -> PathBuf {
    compile(directory, &source(table::PCIE.required, bodies))
}

fn source(required: &[&str], bodies: &[(&str, &str)]) -> String {
    let mut source =
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n".to_owned();
    for name in required {
        if !bodies.iter().any(|(replaced, _)| replaced == name) {
            writeln!(source, "int {name}(void) {{ return 0; }}").unwrap();
        }
    }
    for (_, body) in bodies {
        writeln!(source, "{body}").unwrap();
    }
    source
}

fn compile(directory: &Path, source: &str) -> PathBuf {
    compile_as("libaxcl_rt.so", directory, source)
}

fn compile_as(name: &str, directory: &Path, source: &str) -> PathBuf {
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join("vendor.c");
    std::fs::write(&file, source).unwrap();
    let library = directory.join(name);
    let mut command = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    command.args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(&file);
    assert!(command.status().unwrap().success());
    library
}

/// Runs `doctor --json` against such a library and returns its report, which must be all there is on standard output.
fn with_library(bodies: &[(&str, &str)], arguments: &[&str]) -> Value {
    let program = Program::new();
    let library = vendor_library(&program.path("sdk"), bodies);
    let base = ["doctor", "--json", "--device", "pcie", "--driver-path", library.to_str().unwrap()];
    let assert = program.run(&[&base[..], arguments].concat());
    serde_json::from_str(&stdout(&assert)).unwrap()
}

fn finding<'a>(report: &'a Value, id: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["id"] == id).unwrap()
}

#[test]
fn without_a_card_the_software_card_is_fine() {
    let assert = Program::new().run(&["doctor"]).success();
    let text = stdout(&assert);
    assert!(text.contains("the software card computes, as asked for"), "{text}");
    for heading in ["\nCard\n", "\nSoftware card\n", "\nModels\n", "\nServer\n"] {
        assert!(text.contains(heading), "{heading} in {text}");
    }
    // Of the rest of this machine nothing is known.
    let report: Value = serde_json::from_str(&stdout(&Program::new().run(&["doctor", "--json"]))).unwrap();
    for finding in report["findings"].as_array().unwrap().iter().filter(|finding| finding["group"] == "card")
    {
        assert!(finding["level"] == "ok" || finding["level"] == "note", "{finding:#}");
    }
}

#[test]
fn a_card_that_was_asked_for_and_is_not_there_is_a_problem() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let assert = Program::new().run(&["doctor", "--json", "--device", "pcie", "--driver-path", path]).code(1);
    let report: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    assert_eq!(report["verdict"], "problem");
    assert_eq!(finding(&report, "driver.modules")["level"], "problem");
}

#[test]
fn a_library_without_its_driver_is_told_by_its_code_whatever_it_prints() {
    let init = "int axclInit(const char *c) { puts(\"noise of the vendor\"); return (int)0x8030010B; }";
    let report = with_library(&[("axclInit", init)], &[]);
    assert_eq!(report["card"]["outcome"], "failed");
    assert_eq!(report["card"]["code"], "0x8030010B");
    assert_eq!(finding(&report, "card.no_driver")["level"], "problem");
}

#[test]
fn a_driver_without_a_card_is_told_by_its_code() {
    let list = "int axclrtGetDeviceList(void *l) { return (int)0x80300181; }";
    let report = with_library(&[("axclrtGetDeviceList", list)], &[]);
    assert_eq!(report["card"]["class"], "no_card");
    assert_eq!(finding(&report, "card.no_card")["level"], "problem");
}

#[test]
fn an_empty_list_of_cards_is_no_card() {
    let report = with_library(&[], &[]);
    assert_eq!(
        (&report["card"]["class"], &report["card"]["call"]),
        (&"no_card".into(), &"axclrtGetDeviceList".into())
    );
}

#[test]
fn a_library_that_hangs_does_not_hold_the_doctor() {
    let init = "int axclInit(const char *c) { for (;;) pause(); }";
    let report = with_library(&[("axclInit", init)], &["--patience", "1"]);
    assert_eq!(report["card"]["outcome"], "timed_out");
    assert!(finding(&report, "card.hangs")["text"].as_str().unwrap().contains("axclInit"));
}

#[test]
fn a_library_that_crashes_does_not_take_the_doctor_along() {
    let init = "int axclInit(const char *c) { fputs(\"last words\\n\", stderr); abort(); }";
    let report = with_library(&[("axclInit", init)], &[]);
    assert_eq!((&report["card"]["outcome"], &report["card"]["how"]), (&"crashed".into(), &"signal 6".into()));
    assert_eq!(report["card"]["output"], "last words");
}

#[test]
fn what_came_before_a_crash_at_exit_counts() {
    let init = "static void end(void) { abort(); }\nint axclInit(const char *c) { atexit(end); return 0; }";
    let list = "int axclrtGetDeviceList(int *l) { l[0] = 1; l[1] = 7; return 0; }";
    let properties = "int axclrtGetDeviceProperties(int d, char *p) { strcpy(p, \"V3.6.5\"); *(int *)(p + 84) = 51000; \
        *(unsigned *)(p + 96) = 7208960; *(unsigned *)(p + 100) = 7000000; *(unsigned *)(p + 108) = 3; \
        *(unsigned long *)(p + 64) = 0x5EC2E7UL; return d == 7 ? 0 : 1; }";
    let bodies =
        [("axclInit", init), ("axclrtGetDeviceList", list), ("axclrtGetDeviceProperties", properties)];
    let report = with_library(&bodies, &[]);
    let card = &report["card"];
    assert_eq!(card["outcome"], "opened", "{report:#}");
    assert_eq!(
        (&card["firmware"], &card["temperature"], &card["npu_load"]),
        (&"V3.6.5".into(), &51000.into(), &3.into())
    );
    assert_eq!(card["total_memory"], 7_208_960_u64 * 1024);
    assert!(!report.to_string().contains(&0x005E_C2E7.to_string()), "the serial number shows: {report:#}");
}

#[test]
fn missing_functions_are_named() {
    let program = Program::new();
    let directory = program.path("sdk");
    compile(&directory, "int axclInit(void *c) { return 0; }");
    let path = directory.to_str().unwrap();
    let assert = program.run(&["doctor", "--json", "--device", "pcie", "--driver-path", path]).code(1);
    let report: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    let text = finding(&report, "driver.library.symbols")["text"].as_str().unwrap().to_owned();
    assert!(text.contains("axclrtEngineExecute") && !text.contains("axclInit,"), "{text}");
}

#[test]
fn another_machine_is_examined_by_its_files_alone() {
    let program = Program::new();
    let root = program.path("pi");
    std::fs::create_dir_all(root.join("proc/device-tree")).unwrap();
    std::fs::write(root.join("proc/device-tree/model"), "Raspberry Pi 5 Model B Rev 1.0\0").unwrap();
    let root = root.to_str().unwrap();
    let assert = program.run(&["doctor", "--root", root, "--device", "pcie"]).code(1);
    let text = stdout(&assert);
    assert!(text.contains("Raspberry Pi 5") && text.contains("no Axera card on the PCIe bus"), "{text}");
    assert!(!text.contains("Software card\n"), "there is no /proc/cpuinfo: {text}");
}

#[test]
fn what_cannot_be_looked_at_is_an_error_and_no_clean_bill() {
    let program = Program::new();
    let text = stderr(&program.run(&["doctor", "--root", "/nowhere/at/all"]).code(1));
    assert!(text.contains("no such directory"), "{text}");
    let assert = program.run(&["doctor", "--json", "--device", "software:nosuch"]).code(1);
    let report: Value = serde_json::from_str(&stdout(&assert)).unwrap();
    let finding = finding(&report, "card.software");
    assert!(finding["seen"][0]["value"].as_str().unwrap().contains("pi5-llm8850"), "{finding:#}");
}

#[test]
fn a_copy_of_files_is_read_as_that_machine_would_read_it() {
    let program = Program::new();
    let secret = program.path("secret");
    std::fs::write(&secret, "of this machine").unwrap();
    let root = program.path("pi");
    std::fs::create_dir_all(root.join("proc/device-tree")).unwrap();
    std::os::unix::fs::symlink(&secret, root.join("proc/device-tree/model")).unwrap();
    std::fs::create_dir_all(root.join("proc/net")).unwrap();
    std::fs::write(root.join("proc/net/tcp"), "  sl  local_address\n").unwrap();
    let mut command = program.command(&["doctor", "--json", "--root", root.to_str().unwrap()]);
    command.env("OLLAMA_HOST", "127.0.0.1:4242").env("AX650_DEVICE", "pcie").env("OLLAMA_KEEP_ALIVE", "7h");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for ours in ["of this machine", "4242", "7h", "OLLAMA_", program.path("").to_str().unwrap()] {
        assert!(!text.contains(ours), "{ours} in {text}");
    }
    assert!(text.contains("11434") && output.status.success(), "nobody asked for a card: {text}");
}

#[test]
fn variables_that_end_other_commands_are_findings() {
    let program = Program::new();
    for (name, value) in [("AX650_THREADS", "abc"), ("AX650_DEVICE", "gpu"), ("AX650_PATHS", "warp")] {
        let with = |arguments: &[&str]| program.command(arguments).env(name, value).output().unwrap();
        assert_eq!(with(&["serve"]).status.code(), Some(2));
        let output = with(&["doctor", "--json", "--device", "software"]);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let finding = finding(&report, "server.wrong_setting");
        assert_eq!((&finding["level"], &finding["seen"][0]["value"]), (&"problem".into(), &value.into()));
    }
}

#[test]
fn auto_tries_cards_as_the_server_does() {
    let program = Program::new();
    let directory = program.path("sdk");
    let memory = "int AX_SYS_MemQueryStatus(unsigned *s) { s[0] = 3 << 20; s[1] = 1 << 20; return 0; }";
    let code = source(table::BOARD.required, &[("AX_SYS_MemQueryStatus", memory)]);
    compile_as("libax_sys.so", &directory, &code);
    compile_as("libax_engine.so", &directory, &code);
    let path = directory.to_str().unwrap();
    let base = ["doctor", "--json", "--device", "auto", "--driver-path", path];
    let report: Value = serde_json::from_str(&stdout(&program.run(&base))).unwrap();
    assert_eq!((&report["card"]["outcome"], &report["card"]["kind"]), (&"opened".into(), &"board".into()));
    // The board fails: on to the next.
    let fails = "int AX_SYS_Init(void) { return (int)0x800B0110; }";
    let code = source(table::BOARD.required, &[("AX_SYS_Init", fails)]);
    compile_as("libax_sys.so", &directory, &code);
    compile_as("libax_engine.so", &directory, &code);
    let list = "int axclrtGetDeviceList(int *l) { l[0] = 1; l[1] = 7; return 0; }";
    vendor_library(&directory, &[("axclrtGetDeviceList", list)]);
    let report: Value = serde_json::from_str(&stdout(&program.run(&base))).unwrap();
    assert_eq!((&report["card"]["outcome"], &report["card"]["kind"]), (&"opened".into(), &"pcie".into()));
}

#[test]
fn a_model_is_held_against_the_card_with_its_cache_and_its_weights() {
    let program = Program::new();
    program.run(&["create", "shapes", "--synthetic", "qwen3-0.6b"]).success();
    let profile = program.path("small.toml");
    let known = include_str!("../../ax650-sim/profiles/pi5-llm8850.toml");
    std::fs::write(&profile, known.replacen("value = 7040", "value = 512", 1)).unwrap();
    let device = format!("software:{}", profile.display());
    let report: Value =
        serde_json::from_str(&stdout(&program.run(&["doctor", "--json", "--device", &device]))).unwrap();
    let finding = finding(&report, "models.too_big");
    assert_eq!(finding["level"], "warning");
    assert!(finding["text"].as_str().unwrap().contains("shapes"), "{finding:#}");
}

/// A load under way is never broken off: it is said that it takes long, and Ctrl-C waits for it.
#[test]
fn a_load_that_is_measured_is_waited_for_whatever_comes() {
    let program = Program::new();
    program.create("tiny");
    let (go, unloaded) = (program.path("go"), program.path("unloaded"));
    let list = "int axclrtGetDeviceList(int *l) { l[0] = 1; l[1] = 7; return 0; }";
    let load = format!(
        "int axclrtEngineLoadFromFile(const char *p, unsigned long *m) {{ for (int i = 0; i < 60000 && access(\"{}\", F_OK); i++) usleep(1000); *m = 1; return 0; }}",
        go.display()
    );
    let unload = format!(
        "int axclrtEngineUnload(unsigned long m) {{ fclose(fopen(\"{}\", \"w\")); return 0; }}",
        unloaded.display()
    );
    let bodies = [
        ("axclrtGetDeviceList", list),
        ("axclrtEngineLoadFromFile", load.as_str()),
        ("axclrtEngineUnload", unload.as_str()),
    ];
    let library = vendor_library(&program.path("sdk"), &bodies);
    let record = program.path("card.json");
    let (library, record_name) = (library.to_str().unwrap(), record.to_str().unwrap());
    let arguments = [
        "doctor",
        "--device",
        "pcie",
        "--driver-path",
        library,
        "--patience",
        "1",
        "--model",
        "tiny",
        "--record",
        record_name,
    ];
    let mut command = program.command(&arguments);
    // As a terminal has it: Ctrl-C goes to the whole group.
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    let mut read_until = |words: &str| {
        while !told.contains(words) {
            assert!(lines.read_line(&mut told).unwrap() > 0, "it ended: {told}");
        }
    };
    read_until("in axclrtEngineLoadFromFile");
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    read_until("waiting for the card to finish");
    assert!(!unloaded.exists());
    std::fs::write(&go, "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    lines.read_to_string(&mut told).unwrap();
    assert!(unloaded.exists() && !record.exists(), "{told}");
}
