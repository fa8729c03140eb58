//! Why a form cannot be used, or an answer cannot follow it.

use llguidance::api::StopReason;

/// What is wrong with a schema, or with following one. `Clone`, as a vocabulary that cannot be used fails every
/// request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The schema is no JSON schema.
    #[error("invalid JSON schema at {path}: {reason}")]
    Invalid {
        /// Where, as a JSON pointer; `#` is the whole schema.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// The schema asks for something that cannot be enforced token by token.
    #[error("JSON schema at {path}: {what} cannot be enforced")]
    Unsupported {
        /// Where, as a JSON pointer; `#` is the whole schema.
        path: String,
        /// What cannot be enforced.
        what: String,
    },
    /// The schema is larger than any sensible one.
    #[error("JSON schema is too large: {0}")]
    TooLarge(String),
    /// A tool, or one of its arguments, has a name that a call of this model could not hold.
    #[error(
        "the name {0:?} cannot stand in a tool call as this model writes it; rename the tool or argument"
    )]
    Name(String),
    /// The compiler of grammars refuses the schema: it is contradictory or too complex.
    #[error("JSON schema cannot be enforced: {0}")]
    Refused(String),
    /// The vocabulary of the model cannot be used with grammars.
    #[error("the vocabulary of this model does not work with a required form of the answer: {0}")]
    Vocabulary(String),
    /// Following the grammar needs more work for one token than is allowed.
    #[error(
        "the required form of the answer is too complex to be followed any further: {0}; simplify the schema"
    )]
    TooComplex(String),
    /// No token of the vocabulary continues the answer.
    #[error("no token of the vocabulary continues the answer in its required form: {0}")]
    DeadEnd(String),
}

impl GrammarError {
    /// What compiling a grammar failed with.
    pub(super) fn of_compiler(error: &anyhow::Error) -> Self {
        Self::Refused(essence(&format!("{error:#}")))
    }

    /// What a step of an answer failed with.
    pub(super) fn of_step(reason: StopReason, error: &anyhow::Error) -> Self {
        let text = essence(&error.to_string());
        match reason {
            StopReason::LexerTooComplex | StopReason::ParserTooComplex => Self::TooComplex(text),
            // Of a lexer that has given up only the text tells, where it was met while a token was taken.
            _ if text.starts_with("lexer error") => Self::TooComplex(text),
            _ => Self::DeadEnd(text),
        }
    }
}

/// The beginning of the first line: what follows is a large part of the schema, the state of the parser, or a
/// backtrace.
fn essence(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}
