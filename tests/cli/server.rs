//! Commands as clients of a running server.

use crate::program::{Program, stderr, stdout};

#[test]
fn commands_use_the_server_and_it_ends_well() {
    let mut program = Program::new();
    program.create("tiny");
    let server = program.serve();

    assert!(stdout(&program.run(&["list"]).success()).contains("tiny:latest"));
    assert!(stdout(&program.run(&["show", "tiny"]).success()).contains("llama"));
    let nothing = stdout(&program.run(&["ps"]).success());
    assert_eq!(nothing.lines().count(), 1, "{nothing}");

    assert!(!stdout(&program.run(&["run", "tiny", "hello"]).success()).is_empty());
    let loaded = stdout(&program.run(&["ps"]).success());
    assert!(
        loaded.contains("tiny:latest") && loaded.contains("100% CPU") && loaded.contains("from now"),
        "{loaded}"
    );

    program.run(&["stop", "tiny"]).success();
    let text = stderr(&program.run(&["stop", "nope"]).code(1));
    assert!(text.contains("couldn't find model \"nope\" to stop"), "{text}");
    program.run(&["rm", "tiny"]).success();
    assert!(!stdout(&program.run(&["list"]).success()).contains("tiny"));

    program.create("broken");
    let directory = program.models().join("ax650/registry.ollama.ai/library/broken/latest");
    std::fs::write(directory.join("config.json"), "").unwrap();
    program.run(&["rm", "broken"]).success();
    assert!(!directory.exists());
    let text = stderr(&program.run(&["rm", "broken"]).code(1));
    assert!(text.contains("broken") && text.contains("not found"), "{text}");

    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.lines().next().unwrap().contains("software"), "the first line names the card: {log}");
}
