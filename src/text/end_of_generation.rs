//! Which tokens end an answer.
//!
//! A vocabulary names one end-of-sequence token, yet chat models end their turns with another one. Names that mark the
//! end of a turn in the families that llama.cpp knows are collected here (fact: `llama-vocab.cpp`, end-of-generation
//! list); a token that bears one of them and is special ends an answer as well.

use super::TokenId;

/// Texts of special tokens that end an answer.
const END_TEXTS: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
];

/// Returns whether a token of this text ends an answer.
pub(crate) fn is_end_text(text: &str) -> bool {
    END_TEXTS.contains(&text)
}

/// Returns the tokens that end an answer, in ascending order: `eos` and all special tokens whose text says so.
///
/// `special` gives the special tokens of the vocabulary.
pub fn end_token_ids<'a>(
    eos: Option<TokenId>,
    special: impl IntoIterator<Item = (TokenId, &'a str)>,
) -> Vec<TokenId> {
    let by_text = special.into_iter().filter(|(_, text)| is_end_text(text)).map(|(id, _)| id);
    let mut ids: Vec<TokenId> = eos.into_iter().chain(by_text).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_eos_and_end_of_turn() {
        let special = [(0, "<|endoftext|>"), (1, "<|im_start|>"), (2, "<|im_end|>"), (3, "<repo_name>")];
        assert_eq!(end_token_ids(Some(2), special), [0, 2]);
        assert_eq!(end_token_ids(None, [(7, "<|im_start|>")]), Vec::<TokenId>::new());
    }
}
