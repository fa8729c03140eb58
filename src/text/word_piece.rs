//! A tokenizer of the BERT family from its bare vocabulary.

use std::collections::HashMap;

use serde_json::json;

use super::TextError;

/// Longest word that is taken apart, in characters; that of BERT.
const MAX_WORD_CHARS: usize = 100;

/// The `tokenizer.json` of a vocabulary of one token a line, as BERT has it: words are cut at blanks and punctuation
/// and taken apart from the longest piece on; `[CLS]` goes before a text and `[SEP]` behind it.
///
/// # Errors
///
/// [`TextError::Vocabulary`] if one of BERT's marks is missing or a line occurs twice.
pub fn word_piece_tokenizer<'a>(
    lines: impl Iterator<Item = &'a str>,
    lower_case: bool,
) -> Result<String, TextError> {
    let mut vocab = HashMap::new();
    for (id, line) in (0_u32..).zip(lines) {
        if vocab.insert(line, id).is_some() {
            return Err(TextError::Vocabulary(format!("line {} occurs twice", id + 1)));
        }
    }
    let id = |mark: &str| {
        let found = vocab.get(mark).copied();
        found.ok_or_else(|| TextError::Vocabulary(format!("there is no {mark}")))
    };
    let mut added = Vec::new();
    for mark in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] {
        added.push(
            json!({"id": id(mark)?, "content": mark, "special": true, "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false}),
        );
    }
    let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": lower_case},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": MAX_WORD_CHARS, "vocab": vocab},
    });
    Ok(tokenizer.to_string())
}
