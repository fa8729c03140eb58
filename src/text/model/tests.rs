//! Opening directories of several origins.

use serde_json::json;

use super::*;
use crate::text::{GgufTokenizer, build_tokenizer};

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn tokenizer() -> Tokenizer {
    let tokens = strings(&["<s>", "</s>", "<|im_end|>", "a", "b", "Ġ", "Ã", "©"]);
    build_tokenizer(&GgufTokenizer {
        model: "gpt2",
        pre: "gpt-2",
        tokens: &tokens,
        token_types: &[3, 3, 3, 1, 1, 1, 1, 1],
        bos: Some(0),
        eos: Some(1),
        add_bos: Some(true),
        ..GgufTokenizer::default()
    })
    .unwrap()
}

fn open(files: &[(&str, String)]) -> Result<TextModel, TextError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    TextModel::open(dir.path())
}

fn tokenizer_file() -> (&'static str, String) {
    ("tokenizer.json", tokenizer().to_string(false).unwrap())
}

#[test]
fn a_full_directory() {
    let config = json!({ "bos_token": "<s>", "eos_token": { "content": "</s>" }, "chat_template": "unused" });
    let model = open(&[
        tokenizer_file(),
        ("tokenizer_config.json", config.to_string()),
        ("generation_config.json", json!({ "eos_token_id": [1, 4] }).to_string()),
        (
            "chat_template.jinja",
            "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}".into(),
        ),
    ])
    .unwrap();
    assert_eq!(model.end_ids(), [1, 2, 4]);
    assert!(model.is_end(2) && !model.is_end(0));
    assert!(model.template_source().unwrap().starts_with("{{ bos_token }}"));
    let messages = [Message::new("user", "a b")];
    let options = RenderOptions::default();
    assert_eq!(model.render(&messages, &options).unwrap(), "<s>a b</s>");
    // One beginning, although both the template and the tokenizer would write it.
    assert_eq!(model.fit_chat(&messages, &options, 9, true).unwrap(), [0, 3, 5, 4, 1]);
    assert_eq!(model.encode("a", true).unwrap(), [0, 3]);
    assert_eq!(model.encode("a", false).unwrap(), [3]);
    assert_eq!(model.decode(&[0, 3, 6, 7, 1, 6]).unwrap(), "aé\u{fffd}");
    assert_eq!(model.spell_out(&[0, 3, 5, 4, 1]).unwrap(), "<s>a b</s>");
    assert_eq!(model.token_bytes(6), [0xc3]);
    assert!(model.token_bytes(0).is_empty());
    assert_eq!(model.vocab_len(), 8);
}

#[test]
fn a_tokenizer_alone() {
    let model = open(&[tokenizer_file()]).unwrap();
    assert_eq!(model.end_ids(), [2]);
    assert!(model.template().is_none());
    let messages = [Message::new("system", "a"), Message::new("user", "b")];
    assert_eq!(model.render(&messages, &RenderOptions::default()).unwrap(), "a\n\nb");
    assert!(matches!(model.render(&[], &RenderOptions::default()), Err(TextError::NoMessages)));
}

#[test]
fn templates_inside_the_tokenizer_config() {
    let one = json!({ "chat_template": "x{{ messages[0].content }}" });
    let named = json!({ "chat_template": [
        { "name": "tool_use", "template": "t" }, { "name": "default", "template": "d" } ] });
    for (config, expected) in [(one, "x{{ messages[0].content }}"), (named, "d")] {
        let model = open(&[tokenizer_file(), ("tokenizer_config.json", config.to_string())]).unwrap();
        assert_eq!(model.template_source(), Some(expected));
    }
}

#[test]
fn broken_files_are_named() {
    let error = open(&[]).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("tokenizer.json"), "{error}");
    let error = open(&[("tokenizer.json", String::new())]).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json is broken"), "{error}");
    let error = open(&[tokenizer_file(), ("generation_config.json", "{".into())]).unwrap_err().to_string();
    assert!(error.contains("generation_config.json is broken"), "{error}");
    let error =
        open(&[tokenizer_file(), ("chat_template.jinja", "{% if %}".into())]).unwrap_err().to_string();
    assert!(error.contains("chat template failed"), "{error}");
}

#[test]
fn sentencepiece_decoders_lose_one_space_at_the_beginning() {
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 } ] },
        "model": { "type": "BPE", "unk_token": null, "byte_fallback": true, "merges": [],
            "vocab": { "▁Hi": 0, "▁": 1, "<0xC3>": 2, "<0xA9>": 3, "x": 4 } }
    });
    let model = open(&[("tokenizer.json", json.to_string())]).unwrap();
    assert_eq!(model.decode(&[0, 0, 1, 2, 3, 4]).unwrap(), "Hi Hi éx");
    assert_eq!(model.decode(&[4, 0]).unwrap(), "x Hi");
}

#[test]
fn absurd_token_numbers_are_refused_before_memory_is_taken() {
    let with = |id: u64| {
        let mut file: Value = serde_json::from_str(&tokenizer_file().1).unwrap();
        file["model"]["vocab"]["far"] = id.into();
        open(&[("tokenizer.json", file.to_string())])
    };
    assert_eq!(with(100).unwrap().vocab_len(), 101);
    for id in [1 << 22, u64::from(u32::MAX)] {
        let error = with(id).unwrap_err();
        assert!(matches!(error, TextError::Vocabulary(_)), "{error}");
        let error = error.to_string();
        assert!(error.contains("\"far\"") && error.contains(&id.to_string()), "{error}");
    }
}

#[test]
fn marks_that_are_special_tokens_are_spelled_out_where_they_are_read() {
    let tokens = strings(&["<|im_end|>", "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "a", "b"]);
    let tokenizer = build_tokenizer(&GgufTokenizer {
        model: "gpt2",
        pre: "gpt-2",
        tokens: &tokens,
        token_types: &[3, 3, 3, 3, 3, 1, 1],
        eos: Some(0),
        ..GgufTokenizer::default()
    })
    .unwrap();
    let file = ("tokenizer.json", tokenizer.to_string(false).unwrap());
    let template = "{{ tools }}[THINK]{# <think> #}[TOOL_CALLS]x[ARGS]";
    let model = open(&[file.clone(), ("chat_template.jinja", template.into())]).unwrap();
    assert_eq!(model.tool_format().unwrap().name(), "mistral-named");
    assert_eq!(model.thinking_tags().unwrap().close, "[/THINK]");
    let write = |spelled| {
        let mut detokenizer = model.detokenizer_spelling(spelled);
        (0..7).filter_map(|id| detokenizer.push(id)).collect::<String>()
    };
    assert_eq!(write(model.spelled(false, false)), "[THINK][/THINK]ab");
    assert_eq!(write(model.spelled(true, false)), "[TOOL_CALLS][ARGS][THINK][/THINK]ab");
    assert_eq!(write(model.spelled(false, true)), "[TOOL_CALLS][ARGS][THINK][/THINK]ab");
    assert!(crate::text::ThinkingSplitter::after(&[5, 3], &model).is_inside());

    let plain = open(&[file, ("chat_template.jinja", "[TOOL_CALLS] {# {{ tools }} #}".into())]).unwrap();
    assert_eq!(plain.tool_format(), None);
    assert_eq!(plain.thinking_tags(), None);
}

#[test]
fn thoughts_end_when_their_tokens_are_used_up() {
    let tokens = strings(&["<|im_end|>", "<think>", "</think>", "a", "Ċ"]);
    let tokenizer = build_tokenizer(&GgufTokenizer {
        model: "gpt2",
        pre: "gpt-2",
        tokens: &tokens,
        token_types: &[3, 4, 4, 1, 1],
        eos: Some(0),
        ..GgufTokenizer::default()
    })
    .unwrap();
    let file = ("tokenizer.json", tokenizer.to_string(false).unwrap());
    let model = open(&[file, ("chat_template.jinja", "<think>".into())]).unwrap();
    // A model that would say "a" for ever, after `before`; what it says under a limit of so many tokens.
    let say = |before: &[TokenId], prompt: &[TokenId], limit: usize| {
        let mut limit = crate::text::ThoughtLimit::new(limit, prompt, &model).unwrap();
        let mut said = before.to_vec();
        for &id in before {
            limit.accept(&model.decode(&[id]).unwrap());
        }
        while said.len() < 9 {
            let token = limit.forced().unwrap_or(3);
            limit.accept(&model.decode(&[token]).unwrap());
            said.push(token);
        }
        said
    };
    assert_eq!(say(&[1], &[3], 2), [1, 3, 3, 4, 2, 4, 4, 3, 3]);
    assert_eq!(say(&[], &[1, 4], 2), [3, 3, 4, 2, 4, 4, 3, 3, 3]);
    assert_eq!(say(&[1], &[3], 0), [1, 4, 2, 4, 4, 3, 3, 3, 3]);
    // Without thoughts, or with thoughts that end by themselves, nothing is forced.
    assert_eq!(say(&[], &[3], 0), [3; 9]);
    assert_eq!(say(&[1, 3, 2], &[3], 2), [1, 3, 2, 3, 3, 3, 3, 3, 3]);
}
