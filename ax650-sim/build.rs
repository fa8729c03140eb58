//! Compiles the log functions that take a format, which only C can define.

fn main() {
    cc::Build::new()
        .std("c11")
        .warnings(true)
        .flag("-Wpedantic")
        .flag("-Wconversion")
        .flag("-fvisibility=hidden")
        .file("shim/log.c")
        .compile("axsimshim");
    println!("cargo::rerun-if-changed=shim");
}
