//! From a text encoder as Hugging Face has it (a directory of safetensors) to a model of the store.
//!
//! What such a directory says is spread over several files: the sizes in `config.json`, the way from rows to a vector
//! in `modules.json` and the folders it names, the longest text in `sentence_bert_config.json`. All of it is settled
//! here, once, and anything that would be computed differently than its makers do is refused. Weights and tokenizer are
//! copied as they are.

mod settings;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use self::settings::{Settings, read_settings};
use super::super::changes::Changes;
use super::super::encoder::{ENCODER_FILE, EncoderConfig, FORMAT, TOKENIZER_FILE, WEIGHTS_FILE};
use super::super::manifest::{Custom, MANIFEST_FILE, Manifest, SCHEMA, parameter_size};
use super::super::model::Model;
use super::super::name::ModelName;
use super::super::safetensors::TensorFile;
use super::super::store::Store;
use super::documents::pretty;
use super::staging::Staging;
use super::{ImportError, Registered, SetUp, check_space, set_up};
use crate::text::{EncoderTokenizer, word_piece_tokenizer};

/// Family of these models; GGUF files of `RoBERTa` models have it, too.
const FAMILY: &str = "bert";
/// Tensors begin with one of these where an encoder was saved as part of a larger model.
const PREFIXES: [&str; 2] = ["bert.", "roberta."];
/// The tensor by which the prefix is recognised.
const WORDS: &str = "embeddings.word_embeddings.weight";
/// Vocabulary from which a tokenizer can be made.
const VOCAB_FILE: &str = "vocab.txt";
/// Longest small file that is read, in bytes; the vocabularies of the largest encoders have twenty million.
const MAX_SMALL_BYTES: u64 = 64 << 20;
/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// Whether `dir` is a model as Hugging Face has it, by its weights, and not a directory of the vendor's.
pub fn is_weights_directory(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let ends: Vec<_> =
        entries.filter_map(|entry| entry.path().extension().map(std::ffi::OsStr::to_owned)).collect();
    let has = |end: &str| ends.iter().any(|found| found.eq_ignore_ascii_case(end));
    let is_pickled = dir.join("pytorch_model.bin").is_file();
    (has("safetensors") || is_pickled) && !has("axmodel")
}

/// Makes the model `name` of `store` from the directory `source`, with these `changes`. Replaces a model of that name.
///
/// # Errors
///
/// Every error leaves the store as it was.
pub(in crate::models) fn create(
    store: &Store,
    name: &ModelName,
    source: &Path,
    changes: &Changes,
) -> Result<Registered, ImportError> {
    let source = Source { dir: source.to_owned() };
    let weights = source.weights()?;
    let Settings { mut config, mut notes } = read_settings(&source)?;
    let path = source.dir.join(WEIGHTS_FILE);
    let prefixed = |prefix: &&str| weights.contains(&format!("{prefix}{WORDS}"));
    if let Some(prefix) = PREFIXES.into_iter().find(prefixed).filter(|_| !weights.contains(WORDS)) {
        prefix.clone_into(&mut config.prefix);
    }
    config.check_weights(&weights).map_err(|error| ImportError::part(&path, &error.to_string()))?;
    let tokenizer = source.tokenizer(&config, &mut notes)?;

    let SetUp { name, target, mut staging } = set_up(store, name)?;
    let bytes = std::fs::metadata(&path).map_err(|error| ImportError::open(&path, error))?.len();
    check_space(store.folder(), bytes + tokenizer.len() as u64)?;
    copy(&mut staging, WEIGHTS_FILE, &path)?;
    staging.write(TOKENIZER_FILE, &tokenizer)?;
    staging.write(ENCODER_FILE, &pretty(&json!(config))?)?;
    let kind = weights.kind(&format!("{}{WORDS}", config.prefix)).unwrap_or("F32");
    let mut manifest = manifest(&config, kind, &staging);
    changes.apply(&mut manifest);
    staging.write(MANIFEST_FILE, &pretty(&json!(manifest))?)?;
    // The tokenizer is not opened by the check of the directory.
    EncoderTokenizer::open(&staging.path().join(TOKENIZER_FILE), config.vocab, config.lower_case).map_err(
        |error| ImportError::part(&source.dir, &format!("has a tokenizer that cannot be used: {error}")),
    )?;
    let model: Arc<Model> = staging.complete(store, name, &target)?;
    Ok(Registered { model, notes })
}

/// The directory that is read.
struct Source {
    dir: PathBuf,
}

impl Source {
    /// A small file of the directory; `None` if there is none.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ImportError> {
        let path = self.dir.join(name);
        // Opening a pipe would wait for its writer.
        match std::fs::metadata(&path) {
            Ok(data) if data.is_file() => {}
            Ok(_) => return Err(ImportError::part(&path, "is not a regular file")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ImportError::open(&path, error)),
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_SMALL_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| ImportError::open(&path, error))?;
        if bytes.len() as u64 > MAX_SMALL_BYTES {
            return Err(ImportError::part(&path, &format!("is larger than {MAX_SMALL_BYTES} bytes")));
        }
        if bytes.starts_with(b"version https://git-lfs") {
            let reason = "is a git-lfs pointer and not the file itself; run `git lfs pull` in its directory";
            return Err(ImportError::part(&path, reason));
        }
        Ok(Some(bytes))
    }

    /// A small file with JSON; `None` if there is none.
    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ImportError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| {
            ImportError::part(&self.dir.join(name), &format!("cannot be read: {error}; download it again"))
        })
    }

    fn weights(&self) -> Result<TensorFile, ImportError> {
        let path = self.dir.join(WEIGHTS_FILE);
        if !path.is_file() {
            let reason = "has no model.safetensors; encoders whose weights are in several files, or in a \
                          pytorch_model.bin, have to be saved as one safetensors file first";
            return Err(ImportError::part(&self.dir, reason));
        }
        TensorFile::open(&path).map_err(|error| ImportError::part(&path, &error.to_string()))
    }

    /// The content of `tokenizer.json`, or one made from the vocabulary.
    fn tokenizer(&self, config: &EncoderConfig, notes: &mut Vec<String>) -> Result<Vec<u8>, ImportError> {
        if let Some(bytes) = self.read(TOKENIZER_FILE)? {
            return Ok(bytes);
        }
        let Some(vocab) = self.read(VOCAB_FILE)? else {
            let reason = format!(
                "has neither {TOKENIZER_FILE} nor {VOCAB_FILE}; download the model's directory as a whole"
            );
            return Err(ImportError::part(&self.dir, &reason));
        };
        let path = self.dir.join(VOCAB_FILE);
        let vocab = String::from_utf8(vocab).map_err(|_| ImportError::part(&path, "is not UTF-8"))?;
        let settings: Map<String, Json> = self.json("tokenizer_config.json")?.unwrap_or_default();
        let lower_case = settings.get("do_lower_case").and_then(Json::as_bool).unwrap_or(true);
        notes.push(format!("there is no {TOKENIZER_FILE}: it was made from {VOCAB_FILE}"));
        let words = vocab.lines().take(config.vocab + 1);
        let made = word_piece_tokenizer(words, lower_case);
        made.map(String::into_bytes).map_err(|error| ImportError::part(&path, &error.to_string()))
    }
}

/// Copies a file into the staging directory.
fn copy(staging: &mut Staging, name: &str, from: &Path) -> Result<(), ImportError> {
    let fail = |error| ImportError::open(from, error);
    let mut input = File::open(from).map_err(fail)?;
    let mut output = staging.create(name)?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = input.read(&mut piece).map_err(fail)?;
        if read == 0 {
            return staging.finish(output);
        }
        output.write(&piece[..read])?;
    }
}

fn manifest(config: &EncoderConfig, kind: &str, staging: &Staging) -> Manifest {
    let parameters = config.parameters();
    // The numbers of GGUF's file types.
    let file_type = match kind {
        "F16" => 1,
        "BF16" => 32,
        _ => 0,
    };
    let mut model_info = Map::new();
    for (key, value) in [
        ("general.architecture", Json::from(FAMILY)),
        ("general.file_type", file_type.into()),
        ("general.parameter_count", parameters.into()),
        ("bert.attention.causal", false.into()),
        ("bert.attention.head_count", config.heads.into()),
        ("bert.attention.layer_norm_epsilon", config.norm_eps.into()),
        ("bert.block_count", config.layers.into()),
        ("bert.context_length", config.longest().into()),
        ("bert.embedding_length", config.hidden.into()),
        ("bert.feed_forward_length", config.intermediate.into()),
        ("bert.pooling_type", config.pooling.gguf_number().into()),
    ] {
        model_info.insert(key.to_owned(), value);
    }
    Manifest {
        schema: SCHEMA,
        format: FORMAT.to_owned(),
        family: FAMILY.to_owned(),
        parameter_count: parameters,
        parameter_size: parameter_size(parameters),
        quantization_level: kind.to_owned(),
        context_length: config.max_tokens,
        trained_context: config.longest(),
        embedding_length: config.hidden,
        model_info,
        license: None,
        parameters: Map::new(),
        system: None,
        custom: Custom::default(),
        files: staging.entries().to_vec(),
    }
}

/// The error for a file that has to be there.
fn missing(source: &Source, name: &str) -> ImportError {
    ImportError::part(&source.dir, &format!("has no {name}; download the model's directory as a whole"))
}
