//! A model directory that was checked.
//!
//! Opening one reads every file's header and length, a few kilobytes in all, so that what can be wrong with a
//! directory is said here, by file and key, and not by a driver in the middle of a load.

mod card_parts;
pub(super) mod contents;
mod context;
mod layers;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde_json::Value;

pub use self::card_parts::{CardParts, LayerFiles};
use self::context::Context;
use self::layers::LayerFacts;
use super::config::ConfigError;
use super::embedding::{EmbeddingError, EmbeddingTable};
use super::encoder::{EncoderError, EncoderParts, FORMAT as ENCODER, Pooling};
use super::final_norm::FinalNorm;
use super::layer_file::SYNTHETIC;
use super::manifest::{MANIFEST_FILE, MAX_MANIFEST_BYTES, Manifest, ManifestError};
use super::name::ModelName;
use crate::text::{ChatTemplate, FillInMiddle, Message, TextError, TextModel};

/// File name of the chat template.
pub const CHAT_TEMPLATE_FILE: &str = "chat_template.jinja";
/// File name of the configuration.
pub const CONFIG_FILE: &str = "config.json";

/// What is said when a model without weights is used.
pub const NO_WEIGHTS_WARNING: &str =
    "this model is synthetic: it has a real one's shapes and no weights, its answers mean nothing";

/// A model of the store, ready to be loaded. Immutable; share it with `Arc`.
#[derive(Debug)]
pub struct Model {
    /// Its name, in the stored spelling.
    pub name: ModelName,
    /// Its directory.
    pub dir: PathBuf,
    /// Content of `manifest.json`.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`, 64 lower-case hexadecimal digits; with it the dates of files that have another one
    /// than when the model was made. So it changes whenever a file may have.
    pub digest: String,
    /// The same for the files alone: models that were made of one another and share their files have it in common, and
    /// what a card learned of one holds for all.
    pub weights: String,
    /// When the manifest was written.
    pub modified: SystemTime,
    /// Bytes of all files.
    pub size: u64,
    /// What runs it.
    body: Body,
    /// What the chat template knows of beyond plain messages.
    uses_tools: bool,
    uses_thinking: bool,
    uses_suffix: bool,
    /// Whether the vocabulary can mark a gap; found when first asked for, as it takes some milliseconds.
    marks_gaps: OnceLock<bool>,
    /// Opened at the first use: a tokenizer takes a tenth of a second and some megabytes.
    text: SharedText,
    /// The same with the template that the manifest has in place of the files' own.
    custom_text: OnceLock<Arc<TextModel>>,
    /// Whether [`Model::take_warning`] has been asked.
    warned: AtomicBool,
    context: Context,
}

/// The text side of a model's files, once it was opened. Models of the same files have it in common.
type SharedText = Arc<Mutex<Option<Arc<TextModel>>>>;

/// Where a model is computed, with what that takes.
#[derive(Debug)]
enum Body {
    /// On a card, layer by layer.
    Card(Box<CardParts>),
    /// On the host, as a whole: a text encoder, which gives embeddings only.
    Host(Box<EncoderParts>),
}

/// Why a model directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file that every model has is missing.
    #[error("model directory {dir} has no {file}{nearest}; make the model again with `ax650 create`")]
    MissingFile {
        /// The directory.
        dir: PathBuf,
        /// The file that is missing.
        file: String,
        /// `", the nearest name is ..."`, or empty.
        nearest: String,
    },
    /// A file of a registered directory is not where it was.
    #[error(
        "{target} is gone, which this model uses ({path} links to it); put it back, or register the model again with `ax650 create`"
    )]
    Vanished {
        /// The link in the model's directory.
        path: PathBuf,
        /// The file that is gone.
        target: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `manifest.json` is broken.
    #[error("model directory {dir}: {source}")]
    Manifest {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// `config.json` is broken.
    #[error("model directory {dir}: {source}")]
    Config {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// A file does not fit the rest of the model.
    #[error("{path} {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An encoder was asked for what only a model on a card has.
    #[error("{0} is a text encoder: it runs on the host, gives embeddings and nothing else")]
    NotForCards(ModelName),
    /// The configuration or the weights of an encoder are broken.
    #[error("{path} {source}; make the model again with `ax650 create`")]
    Encoder {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: EncoderError,
    },
    /// The tokenizer or the chat template cannot be used.
    #[error("model directory {dir}: {source}")]
    Text {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        source: TextError,
    },
    /// The embedding table does not fit.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
}

impl Model {
    /// Opens and checks the model directory `dir` under the name `name`.
    pub fn open(name: ModelName, dir: &Path) -> Result<Self, ModelError> {
        let manifest_path = require(dir, MANIFEST_FILE)?;
        let manifest_bytes = read_small(&manifest_path, MAX_MANIFEST_BYTES)?;
        let manifest = Manifest::parse(&manifest_bytes)
            .map_err(|source| ModelError::Manifest { dir: dir.to_owned(), source })?;
        let modified = manifest_path
            .metadata()
            .and_then(|data| data.modified())
            .map_err(|source| ModelError::Io { path: manifest_path.clone(), source })?;
        let (body, compiled) = if manifest.format == ENCODER {
            (Body::Host(Box::new(EncoderParts::open(dir, &manifest)?)), false)
        } else {
            let parts = CardParts::open(dir, &manifest)?;
            let compiled = parts.facts.compiled;
            (Body::Card(Box::new(parts)), compiled)
        };
        check_sizes(dir, &manifest)?;
        let contents = contents::check(dir, &manifest, &manifest_bytes, contents::Look::Changed)?;
        let context = Context::open(dir, &contents.weights, &manifest, compiled);

        // A template that cannot be used offers nothing; `text` says why.
        let template = match &manifest.custom.template {
            Some(given) => ChatTemplate::given(given.clone(), None, None).ok(),
            None => TextModel::open_template(dir).ok().flatten(),
        };
        Ok(Self {
            name,
            dir: dir.to_owned(),
            digest: contents.digest,
            weights: contents.weights,
            modified,
            size: manifest.total_bytes() + manifest_bytes.len() as u64,
            manifest,
            body,
            uses_tools: template.as_ref().is_some_and(ChatTemplate::uses_tools),
            uses_thinking: template.as_ref().is_some_and(ChatTemplate::uses_thinking),
            uses_suffix: template.as_ref().is_some_and(ChatTemplate::uses_suffix),
            marks_gaps: OnceLock::new(),
            text: SharedText::default(),
            custom_text: OnceLock::new(),
            warned: AtomicBool::new(false),
            context,
        })
    }

    /// The same model after its directory was renamed to `dir`.
    pub(super) fn moved_to(self, dir: &Path) -> Self {
        let body = match self.body {
            Body::Card(parts) => Body::Card(Box::new(parts.moved_to(dir))),
            Body::Host(parts) => Body::Host(Box::new(parts.moved_to(dir))),
        };
        Self { dir: dir.to_owned(), body, text: SharedText::default(), custom_text: OnceLock::new(), ..self }
    }

    /// What a card needs of the model.
    ///
    /// # Errors
    ///
    /// [`ModelError::NotForCards`] if it is an encoder.
    pub fn card_parts(&self) -> Result<&CardParts, ModelError> {
        match &self.body {
            Body::Card(parts) => Ok(parts),
            Body::Host(_) => Err(ModelError::NotForCards(self.name.clone())),
        }
    }

    /// What the host needs of the model if it is an encoder; `None` for models that run on a card.
    pub fn encoder(&self) -> Option<&EncoderParts> {
        match &self.body {
            Body::Card(_) => None,
            Body::Host(parts) => Some(parts),
        }
    }

    fn facts(&self) -> LayerFacts {
        self.card_parts().map(|parts| parts.facts).unwrap_or_default()
    }

    /// Tokens whose keys and values fit: what the card said when the model was loaded, now or earlier, else what the
    /// files say, else a guess. Of an encoder: tokens of one text.
    pub fn context_len(&self) -> usize {
        self.context.tokens()
    }

    /// Whether [`Model::context_len`] is what a card will say. Files compiled for the NPU have it in a form that only
    /// the driver reads for certain.
    pub fn knows_context(&self) -> bool {
        self.context.is_known()
    }

    /// Takes over the context that a card has for the model, for this process and, where the store can be written, for
    /// later ones. Past a window of attention it is of no use.
    pub fn learn_context(&self, tokens: usize) {
        self.context.learn(&self.dir, &self.weights, tokens.min(self.window()));
    }

    /// Tokens that a token sees at most; beyond any context if the model has no window.
    pub fn window(&self) -> usize {
        self.manifest.window().unwrap_or(usize::MAX)
    }

    /// Looks at all files that stay where their owner has them, and not only at those whose date has changed. To be
    /// called before they are loaded: reads some megabytes. Returns what [`Model::weights`] would be now.
    ///
    /// # Errors
    ///
    /// [`ModelError::File`] names a file that was exchanged.
    pub fn check_contents(&self) -> Result<String, ModelError> {
        let manifest_bytes = read_small(&require(&self.dir, MANIFEST_FILE)?, MAX_MANIFEST_BYTES)?;
        let contents = contents::check(&self.dir, &self.manifest, &manifest_bytes, contents::Look::All)?;
        Ok(contents.weights)
    }

    /// Whether the model has shapes and no weights; its answers mean nothing.
    pub fn is_synthetic(&self) -> bool {
        self.manifest.format == SYNTHETIC
    }

    /// Bytes of card memory that the model and one conversation take, about: the files of layers and head, and keys and
    /// values for the whole context. Buffers of a chunk, and what the driver needs for itself, come on top; compiled
    /// files that do not say their cache's size count without it.
    pub fn device_bytes_estimate(&self) -> u64 {
        let facts = self.facts();
        facts.weights.saturating_add(facts.cache)
    }

    /// Bytes of card memory that the keys and values of one conversation take; 0 where the files do not tell.
    pub fn sequence_bytes(&self) -> u64 {
        self.facts().cache
    }

    /// Bytes of card memory that have to be free for the model to be loaded and to hold one conversation. A PCIe card
    /// holds each file twice while it loads it (HOST `engine/engine_load_unload.cpp`), the last one beside all others;
    /// the conversation begins when that is over.
    pub fn device_bytes_peak(&self) -> u64 {
        let facts = self.facts();
        let loading = facts.weights.saturating_add(facts.last);
        loading.max(self.device_bytes_estimate())
    }

    /// What whoever loads the model should be told, the first time it is asked.
    pub fn take_warning(&self) -> Option<&'static str> {
        let first = self.is_synthetic() && !self.warned.swap(true, Ordering::Relaxed);
        first.then_some(NO_WEIGHTS_WARNING)
    }

    /// Values in a hidden state.
    pub fn hidden(&self) -> usize {
        match &self.body {
            Body::Card(parts) => parts.config.tokens_embed_size,
            Body::Host(parts) => parts.config.hidden,
        }
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab(&self) -> usize {
        match &self.body {
            Body::Card(parts) => parts.config.tokens_embed_num,
            Body::Host(parts) => parts.config.vocab,
        }
    }

    /// What the model can be asked for, in Ollama's words: `embedding` alone, or `completion`, `tools`, `insert`,
    /// `thinking`.
    pub fn capabilities(&self) -> Vec<&'static str> {
        // As upstream does: a model that says how it pools was trained for embeddings, whatever it could say.
        if self.manifest.pooling().is_some() {
            return vec!["embedding"];
        }
        let mut capabilities = vec!["completion"];
        if self.uses_tools {
            capabilities.push("tools");
        }
        if self.uses_suffix || *self.marks_gaps.get_or_init(|| self.find_gap_marks()) {
            capabilities.push("insert");
        }
        if self.uses_thinking {
            capabilities.push("thinking");
        }
        capabilities
    }

    /// Whether the tokenizer's file has the marks of a gap. One that cannot be read has none; `text` says why.
    fn find_gap_marks(&self) -> bool {
        let json = std::fs::read(self.dir.join("tokenizer.json"));
        json.is_ok_and(|json| FillInMiddle::of_tokenizer_file(&String::from_utf8_lossy(&json)).is_some())
    }

    /// Messages that stand before those of every request.
    pub fn history(&self) -> Vec<Message> {
        let messages = self.manifest.custom.messages.iter().filter_map(Value::as_object).map(|fields| {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
            let extra = fields.iter().filter(|(key, _)| *key != "role" && *key != "content");
            Message {
                extra: extra.map(|(key, value)| (key.clone(), value.clone())).collect(),
                ..Message::new(text("role"), text("content"))
            }
        });
        messages.collect()
    }

    /// Tokenizer, chat template and end-of-generation ids; opened once, then shared. May take a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`ModelError::NotForCards`] for an encoder, whose texts only go in.
    pub fn text(&self) -> Result<Arc<TextModel>, ModelError> {
        self.card_parts()?;
        if let Some(custom) = self.custom_text.get() {
            return Ok(Arc::clone(custom));
        }
        let fail = |source| ModelError::Text { dir: self.dir.clone(), source };
        let mut text = self.text.lock();
        let opened = match &*text {
            Some(opened) => Arc::clone(opened),
            None => Arc::clone(text.insert(Arc::new(TextModel::open(&self.dir).map_err(fail)?))),
        };
        drop(text);
        let Some(given) = &self.manifest.custom.template else { return Ok(opened) };
        let custom = Arc::new(opened.with_template(given).map_err(fail)?);
        Ok(Arc::clone(self.custom_text.get_or_init(|| custom)))
    }

    /// Takes over what another model of the same files has opened, or will open.
    pub(super) fn share_text(&mut self, other: &Self) {
        self.text = Arc::clone(&other.text);
    }

    /// What stands between the last layer and the head, read from the head's file; `None` where the file does not tell
    /// it: compiled for the NPU, or without weights.
    pub fn final_norm(&self) -> Result<Option<FinalNorm>, ModelError> {
        let head = &self.card_parts()?.files.head;
        FinalNorm::read(head, self.hidden()).map_err(|reason| ModelError::File { path: head.clone(), reason })
    }

    /// How the hidden states of a text become one vector: as the files say, else that of the last token.
    pub fn pooling(&self) -> Pooling {
        self.manifest.pooling().unwrap_or(Pooling::Last)
    }

    /// Opens the embedding table.
    pub fn embedding(&self) -> Result<EmbeddingTable, ModelError> {
        let parts = self.card_parts()?;
        Ok(EmbeddingTable::open(&parts.files.embedding, self.vocab(), self.hidden())?)
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        text
    })
}

/// The path of a file that must be there. The error names the most similar file that is, for packages where a
/// download added or lost a suffix.
pub(super) fn require(dir: &Path, file: &str) -> Result<PathBuf, ModelError> {
    let path = dir.join(file);
    if path.is_file() {
        return Ok(path);
    }
    if let Ok(target) = std::fs::read_link(&path) {
        return Err(ModelError::Vanished { path, target });
    }
    Err(ModelError::MissingFile {
        dir: dir.to_owned(),
        file: file.to_owned(),
        nearest: nearest_name(dir, file),
    })
}

/// `"; the nearest name there is ..."` for a file that `dir` does not have, or nothing.
pub(super) fn nearest_name(dir: &Path, file: &str) -> String {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let nearest = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| (similarity(file, &name), name))
        .max()
        .filter(|(shared, _)| *shared * 2 >= file.len());
    nearest.map(|(_, name)| format!("; the nearest name there is {name}")).unwrap_or_default()
}

/// Bytes that two names share at the start and at the end.
fn similarity(wanted: &str, found: &str) -> usize {
    let (wanted, found) = (wanted.as_bytes(), found.as_bytes());
    let start = wanted.iter().zip(found).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&wanted[start..], &found[start..]);
    start + rest.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
}

/// Reads a file that should be small; one byte above `limit` is enough for the parser to refuse it.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Checks that every file of the manifest is there with the length it had when the model was made.
fn check_sizes(dir: &Path, manifest: &Manifest) -> Result<(), ModelError> {
    for file in &manifest.files {
        let path = require(dir, &file.name)?;
        let found = path.metadata().map_err(|source| ModelError::Io { path: path.clone(), source })?.len();
        if found != file.size {
            let reason = format!(
                "has {found} bytes but had {} when the model was created; make the model again with `ax650 create`",
                file.size
            );
            return Err(ModelError::File { path, reason });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_hexadecimal() {
        assert_eq!(hex(&[0, 0x1f, 0xa0, 0xff]), "001fa0ff");
    }

    #[test]
    fn names_the_nearest_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("m_p128_l0_together.axmodel.onnx"), b"x").unwrap();
        std::fs::write(dir.path().join("readme.md"), b"x").unwrap();
        let error = require(dir.path(), "m_p128_l0_together.axmodel").unwrap_err().to_string();
        assert!(error.contains("nearest name there is m_p128_l0_together.axmodel.onnx"), "{error}");
        let error = require(dir.path(), "tokenizer.json").unwrap_err().to_string();
        assert!(error.contains("tokenizer.json") && !error.contains("nearest"), "{error}");
    }
}
