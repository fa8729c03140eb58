//! What can go wrong between text and tokens.

use std::path::PathBuf;

/// Errors of the text room. Each variant is something a caller treats differently.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file of the model directory is missing or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file of the model directory does not contain what it should.
    #[error("{} is broken: {reason}; make the model again with `ax650 create`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The vocabulary is of a kind that cannot be tokenised exactly.
    #[error("tokenizer model \"{0}\" is not supported (supported: \"gpt2\", that is byte-level BPE)")]
    UnsupportedVocabulary(String),
    /// The vocabulary names a way of cutting text into words that is not known.
    #[error(
        "pre-tokenizer \"{0}\" is not known, its tokens would be wrong; supported: {known}",
        known = crate::text::pre_tokenizer::known_names()
    )]
    UnknownPreTokenizer(String),
    /// The vocabulary contradicts itself.
    #[error("broken vocabulary: {0}")]
    Vocabulary(String),
    /// The tokenizer's decoder is of a kind whose bytes per token are not known.
    #[error("decoder of tokenizer.json is not supported: {0}")]
    UnsupportedDecoder(String),
    /// The tokenizer failed on a text.
    #[error("cannot tokenise the text: {0}")]
    Encode(String),
    /// The tokenizer failed on tokens.
    #[error("cannot write tokens as text: {0}")]
    Decode(String),
    /// The chat template does not compile or fails on these messages.
    #[error("chat template failed: {0}")]
    Template(String),
    /// The chat template refused the messages by `raise_exception`.
    #[error("the chat template refuses these messages: {0}")]
    TemplateRefused(String),
    /// The chat template used more work or memory than any sensible template needs.
    #[error(
        "chat template did not end within its budget of work; it may contain an endless or exploding loop"
    )]
    TemplateBudget,
    /// The required form of an answer cannot be enforced.
    #[error(transparent)]
    Grammar(#[from] crate::text::GrammarError),
    /// There is nothing to render.
    #[error("no messages to render")]
    NoMessages,
    /// The prompt needs more tokens than the context holds.
    #[error("the prompt is longer than the context length currently available to the model ({limit} tokens)")]
    PromptTooLong {
        /// Tokens that fit.
        limit: usize,
    },
}
