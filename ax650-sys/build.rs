//! Compiles the loop, and links the vendor's SDK where `AX650_SDK_DIR` names one. The bindings are checked in (see
//! `bindings.sh`), so no build needs libclang.

use std::env;
use std::path::{Path, PathBuf};

/// The directory with the vendor's libraries, or the one above it; relative to the top of the repository.
const SDK: &str = "AX650_SDK_DIR";

/// What each interface takes: its name in `cfg`, and libraries, each of which refers to those after it.
const INTERFACES: [(&str, &[&str]); 2] =
    [("linked_pcie", &["axcl_rt"]), ("linked_board", &["ax_engine", "ax_sys"])];

fn main() {
    compile_loop();
    println!("cargo::rerun-if-env-changed={SDK}");
    for (cfg, _) in INTERFACES {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }
    if let Some(directory) = env::var_os(SDK).filter(|directory| !directory.is_empty()) {
        link(&Path::new("..").join(directory));
    }
}

/// Links what is there: a host's SDK has one interface, the board's the other.
fn link(directory: &Path) {
    let file = |directory: &Path, library: &str| directory.join(format!("lib{library}.so"));
    let complete = |directory: &Path, libraries: &[&str]| {
        libraries.iter().all(|library| file(directory, library).is_file())
    };
    let places = [directory.to_owned(), directory.join("lib")];
    let usable = |place: &PathBuf| INTERFACES.iter().any(|(_, libraries)| complete(place, libraries));
    let place = places.iter().filter_map(|place| place.canonicalize().ok()).find(usable);
    let Some(place) = place else {
        println!(
            "cargo::error={SDK}: {} has neither libaxcl_rt.so nor libax_engine.so with libax_sys.so",
            directory.display()
        );
        return;
    };
    println!("cargo::rustc-link-search=native={}", place.display());
    // For the tests of this package; the program's own build script does the same.
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", place.display());
    for (cfg, libraries) in INTERFACES {
        if complete(&place, libraries) {
            println!("cargo::rustc-cfg={cfg}");
            for library in libraries {
                println!("cargo::rustc-link-lib=dylib={library}");
                println!("cargo::rerun-if-changed={}", file(&place, library).display());
            }
        }
    }
}

fn compile_loop() {
    let sources = [
        "loop/ax_layout.c",
        "loop/axl_clock.c",
        "loop/axl_status.c",
        "loop/board_engine.c",
        "loop/board_memory.c",
        "loop/board_run.c",
        "loop/buffers.c",
        "loop/decode.c",
        "loop/driver.c",
        "loop/driver_board.c",
        "loop/driver_pcie.c",
        "loop/engine.c",
        "loop/groups.c",
        "loop/mask.c",
        "loop/model.c",
        "loop/paths.c",
        "loop/pcie_engine.c",
        "loop/pcie_memory.c",
        "loop/prefill.c",
        "loop/rows.c",
        "loop/sequence.c",
        "loop/staging.c",
        "loop/step.c",
    ];
    let mut build = cc::Build::new();
    build
        .std("c11")
        .include("loop")
        .include("../vendor/include")
        .warnings(true)
        .flag("-Wpedantic")
        .flag("-Wconversion")
        .flag("-fvisibility=hidden")
        .files(sources);
    build.compile("axloop");
    println!("cargo::rerun-if-changed=loop");
    println!("cargo::rerun-if-changed=../vendor/include");
}
