//! Real vocabularies and templates give the tokens, prompts and texts of the golden files.
//!
//! The models are fetched by `deploy/models.sh` when they are not there yet.
#![recursion_limit = "512"]
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test")]

mod grammar;
#[path = "../common/models.rs"]
mod models;
mod random_schemas;
mod validator;

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Instant,
};

use ax650::{
    models::gguf::Header,
    text::{
        ChatTemplate, Family, GgufTokenizer, Message, RenderOptions, TextModel, TokenId, adds_bos,
        build_tokenizer, vendor_vocab,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
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
    fs::write(dir.join("merged.txt"), vendor_file(3, &parts)).unwrap();
    fs::write(dir.join("ranked.txt"), vendor_file(1, &parts)).unwrap();
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

/// The same vocabulary as the vendor's converter writes it: of kind 3 with merges, of kind 1 without.
fn vendor_file(kind: u8, parts: &GgufTokenizer<'_>) -> String {
    let count = parts.token_types.iter().rposition(|kind| *kind != 5).unwrap() + 1;
    let special: Vec<usize> = (0..count).filter(|id| matches!(parts.token_types[*id], 3 | 4)).collect();
    let list: Vec<String> = special.iter().map(usize::to_string).collect();
    let mut text = format!("430 {kind}\n{} 0 0\n{} \n{count}", list.len(), list.join(" "));
    if kind == 3 {
        writeln!(text, " {}", parts.merges.len() + 1).unwrap();
        for token in &parts.tokens[..count] {
            text.push_str(token);
            text.push('\n');
        }
        text.push_str("#version: 0.2\n");
        text.push_str(&parts.merges.join("\n"));
        return text;
    }
    text.push('\n');
    for (id, token) in parts.tokens[..count].iter().enumerate() {
        let bytes: Vec<u8> = if special.binary_search(&id).is_ok() {
            token.bytes().collect()
        } else {
            token.chars().map(byte_of).collect()
        };
        text.push_str(&STANDARD.encode(bytes));
        text.push('\n');
    }
    text
}

/// The byte that a character of a byte-level vocabulary stands for.
fn byte_of(character: char) -> u8 {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(character);
    let others: Vec<u8> = (0..=255).filter(|byte| !printable(byte)).collect();
    if code < 0x100 { u8::try_from(code).unwrap() } else { others[code as usize - 0x100] }
}

/// What is known of the family shows tools, calls and results as the model's own template does.
fn check_tools(template: &ChatTemplate, model: &TextModel) {
    let with = |role: &str, content: &str, key: &str, value: Value| {
        let mut message = Message::new(role, content);
        message.extra.insert(key.into(), value);
        message
    };
    let call =
        |city: &str| json!({"function": {"name": "weather", "arguments": {"city": city, "days": [1, 2.5]}}});
    let talk = [
        Message::new("system", "Be \"brief\"."),
        Message::new("user", "Wetter in Zürich & Bern?"),
        with("assistant", "", "tool_calls", json!([call("Zürich"), call("Bern")])),
        Message::new("tool", "wet"),
        Message::new("tool", "{\"sun\": 1}"),
        with("assistant", "Once more.", "tool_calls", json!([call("Bern")])),
        Message::new("tool", "dry"),
        with("assistant", "Dry.", "thinking", json!("so\n")),
        Message::new("user", "Thanks."),
        with("assistant", "Ask again.", "thinking", json!("polite")),
    ];
    let tools = json!([{"type": "function", "function": {"name": "weather", "description": "the <weather>",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]);
    for tools in [Some(tools), None] {
        let options = RenderOptions { tools, ..RenderOptions::default() };
        for (from, to) in [(0, 2), (0, 5), (1, 7), (0, 9), (1, 10)] {
            let expected = model.render(&talk[from..to], &options).unwrap();
            assert_eq!(template.render(&talk[from..to], &options).unwrap(), expected, "{from}..{to}");
        }
    }
}

/// The vendor's file and what is known of the family give the same tokens and prompts as the model's own files.
fn check_vendor(dir: &Path, model: &TextModel, golden: &Value, name: &str) {
    let family = Family::named([name]).unwrap();
    let template = ChatTemplate::new(family.template(), None, None).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let messages = messages(case);
        assert_eq!(
            template.render(&messages, &RenderOptions::default()).unwrap(),
            case["rendered_prompt"],
            "{name}"
        );
        for think in [Some(true), Some(false)] {
            let options = RenderOptions { think, ..RenderOptions::default() };
            assert_eq!(
                template.render(&messages, &options).unwrap(),
                model.render(&messages, &options).unwrap()
            );
        }
    }
    if model.template().unwrap().uses_tools() {
        check_tools(&template, model);
    }
    for file in ["merged.txt", "ranked.txt"] {
        let start = Instant::now();
        let vocab = vendor_vocab::read::parse(&fs::read(dir.join(file)).unwrap()).unwrap();
        let built = vendor_vocab::build(&vocab, Some(family)).unwrap();
        println!("{name} {file}: {:?}", start.elapsed());
        assert_eq!(built.end_ids, model.end_ids(), "{name} {file}");
        for case in golden["tokenizer_cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let found = built.tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec();
            assert_eq!(found, ids(&case["ids_parse_special"]), "{name} {file} {text:?}");
        }
        for case in golden["cases"].as_array().unwrap() {
            let prompt = case["rendered_prompt"].as_str().unwrap();
            let found = built.tokenizer.encode_fast(prompt, true).unwrap().get_ids().to_vec();
            assert_eq!(found, ids(&case["prompt_token_ids"]), "{name} {file}");
            let answer = case["text"].as_str().unwrap();
            let found = built.tokenizer.encode_fast(answer, true).unwrap().get_ids().to_vec();
            assert_eq!(found, model.encode(answer, true).unwrap(), "{name} {file}");
        }
    }
}

fn messages(case: &Value) -> Vec<Message> {
    let text_of = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = case["messages"].as_array().unwrap().iter();
    messages.map(|message| Message::new(text_of(&message["role"]), text_of(&message["content"]))).collect()
}

fn ids(value: &Value) -> Vec<TokenId> {
    serde_json::from_value(value.clone()).unwrap()
}

fn check(name: &str) {
    let golden = golden(name);
    let dir = tempfile::tempdir().unwrap();
    let model = import(&models::fetch(name), dir.path());
    for case in golden["tokenizer_cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(model.encode(text, true).unwrap(), ids(&case["ids_parse_special"]), "{text:?}");
    }
    for case in golden["cases"].as_array().unwrap() {
        check_case(&model, case);
    }
    check_vendor(dir.path(), &model, &golden, name);
}

fn check_case(model: &TextModel, case: &Value) {
    let name = case["name"].as_str().unwrap();
    let messages = messages(case);
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
