//! A tokenizer from the vocabulary of a GGUF file.
//!
//! Only byte-level BPE (`tokenizer.ggml.model` = "gpt2") is built: there the file contains everything that decides,
//! tokens, merges and the name of the pre-tokenizer, and the result is exact. A `SentencePiece` vocabulary ("llama")
//! merges by score and normalises by rules that the file does not carry; it is refused rather than approximated.

use std::collections::HashSet;

use tokenizers::{
    AddedToken, Tokenizer,
    decoders::byte_level::ByteLevel,
    models::bpe::{BPE, Merges, Vocab},
    processors::template::{SpecialToken, TemplateProcessing},
};

use super::{TextError, TokenId, end_of_generation::is_end_text, pre_tokenizer::PreTokenizer};

/// The tokenizer fields of a GGUF file, borrowed from it.
#[derive(Debug, Clone, Copy, Default)]
pub struct GgufTokenizer<'a> {
    /// `tokenizer.ggml.model`.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`; empty if the file has none.
    pub pre: &'a str,
    /// `tokenizer.ggml.tokens`; the place is the token's number.
    pub tokens: &'a [String],
    /// `tokenizer.ggml.token_type`, one per token, or empty: all normal. 1 normal, 3 control, 4 user-defined,
    /// 5 unused.
    pub token_types: &'a [i32],
    /// `tokenizer.ggml.merges`, each `left right`, most important first.
    pub merges: &'a [String],
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<TokenId>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<TokenId>,
    /// `tokenizer.ggml.add_bos_token`; without it the pre-tokenizer's name decides.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
}

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
/// Rows of the embedding table that no text uses.
const UNUSED: i32 = 5;

/// Returns the tokenizer of a GGUF vocabulary.
///
/// Control tokens become special ones, user-defined tokens become added ones that are text. Unused tokens are left
/// out: their names are padding, never text.
///
/// # Errors
///
/// - [`TextError::UnsupportedVocabulary`] for any model but "gpt2".
/// - [`TextError::UnknownPreTokenizer`] if the pre-tokenizer's name is not known.
/// - [`TextError::Vocabulary`] if tokens, types and merges contradict each other.
pub fn build_tokenizer(parts: &GgufTokenizer<'_>) -> Result<Tokenizer, TextError> {
    if parts.model != "gpt2" {
        return Err(TextError::UnsupportedVocabulary(parts.model.to_owned()));
    }
    let pre = PreTokenizer::named(parts.pre)?;
    let vocabulary = vocabulary(parts)?;
    let merges = merges(parts.merges, &vocabulary)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(|error| TextError::Vocabulary(error.to_string()))?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(pre.build()?));
    tokenizer.with_decoder(Some(ByteLevel::new(true, true, true)));
    if let Some(processor) = post_processor(parts, pre)? {
        tokenizer.with_post_processor(Some(processor));
    }
    // `add_special_tokens` is not used: it would make all of them special.
    tokenizer.add_tokens(added_tokens(parts)).map_err(|error| TextError::Vocabulary(error.to_string()))?;
    Ok(tokenizer)
}

/// Returns whether texts of this vocabulary begin with the beginning-of-sequence token.
///
/// # Errors
///
/// [`TextError::UnknownPreTokenizer`] if the file leaves it to a pre-tokenizer that is not known.
pub fn adds_bos(parts: &GgufTokenizer<'_>) -> Result<bool, TextError> {
    match parts.add_bos {
        Some(adds) => Ok(adds),
        None => Ok(PreTokenizer::named(parts.pre)?.adds_bos),
    }
}

/// Type of a token. Tokens whose text ends a turn are control tokens even where a careless conversion says otherwise
/// (llama.cpp overrides them as well), and empty ones are padding.
fn token_type(parts: &GgufTokenizer<'_>, index: usize) -> i32 {
    let declared = parts.token_types.get(index).copied().unwrap_or(NORMAL);
    match parts.tokens.get(index).map(String::as_str) {
        Some("") => UNUSED,
        Some(text) if declared != UNUSED && is_end_text(text) => CONTROL,
        _ => declared,
    }
}

fn vocabulary(parts: &GgufTokenizer<'_>) -> Result<Vocab, TextError> {
    if parts.tokens.is_empty() {
        return Err(TextError::Vocabulary("there are no tokens".into()));
    }
    if !parts.token_types.is_empty() && parts.token_types.len() != parts.tokens.len() {
        return Err(TextError::Vocabulary(format!(
            "{} tokens but {} token types",
            parts.tokens.len(),
            parts.token_types.len()
        )));
    }
    let mut vocabulary = Vocab::with_capacity(parts.tokens.len());
    for (index, text) in parts.tokens.iter().enumerate() {
        if token_type(parts, index) == UNUSED {
            continue;
        }
        let id = TokenId::try_from(index)
            .map_err(|_| TextError::Vocabulary(format!("{} tokens are too many", parts.tokens.len())))?;
        if let Some(first) = vocabulary.insert(text.clone(), id) {
            return Err(TextError::Vocabulary(format!("tokens {first} and {id} are both {text:?}")));
        }
    }
    Ok(vocabulary)
}

/// Splits the merges and checks that their parts and results are tokens.
fn merges(merges: &[String], vocabulary: &Vocab) -> Result<Merges, TextError> {
    let mut seen = HashSet::with_capacity(merges.len());
    let mut out = Merges::with_capacity(merges.len());
    let mut joined = String::new();
    for (rank, merge) in merges.iter().enumerate() {
        let broken = |what: &str| TextError::Vocabulary(format!("merge {rank} ({merge:?}) {what}"));
        let (left, right) =
            merge.split_once(' ').ok_or_else(|| broken("is not two tokens with a space between"))?;
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        for text in [left, right, &joined] {
            if !vocabulary.contains_key(text) {
                return Err(broken(&format!("needs the token {text:?}, which does not exist")));
            }
        }
        // The first mention of a pair has the rank that counts.
        if seen.insert((left, right)) {
            out.push((left.to_owned(), right.to_owned()));
        }
    }
    Ok(out)
}

fn added_tokens(parts: &GgufTokenizer<'_>) -> Vec<AddedToken> {
    let added = |(index, text): (usize, &String)| match token_type(parts, index) {
        CONTROL => Some(AddedToken::from(text.clone(), true)),
        USER_DEFINED => Some(AddedToken::from(text.clone(), false).normalized(false)),
        _ => None,
    };
    parts.tokens.iter().enumerate().filter_map(added).collect()
}

/// Puts the beginning-of-sequence token before and the end-of-sequence token after a text, where the file wants it.
fn post_processor(
    parts: &GgufTokenizer<'_>,
    pre: &PreTokenizer,
) -> Result<Option<TemplateProcessing>, TextError> {
    let bos = parts.bos.filter(|_| parts.add_bos.unwrap_or(pre.adds_bos));
    let eos = parts.eos.filter(|_| parts.add_eos.unwrap_or(false));
    if bos.is_none() && eos.is_none() {
        return Ok(None);
    }
    // The pieces have names of ours: in a template's own little language a token's text could mean something else.
    let mut template = Vec::new();
    let mut special = Vec::new();
    for (id, name) in [(bos, "bos"), (eos, "eos")] {
        if name == "eos" {
            template.push("$A:0".to_owned());
        }
        let Some(id) = id else { continue };
        let text = parts.tokens.get(id as usize).ok_or_else(|| {
            TextError::Vocabulary(format!("special token {id} is beyond the {} tokens", parts.tokens.len()))
        })?;
        template.push(format!("{name}:0"));
        let piece = SpecialToken::new(name.to_owned(), vec![id], vec![text.clone()])
            .map_err(|error| TextError::Vocabulary(error.to_string()))?;
        special.push(piece);
    }
    TemplateProcessing::builder()
        .try_single(template)
        .map_err(TextError::Vocabulary)?
        .special_tokens(special)
        .build()
        .map(Some)
        .map_err(|error| TextError::Vocabulary(error.to_string()))
}

#[cfg(test)]
mod tests;
