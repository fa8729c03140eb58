//! Texts as tokens, at most as many as fit, with the marks that the model wants around them.
//!
//! What is cut is the end of the text; marks (beginning, end) stay, as models that turn texts into vectors were trained
//! to see them. So a text is tokenised without marks, cut, and marked afterwards.

use std::path::Path;

use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use super::{TextError, TokenId};

/// Bytes of text that are looked at for each token that fits. No word of any language has as many; a text of endless
/// blanks has, and is cut earlier than it need be, in exchange for a bound on memory and time.
const BYTES_PER_TOKEN: usize = 256;

/// A text as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The tokens, marks included.
    pub ids: Vec<TokenId>,
    /// Whether the text was longer.
    pub cut: bool,
}

/// The tokenizer of a model that only reads: texts go in, none comes out. Shared between threads.
#[derive(Debug)]
pub struct EncoderTokenizer {
    tokenizer: Tokenizer,
    lower_case: bool,
}

impl EncoderTokenizer {
    /// Opens a `tokenizer.json` of any kind whose tokens are all below `vocab`.
    ///
    /// # Errors
    ///
    /// [`TextError::Io`] and [`TextError::File`] name the file.
    pub fn open(path: &Path, vocab: usize, lower_case: bool) -> Result<Self, TextError> {
        let bytes = std::fs::read(path).map_err(|source| TextError::Io { path: path.to_owned(), source })?;
        let broken = |reason: String| TextError::File { path: path.to_owned(), reason };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| broken(error.to_string()))?;
        // Those of its training.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        let highest = tokenizer.get_vocab(true).into_values().max();
        match highest {
            Some(id) if id as usize >= vocab => {
                Err(broken(format!("token {id} is not below the vocabulary size {vocab}")))
            }
            None => Err(broken("it has no tokens".to_owned())),
            _ => Ok(Self { tokenizer, lower_case }),
        }
    }

    /// Returns the tokens of a text with its marks, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`TextError::PromptTooLong`] if the marks alone leave no room for a token of the text.
    pub fn encode_within(&self, text: &str, limit: usize) -> Result<Fitted, TextError> {
        if self.lower_case {
            return encode_within(&self.tokenizer, &text.to_lowercase(), limit);
        }
        encode_within(&self.tokenizer, text, limit)
    }
}

/// The tokens of a text with its marks, at most `limit`.
pub(super) fn encode_within(tokenizer: &Tokenizer, text: &str, limit: usize) -> Result<Fitted, TextError> {
    let fail = |error: tokenizers::Error| TextError::Encode(error.to_string());
    let marks = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
    let room = limit.checked_sub(marks).filter(|&room| room > 0);
    let room = room.ok_or(TextError::PromptTooLong { limit })?;
    let most = text.floor_char_boundary(room.saturating_mul(BYTES_PER_TOKEN));
    let mut encoding: Encoding = tokenizer.encode_fast(&text[..most], false).map_err(fail)?;
    let cut = encoding.len() > room || most < text.len();
    encoding.truncate(room, 0, TruncationDirection::Right);
    // The rest is kept in pieces, each of which would get marks of its own.
    encoding.take_overflowing();
    let marked = tokenizer.post_process(encoding, None, true).map_err(fail)?;
    Ok(Fitted { ids: marked.get_ids().to_vec(), cut })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A vocabulary of a few words, whose marks are `[CLS]` (2) and `[SEP]` (3), with the padding of its training.
    fn tokenizer() -> Value {
        let special = |id: u64, content: &str| {
            json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false})
        };
        json!({
            "version": "1.0",
            "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                        "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": [special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]")],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                           "strip_accents": null, "lowercase": false},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100,
                      "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "cat": 4, "s": 5, "##s": 6}}
        })
    }

    fn open(vocab: usize, lower_case: bool) -> Result<EncoderTokenizer, TextError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        std::fs::write(&path, tokenizer().to_string()).unwrap();
        EncoderTokenizer::open(&path, vocab, lower_case)
    }

    fn fitted(ids: &[TokenId], cut: bool) -> Fitted {
        Fitted { ids: ids.to_vec(), cut }
    }

    #[test]
    fn marks_stay_when_the_text_is_cut() {
        let tokenizer = open(7, false).unwrap();
        for (limit, wanted) in [
            (16, fitted(&[2, 4, 6, 5, 4, 3], false)),
            (6, fitted(&[2, 4, 6, 5, 4, 3], false)),
            (5, fitted(&[2, 4, 6, 5, 3], true)),
            (3, fitted(&[2, 4, 3], true)),
        ] {
            assert_eq!(tokenizer.encode_within("cats s cat", limit).unwrap(), wanted, "{limit}");
        }
        assert_eq!(tokenizer.encode_within("", 3).unwrap(), fitted(&[2, 3], false));
        assert!(matches!(tokenizer.encode_within("cat", 2), Err(TextError::PromptTooLong { .. })));
    }

    #[test]
    fn endless_texts_are_not_read_to_their_end() {
        let tokenizer = open(7, false).unwrap();
        let long = "cat ".repeat(1 << 20);
        assert_eq!(tokenizer.encode_within(&long, 4).unwrap(), fitted(&[2, 4, 4, 3], true));
        let blank = format!("{}cat", " ".repeat(1 << 20));
        assert_eq!(tokenizer.encode_within(&blank, 4).unwrap(), fitted(&[2, 3], true));
        let wide = "\u{1f600}".repeat(1 << 16);
        assert!(tokenizer.encode_within(&wide, 4).unwrap().cut);
    }

    #[test]
    fn case_is_folded_where_the_model_says_so() {
        assert_eq!(open(7, true).unwrap().encode_within("CAT", 8).unwrap().ids, [2, 4, 3]);
        assert_eq!(open(7, false).unwrap().encode_within("CAT", 8).unwrap().ids, [2, 1, 3]);
    }

    #[test]
    fn tokens_beyond_the_table_are_refused_at_once() {
        let error = open(6, false).unwrap_err().to_string();
        assert!(error.contains("token 6") && error.contains("tokenizer.json"), "{error}");
    }
}
