//! Vendor directories that something is wrong with: nothing is registered, and what is said names file, key and remedy.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::fixture::{HIDDEN, VOCAB};
use crate::vendor_fixture::{EMBEDDING, Publisher, config, script, tokenizer_text};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 125829120\n";
const LAYER: &str = "qwen3_p128_l1_together.axmodel";

/// Damages a package of generation C and checks what is said.
fn damaged(damage: impl FnOnce(&Publisher), wanted: &[&str]) {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    damage(&publisher);
    let error = publisher.refused();
    for part in wanted {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn with(key: &'static str, value: Value) -> impl FnOnce(&Publisher) {
    move |publisher| {
        let mut keys = config();
        keys[key] = value;
        publisher.write("config.json", keys.to_string());
    }
}

#[test]
fn missing_files_and_nearest_names() {
    let rename = |p: &Publisher| fs::rename(p.path(LAYER), p.path(&format!("{LAYER}.onnx"))).unwrap();
    damaged(rename, &[LAYER, "qwen3_p128_l1_together.axmodel.onnx", "download"]);
    damaged(with("axmodel_num", json!(7)), &["l2_together", "l3_together", "2 more", "nearest name"]);
    damaged(with("filename_post_axmodel", json!("sub/post.axmodel")), &["sub/post.axmodel", "directory sub"]);
    damaged(|p| fs::remove_file(p.path("qwen3_tokenizer.txt")).unwrap(), &["qwen3_tokenizer.txt"]);
    damaged(
        |p| fs::rename(p.path(EMBEDDING), p.path("model.embed_tokens.weight.float32.bin")).unwrap(),
        &[EMBEDDING, "model.embed_tokens.weight.float32.bin", "bf16"],
    );
}

#[test]
fn pointers_and_empty_files() {
    damaged(
        |p| {
            p.write(LAYER, POINTER);
            p.write("qwen3_post.axmodel", POINTER);
        },
        &["2 of the files", LAYER, "lfs pull"],
    );
    damaged(|p| p.write(LAYER, ""), &[LAYER, "0 bytes"]);
    damaged(|p| p.write("qwen3_tokenizer.txt", POINTER), &["qwen3_tokenizer.txt", "lfs pull"]);
    damaged(|p| p.write("qwen3_tokenizer.txt", ""), &["qwen3_tokenizer.txt", "0 bytes"]);
    damaged(|p| p.write("config.json", ""), &["config.json", "0 bytes", "copy the file"]);
    damaged(|p| p.write("config.json", POINTER), &["config.json", "git lfs pull"]);
    damaged(|p| p.write("config.json", "{\"a\": "), &["config.json", "line 1"]);
    damaged(|p| p.write("post_config.json", "{"), &["post_config.json", "correct it"]);
    damaged(
        |p| p.write("post_config.json", r#"{"enable_temperature": true, "temperature": -3}"#),
        &["post_config.json", "temperature = -3", "from 0", "correct it"],
    );
}

#[test]
fn settings_that_contradict_the_files() {
    damaged(
        with("tokens_embed_num", json!(VOCAB + 1)),
        &[EMBEDDING, "tokens_embed_num", &format!("{VOCAB} tokens")],
    );
    damaged(with("tokens_embed_size", json!(HIDDEN / 2)), &[EMBEDDING, "float32"]);
    damaged(with("tokens_embed_size", json!(HIDDEN * 3)), &[EMBEDDING, "cut short"]);
    damaged(
        with("template_filename_axmodel", json!("qwen3_l%d_%s.axmodel")),
        &["template_filename_axmodel", "%d"],
    );
    damaged(with("axmodel_num", json!("two")), &["axmodel_num", "two"]);
    damaged(
        |p| {
            let grown = tokenizer_text(3).replace(&format!("{VOCAB} 0"), &format!("{} 0", VOCAB + 1));
            p.write("qwen3_tokenizer.txt", grown + "extra\n");
        },
        &["qwen3_tokenizer.txt", "260 tokens", "259 rows"],
    );
    damaged(
        |p| p.write("qwen3_tokenizer.txt", "430 0\n0 0 0\n\n1\nYQ== -1.0 1\n"),
        &["SentencePiece", "tokenizer.json"],
    );
    damaged(|p| p.write(LAYER, "\x08\x07\x12\x07pytorch"), &[LAYER, "pytorch", "Pulsar2"]);
    damaged(|p| p.write(LAYER, "PK\x03\x04"), &[LAYER, "neither"]);
    // A compiled layer among those of the software card.
    damaged(|p| p.write(LAYER, "\x08\x07\x12\x07Pulsar2"), &[LAYER, "layer 0"]);
    damaged(
        |p| fs::copy(p.path("qwen3_p128_l0_together.axmodel"), p.path(LAYER)).map(drop).unwrap(),
        &[LAYER, "ax650.layer"],
    );
}

#[test]
fn nothing_leads_out_of_the_directory() {
    damaged(
        with("url_tokenizer_model", json!("../qwen2.5_tokenizer.txt")),
        &["url_tokenizer_model", "out of the directory"],
    );
    damaged(with("filename_post_axmodel", json!("/etc/passwd")), &["filename_post_axmodel", "/etc/passwd"]);
    damaged(
        with("template_filename_axmodel", json!("../x/l%d.axmodel")),
        &["template_filename_axmodel", "out of"],
    );
    damaged(with("post_config_path", json!("../post.json")), &["post_config_path", "out of"]);
    damaged(
        |p| {
            let outside = p.dir.parent().unwrap().join("outside.axmodel");
            fs::rename(p.path(LAYER), &outside).unwrap();
            symlink(outside, p.path(LAYER)).unwrap();
        },
        &[LAYER, "out of the directory"],
    );
}

#[test]
fn what_is_not_supported_is_named() {
    damaged(with("full_attention_interval", json!(4)), &["full_attention_interval", "not supported"]);
    damaged(with("is_embedding", json!(true)), &["is_embedding", "embedding model"]);
    damaged(with("layer_types", json!(["sliding_attention"])), &["layer_types", "sliding_attention"]);
    damaged(with("sliding_window", json!(199)), &["config.json", "sliding_window = 199", "context of 200"]);
    damaged(
        described(json!({"text_config": {"full_attention_interval": 4}})),
        &["qwen3_tokenizer/config.json", "full_attention_interval"],
    );
    // As Gemma 3 describes itself, with a window that the test's small context does not fit in.
    let gemma = json!({"model_type": "gemma3_text", "sliding_window": 128, "sliding_window_pattern": 6});
    damaged(described(gemma), &["qwen3_tokenizer/config.json", "sliding_window = 128", "not supported"]);
}

/// Puts a tokenizer with a description beside it into the package.
fn described(description: Value) -> impl FnOnce(&Publisher) {
    move |p| {
        p.write("qwen3_tokenizer/tokenizer.json", fs::read(p.model.dir.join("tokenizer.json")).unwrap());
        p.write("qwen3_tokenizer/config.json", description.to_string());
    }
}

#[test]
fn directories_that_are_no_packages() {
    let publisher = Publisher::new("empty");
    let error = publisher.refused();
    assert!(error.contains("neither a config.json") && error.contains("run script"), "{error}");
    publisher.weights("");
    assert!(publisher.refused().contains("3 .axmodel files"));
    publisher.write("config.json", r#"{"model_type": "qwen3"}"#);
    publisher.write("start.sh", "echo hello\n");
    assert!(publisher.refused().contains("neither"));
    let error = publisher.register_from("x", &publisher.path("start.sh")).unwrap_err().to_string();
    assert!(error.contains("start.sh") && error.contains("--template_filename_axmodel"), "{error}");
}

#[test]
fn scripts_that_cannot_be_used() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_b();
    for file in ["ax650", "axcl_aarch64", "axcl_x86"] {
        fs::remove_file(publisher.path(&format!("run_qwen3_tiny_ctx_{file}.sh"))).unwrap();
    }
    let good = script("main_ax650", "qwen3-tiny-ax650");
    for (from, to, wanted) in [
        ("$WEIGHTS/qwen3_post", "$(pwd)/qwen3_post", "only a shell knows"),
        ("WEIGHTS=qwen3-tiny-ax650", "WEIGHTS=../elsewhere", "out of the directory"),
        ("--axmodel_num", "--axmodel_number", "axmodel_num"),
        (
            "--tokenizer_type 2",
            "--tokenizer_type 2 --template_prefill_filename_axmodel x",
            "first generation",
        ),
        ("_p128_l%d_together", "_l%d", "first generation"),
    ] {
        publisher.write("run.sh", good.replace(from, to));
        let error = publisher.refused();
        assert!(error.contains(wanted), "{to}: {error}");
    }
    publisher.write("run.sh", good);
    fs::remove_dir_all(publisher.path("qwen3_tokenizer")).unwrap();
    let error = publisher.refused();
    assert!(error.contains("tokenizer.json") && error.contains("merges.txt"), "{error}");
}
