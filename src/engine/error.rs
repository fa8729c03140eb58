//! Why a request could not be answered.
//!
//! One variant per decision a caller makes: the HTTP status, whether to try again, whom to tell. The text of the
//! driver is kept inside, so that a person can act on it. `Clone`, because one fault of the card ends several requests.

/// Why a request could not be answered, or the engine could not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// As many requests wait as the configuration allows. Nothing was queued; try again later.
    #[error("server busy, please try again.  maximum pending requests exceeded")]
    Busy,
    /// The prompt has more tokens than the cells of the context.
    #[error(
        "the prompt has {tokens} tokens but the context of this model holds {context}; shorten the prompt"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens the context holds.
        context: usize,
    },
    /// The prompt has no token, so there is nothing to continue.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt names a token that the model does not have.
    #[error("token {token} is outside of the vocabulary of {vocab} tokens")]
    InvalidToken {
        /// The token id.
        token: u32,
        /// Number of tokens the model knows.
        vocab: usize,
    },
    /// The model could not be put on the card.
    #[error("cannot load model {model}: {reason}")]
    ModelLoad {
        /// Short name of the model.
        model: String,
        /// What the card or the files said.
        reason: String,
    },
    /// The card has not enough memory for the model or for one conversation with it.
    #[error("model requires more system memory: cannot load {model}: {reason}")]
    OutOfMemory {
        /// Short name of the model.
        model: String,
        /// What the card said.
        reason: String,
    },
    /// A call to the card failed while the answer was computed.
    #[error("the card failed: {0}")]
    Device(String),
    /// No card can be opened.
    #[error("cannot open the card: {0}")]
    NoCard(String),
    /// The card no longer answers. The next request tries to open it again.
    #[error("the card is gone: {0}")]
    CardLost(String),
    /// A call into the card's driver does not return. Nothing was queued; try again when it has.
    #[error(
        "the card does not respond: {call} has not returned for {seconds} s; if it stays so, restart the card (power off and on) and this program"
    )]
    NotResponding {
        /// The vendor's function, and what it works on.
        call: String,
        /// How long it has not returned.
        seconds: u64,
    },
    /// No token could be chosen from what the model computed.
    #[error("cannot choose a token: {0}")]
    Sampling(String),
    /// What the model computed of a text is no vector: it holds NaN or infinity.
    #[error("the model computed values that are not numbers")]
    NotFinite,
    /// The answer cannot go on in the form that was asked for.
    #[error("{0}")]
    Grammar(crate::text::GrammarError),
    /// The client stopped reading while others waited for its place.
    #[error("the client read too slowly for {seconds} s while other requests waited")]
    SlowClient {
        /// How long nothing was read.
        seconds: u64,
    },
    /// The request was taken back before it was answered.
    #[error("request canceled")]
    Cancelled,
    /// The engine is shutting down or has ended.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// A fault of this program: it is logged with its cause.
    #[error("internal error: {0}")]
    Internal(String),
}
