//! Directories that something is wrong with: the error names the file and what to do, and nothing is left in the store.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ax650::models::{
    changes::Changes,
    import::safetensors::is_weights_directory,
    store::{Store, StoreError},
};
use serde_json::{Value, json};

use crate::{bert::TinyBert, import};

/// Lets `damage` work on a good directory and checks the error of importing it.
fn damaged(damage: impl FnOnce(&Path), wanted: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    damage(&TinyBert::default().write(dir.path()));
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path().to_owned());
    let error =
        store.import_encoder(&"m".parse().unwrap(), dir.path(), &Changes::default()).unwrap_err().to_string();
    for part in wanted {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
    assert!(store.list().unwrap().is_empty());
    let left: Vec<PathBuf> =
        fs::read_dir(store.folder()).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Sets a key of a JSON file.
fn set(file: &'static str, key: &'static str, value: Value) -> impl FnOnce(&Path) {
    move |dir| {
        let path = dir.join(file);
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json[key] = value;
        fs::write(path, json.to_string()).unwrap();
    }
}

fn write(file: &'static str, bytes: &'static [u8]) -> impl FnOnce(&Path) {
    move |dir| fs::write(dir.join(file), bytes).unwrap()
}

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 90868376\n";

#[test]
fn files_that_are_missing_or_not_themselves() {
    let remove = |file: &'static str| move |dir: &Path| fs::remove_file(dir.join(file)).unwrap();
    damaged(remove("config.json"), &["has no config.json"]);
    damaged(remove("model.safetensors"), &["has no model.safetensors", "one safetensors file"]);
    damaged(remove("1_Pooling/config.json"), &["has no 1_Pooling/config.json"]);
    damaged(write("model.safetensors", POINTER), &["model.safetensors", "git lfs pull"]);
    damaged(write("config.json", POINTER), &["config.json", "git lfs pull"]);
    damaged(write("config.json", b"{"), &["config.json", "cannot be read"]);
    damaged(
        write("model.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"),
        &["model.safetensors", "header"],
    );
    damaged(write("tokenizer.json", b"{}"), &["tokenizer"]);
    let neither = |dir: &Path| {
        fs::remove_file(dir.join("tokenizer.json")).unwrap();
        fs::remove_file(dir.join("vocab.txt")).unwrap();
    };
    damaged(neither, &["tokenizer.json", "vocab.txt"]);
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    damaged(set("config.json", "model_type", json!("llama")), &["config.json", "\"llama\"", ".gguf"]);
    damaged(set("config.json", "model_type", json!("mpnet")), &["\"mpnet\"", "xlm-roberta"]);
    damaged(set("config.json", "hidden_act", json!("swish")), &["hidden_act", "swish", "gelu"]);
    damaged(set("config.json", "position_embedding_type", json!("relative_key")), &["relative_key"]);
    damaged(set("config.json", "is_decoder", json!(true)), &["is_decoder"]);
    let dense = json!([{"path": "", "type": "a.Transformer"}, {"path": "2_Dense", "type": "a.Dense"}]);
    damaged(
        move |dir| fs::write(dir.join("modules.json"), dense.to_string()).unwrap(),
        &["modules.json", "Dense"],
    );
    let unpooled = json!([{"path": "", "type": "a.Transformer"}]);
    damaged(
        move |dir| fs::write(dir.join("modules.json"), unpooled.to_string()).unwrap(),
        &["no step Pooling"],
    );
    let away = json!([{"path": "../elsewhere", "type": "a.Pooling"}]);
    damaged(move |dir| fs::write(dir.join("modules.json"), away.to_string()).unwrap(), &["leads out"]);
    damaged(
        set("1_Pooling/config.json", "pooling_mode_max_tokens", json!(true)),
        &["1_Pooling", "max_tokens"],
    );
}

#[test]
fn sizes_that_do_not_fit() {
    for (key, value) in [
        ("hidden_size", json!(0)),
        ("num_hidden_layers", json!(1_u64 << 40)),
        ("vocab_size", json!(1_u64 << 62)),
        ("max_position_embeddings", json!(-1)),
        ("layer_norm_eps", json!(0.0)),
        ("num_attention_heads", json!(3)),
        ("intermediate_size", json!("many")),
    ] {
        damaged(set("config.json", key, value), &["config.json"]);
    }
    damaged(
        set("config.json", "hidden_size", json!(32)),
        &["model.safetensors", "embeddings.word_embeddings.weight"],
    );
    damaged(set("config.json", "num_hidden_layers", json!(3)), &["lacks the tensor encoder.layer.2"]);
    damaged(set("config.json", "vocab_size", json!(56)), &["model.safetensors", "[57, 16]"]);
    damaged(
        set("sentence_bert_config.json", "max_seq_length", json!(0)),
        &["sentence_bert_config.json", "max_seq_length = 0"],
    );
}

#[test]
fn a_vocabulary_stands_in_for_the_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    TinyBert::default().write(dir.path());
    let (_root, whole) = import(dir.path());
    fs::remove_file(dir.path().join("tokenizer.json")).unwrap();
    let (_other, made) = import(dir.path());
    assert!(made.notes.iter().any(|note| note.contains("vocab.txt")), "{:?}", made.notes);
    let tokens = |text: &str| {
        [&whole, &made]
            .map(|one| one.model.encoder().unwrap().text().unwrap().encode_within(text, 32).unwrap())
    };
    for text in ["", "The cat, sat!", "caf\u{e9} \u{4e2d}x", "[MASK] it", "z\u{0}z\u{200b}"] {
        let [whole, made] = tokens(text);
        assert_eq!(whole, made, "{text:?}");
    }
}

#[test]
fn a_stored_encoder_is_checked_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (root, registered) = import(&TinyBert::default().write(dir.path()));
    let stored = &registered.model.dir;
    let open = || Store::open(root.path().to_owned()).resolve(&"m".parse().unwrap());
    assert_eq!(open().unwrap().digest, registered.model.digest);
    for file in ["encoder.json", "model.safetensors", "tokenizer.json"] {
        let path = stored.join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        let error = open().unwrap_err();
        assert!(matches!(error, StoreError::Model(_)), "{error}");
        assert!(error.to_string().contains(file), "{error}");
        fs::write(&path, &good).unwrap();
    }
    open().unwrap();
}

#[test]
fn directories_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_weights_directory(dir.path()));
    assert!(!is_weights_directory(&dir.path().join("absent")));
    fs::write(dir.path().join("model.safetensors"), "").unwrap();
    assert!(is_weights_directory(dir.path()));
    fs::write(dir.path().join("l0.axmodel"), "").unwrap();
    assert!(!is_weights_directory(dir.path()));
}

#[test]
fn what_cannot_be_changed_leaves_the_old_model_as_it_was() {
    let (dir, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = TinyBert::default().write(dir.path());
    let (store, name) = (Store::open(root.path().to_owned()), "m".parse().unwrap());
    let changed = Changes { system: Some("short".into()), ..Changes::default() };
    let old = store.import_encoder(&name, &source, &changed).unwrap().model;
    assert_eq!(old.manifest.system.as_deref(), Some("short"));
    let too_long = Changes { system: Some("long ".repeat(4 << 20)), ..Changes::default() };
    store.import_encoder(&name, &source, &too_long).unwrap_err();
    // As it is on the disk, not as it was opened.
    let kept = Store::open(root.path().to_owned()).resolve(&name).unwrap();
    assert_eq!(kept.digest, old.digest);
}
