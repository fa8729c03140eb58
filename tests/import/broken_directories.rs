//! Model directories that something happened to: opening them says what, and by which file.

use std::fs;
use std::path::Path;

use ax650::models::import::ImportOptions;
use ax650::models::store::{Store, StoreError};

use crate::fixture::{Workshop, tiny};

/// Makes a good model, lets `damage` work on its directory, and checks the error of opening it.
fn damaged(damage: impl FnOnce(&Path), wanted: &[&str]) {
    let workshop = Workshop::new();
    workshop.create("healthy", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    let dir = workshop.create("tiny", &tiny("llama").bytes(), &ImportOptions::default()).unwrap().dir.clone();
    damage(&dir);
    // A store of its own: the first one has the model open.
    let store = Store::open(workshop.root());
    let error = store.resolve(&"tiny".parse().unwrap()).unwrap_err();
    assert!(matches!(error, StoreError::Model(_)), "{error}");
    let error = error.to_string();
    for part in wanted {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    let list = store.list().unwrap();
    assert_eq!(list.len(), 2, "a broken model hides no other");
    assert_eq!(list.iter().filter(|entry| entry.model.is_ok()).count(), 1);
    store.remove(&"tiny".parse().unwrap()).unwrap();
    assert!(!dir.exists(), "a broken model can be removed");
}

const LAYER: &str = "tiny_p128_l1_together.axmodel";
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 125829120\n";

#[test]
fn missing_files() {
    damaged(|dir| fs::remove_file(dir.join(LAYER)).unwrap(), &[LAYER, "has no", "nearest"]);
    let rename = |dir: &Path| fs::rename(dir.join(LAYER), dir.join(format!("{LAYER}.onnx"))).unwrap();
    damaged(rename, &[LAYER, "tiny_p128_l1_together.axmodel.onnx"]);
    for file in ["config.json", "manifest.json", "tokenizer.json", "tiny_post.axmodel", "post_config.json"] {
        damaged(|dir| fs::remove_file(dir.join(file)).unwrap(), &[file]);
    }
}

#[test]
fn pointers_and_empty_files() {
    damaged(|dir| fs::write(dir.join(LAYER), POINTER).unwrap(), &[LAYER, "git lfs pull"]);
    damaged(|dir| fs::write(dir.join(LAYER), "").unwrap(), &[LAYER, "empty"]);
    damaged(|dir| fs::write(dir.join("config.json"), POINTER).unwrap(), &["config.json", "git lfs pull"]);
    damaged(
        |dir| fs::write(dir.join("config.json"), "").unwrap(),
        &["config.json", "0 bytes", "make the model again"],
    );
    damaged(|dir| fs::write(dir.join("config.json"), "{").unwrap(), &["config.json", "line 1"]);
    damaged(|dir| fs::write(dir.join("manifest.json"), "[]").unwrap(), &["manifest.json"]);
    let cut = |dir: &Path| {
        let path = dir.join("model.embed_tokens.weight.bfloat16.bin");
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..100]).unwrap();
    };
    damaged(cut, &["model.embed_tokens", "100 bytes", "259 tokens of 64"]);
}

#[test]
fn layers_that_do_not_fit() {
    let swap =
        |dir: &Path| fs::copy(dir.join("tiny_p128_l0_together.axmodel"), dir.join(LAYER)).map(drop).unwrap();
    damaged(swap, &[LAYER, "ax650.layer"]);
    let edit = |from: &'static str, to: &'static str| {
        move |dir: &Path| {
            let bytes = fs::read(dir.join(LAYER)).unwrap();
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            let edited = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
            assert_eq!(edited.len(), bytes.len());
            fs::write(dir.join(LAYER), edited).unwrap();
        }
    };
    damaged(edit("\"ax650.hidden\":\"64\"", "\"ax650.hidden\":\"32\""), &[LAYER, "ax650.hidden", "64"]);
    damaged(edit("\"ax650.kv_len\":\"512\"", "\"ax650.kv_len\":\"256\""), &[LAYER, "ax650.kv_len", "512"]);
    damaged(edit("\"shape\":[64,96]", "\"shape\":[96,64]"), &[LAYER, "down.weight", "[96, 64]"]);
    damaged(edit("\"shape\":[64,96]", "\"shape\":[64,95]"), &[LAYER, "down.weight"]);
    damaged(edit("\"o.weight\"", "\"x.weight\""), &[LAYER, "o.weight"]);
    let cut = |dir: &Path| {
        let bytes = fs::read(dir.join(LAYER)).unwrap();
        fs::write(dir.join(LAYER), &bytes[..bytes.len() - 1]).unwrap();
    };
    damaged(cut, &[LAYER, "cut short or damaged"]);
    let head = |dir: &Path| fs::copy(dir.join(LAYER), dir.join("tiny_post.axmodel")).map(drop).unwrap();
    damaged(head, &["tiny_post.axmodel", "ax650.kind"]);
}
