//! Special tokens whose text is part of an answer.
//!
//! An answer leaves special tokens out, for most of them only steer the model. Some vocabularies have the marks of tool
//! calls or thoughts among them, though, and whoever reads calls or thoughts out of the answer needs their text.

use std::sync::Arc;

use super::TokenId;

/// The special tokens to be spelled out in one answer. Few, and cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpelledTokens(Arc<[(TokenId, &'static str)]>);

impl SpelledTokens {
    /// Returns the text of a token, if it is one of them.
    pub fn text(&self, id: TokenId) -> Option<&'static str> {
        self.0.iter().find(|(other, _)| *other == id).map(|(_, text)| *text)
    }

    /// Returns those of them whose text is one of `texts`.
    pub(crate) fn only(&self, texts: &[&str]) -> Self {
        self.0.iter().filter(|(_, text)| texts.contains(text)).copied().collect()
    }
}

impl FromIterator<(TokenId, &'static str)> for SpelledTokens {
    fn from_iter<T: IntoIterator<Item = (TokenId, &'static str)>>(tokens: T) -> Self {
        Self(tokens.into_iter().collect())
    }
}
