//! The tokenizer of a synthetic model: one token per byte, and tokens that end an answer, far away from those.

use serde_json::{Map, Value as Json, json};

/// Where the real Qwen vocabulary has its marks. A card without arithmetic answers with small numbers, so that no
/// answer ends before its limit.
const MARKS: [(&str, u32); 3] =
    [("<|endoftext|>", 151_643), ("<|im_start|>", 151_644), ("<|im_end|>", 151_645)];

/// Names and contents of the text files.
pub(super) fn files() -> [(&'static str, Json); 3] {
    let ends: Vec<u32> = MARKS.iter().map(|(_, id)| *id).filter(|id| *id != MARKS[1].1).collect();
    [
        ("tokenizer.json", tokenizer()),
        ("tokenizer_config.json", json!({ "bos_token": null, "eos_token": MARKS[2].0 })),
        ("generation_config.json", json!({ "eos_token_id": ends })),
    ]
}

fn tokenizer() -> Json {
    // Byte 0x21 is the first that stands for itself; the numbers of the tokens need no meaning.
    let alphabet = ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}');
    let mut vocabulary: Map<String, Json> =
        alphabet.zip(0_u32..).map(|(character, id)| (character.to_string(), id.into())).collect();
    vocabulary.extend(MARKS.iter().map(|(text, id)| ((*text).to_owned(), (*id).into())));
    let added: Vec<Json> = MARKS
        .iter()
        .map(|(text, id)| {
            json!({
                "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true
            })
        })
        .collect();
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TextModel;

    #[test]
    fn every_byte_is_a_token_and_only_marks_end_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        for (name, json) in files() {
            std::fs::write(dir.path().join(name), json.to_string()).unwrap();
        }
        let text = TextModel::open(dir.path()).unwrap();
        let all: String = "Grüße 👋\n<|im_end|>".into();
        let ids = text.encode(&all, true).unwrap();
        assert_eq!(ids.len(), all.len() - "<|im_end|>".len() + 1);
        assert_eq!(text.decode(&ids).unwrap(), "Grüße 👋\n");
        assert_eq!(text.end_ids(), [151_643, 151_645]);
    }
}
