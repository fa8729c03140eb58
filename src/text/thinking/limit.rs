//! Ends thoughts that take more tokens than they may.

use std::sync::Arc;

use super::ThinkingSplitter;
use crate::text::{TextError, TextModel, TokenId};

/// How many tokens one answer may think, and what makes it stop.
///
/// When they are used up, the closing tag takes the place of what the model would have said next, and it goes on with
/// its answer. Follow it with the text of each token; see [`ThoughtLimit::forced`].
#[derive(Debug, Clone)]
pub struct ThoughtLimit {
    splitter: ThinkingSplitter,
    /// Tokens of thoughts that are still to come.
    left: usize,
    /// The tokens that close the thoughts.
    closing: Arc<[TokenId]>,
    /// How many of them came.
    closed: usize,
}

impl ThoughtLimit {
    /// Returns the limit of so many tokens for the answer to `prompt`.
    ///
    /// # Errors
    ///
    /// [`TextError::Encode`] if the closing tag cannot be written in tokens.
    pub fn new(tokens: usize, prompt: &[TokenId], text: &TextModel) -> Result<Self, TextError> {
        let splitter = ThinkingSplitter::after(prompt, text);
        let closing = text.encode(&format!("\n{}\n\n", splitter.tags.close), false)?;
        Ok(Self { splitter, left: tokens, closing: closing.into(), closed: 0 })
    }

    /// The limit of an answer that this splitter reads, with these tokens to close the thoughts.
    #[cfg(test)]
    pub(crate) fn of(splitter: ThinkingSplitter, left: usize, closing: Arc<[TokenId]>) -> Self {
        Self { splitter, left, closing, closed: 0 }
    }

    /// Returns the token that has to come next, whatever the model would say; `None` if it may say what it likes.
    pub fn forced(&self) -> Option<TokenId> {
        let begun = self.closed > 0;
        let due = self.left == 0 && self.splitter.is_inside();
        self.closing.get(self.closed).copied().filter(|_| begun || due)
    }

    /// Takes the text that a token added to the answer, empty if it added none.
    pub fn accept(&mut self, piece: &str) {
        if self.forced().is_some() {
            self.closed += 1;
        }
        let was_inside = self.splitter.is_inside();
        self.splitter.push(piece);
        if was_inside && self.splitter.is_inside() {
            self.left = self.left.saturating_sub(1);
        }
    }
}
