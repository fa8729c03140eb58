//! A text encoder from its directory to a vector, without a server.

use crate::{
    bert::TinyBert,
    program::{Program, stderr, stdout},
};

#[test]
fn an_encoder_is_made_shown_and_asked() {
    let program = Program::new();
    let dir = TinyBert::default().write(&program.path("all-tiny-v1"));
    let from = dir.to_str().unwrap();
    let made = stdout(&program.run(&["create", "mini", "--from", from]).success());
    assert!(made.starts_with("created 'mini:latest': bert, "), "{made}");
    assert!(made.contains("F32") && made.contains("context 32"), "{made}");
    let shown = stdout(&program.run(&["show", "mini"]).success());
    for fact in ["bert", "embedding", "F32"] {
        assert!(shown.contains(fact), "{fact}: {shown}");
    }
    let vector = stdout(&program.run(&["run", "mini", "the cat"]).success());
    let vector: Vec<f64> = serde_json::from_str(&vector).unwrap();
    assert_eq!(vector.len(), 16);
    let settings = dir.join("config.json");
    let again = stdout(&program.run(&["create", "mini", "--from", settings.to_str().unwrap()]).success());
    assert!(again.starts_with("created 'mini:latest'"), "its settings stand for the directory: {again}");
}

#[test]
fn what_an_encoder_does_not_take_is_said() {
    let program = Program::new();
    let dir = TinyBert::default().write(&program.path("all-tiny-v1"));
    let from = dir.to_str().unwrap();
    let text = stderr(&program.run(&["create", "mini", "--from", from, "--weights", "bf16"]).failure());
    assert!(text.contains("--weights and --context are for GGUF files"), "{text}");
    let weights = dir.join("model.safetensors");
    let text = stderr(&program.run(&["create", "mini", "--from", weights.to_str().unwrap()]).failure());
    assert!(text.contains("give its directory") && text.contains("all-tiny-v1"), "{text}");
}
