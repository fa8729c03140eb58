//! What a card needs of a model that it runs: layer files, head, embedding table, and what their headers say.

use std::path::{Path, PathBuf};

use super::super::config::{Config, MAX_CONFIG_BYTES};
use super::super::embedding::EmbeddingTable;
use super::super::manifest::Manifest;
use super::layers::{LayerFacts, check_layers};
use super::{CONFIG_FILE, ModelError, read_small, require};

/// The parts of a model that runs on a card.
#[derive(Debug)]
pub struct CardParts {
    /// Content of `config.json`.
    pub config: Config,
    /// Where the weights are.
    pub files: LayerFiles,
    pub(super) facts: LayerFacts,
}

/// Paths of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerFiles {
    /// Layer files, in order.
    pub layers: Vec<PathBuf>,
    /// Final norm and output head.
    pub head: PathBuf,
    /// bf16 embedding table.
    pub embedding: PathBuf,
}

impl CardParts {
    /// Opens and checks the files in `dir`.
    pub(super) fn open(dir: &Path, manifest: &Manifest) -> Result<Self, ModelError> {
        let bytes = read_small(&require(dir, CONFIG_FILE)?, MAX_CONFIG_BYTES)?;
        let config =
            Config::parse(&bytes).map_err(|source| ModelError::Config { dir: dir.to_owned(), source })?;
        let pattern = &config.template_filename_axmodel;
        let layers = (0..config.axmodel_num).map(|index| require(dir, &pattern.file_name(index)));
        let files = LayerFiles {
            layers: layers.collect::<Result<_, _>>()?,
            head: require(dir, &config.filename_post_axmodel)?,
            embedding: require(dir, &config.filename_tokens_embed)?,
        };
        require(dir, &config.url_tokenizer_model)?;
        EmbeddingTable::open(&files.embedding, config.tokens_embed_num, config.tokens_embed_size)?;
        let facts = check_layers(&files, &config, manifest)?;
        Ok(Self { config, files, facts })
    }

    /// The same after the directory was renamed to `dir`.
    pub(super) fn moved_to(self, dir: &Path) -> Self {
        let pattern = &self.config.template_filename_axmodel;
        let files = LayerFiles {
            layers: (0..self.config.axmodel_num).map(|index| dir.join(pattern.file_name(index))).collect(),
            head: dir.join(&self.config.filename_post_axmodel),
            embedding: dir.join(&self.config.filename_tokens_embed),
        };
        Self { files, ..self }
    }
}
