//! What goes wrong is said with the name of the thing, and nothing half-made stays behind.

use crate::program::{Program, stderr};

#[test]
fn an_unknown_model_is_named() {
    let program = Program::new();
    for arguments in [&["show", "nope"][..], &["rm", "nope"], &["run", "nope", "hi"]] {
        let text = stderr(&program.run(arguments).code(1));
        assert!(text.contains("nope") && text.contains("not found"), "{arguments:?}: {text}");
    }
}

#[test]
fn an_invalid_name_is_refused() {
    let program = Program::new();
    for name in ["a b", "../x", "x:", "a/b/c/d"] {
        let text = stderr(&program.run(&["show", name]).code(1));
        assert!(text.contains("invalid model name"), "{name}: {text}");
    }
}

#[test]
fn commands_for_a_server_say_that_none_runs() {
    let program = Program::new();
    for arguments in [&["ps"][..], &["stop", "x"]] {
        let text = stderr(&program.run(arguments).code(1));
        assert!(
            text.contains("no server runs at http://127.0.0.1:1") && text.contains("ax650 serve"),
            "{text}"
        );
    }
}

#[test]
fn bad_files_are_refused_and_leave_nothing() {
    let program = Program::new();
    let whole = program.path("whole.gguf");
    crate::gguf::write_tiny_llama(&whole);
    let bytes = std::fs::read(&whole).unwrap();
    let mut wrong_magic = bytes.clone();
    wrong_magic[..4].copy_from_slice(b"GGML");
    let mut absurd = bytes.clone();
    absurd[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    for (name, content) in [
        ("empty.gguf", &[][..]),
        ("magic.gguf", &wrong_magic),
        ("counts.gguf", &absurd),
        ("header.gguf", &bytes[..100]),
        ("data.gguf", &bytes[..bytes.len() - 1]),
    ] {
        let file = program.path(name);
        std::fs::write(&file, content).unwrap();
        let text = stderr(&program.run(&["create", "broken", "--from", file.to_str().unwrap()]).code(1));
        assert!(text.contains(name), "{name} is not named: {text}");
    }
    let text = stderr(&program.run(&["create", "broken", "--from", "/nowhere/x.gguf"]).code(1));
    assert!(text.contains("/nowhere/x.gguf"), "{text}");

    for (name, what) in [("l0.axmodel", "one layer"), ("post_config.json", "one file")] {
        let file = program.path(name);
        std::fs::write(&file, "x").unwrap();
        let text = stderr(&program.run(&["create", "broken", "--from", file.to_str().unwrap()]).code(1));
        assert!(text.contains(name) && text.contains(what) && text.contains("directory"), "{text}");
    }

    let left: Vec<_> = walk(&program.models());
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path) } else { vec![path] }
        })
        .collect()
}

#[test]
fn a_port_in_use_is_explained() {
    let program = Program::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program.command(&["serve"]).env("OLLAMA_HOST", &address).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&address) && text.contains("in use") && text.contains("OLLAMA_HOST"), "{text}");
}

#[test]
fn an_empty_input_is_no_prompt() {
    let text = stderr(&Program::new().run(&["run", "tiny"]).code(1));
    assert!(text.contains("no prompt given"), "{text}");
}

#[test]
fn origins_matter_to_the_server_only() {
    let program = Program::new();
    let run = |command: &str| program.command(&[command]).env("OLLAMA_ORIGINS", "nowhere").output().unwrap();
    let output = run("serve");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.matches("OLLAMA_ORIGINS").count()), (Some(1), 1), "{text}");
    assert!(run("list").status.success());
}

#[test]
fn golden_files_are_read_before_anything_else() {
    let program = Program::new();
    let file = program.path("golden.json");
    std::fs::write(&file, r#"{"cases": [{"name": "x"}]}"#).unwrap();
    let text = stderr(&program.run(&["verify", "nope", "--golden", file.to_str().unwrap()]).code(1));
    assert!(text.contains("golden.json") && text.contains("messages"), "{text}");
}
