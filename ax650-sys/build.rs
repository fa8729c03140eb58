//! Compiles the loop. The bindings are checked in (see `bindings.sh`), so no build needs libclang.

fn main() {
    let sources = ["loop/ax_layout.c"];
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
