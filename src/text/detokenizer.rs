//! Turns tokens into text as they come.
//!
//! A token may end in the middle of a character. Its bytes are held back until the character is complete, so every
//! piece that comes out is valid UTF-8 and all pieces together are what decoding all tokens at once gives. Bytes that
//! can never become a character come out as U+FFFD, by the same rule as [`String::from_utf8_lossy`].
//!
//! Work per token is proportional to the length of that token, not to the length of the answer.

use std::sync::Arc;

use super::{SpelledTokens, TokenId, token_table::TokenTable};

/// Incremental detokeniser of one answer. Owned: it may move to the thread that generates.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    table: Arc<TokenTable>,
    spelled: SpelledTokens,
    /// The beginning of a character, at most 3 bytes.
    pending: Vec<u8>,
    at_beginning: bool,
}

impl Detokenizer {
    pub(crate) fn new(table: Arc<TokenTable>, spelled: SpelledTokens) -> Self {
        Self { table, spelled, pending: Vec::new(), at_beginning: true }
    }

    /// Takes the next token and returns the text that became complete with it, if any.
    ///
    /// Special tokens give no text, but for those to be spelled out.
    pub fn push(&mut self, id: TokenId) -> Option<String> {
        let mut bytes = self.table.bytes(id);
        if bytes.is_empty() {
            bytes = self.spelled.text(id)?.as_bytes();
        }
        if std::mem::take(&mut self.at_beginning) && self.table.strips_first_space() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let text = self.take_complete();
        (!text.is_empty()).then_some(text)
    }

    /// Returns what is still held back, as U+FFFD, when no token follows.
    pub fn flush(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    /// Moves all complete characters out of `pending`.
    fn take_complete(&mut self) -> String {
        let mut text = String::with_capacity(self.pending.len());
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            if used + invalid.len() == self.pending.len() && may_continue(invalid) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                used += invalid.len();
            }
        }
        self.pending.drain(..used);
        text
    }
}

/// Whether these bytes at the end of the text are the beginning of a character rather than an error.
fn may_continue(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::{
        AddedToken, Tokenizer, decoders::byte_level::ByteLevel, models::bpe::BPE,
        processors::PostProcessorWrapper,
    };

    use super::*;

    /// A table with one token per byte, a special token 256, and an added token 257 that is text.
    fn byte_table() -> Arc<TokenTable> {
        let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        alphabet.sort_unstable_by_key(|&c| crate::text::token_table::byte_of_char(c).unwrap());
        let vocabulary = alphabet.iter().zip(0..).map(|(c, id)| (c.to_string(), id)).collect();
        let mut tokenizer = Tokenizer::new(BPE::new(vocabulary, Vec::new()));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        tokenizer.add_special_tokens([AddedToken::from("<end>", true)]).unwrap();
        tokenizer.add_tokens([AddedToken::from("é <x>", false)]).unwrap();
        Arc::new(TokenTable::new(&tokenizer).unwrap())
    }

    #[test]
    fn characters_are_never_split() {
        let mut detokenizer = Detokenizer::new(byte_table(), SpelledTokens::default());
        let pushed: Vec<Option<String>> = "aé🙂".bytes().map(|byte| detokenizer.push(byte.into())).collect();
        let expected = [Some("a"), None, Some("é"), None, None, None, Some("🙂")];
        assert_eq!(pushed, expected.map(|text| text.map(String::from)));
        assert_eq!(detokenizer.flush(), None);
    }

    #[test]
    fn invalid_bytes_become_replacement_characters_at_once() {
        let mut detokenizer = Detokenizer::new(byte_table(), SpelledTokens::default());
        assert_eq!(detokenizer.push(0xff).as_deref(), Some("\u{fffd}"));
        assert_eq!(detokenizer.push(0xe2), None);
        assert_eq!(detokenizer.push(b'a'.into()).as_deref(), Some("\u{fffd}a"));
        assert_eq!(detokenizer.push(0xf0), None);
        assert_eq!(detokenizer.push(0x9f), None);
        assert_eq!(detokenizer.flush().as_deref(), Some("\u{fffd}"));
        assert_eq!(detokenizer.flush(), None);
    }

    #[test]
    fn special_and_unknown_tokens_give_no_text_and_do_not_break_characters() {
        let mut detokenizer = Detokenizer::new(byte_table(), SpelledTokens::default());
        assert_eq!(detokenizer.push(0xc3), None);
        assert_eq!(detokenizer.push(256), None);
        assert_eq!(detokenizer.push(100_000), None);
        assert_eq!(detokenizer.push(0xa9).as_deref(), Some("é"));
        assert_eq!(detokenizer.push(257).as_deref(), Some("é <x>"));
    }

    #[test]
    fn special_tokens_are_spelled_out_where_that_is_asked_for() {
        let spelled = SpelledTokens::from_iter([(256, "<end>"), (255, "never")]);
        let mut detokenizer = Detokenizer::new(byte_table(), spelled.clone());
        assert_eq!(detokenizer.push(256).as_deref(), Some("<end>"));
        assert_eq!(detokenizer.push(0xc3), None);
        assert_eq!(detokenizer.push(256).as_deref(), Some("\u{fffd}<end>"));
        assert_eq!(detokenizer.push(255).as_deref(), Some("\u{fffd}"), "a token with bytes of its own");
        assert_eq!(spelled.only(&["never"]).text(256), None);
    }

    proptest! {
        #[test]
        fn pieces_add_up_to_the_whole(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0xf0), Just(0x9f), Just(0x99), Just(0x82), Just(0xe2)], 0..60)) {
            let table = byte_table();
            let mut detokenizer = Detokenizer::new(table, SpelledTokens::default());
            let mut text: String = bytes.iter().filter_map(|&byte| detokenizer.push(byte.into())).collect();
            prop_assert!(detokenizer.pending.len() <= 3);
            text.extend(detokenizer.flush());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
