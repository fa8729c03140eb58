//! Real vocabularies and templates give the tokens, prompts and texts of the golden files.
//!
//! The models are fetched by `deploy/models.sh` when they are not there yet.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

#[path = "../common/models.rs"]
mod models;

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Instant,
};

use ax650::{
    models::gguf::Header,
    text::{GgufTokenizer, Message, RenderOptions, TextModel, TokenId, adds_bos, build_tokenizer},
};
use serde_json::{Value, json};

const GOLDEN: &[(&str, &str)] = &[
    ("smollm2", include_str!("../golden/smollm2.json")),
    ("qwen2.5-coder-0.5b", include_str!("../golden/qwen2.5-coder-0.5b.json")),
    ("qwen3-tiny", include_str!("../golden/qwen3-tiny.json")),
];

/// More than the header of any of the models.
const HEADER_BYTES: u64 = 32 << 20;

fn golden(name: &str) -> Value {
    let (_, text) = GOLDEN.iter().find(|(file, _)| *file == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// Writes the text files of a GGUF file into `dir` and opens them.
fn import(gguf: &Path, dir: &Path) -> TextModel {
    let file = File::open(gguf).unwrap_or_else(|error| panic!("{}: {error}", gguf.display()));
    let file_bytes = file.metadata().unwrap().len();
    let mut prefix = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut prefix).unwrap();
    let header = Header::parse(&prefix, file_bytes).unwrap();
    let tokens = header.optional_strings("tokenizer.ggml.tokens").unwrap().unwrap();
    let merges = header.optional_strings("tokenizer.ggml.merges").unwrap().unwrap();
    let types: Vec<i32> = header
        .optional_array("tokenizer.ggml.token_type")
        .unwrap()
        .unwrap()
        .iter()
        .map(|value| i32::try_from(value.as_u64().unwrap()).unwrap())
        .collect();
    let id = |key: &str| header.optional_u64(key).unwrap().map(|id| TokenId::try_from(id).unwrap());
    let parts = GgufTokenizer {
        model: header.optional_str("tokenizer.ggml.model").unwrap().unwrap(),
        pre: header.optional_str("tokenizer.ggml.pre").unwrap().unwrap(),
        tokens: &tokens,
        token_types: &types,
        merges: &merges,
        bos: id("tokenizer.ggml.bos_token_id"),
        eos: id("tokenizer.ggml.eos_token_id"),
        add_bos: header.optional_bool("tokenizer.ggml.add_bos_token").unwrap(),
        add_eos: header.optional_bool("tokenizer.ggml.add_eos_token").unwrap(),
    };
    assert!(!adds_bos(&parts).unwrap());
    let start = Instant::now();
    let tokenizer = build_tokenizer(&parts).unwrap();
    let built = start.elapsed();
    let name = |id: Option<TokenId>| id.map(|id| tokens[id as usize].clone());
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string(false).unwrap()).unwrap();
    let config = json!({ "bos_token": name(parts.bos), "eos_token": name(parts.eos) });
    fs::write(dir.join("tokenizer_config.json"), config.to_string()).unwrap();
    let template = header.optional_str("tokenizer.chat_template").unwrap().unwrap();
    fs::write(dir.join("chat_template.jinja"), template).unwrap();
    let start = Instant::now();
    let model = TextModel::open(dir).unwrap();
    println!("{} tokens: built in {built:?}, opened in {:?}", tokens.len(), start.elapsed());
    model
}

fn ids(value: &Value) -> Vec<TokenId> {
    serde_json::from_value(value.clone()).unwrap()
}

fn check(name: &str) {
    let golden = golden(name);
    let dir = tempfile::tempdir().unwrap();
    let model = import(&models::gguf(name), dir.path());
    for case in golden["tokenizer_cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(model.encode(text, true).unwrap(), ids(&case["ids_parse_special"]), "{text:?}");
    }
    for case in golden["cases"].as_array().unwrap() {
        check_case(&model, case);
    }
}

fn check_case(model: &TextModel, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let text_of = |value: &Value| value.as_str().unwrap().to_owned();
    let messages: Vec<Message> = case["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| Message::new(text_of(&message["role"]), text_of(&message["content"])))
        .collect();
    let options = RenderOptions::default();
    let prompt = model.render(&messages, &options).unwrap();
    assert_eq!(prompt, case["rendered_prompt"].as_str().unwrap(), "{name}");
    let expected = ids(&case["prompt_token_ids"]);
    assert_eq!(model.encode_prompt(&prompt).unwrap(), expected, "{name}");
    assert_eq!(model.fit_chat(&messages, &options, expected.len(), true).unwrap(), expected, "{name}");
    assert!(model.fit_chat(&messages, &options, expected.len() - 1, false).is_err(), "{name}");

    let mut generated = ids(&case["greedy_token_ids"]);
    let ends = generated.iter().filter(|&&id| model.is_end(id)).count();
    if case["stop_reason"] == "stop" {
        assert!(model.is_end(generated.pop().unwrap()), "{name}");
        assert_eq!(ends, 1, "{name}");
    } else {
        assert_eq!(ends, 0, "{name}");
    }
    assert_eq!(model.decode(&generated).unwrap(), case["text"].as_str().unwrap(), "{name}");
}

#[test]
fn smollm2() {
    check("smollm2");
}

#[test]
fn qwen2_5_coder() {
    check("qwen2.5-coder-0.5b");
}

#[test]
fn qwen3() {
    check("qwen3-tiny");
}
