//! A tokenizer from the vendor's `.txt` file.
//!
//! The file has a vocabulary and, for one of its kinds, merges; it does not say how a text is cut into words, and often
//! forgets tokens that end an answer. Both come from what is known of the model's [`Family`]. The vendor's own program
//! cuts by rules for ASCII text and takes the longest token where merges are missing; here the text becomes the tokens
//! that the model was trained with.

mod merges;
pub mod read;

use tokenizers::Tokenizer;

use self::read::{Kind, VocabFile};
use super::{
    Family, GgufTokenizer, TextError, TokenId, build_tokenizer, end_token_ids, token_table::char_of_byte,
};

/// Added tokens that are text, of all that the file lists as special: a thought or a call must be seen.
const TEXT_TOKENS: &[&str] = &[
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<answer>",
    "</answer>",
];

/// Token types in GGUF's numbers, which [`build_tokenizer`] takes.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// What a `.txt` file amounts to.
#[derive(Debug)]
pub struct VendorTokenizer {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Text of the token that every text begins with, if there is one.
    pub bos: Option<String>,
    /// Tokens that end an answer, ascending: those of the file and those of the family.
    pub end_ids: Vec<TokenId>,
}

/// Makes the tokenizer of a `.txt` file. `family` tells what the file leaves out; without it the vocabulary must give
/// the family away by its marks.
///
/// # Errors
///
/// [`TextError::Vocabulary`] for `SentencePiece` and BERT vocabularies, which the file does not carry all of, and if
/// the file contradicts itself or its family cannot be told.
pub fn build(file: &VocabFile, family: Option<&'static Family>) -> Result<VendorTokenizer, TextError> {
    let (tokens, types) = match &file.kind {
        Kind::HuggingFace { tokens, .. } => (tokens.clone(), types_of(file, tokens)),
        Kind::Tiktoken { tokens } => alphabet_tokens(file, tokens),
        Kind::SentencePiece { .. } => return Err(unsupported("SentencePiece, type 0")),
        Kind::Bert => return Err(unsupported("BERT, type 2")),
    };
    let family = family.or_else(|| Family::of_vocabulary(|text| tokens.iter().any(|token| token == text)));
    let merges = match &file.kind {
        Kind::HuggingFace { merges, .. } => merges.clone(),
        _ => merges::derive(&tokens, &types),
    };
    let pre = pre_tokenizer(file, family).ok_or_else(|| {
        TextError::Vocabulary(
            "it does not say how text is cut into words, and neither its tokens nor the model's name tell its family; \
             put the model's tokenizer.json beside it"
                .to_owned(),
        )
    })?;
    let bos = file.prefix.first().copied();
    let parts = GgufTokenizer {
        model: "gpt2",
        pre,
        tokens: &tokens,
        token_types: &types,
        merges: &merges,
        bos,
        eos: None,
        add_bos: Some(bos.is_some()),
        add_eos: Some(false),
    };
    let tokenizer = build_tokenizer(&parts)?;
    let numbered = (0..).zip(tokens.iter().map(String::as_str));
    let ends = family.map(Family::ends).unwrap_or_default();
    let by_family = ends.iter().filter_map(|text| tokenizer.token_to_id(text));
    let mut end_ids = end_token_ids(None, numbered);
    end_ids.extend(file.stops.iter().copied().chain(by_family));
    end_ids.sort_unstable();
    end_ids.dedup();
    Ok(VendorTokenizer { bos: bos.map(|id| tokens[id as usize].clone()), end_ids, tokenizer })
}

fn unsupported(kind: &str) -> TextError {
    TextError::Vocabulary(format!(
        "it is of a kind that does not carry all that decides about tokens ({kind}); put the model's tokenizer.json, \
         as its makers publish it, into the directory and run `ax650 create` again"
    ))
}

/// The name of the pre-tokenizer: newer files number it (fact: the vendor's converter, `convert_tokenizer.py`), older
/// ones leave it to the family.
fn pre_tokenizer(file: &VocabFile, family: Option<&'static Family>) -> Option<&'static str> {
    let numbered = match file.kind {
        Kind::HuggingFace { pre_tokenizer: 1, .. } => Some("qwen35"),
        // The same pattern with other names; the family's own has its other settings.
        Kind::HuggingFace { pre_tokenizer: 2, .. } => Some("qwen2"),
        Kind::HuggingFace { pre_tokenizer: 3, .. } => {
            Some(if family.is_some_and(|family| family.pre_tokenizer() == "llama-bpe") {
                "llama-bpe"
            } else {
                "glm4"
            })
        }
        Kind::HuggingFace { pre_tokenizer: 4, .. } => Some("gpt-4o"),
        _ => None,
    };
    numbered.or_else(|| family.map(Family::pre_tokenizer).filter(|name| !name.is_empty()))
}

fn special_type(text: &str) -> i32 {
    if TEXT_TOKENS.contains(&text) { USER_DEFINED } else { CONTROL }
}

/// Types of tokens that are written as text. Rows without a token are all written as `<unk>`.
fn types_of(file: &VocabFile, tokens: &[String]) -> Vec<i32> {
    let placeholders = tokens.iter().filter(|text| *text == "<unk>").count();
    let mut types: Vec<i32> =
        tokens.iter().map(|text| if placeholders > 1 && text == "<unk>" { UNUSED } else { NORMAL }).collect();
    for &id in file.specials.iter().chain(&file.stops).chain(&file.prefix) {
        if let (Some(kind), Some(text)) = (types.get_mut(id as usize), tokens.get(id as usize)) {
            *kind = special_type(text);
        }
    }
    types
}

/// Tokens that are written as bytes, in the alphabet of byte-level vocabularies. Special ones are text as they are.
fn alphabet_tokens(file: &VocabFile, tokens: &[Vec<u8>]) -> (Vec<String>, Vec<i32>) {
    let mut types = vec![NORMAL; tokens.len()];
    for &id in file.specials.iter().chain(&file.stops).chain(&file.prefix) {
        if let Some(kind) = types.get_mut(id as usize) {
            *kind = CONTROL;
        }
    }
    let mut seen = std::collections::HashSet::with_capacity(tokens.len());
    let mut texts = Vec::with_capacity(tokens.len());
    for (kind, bytes) in types.iter_mut().zip(tokens) {
        let text = if *kind == CONTROL {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            bytes.iter().map(|&byte| char_of_byte(byte)).collect()
        };
        if *kind == CONTROL {
            *kind = special_type(&text);
        }
        // The first of equal tokens is the one that text becomes; gaps are all alike, too.
        if !seen.insert(text.clone()) {
            *kind = UNUSED;
        }
        texts.push(text);
    }
    (texts, types)
}

#[cfg(test)]
mod tests;
