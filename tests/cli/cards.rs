//! What `serve` does where the vendor's libraries are absent, old, incomplete or of no use, and how it ends in a load.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use ax650_sys::table;

use crate::program::{Program, stderr, stdout};

/// Builds a library under one of the vendor's names, of functions that do nothing and return 0, but for `bodies`.
fn library<'a>(
    directory: &Path,
    name: &str,
    functions: impl IntoIterator<Item = &'a &'static str>,
    bodies: &[&str],
) {
    let mut source = String::new();
    for function in functions {
        if !bodies.iter().any(|body| body.contains(&format!(" {function}("))) {
            writeln!(source, "int {function}(void) {{ return 0; }}").unwrap();
        }
    }
    source += &bodies.join("\n");
    let file = directory.join("source.c");
    std::fs::write(&file, source).unwrap();
    let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compiler.args(["-shared", "-fPIC", "-w", "-o"]).arg(directory.join(name)).arg(&file);
    assert!(compiler.status().unwrap().success());
}

fn pcie(directory: &Path, without: Option<&str>, bodies: &[&str]) {
    let functions = table::PCIE.required.iter().filter(|name| Some(**name) != without);
    library(directory, "libaxcl_rt.so", functions, bodies);
}

fn board(directory: &Path, without: Option<&str>, bodies: &[&str]) {
    library(directory, "libax_sys.so", [], &[]);
    let functions = table::BOARD.required.iter().filter(|name| Some(**name) != without);
    library(directory, "libax_engine.so", functions, bodies);
}

/// A library that is of no use.
struct Useless {
    device: &'static str,
    what: &'static str,
    make: fn(&Path),
    /// What is said of it.
    said: &'static [&'static str],
}

const ONE_DEVICE: &str = "typedef struct { unsigned num; int devices[256]; } List; \
     int axclrtGetDeviceList(List *list) { list->num = 1; list->devices[0] = 1; return 0; }";
const NO_DEVICE: &str = "typedef struct { unsigned num; int devices[256]; } List; \
     int axclrtGetDeviceList(List *list) { list->num = 0; return 0; }";

const USELESS: [Useless; 9] = [
    Useless { device: "pcie", what: "none", make: |_| {}, said: &["libaxcl_rt.so"] },
    Useless { device: "board", what: "none", make: |_| {}, said: &["libax_sys.so"] },
    Useless {
        device: "pcie",
        what: "an old one",
        make: |directory| {
            let version = "const char *axclrtGetFullVersion(void) { return \"V1.0.0\"; } int axclInit(void) { return 0; }";
            library(directory, "libaxcl_rt.so", [], &[version]);
        },
        said: &["V1.0.0", "lacks", "axclrtMalloc", "axclrtEngineExecute"],
    },
    Useless {
        device: "pcie",
        what: "one that lacks a function",
        make: |directory| pcie(directory, Some("axclrtEngineCreateIO"), &[]),
        said: &["lacks axclrtEngineCreateIO;"],
    },
    Useless {
        device: "board",
        what: "one that lacks a function",
        make: |directory| board(directory, Some("AX_SYS_MemAlloc"), &[]),
        said: &["lacks AX_SYS_MemAlloc;"],
    },
    Useless {
        device: "pcie",
        what: "one that cannot begin",
        make: |directory| pcie(directory, None, &["int axclInit(const char *file) { return 0x80300103; }"]),
        said: &["axclInit", "0x80300103"],
    },
    Useless {
        device: "board",
        what: "one that cannot begin",
        make: |directory| board(directory, None, &["int AX_SYS_Init(void) { return 0x800B0029; }"]),
        said: &["AX_SYS_Init", "0x800B0029"],
    },
    Useless {
        device: "pcie",
        what: "one without a card",
        make: |directory| pcie(directory, None, &[NO_DEVICE]),
        said: &["no card", "list of cards is empty"],
    },
    Useless {
        device: "pcie",
        what: "a file that is no library",
        make: |directory| std::fs::write(directory.join("libaxcl_rt.so"), "not an ELF file").unwrap(),
        said: &["libaxcl_rt.so"],
    },
];

#[test]
fn serve_falls_back_to_the_software_card_and_says_why() {
    for Useless { device, what, make, said } in USELESS {
        let mut program = Program::new();
        let directory = program.path("sdk");
        std::fs::create_dir(&directory).unwrap();
        make(&directory);
        let path = directory.to_str().unwrap().to_owned();
        let server = program.serve_with(&["--device", "auto", "--driver-path", &path]);
        assert!(stdout(&program.run(&["list"]).success()).starts_with("NAME"));
        let (code, log) = server.terminate();
        let first = log.lines().find(|line| line.contains("card:")).unwrap();
        assert!(
            code == Some(0) && first.contains("software card: the CPU computes"),
            "{device}, {what}: {log}"
        );
        for said in said.iter().filter(|_| what != "none") {
            assert!(first.contains(said), "{device}, {what}: {said} in {first}");
        }
        assert!(what != "none" || first.contains("no driver library"), "{device}, {what}: {first}");
    }
}

#[test]
fn serve_fails_at_once_for_a_card_that_was_asked_for_and_cannot_be_had() {
    for Useless { device, what, make, said } in USELESS {
        let program = Program::new();
        let directory = program.path("sdk");
        std::fs::create_dir(&directory).unwrap();
        make(&directory);
        let path = directory.to_str().unwrap();
        let run = program.run(&["serve", "--device", device, "--driver-path", path]).code(1);
        let text = stderr(&run);
        for said in said.iter().chain(&["open the card"]) {
            assert!(text.contains(said), "{device}, {what}: {said} in {text}");
        }
        assert!(!text.contains("panicked") && !text.contains("listens on"), "{device}, {what}: {text}");
    }
}

#[test]
fn a_layer_file_of_the_software_card_is_not_given_to_a_real_one() {
    let program = Program::new();
    program.create("tiny");
    let directory = program.path("sdk");
    std::fs::create_dir(&directory).unwrap();
    pcie(&directory, None, &[ONE_DEVICE]);
    let real = ["--device", "pcie", "--driver-path", directory.to_str().unwrap()];
    let text = stderr(&program.run(&[&["run", "tiny", "hello"], &real[..]].concat()).code(1));
    assert!(text.contains("layer file of the software card") && text.contains("--device software"), "{text}");
}

#[test]
fn a_server_told_to_end_in_a_load_finishes_the_file_and_ends_well() {
    let mut program = Program::new();
    program.create("tiny");
    // As the profile that takes no time, but files take about two seconds each.
    let slow = program.path("slow.toml");
    let instant = include_str!("../../ax650-sim/profiles/instant.toml");
    let (before, _) = instant.split_once("[load_mb_per_s]").unwrap();
    std::fs::write(&slow, format!("{before}[load_mb_per_s]\nvalue = 0.02\nsource = \"a test\"\n")).unwrap();
    let device = format!("software:{}", slow.to_str().unwrap());
    let server = program.serve_with(&["--device", &device]);
    let mut asking = program.command(&["run", "tiny", "hello"]).stderr(Stdio::piped()).spawn().unwrap();
    // It is listed from the beginning of its load.
    while !stdout(&program.run(&["ps"]).success()).contains("tiny") {
        assert!(asking.try_wait().unwrap().is_none(), "the request has ended");
        thread::sleep(Duration::from_millis(10));
    }
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    let mut text = String::new();
    asking.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(!asking.wait().unwrap().success() && text.contains("shutting down"), "{text}");
}
