//! Writes the checked-in bindings from the headers; started by `bindings.sh`, which finds libclang.
//!
//! The first argument is the directory to write to: the source tree, or a scratch one to compare with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bindgen::{Builder, EnumVariation};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bindings: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let out = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: bindings OUT_DIR")?);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(&out)?;

    builder(here, "loop/ax_table.h")
        .allowlist_file(".*/vendor/include/.*")
        .allowlist_file(".*/loop/ax_table.h")
        // The vendor's functions are reached through the tables, never linked by name.
        .ignore_functions()
        .generate()?
        .write_to_file(out.join("vendor.rs"))?;

    builder(here, "loop/axloop.h")
        .allowlist_file(".*/loop/axloop.h")
        .blocklist_file(".*/vendor/include/.*")
        .blocklist_file(".*/loop/ax_table.h")
        .raw_line("use super::vendor::{ax_board_table, ax_pcie_table};")
        .generate()?
        .write_to_file(out.join("axloop.rs"))?;
    Ok(())
}

/// Options common to all generated files: layout assertions on, vendor integers never Rust enums.
fn builder(here: &Path, header: &str) -> Builder {
    Builder::default()
        .header(here.join(header).to_string_lossy())
        .clang_arg(format!("-I{}", here.join("../vendor/include").display()))
        .clang_arg(format!("-I{}", here.join("loop").display()))
        .clang_arg("-std=c11")
        .default_enum_style(EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true)
        .layout_tests(true)
        .use_core()
        .rustfmt_configuration_file(Some(here.join("../rustfmt.toml")))
        .raw_line("// Made by `ax650-sys/bindings.sh` from the headers; do not edit.")
}
