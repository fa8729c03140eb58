//! Compiles the loop. The bindings are checked in (see `bindings.sh`), so no build needs libclang.

fn main() {
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
