//! Runs a model along given tokens and shows the logits of every step: the tool behind `ax650 verify`.
//!
//! A teacher opens a card of its own and works on the calling thread, outside of the engine's queue: what it measures
//! is the path prompt chunks -> decode steps -> head, without sampling, caching or other conversations.

use crate::{
    device::{
        CancelFlag, DeviceChoice, DeviceError, DeviceInfo, Driver, DriverOptions, LoadedModel, ModelSpec,
    },
    models::{
        embedding::{EmbeddingError, EmbeddingTable},
        model::{Model, ModelError},
    },
    text::TokenId,
};

/// Why a model could not be run along given tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeacherError {
    /// The card, or loading the model onto it, failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A file of the model is not the one it was.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A token has no embedding row, or the table cannot be read.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// There is nothing to start from.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// Prompt and forced tokens do not fit into the K/V cache.
    #[error(
        "{needed} tokens do not fit into the model's context of {context}; create it with a larger --context"
    )]
    TooLong {
        /// Tokens whose K/V rows would be written.
        needed: usize,
        /// Tokens that fit.
        context: usize,
    },
}

/// A model on a card, ready to be run along given tokens. Bound to the thread that opened it.
pub struct Teacher {
    // Before the driver: fields drop in this order, and the model's memory belongs to the driver's card.
    loaded: LoadedModel,
    driver: Driver,
    embedding: EmbeddingTable,
    cancel: CancelFlag,
}

impl Teacher {
    /// Opens the card and loads the model; `progress` gets files loaded so far and files in all. `cancel` ends the load
    /// before its next file, and later each step before its next layer.
    pub fn open(
        device: &DeviceChoice,
        options: &DriverOptions,
        model: &Model,
        cancel: &CancelFlag,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, TeacherError> {
        let parts = model.card_parts()?;
        let driver = Driver::open(device, options)?;
        let spec = ModelSpec {
            layers: parts.files.layers.clone(),
            head: parts.files.head.clone(),
            hidden: model.hidden(),
            vocab: model.vocab(),
            sequence_bytes: model.sequence_bytes(),
            digest: model.check_contents()?,
        };
        let loaded = driver.load(&spec, cancel, &mut |load| progress(load.index, load.total))?;
        let embedding = model.embedding()?;
        Ok(Self { loaded, driver, embedding, cancel: cancel.clone() })
    }

    /// The card in use.
    pub fn device(&self) -> &DeviceInfo {
        self.driver.info()
    }

    /// Runs `prompt` and then `forced`, all but its last token, one decode step each. `on_step` gets the logits that
    /// predict `forced[i]`, as bf16 bits, one per vocabulary entry, for `i` from 0 on; it is called once even when
    /// `forced` is empty.
    pub fn force(
        &mut self,
        prompt: &[TokenId],
        forced: &[TokenId],
        on_step: &mut dyn FnMut(usize, &[u16]),
    ) -> Result<(), TeacherError> {
        let needed = prompt.len() + forced.len().saturating_sub(1);
        if needed > self.loaded.context_len() {
            return Err(TeacherError::TooLong { needed, context: self.loaded.context_len() });
        }
        if prompt.is_empty() {
            return Err(TeacherError::EmptyPrompt);
        }
        let hidden = self.loaded.hidden();
        let mut logits = vec![0_u16; self.loaded.vocab()];
        let mut rows = vec![0_u16; self.loaded.chunk_len() * hidden];
        let mut sequence = self.loaded.new_sequence()?;

        let chunks = prompt.chunks(self.loaded.chunk_len());
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            let rows = &mut rows[..chunk.len() * hidden];
            self.embedding.read_rows(chunk, rows)?;
            sequence.prefill(rows, (index == last).then_some(&mut logits[..]), &self.cancel)?;
        }
        on_step(0, &logits);
        for (index, token) in forced.iter().enumerate().take(forced.len().saturating_sub(1)) {
            let row = &mut rows[..hidden];
            self.embedding.read_row(*token, row)?;
            sequence.decode(row, &mut logits, &self.cancel)?;
            on_step(index + 1, &logits);
        }
        Ok(())
    }
}
