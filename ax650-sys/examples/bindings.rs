//! Writes the checked-in bindings, and the lists of functions, from the headers; started by `bindings.sh`, which finds libclang.
//!
//! The first argument is the directory to write to: the source tree, or a scratch one to compare with.

use std::fmt::Write;
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

    let vendor = builder(here, "loop/ax_table.h")
        .allowlist_file(".*/vendor/include/.*")
        .allowlist_file(".*/loop/ax_table.h")
        // The vendor's functions are reached through the tables, never linked by name.
        .ignore_functions()
        .generate()?
        .to_string();
    std::fs::write(out.join("functions.rs"), functions(&vendor)?)?;
    std::fs::write(out.join("vendor.rs"), vendor)?;

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

const FUNCTIONS_HEAD: &str = "\
// Made by `ax650-sys/bindings.sh` from the headers; do not edit.

//! The functions of each table by name and signature, for code that needs one item for each.
";

/// The tables, their macros, and what they hold.
const TABLES: [(&str, &str, &str); 3] = [
    ("ax_pcie_table", "pcie_functions", "AXCL, a card driven from its host"),
    (
        "ax_board_table",
        "board_functions",
        "AX_SYS, AX_POOL and AX_ENGINE, the chip driven from its own Linux",
    ),
    (
        "ax_native_table",
        "native_functions",
        "AXCL_SYS, AXCL_POOL and AXCL_ENGINE, the same driven from the host",
    ),
];

/// One macro per table, from the tables' declarations in the bindings.
fn functions(bindings: &str) -> Result<String, Failure> {
    let mut text = FUNCTIONS_HEAD.to_owned();
    for (table, name, what) in TABLES {
        let body = bindings.split_once(&format!("pub struct {table} {{\n")).ok_or("no such table")?.1;
        let body = body.split_once("\n}\n").ok_or("a table without an end")?.0;
        writeln!(text, "\n/// Invokes the given macro with the functions of `{table}`: {what}.")?;
        writeln!(
            text,
            "///\n/// Each is `fn name(parameter: type, ...) -> type;`, and `variadic fn` with the fixed parameters"
        )?;
        writeln!(text, "/// where more may follow; types have full paths.")?;
        writeln!(
            text,
            "#[macro_export]\nmacro_rules! {name} {{\n    ($($each:tt)+) => {{\n        $($each)+! {{"
        )?;
        let fields = body.split_whitespace().collect::<Vec<_>>().join(" ");
        for field in fields.split("pub ").skip(1) {
            writeln!(text, "            {}", function(field)?)?;
        }
        text.push_str("        }\n    };\n}\n");
    }
    Ok(text)
}

/// `name: Option<unsafe extern "C" fn(..) -> ..>,` as a declaration.
fn function(field: &str) -> Result<String, Failure> {
    let (name, rest) = field.split_once(':').ok_or("a field without a type")?;
    let (_, signature) = rest.split_once("fn(").ok_or("a field that is no function")?;
    let (parameters, result) = signature.rsplit_once(')').ok_or("parameters without an end")?;
    let result = result.trim().trim_end_matches([',', '>', ' ']).trim_start_matches("->").trim();
    let result = if result.is_empty() { "()".to_owned() } else { with_paths(result) };
    let parameters = parameters.trim().trim_end_matches(',');
    let (keyword, parameters) = match parameters.strip_suffix("...") {
        Some(fixed) => ("variadic fn", fixed.trim().trim_end_matches(',')),
        None => ("fn", parameters),
    };
    Ok(format!("{keyword} {name}({}) -> {result};", with_paths(parameters)))
}

/// The vendor's types with the path of this crate before them.
fn with_paths(types: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::new();
    for word in types.split_inclusive(|c| !is_name(c)) {
        let vendors = ["ax", "AX", "NotifyEventCallback"].iter().any(|prefix| word.starts_with(prefix));
        if vendors && !word.trim_end().ends_with(':') {
            text.push_str("$crate::vendor::");
        }
        text.push_str(word);
    }
    text
}
