//! What a text encoder is made of: its sizes, how its rows become one vector, the tensors it needs.
//!
//! An encoder's directory in the store has `encoder.json` (an [`EncoderConfig`]), `model.safetensors` as its maker
//! wrote it, `tokenizer.json` and the manifest. `import::safetensors` writes it; `crate::encoder` computes with it.

mod pooling;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::model::{ModelError, read_small, require};
use super::safetensors::{SafetensorsError, TensorFile};
use crate::text::{EncoderTokenizer, TextError};

pub use self::pooling::Pooling;

/// Name of the configuration in an encoder's directory.
pub const ENCODER_FILE: &str = "encoder.json";
/// Name of the weights.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Name of the tokenizer.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Format of such models, in their manifests.
pub const FORMAT: &str = "safetensors";
/// Longest configuration that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 16;

/// Content of `encoder.json`: a BERT or a `RoBERTa`, and what is done with its last layer's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderConfig {
    /// Values of a hidden state, and of the vector.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads; they share the hidden state evenly.
    pub heads: usize,
    /// Values between the two matrices of a feed-forward block.
    pub intermediate: usize,
    /// Rows of the table of tokens.
    pub vocab: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// The row of the first token; those before it are never used. 0 for a BERT.
    #[serde(default)]
    pub first_position: usize,
    /// Rows of the table of segments, of which the first is used.
    pub segments: usize,
    /// Added to the variance by the layer norms.
    pub norm_eps: f64,
    /// Function of the feed-forward blocks.
    pub activation: Activation,
    /// Before the names of all tensors: empty, or `bert.`, for instance.
    pub prefix: String,
    /// How rows become a vector.
    pub pooling: Pooling,
    /// Tokens of one text, marks of beginning and end included.
    pub max_tokens: usize,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
}

/// Function between the two matrices of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// By the error function.
    Gelu,
    /// Its approximation by the hyperbolic tangent.
    GeluTanh,
    /// Negative values become 0.
    Relu,
}

/// The files of an encoder, checked.
#[derive(Debug)]
pub struct EncoderParts {
    /// Content of `encoder.json`.
    pub config: EncoderConfig,
    /// The weights.
    pub weights: PathBuf,
    /// The tokenizer's file.
    pub tokenizer: PathBuf,
    /// The tokenizer, opened at the first use.
    text: Mutex<Option<Arc<EncoderTokenizer>>>,
}

/// Why an encoder cannot be used. The texts continue the name of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncoderError {
    /// Not JSON, or a key is missing or of the wrong type; the text names it.
    #[error("cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A size that no model has.
    #[error("has {key} = {value}; it must be between 1 and {most}")]
    Size {
        /// The key.
        key: &'static str,
        /// What it says.
        value: usize,
        /// The most that is computed.
        most: usize,
    },
    /// The heads do not share the hidden state evenly.
    #[error("has {heads} attention heads for {hidden} values; they must share them evenly")]
    Heads {
        /// Heads.
        heads: usize,
        /// Values of a hidden state.
        hidden: usize,
    },
    /// The epsilon of the layer norms makes no sense.
    #[error("has a layer norm epsilon of {0}; it must be above 0 and below 1")]
    NormEps(f64),
    /// The weights do not fit the configuration.
    #[error(transparent)]
    Weights(#[from] SafetensorsError),
}

impl EncoderConfig {
    /// Refuses what no encoder has, so that later sizes can be multiplied without care.
    pub fn check(&self) -> Result<(), EncoderError> {
        for (key, value, most) in [
            ("hidden", self.hidden, 1 << 14),
            ("layers", self.layers, 256),
            ("heads", self.heads, 1 << 10),
            ("intermediate", self.intermediate, 1 << 16),
            ("vocab", self.vocab, 1 << 22),
            ("positions", self.positions, 1 << 16),
            ("segments", self.segments, 1 << 10),
            ("max_tokens", self.max_tokens, self.longest()),
        ] {
            if value == 0 || value > most {
                return Err(EncoderError::Size { key, value, most });
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(EncoderError::Heads { heads: self.heads, hidden: self.hidden });
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(EncoderError::NormEps(self.norm_eps));
        }
        Ok(())
    }

    /// Tokens for which there are positions.
    pub fn longest(&self) -> usize {
        self.positions.saturating_sub(self.first_position)
    }

    /// Names, without the prefix, and shapes of all tensors that are computed with.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, between) = (self.hidden, self.intermediate);
        let mut all = Vec::with_capacity(5 + 16 * self.layers);
        let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
        for (name, rows) in
            [("word", self.vocab), ("position", self.positions), ("token_type", self.segments)]
        {
            add(format!("embeddings.{name}_embeddings.weight"), &[rows, hidden]);
        }
        let mut norm = vec!["embeddings.LayerNorm".to_owned()];
        for layer in 0..self.layers {
            for (name, rows, columns) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", between, hidden),
                ("output.dense", hidden, between),
            ] {
                add(format!("encoder.layer.{layer}.{name}.weight"), &[rows, columns]);
                add(format!("encoder.layer.{layer}.{name}.bias"), &[rows]);
            }
            norm.extend(
                ["attention.output", "output"].map(|at| format!("encoder.layer.{layer}.{at}.LayerNorm")),
            );
        }
        for name in norm {
            add(format!("{name}.weight"), &[hidden]);
            add(format!("{name}.bias"), &[hidden]);
        }
        all
    }

    /// Number of weights that are computed with.
    pub fn parameters(&self) -> u64 {
        self.tensors().iter().map(|(_, shape)| shape.iter().map(|&one| one as u64).product::<u64>()).sum()
    }

    /// Bytes of the weights in memory, where they are f32.
    pub fn memory_bytes(&self) -> u64 {
        self.parameters() * 4
    }

    /// Checks that the file has all tensors, in the shapes that this configuration needs.
    pub fn check_weights(&self, file: &TensorFile) -> Result<(), SafetensorsError> {
        self.tensors()
            .iter()
            .try_for_each(|(name, shape)| file.check(&format!("{}{name}", self.prefix), shape))
    }
}

impl EncoderParts {
    /// Opens and checks the files in `dir`.
    pub(super) fn open(dir: &Path, manifest: &Manifest) -> Result<Self, ModelError> {
        let path = require(dir, ENCODER_FILE)?;
        let config = parse(&read_small(&path, MAX_CONFIG_BYTES)?)
            .map_err(|source| ModelError::Encoder { path: path.clone(), source })?;
        let stated = [manifest.embedding_length, manifest.context_length];
        if stated != [config.hidden, config.max_tokens] {
            let reason = format!(
                "has {} values and {} tokens, but manifest.json {} and {}; make the model again with `ax650 create`",
                config.hidden, config.max_tokens, stated[0], stated[1]
            );
            return Err(ModelError::File { path, reason });
        }
        let weights = require(dir, WEIGHTS_FILE)?;
        TensorFile::open(&weights)
            .and_then(|file| config.check_weights(&file))
            .map_err(|source| ModelError::Encoder { path: weights.clone(), source: source.into() })?;
        Ok(Self { config, weights, tokenizer: require(dir, TOKENIZER_FILE)?, text: Mutex::default() })
    }

    /// The same after the directory was renamed to `dir`.
    pub(super) fn moved_to(self, dir: &Path) -> Self {
        Self { weights: dir.join(WEIGHTS_FILE), tokenizer: dir.join(TOKENIZER_FILE), ..self }
    }

    /// The tokenizer; opened once, then shared. May take a tenth of a second.
    pub fn text(&self) -> Result<Arc<EncoderTokenizer>, TextError> {
        let mut text = self.text.lock();
        if let Some(text) = &*text {
            return Ok(Arc::clone(text));
        }
        let EncoderConfig { vocab, lower_case, .. } = self.config;
        let opened = Arc::new(EncoderTokenizer::open(&self.tokenizer, vocab, lower_case)?);
        *text = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

fn parse(bytes: &[u8]) -> Result<EncoderConfig, EncoderError> {
    let config: EncoderConfig = serde_json::from_slice(bytes)?;
    config.check()?;
    Ok(config)
}
