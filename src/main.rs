//! The `ax650` command. Everything lives in the library, so that tests and other programs can use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ax650::cli::main()
}
