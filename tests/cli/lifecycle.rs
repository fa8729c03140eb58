//! A tiny model from import to removal, without a server.

use std::process::Stdio;

use crate::program::{Program, stdout};

#[test]
fn create_list_show_rm() {
    let program = Program::new();
    let file = program.path("tiny.gguf");
    crate::gguf::write_tiny_llama(&file);
    let made = stdout(
        &program.run(&["create", "tiny", "--from", file.to_str().unwrap(), "--context", "256"]).success(),
    );
    assert!(made.starts_with("created 'tiny:latest': llama, "), "{made}");
    assert!(made.contains("W8A16") && made.contains("context 256"), "{made}");

    let listed = stdout(&program.run(&["ls"]).success());
    let mut lines = listed.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["NAME", "ID", "SIZE", "MODIFIED"]
    );
    let row: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[1].len()), ("tiny:latest", 12));
    assert!(!stdout(&program.run(&["list", "other"]).success()).contains("tiny"));

    let shown = stdout(&program.run(&["show", "tiny"]).success());
    for fact in ["llama", "512", "W8A16", "completion"] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    assert!(stdout(&program.run(&["show", "tiny", "--template"]).success()).contains("<|im_start|>"));

    assert_eq!(stdout(&program.run(&["rm", "tiny"]).success()), "deleted 'tiny'\n");
    assert!(!stdout(&program.run(&["list"]).success()).contains("tiny"));
}

#[test]
fn run_answers_in_process_from_prompt_and_from_a_pipe() {
    let program = Program::new();
    program.create("tiny");
    // The command line has no temperature; a model's own parameters do.
    let manifest = program.models().join("ax650/registry.ollama.ai/library/tiny/latest/manifest.json");
    let mut described: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    described["parameters"]["temperature"] = 0.into();
    std::fs::write(&manifest, described.to_string()).unwrap();
    let answer = |input: &str, arguments: &[&str]| {
        let file = program.path("input");
        std::fs::write(&file, input).unwrap();
        let output = program
            .command(&[&["run", "tiny"], arguments].concat())
            .stdin(Stdio::from(std::fs::File::open(&file).unwrap()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    // The tiny model never learned to stop: its context ends the answer.
    let (piped, notes) = answer("hello", &["--verbose"]);
    assert!(!piped.is_empty());
    for line in ["total duration:", "prompt eval rate:", "eval count:", "tokens/s"] {
        assert!(notes.contains(line), "{line}: {notes}");
    }
    let argument = answer("", &["hello"]).0;
    assert_eq!(argument, answer("", &["hello"]).0);
    // The same prompt by another way; --verbose adds an empty line.
    assert_eq!(argument.trim_ascii_end(), piped.trim_ascii_end());
    assert_ne!(argument, answer("", &["other words"]).0);
}
