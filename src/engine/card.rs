//! What the engine needs of a card, a loaded model and a conversation on it.
//!
//! The engine is written against these three traits, and against token ids: the adapter in [`super::adapter`]
//! looks up embedding rows and speaks to `crate::device`. The seam exists so that scheduling, cancellation and
//! recovery can be tested against a card whose every answer and failure the test decides.

use std::sync::Arc;

use super::error::EngineError;
use super::status::LoadedPaths;
use crate::device::{CancelFlag, DeviceInfo};
use crate::models::final_norm::FinalNorm;
use crate::models::model::Model;
use crate::text::{SpelledTokens, TokenId};

/// A card that models can be loaded on. Lives on the card thread and never leaves it.
pub(crate) trait Card: Sized + 'static {
    /// A model on this card.
    type Model: CardModel;

    /// What the card is.
    fn info(&self) -> DeviceInfo;

    /// Puts a model on the card. `cancel` is looked at between files and between the steps of the self-test, never
    /// within a file: a load that is killed wedges real cards.
    fn load(&self, model: &Arc<Model>, cancel: &CancelFlag) -> Result<Self::Model, Fault>;

    /// What went wrong while models and sequences were given back, since the last call; it has been logged.
    fn take_drop_fault(&self) -> Option<Fault>;
}

/// A model on the card, with its text side.
pub(crate) trait CardModel {
    /// A conversation with this model.
    type Sequence: CardSequence;
    /// Turns tokens into text as they come.
    type Text: StreamText;

    /// Sizes that do not change while the model is loaded.
    fn sizes(&self) -> ModelSizes;
    /// The paths that are on, and what the self-test has shown.
    fn paths(&self) -> LoadedPaths;
    /// Sets aside card memory for one conversation, empty at first.
    fn new_sequence(&self) -> Result<Self::Sequence, Fault>;
    /// Whether this token ends an answer.
    fn is_end(&self, token: TokenId) -> bool;
    /// The text of one token by itself.
    fn token_text(&self, token: TokenId) -> String;
    /// What turns a hidden state of the last layer into the one that the head sees, if the files tell it.
    fn final_norm(&self) -> Option<&FinalNorm>;
    /// A fresh incremental detokeniser that spells out these special tokens.
    fn stream_text(&self, spelled: &SpelledTokens) -> Self::Text;
}

/// Sizes of a loaded model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModelSizes {
    /// Tokens whose keys and values fit into one sequence.
    pub(crate) context_len: usize,
    /// Most tokens of one prefill step.
    pub(crate) chunk_len: usize,
    /// Number of logits.
    pub(crate) vocab: usize,
    /// Values of one hidden state.
    pub(crate) hidden: usize,
    /// Bytes of card memory of the model itself.
    pub(crate) memory_bytes: u64,
}

/// The keys and values of one conversation. After any error, `Cancelled` included, `len` is what it was before.
pub(crate) trait CardSequence {
    /// Tokens whose keys and values are written.
    fn len(&self) -> usize;
    /// Forgets all but the first `len` tokens.
    fn truncate(&mut self, len: usize);
    /// Computes up to `chunk_len` tokens; with `logits`, those after the last of them (bf16).
    fn prefill(
        &mut self,
        tokens: &[TokenId],
        logits: Option<&mut [u16]>,
        cancel: &CancelFlag,
    ) -> Result<(), Fault>;
    /// Computes `chunk_len` tokens, after which `next` (as many at most) will follow if nothing comes in between: a
    /// card may make use of that.
    fn prefill_before(
        &mut self,
        tokens: &[TokenId],
        next: &[TokenId],
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        let _ = next;
        self.prefill(tokens, None, cancel)
    }
    /// Computes up to `chunk_len` tokens. `hidden` receives what the last layer gives for each: `tokens * hidden`
    /// values (bf16).
    fn prefill_hidden(
        &mut self,
        tokens: &[TokenId],
        hidden: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<(), Fault>;
    /// Computes one token and the logits after it (bf16).
    fn decode(&mut self, token: TokenId, logits: &mut [u16], cancel: &CancelFlag) -> Result<(), Fault>;
}

/// Turns tokens into text as they come, never splitting a character.
pub(crate) trait StreamText {
    /// The text that this token completes; may be empty.
    fn push(&mut self, token: TokenId) -> String;
    /// What is left at the end, an unfinished character included.
    fn finish(&mut self) -> String;
}

/// What went wrong on the card, by how far the damage reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request was cancelled; nothing is damaged.
    Cancelled,
    /// The card has not enough memory for what was asked; nothing is damaged.
    OutOfMemory(String),
    /// The files of the model cannot be used.
    Model(String),
    /// The request cannot be computed as it is; nothing is damaged.
    Request(String),
    /// A call failed: the sequence is not to be trusted any more, nor the model if it happens again.
    Call(String),
    /// The card is gone, and all that was on it.
    Lost(String),
}

impl Fault {
    /// The answer to a request that met this fault in a step.
    pub(crate) fn into_step_error(self) -> EngineError {
        match self {
            Self::Cancelled => EngineError::Cancelled,
            Self::OutOfMemory(reason) | Self::Model(reason) | Self::Call(reason) => {
                EngineError::Device(reason)
            }
            Self::Request(reason) => EngineError::Internal(reason),
            Self::Lost(reason) => EngineError::CardLost(reason),
        }
    }

    /// Why the card cannot be opened.
    pub(crate) fn into_open_error(self) -> EngineError {
        match self {
            Self::Cancelled => EngineError::Cancelled,
            Self::OutOfMemory(reason)
            | Self::Model(reason)
            | Self::Request(reason)
            | Self::Call(reason)
            | Self::Lost(reason) => EngineError::NoCard(reason),
        }
    }

    /// The answer to a request that met this fault while its model was loaded.
    pub(crate) fn into_load_error(self, model: &Model) -> EngineError {
        let model = model.name.to_string();
        match self {
            Self::OutOfMemory(reason) => EngineError::OutOfMemory { model, reason },
            Self::Model(reason) | Self::Request(reason) | Self::Call(reason) => {
                EngineError::ModelLoad { model, reason }
            }
            Self::Cancelled => EngineError::Cancelled,
            Self::Lost(reason) => EngineError::CardLost(reason),
        }
    }
}
