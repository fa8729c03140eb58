//! Help texts, versions, exit codes of wrong command lines.

use crate::program::{Program, stderr, stdout};

#[test]
fn every_command_has_help_with_an_example() {
    let program = Program::new();
    for command in [
        "serve", "run", "create", "list", "show", "ps", "stop", "cp", "rm", "verify", "bench", "doctor",
        "version",
    ] {
        let text = stdout(&program.run(&[command, "--help"]).success());
        assert!(
            text.contains(&format!("ax650 {command}")) || command == "list" && text.contains("ax650 ls"),
            "{text}"
        );
        assert!(text.contains("Examples:"), "{command} has no example:\n{text}");
    }
}

#[test]
fn serve_tells_of_the_variables_it_reads_with_their_defaults() {
    let text = stdout(&Program::new().run(&["serve", "--help"]).success());
    // As wide as the terminal, wherever that breaks the lines.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for variable in ax650::api::settings::VARIABLES {
        assert!(
            text.contains(variable.name) && text.contains(variable.default),
            "{}:\n{text}",
            variable.name
        );
    }
}

#[test]
fn no_command_prints_help_and_fails() {
    let assert = Program::new().run(&[]).code(2);
    assert!(stdout(&assert).contains("First steps:"));
}

#[test]
fn wrong_command_lines_end_with_2() {
    let program = Program::new();
    for arguments in [
        &["fly"][..],
        &["run"],
        &["create", "x"],
        &["serve", "--device", "quantum"],
        &["serve", "--threads", "0"],
        &["run", "x", "--think=hard", "hi"],
    ] {
        let assert = program.run(arguments).code(2);
        assert!(!stderr(&assert).is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_version_names_number_and_revision() {
    for arguments in [["version"], ["-v"], ["--version"]] {
        let assert = Program::new().run(&arguments).success();
        let text = stdout(&assert);
        assert!(text.starts_with(concat!("ax650 version is ", env!("CARGO_PKG_VERSION"), " (")), "{text}");
        assert!(stderr(&assert).contains("no server runs at http://127.0.0.1:1"));
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let program = Program::new();
    let mut command = program.command(&["list"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
