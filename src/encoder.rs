//! Text encoders, computed by the host: tokens in, one vector out.
//!
//! The BERT family is small enough for any CPU and has no place on these cards, whose compiled layers are those of
//! decoders. This room computes and nothing else: it owns no thread and keeps no state between texts. Who asks when,
//! and how long a model stays in memory, is the engine's business (`engine::host`).
//!
//! A text is computed by itself, never padded beside others: its vector depends on nothing but its tokens. Values are
//! f32 throughout, whatever the weights are stored as.

mod bert;

use candle_core::{Device, Tensor};

use self::bert::Bert;
use crate::models::encoder::{EncoderConfig, Pooling};
use crate::models::model::Model;
use crate::models::safetensors::{SafetensorsError, TensorFile};
use crate::text::TokenId;

/// An encoder in memory. `Send + Sync`; computing takes `&self`.
#[derive(Debug)]
pub struct Encoder {
    config: EncoderConfig,
    bert: Bert,
}

/// Why an encoder cannot be loaded or a text not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// The model is not an encoder.
    #[error("{0} is not a text encoder")]
    NotAnEncoder(String),
    /// The weights cannot be read.
    #[error("{path} {source}")]
    Weights {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: SafetensorsError,
    },
    /// The text has no tokens or too many.
    #[error("{tokens} tokens; this encoder takes 1 to {most}")]
    Length {
        /// Tokens of the text.
        tokens: usize,
        /// The most that it takes.
        most: usize,
    },
    /// A token is not in the table.
    #[error("token {token} is outside of the vocabulary of {vocab} tokens")]
    Token {
        /// The token.
        token: TokenId,
        /// Rows of the table.
        vocab: usize,
    },
    /// Taken back before it was done.
    #[error("stopped")]
    Stopped,
    /// The arithmetic failed; a fault of this program.
    #[error("cannot compute: {0}")]
    Compute(#[from] candle_core::Error),
}

impl Encoder {
    /// Reads the weights of `model` into memory. Looks at `stop` every few megabytes.
    pub fn open(model: &Model, stop: &dyn Fn() -> bool) -> Result<Self, EncoderError> {
        let parts = model.encoder().ok_or_else(|| EncoderError::NotAnEncoder(model.name.to_string()))?;
        let fail = |source| EncoderError::Weights { path: parts.weights.display().to_string(), source };
        let file = TensorFile::open(&parts.weights).map_err(fail)?;
        let config = parts.config.clone();
        let read = |name: &str, shape: &[usize]| {
            let values = file.read_unless(stop, &format!("{}{name}", config.prefix), shape);
            let values = values.map_err(|error| match error {
                SafetensorsError::Stopped => EncoderError::Stopped,
                other => fail(other),
            })?;
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
        };
        let bert = Bert::new(&config, &read)?;
        Ok(Self { config, bert })
    }

    /// Bytes of the weights in memory.
    pub fn memory_bytes(&self) -> u64 {
        self.config.memory_bytes()
    }

    /// The vector of a text, not normalised. Looks at `stop` before every layer.
    pub fn encode(&self, tokens: &[TokenId], stop: &dyn Fn() -> bool) -> Result<Vec<f32>, EncoderError> {
        let most = self.config.max_tokens;
        if tokens.is_empty() || tokens.len() > most {
            return Err(EncoderError::Length { tokens: tokens.len(), most });
        }
        let vocab = self.config.vocab;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(EncoderError::Token { token, vocab });
        }
        let rows = self.bert.forward(tokens, stop)?;
        let pooled = match self.config.pooling {
            Pooling::Mean => rows.mean(0)?,
            Pooling::Cls => rows.get(0)?,
            Pooling::Last => rows.get(tokens.len() - 1)?,
        };
        Ok(pooled.to_vec1()?)
    }
}
