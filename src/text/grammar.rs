//! Answers that cannot leave a given form.
//!
//! A [`GrammarSpec`] says what an answer must look like. [`TextModel::grammar`](super::TextModel::grammar) compiles it
//! for the vocabulary of one model; the [`Grammar`] is then shared freely, and each answer follows it with a
//! [`Constraint`] of its own: [`Constraint::mask`] tells which tokens may come next, [`Constraint::accept`] is told
//! which one came. Whatever the logits, the text of the chosen tokens is the beginning of an answer of that form, and
//! an answer that ends is of that form.
//!
//! The grammars themselves are llguidance's: an Earley parser over a lexer of regex derivatives, walked along a trie of
//! the vocabulary. This room makes the trie, checks schemas before they are compiled (they are written by strangers),
//! and bounds what compiling and following may cost.
//!
//! Some things are narrower than a schema asks, so that what comes out can be read everywhere: white space between
//! tokens is at most two line ends and an indentation, numbers without bounds have no exponents and fit 64 bits, and
//! values of which the schema says nothing nest two dozen levels deep at most.

mod calls;
mod compiler;
mod error;
mod lark;
mod mask;
mod schema;
mod vocabulary;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use llguidance::Matcher;
use parking_lot::Mutex;
use serde_json::{Value, json};

pub use calls::Calls;
use calls::Made;
pub use error::GrammarError;
pub use mask::TokenMask;
pub(crate) use vocabulary::Vocabulary;

use super::{CallPart, ThinkingTags, TokenId, Tool, ToolFormat};

/// The form of an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GrammarSpec {
    /// One JSON object, whatever is in it.
    JsonObject,
    /// JSON that a schema accepts. The properties of objects come in the order in which the schema names them.
    JsonSchema {
        /// The schema.
        schema: Value,
        /// What of it cannot be enforced is an error. Otherwise that is left to the model where it only narrows, such
        /// as `uniqueItems`.
        strict: bool,
    },
    /// Calls of tools.
    Calls(Calls),
}

/// The thoughts that may stand before the part that a grammar rules.
///
/// They are free text up to the closing tag. Blank lines between them and the rest are allowed, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thoughts<'a> {
    /// The text that begins them, such as `<think>`.
    pub open: &'a str,
    /// The text that ends them, such as `</think>`.
    pub close: &'a str,
    /// The prompt has opened them: the answer begins inside. Otherwise it begins with `open`, or without thoughts.
    pub begun: bool,
}

/// A form, compiled for one vocabulary. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Grammar(Arc<Mutex<Matcher>>);

impl Grammar {
    /// Compiles a form for a vocabulary. Takes milliseconds, more for large schemas: not for an async thread.
    pub(crate) fn new(
        vocabulary: &Vocabulary,
        spec: &GrammarSpec,
        thoughts: Option<Thoughts<'_>>,
    ) -> Result<Self, GrammarError> {
        let matcher = compiler::on_large_stack(|| match spec {
            GrammarSpec::JsonObject => Self::json(vocabulary, &json!({ "type": "object" }), true, thoughts),
            GrammarSpec::JsonSchema { schema, strict } => Self::json(vocabulary, schema, *strict, thoughts),
            GrammarSpec::Calls(calls) => Self::calls(vocabulary, calls, thoughts),
        })?;
        Ok(Self(Arc::new(Mutex::new(matcher))))
    }

    fn json(
        vocabulary: &Vocabulary,
        schema: &Value,
        strict: bool,
        thoughts: Option<Thoughts<'_>>,
    ) -> Result<Matcher, GrammarError> {
        vocabulary.compile(lark::json_after(schema::prepare(schema, strict)?, thoughts))
    }

    fn calls(
        vocabulary: &Vocabulary,
        calls: &Calls,
        thoughts: Option<Thoughts<'_>>,
    ) -> Result<Matcher, GrammarError> {
        let mut refused = HashMap::new();
        loop {
            let Made { grammar, fitted, left } = calls::calls(calls, &refused, thoughts)?;
            match vocabulary.compile(grammar) {
                // The schema of some tool, and nobody has promised to follow it.
                Err(error @ (GrammarError::Refused(_) | GrammarError::TooComplex(_)))
                    if !fitted.is_empty() =>
                {
                    let is_first = refused.is_empty();
                    if is_first {
                        refused = compiler::refused(vocabulary, &fitted);
                    }
                    if !is_first || refused.is_empty() {
                        refused.extend(fitted.iter().map(|schema| (schema.to_string(), error.clone())));
                    }
                }
                other => {
                    for (tool, error) in left {
                        tracing::info!(tool, %error, "arguments of a tool are not held to their schema");
                    }
                    return other;
                }
            }
        }
    }

    /// Begins an answer.
    pub fn start(&self) -> Constraint {
        // A deep copy, as the caches of the lexer are behind a lock that answers would share otherwise.
        Constraint { matcher: self.0.lock().deep_clone() }
    }
}

#[cfg(test)]
impl Grammar {
    /// Keeps everybody from beginning an answer, for as long as what is returned lives.
    pub(crate) fn hold(&self) -> impl Drop + '_ {
        self.0.lock()
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

/// How far one answer has come in its grammar.
pub struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// Returns the tokens that may come next; never none. Takes some tens of microseconds, or milliseconds where the
    /// grammar allows much.
    ///
    /// # Errors
    ///
    /// [`GrammarError::TooComplex`] and [`GrammarError::DeadEnd`]: the answer cannot go on. The same error from then
    /// on.
    pub fn mask(&mut self) -> Result<TokenMask, GrammarError> {
        match self.matcher.compute_mask() {
            Ok(allowed) => Ok(TokenMask::new(allowed)),
            Err(error) => Err(GrammarError::of_step(self.matcher.stop_reason(), &error)),
        }
    }

    /// Takes the token that came, one that the last mask allows and that is no end token.
    ///
    /// Returns whether the answer is complete: nothing can follow.
    ///
    /// # Errors
    ///
    /// As [`Constraint::mask`]; also for a token that is not allowed.
    pub fn accept(&mut self, token: TokenId) -> Result<bool, GrammarError> {
        match self.matcher.consume_token(token) {
            Ok(()) => Ok(self.matcher.is_stopped()),
            Err(error) => Err(GrammarError::of_step(self.matcher.stop_reason(), &error)),
        }
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").field("state", &self.matcher.stop_reason()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
