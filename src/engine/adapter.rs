//! The real card behind the engine's seam: `crate::device`, with the text and embedding files of the model.

use std::sync::Arc;

use super::card::{Card, CardModel, CardSequence, Fault, ModelSizes, StreamText};
use super::status::LoadedPaths;
use crate::device::{
    CancelFlag, DeviceChoice, DeviceError, DeviceInfo, Driver, DriverOptions, LoadedModel, ModelSpec,
    Sequence, Verdicts,
};
use crate::models::embedding::EmbeddingTable;
use crate::models::final_norm::FinalNorm;
use crate::models::model::Model;
use crate::text::{Detokenizer, SpelledTokens, TextModel, TokenId};

/// A card opened through a driver.
pub(crate) struct DeviceCard {
    driver: Driver,
}

/// A model on such a card.
pub(crate) struct DeviceModel {
    model: LoadedModel,
    embedding: Arc<EmbeddingTable>,
    text: Arc<TextModel>,
    sizes: ModelSizes,
    final_norm: Option<FinalNorm>,
    verdicts: Option<Arc<Verdicts>>,
}

/// A conversation on such a card.
pub(crate) struct DeviceSequence {
    sequence: Sequence,
    embedding: Arc<EmbeddingTable>,
    /// Embedding rows of one step, `[tokens, hidden]` bf16; kept to spare an allocation per token.
    rows: Vec<u16>,
    /// Those of the chunk that is likely to come next, and the tokens that they belong to.
    next_rows: Vec<u16>,
    next: Vec<TokenId>,
}

impl DeviceCard {
    /// Opens the card. Call on the thread that will use it.
    pub(crate) fn open(choice: &DeviceChoice, options: &DriverOptions) -> Result<Self, Fault> {
        let driver = Driver::open(choice, options)?;
        Ok(Self { driver })
    }
}

impl Card for DeviceCard {
    type Model = DeviceModel;

    fn info(&self) -> DeviceInfo {
        self.driver.info().clone()
    }

    fn load(&self, model: &Arc<Model>, cancel: &CancelFlag) -> Result<DeviceModel, Fault> {
        // The files that need no card come first: what is wrong with them should not cost a load.
        let text = model.text().map_err(|error| Fault::Model(error.to_string()))?;
        let embedding = model.embedding().map_err(|error| Fault::Model(error.to_string()))?;
        let final_norm = model.final_norm().map_err(|error| Fault::Model(error.to_string()))?;
        let parts = model.card_parts().map_err(|error| Fault::Model(error.to_string()))?;
        let spec = ModelSpec {
            layers: parts.files.layers.clone(),
            head: parts.files.head.clone(),
            hidden: model.hidden(),
            vocab: model.vocab(),
            sequence_bytes: model.sequence_bytes(),
            digest: model.check_contents().map_err(|error| Fault::Model(error.to_string()))?,
        };
        let name = model.name.to_string();
        if let Some(warning) = model.take_warning() {
            tracing::warn!(model = %name, "{warning}");
        }
        let loaded = self.driver.load(&spec, cancel, &mut |progress| {
            tracing::debug!(model = %name, file = %progress.file.display(), index = progress.index, total = progress.total, "loading");
        })?;
        let sizes = ModelSizes {
            // Past a window of attention the layers would compute something else than the model learned.
            context_len: loaded.context_len().min(model.window()),
            chunk_len: loaded.chunk_len(),
            vocab: loaded.vocab(),
            hidden: loaded.hidden(),
            memory_bytes: loaded.memory_bytes(),
        };
        let verdicts = loaded.verdicts().cloned().map(Arc::new);
        Ok(DeviceModel { verdicts, model: loaded, embedding: Arc::new(embedding), text, sizes, final_norm })
    }

    fn take_drop_fault(&self) -> Option<Fault> {
        self.driver.take_drop_errors().map(|errors| errors.last.into())
    }
}

impl CardModel for DeviceModel {
    type Sequence = DeviceSequence;
    type Text = Detokenizer;

    fn sizes(&self) -> ModelSizes {
        self.sizes
    }

    fn paths(&self) -> LoadedPaths {
        LoadedPaths { on: self.model.paths(), verdicts: self.verdicts.clone() }
    }

    fn new_sequence(&self) -> Result<DeviceSequence, Fault> {
        let sequence = self.model.new_sequence()?;
        Ok(DeviceSequence {
            sequence,
            embedding: Arc::clone(&self.embedding),
            rows: Vec::new(),
            next_rows: Vec::new(),
            next: Vec::new(),
        })
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.text.is_end(token)
    }

    fn token_text(&self, token: TokenId) -> String {
        String::from_utf8_lossy(self.text.token_bytes(token)).into_owned()
    }

    fn final_norm(&self) -> Option<&FinalNorm> {
        self.final_norm.as_ref()
    }

    fn stream_text(&self, spelled: &SpelledTokens) -> Detokenizer {
        self.text.detokenizer_spelling(spelled.clone())
    }
}

impl DeviceSequence {
    /// Fills `rows`, with what was looked up for a chunk to come where these are its tokens.
    fn look_up(&mut self, tokens: &[TokenId]) -> Result<(), Fault> {
        if !tokens.is_empty() && self.next == tokens {
            std::mem::swap(&mut self.rows, &mut self.next_rows);
            self.next.clear();
            return Ok(());
        }
        read_rows(&self.embedding, tokens, &mut self.rows)
    }
}

fn read_rows(embedding: &EmbeddingTable, tokens: &[TokenId], rows: &mut Vec<u16>) -> Result<(), Fault> {
    rows.resize(tokens.len() * embedding.hidden(), 0);
    embedding.read_rows(tokens, rows).map_err(|error| Fault::Request(error.to_string()))
}

impl CardSequence for DeviceSequence {
    fn len(&self) -> usize {
        self.sequence.len()
    }

    fn truncate(&mut self, len: usize) {
        self.sequence.truncate(len);
    }

    fn prefill(
        &mut self,
        tokens: &[TokenId],
        logits: Option<&mut [u16]>,
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        self.look_up(tokens)?;
        Ok(self.sequence.prefill(&self.rows, logits, cancel)?)
    }

    fn prefill_before(
        &mut self,
        tokens: &[TokenId],
        next: &[TokenId],
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        self.look_up(tokens)?;
        self.next.clear();
        read_rows(&self.embedding, next, &mut self.next_rows)?;
        self.next.extend_from_slice(next);
        Ok(self.sequence.prefill_before(&self.rows, &self.next_rows, cancel)?)
    }

    fn prefill_hidden(
        &mut self,
        tokens: &[TokenId],
        hidden: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        self.look_up(tokens)?;
        Ok(self.sequence.prefill_hidden(&self.rows, hidden, cancel)?)
    }

    fn decode(&mut self, token: TokenId, logits: &mut [u16], cancel: &CancelFlag) -> Result<(), Fault> {
        self.look_up(&[token])?;
        Ok(self.sequence.decode(&self.rows, logits, cancel)?)
    }
}

impl StreamText for Detokenizer {
    fn push(&mut self, token: TokenId) -> String {
        Detokenizer::push(self, token).unwrap_or_default()
    }

    fn finish(&mut self) -> String {
        self.flush().unwrap_or_default()
    }
}

impl From<DeviceError> for Fault {
    fn from(error: DeviceError) -> Self {
        let text = error.to_string();
        match error {
            DeviceError::Cancelled => Self::Cancelled,
            DeviceError::OutOfMemory { .. } => Self::OutOfMemory(text),
            DeviceError::Model(_) => Self::Model(text),
            DeviceError::ContextFull { .. } => Self::Request(text),
            DeviceError::Lost { .. } | DeviceError::NoCard(_) => Self::Lost(text),
            _ => Self::Call(text),
        }
    }
}
