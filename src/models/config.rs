//! `config.json` of a model directory, with the vendor's keys.
//!
//! The vendor's own program goes on with defaults when this file is broken, and answers nonsense; we say which key is
//! wrong and how to repair it. Keys we have no use for are ignored, so directories made for the vendor's program read
//! as they are. (Source of the keys: the vendor's runtime,
//! <https://github.com/AXERA-TECH/ax-llm>, version 1.3.)

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

/// Most layers a model may have.
pub const MAX_LAYERS: usize = 512;
/// Largest hidden size.
pub const MAX_HIDDEN: usize = 1 << 16;
/// Largest vocabulary.
pub const MAX_VOCAB: usize = 1 << 22;
/// Largest `config.json` that is read, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The settings of a model directory that we use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the model, as the vendor's API reports it.
    pub model_name: String,
    /// Tokenizer family in the vendor's words, e.g. `Qwen3`.
    pub tokenizer_type: String,
    /// Tokenizer file; a local file despite the key's name.
    pub url_tokenizer_model: String,
    /// Pattern of the layer files' names, with one `%d` for the layer's number.
    pub template_filename_axmodel: LayerPattern,
    /// Number of layers.
    pub axmodel_num: usize,
    /// Final norm and output head.
    pub filename_post_axmodel: String,
    /// Embedding table.
    pub filename_tokens_embed: String,
    /// Vocabulary size: rows of the embedding table.
    pub tokens_embed_num: usize,
    /// Hidden size: values in a row.
    pub tokens_embed_size: usize,
    /// Sampling defaults of the vendor's program.
    #[serde(default = "default_post_config")]
    pub post_config_path: String,
    /// Whether a begin-of-text token goes before the prompt.
    #[serde(default = "default_true")]
    pub bos: bool,
    /// Whether an end-of-text token goes after the prompt.
    #[serde(default)]
    pub eos: bool,
}

fn default_post_config() -> String {
    "post_config.json".to_owned()
}

fn default_true() -> bool {
    true
}

/// Why `config.json` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file has no content.
    #[error(
        "config.json is empty (0 bytes); some published packages ship it so: copy it from the package's page, or make the model again with `ax650 create`"
    )]
    Empty,
    /// A git-lfs pointer instead of the file.
    #[error(
        "config.json is a git-lfs pointer and not the file itself; run `git lfs pull` in the directory, or make the model again with `ax650 create`"
    )]
    LfsPointer,
    /// Larger than any real one.
    #[error("config.json is larger than {MAX_CONFIG_BYTES} bytes; it is not a model's configuration")]
    TooLarge,
    /// Not JSON, or a key is missing or of the wrong type; the text names it.
    #[error("config.json cannot be read: {0}; correct the key, or make the model again with `ax650 create`")]
    Json(#[from] serde_json::Error),
    /// A value that cannot be true.
    #[error("config.json: {key} is {found}, {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is needed.
        wanted: String,
    },
}

impl Config {
    /// Reads and checks the bytes of a `config.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge);
        }
        if bytes.starts_with(b"version https://git-lfs") {
            return Err(ConfigError::LfsPointer);
        }
        if bytes.trim_ascii().is_empty() {
            return Err(ConfigError::Empty);
        }
        let config: Self = serde_json::from_slice(bytes)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        range("axmodel_num", self.axmodel_num, MAX_LAYERS)?;
        range("tokens_embed_num", self.tokens_embed_num, MAX_VOCAB)?;
        range("tokens_embed_size", self.tokens_embed_size, MAX_HIDDEN)?;
        local("url_tokenizer_model", &self.url_tokenizer_model)?;
        local("filename_post_axmodel", &self.filename_post_axmodel)?;
        local("filename_tokens_embed", &self.filename_tokens_embed)?;
        local("post_config_path", &self.post_config_path)?;
        local("template_filename_axmodel", &self.template_filename_axmodel.file_name(0))
    }

    /// Bytes the embedding table must have.
    pub fn embedding_bytes(&self) -> u64 {
        self.tokens_embed_num as u64 * self.tokens_embed_size as u64 * 2
    }
}

fn range(key: &'static str, value: usize, limit: usize) -> Result<(), ConfigError> {
    if (1..=limit).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Value { key, found: value.to_string(), wanted: format!("it must be from 1 to {limit}") })
}

/// Refuses names that lead out of the model directory.
fn local(key: &'static str, name: &str) -> Result<(), ConfigError> {
    let path = Path::new(name);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if inside && path.file_name().is_some() && !name.contains('\0') {
        return Ok(());
    }
    let wanted = "it must name a file inside the model directory".to_owned();
    Err(ConfigError::Value { key, found: format!("{name:?}"), wanted })
}

/// A file name pattern with exactly one `%d`, parsed here: a file of a stranger never reaches a C format function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerPattern {
    before: String,
    after: String,
}

impl LayerPattern {
    /// The file name of layer `index`.
    pub fn file_name(&self, index: usize) -> String {
        format!("{}{index}{}", self.before, self.after)
    }
}

impl TryFrom<String> for LayerPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once("%d") {
            Some((before, after)) if !before.contains('%') && !after.contains('%') => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            _ => Err(format!(
                "template_filename_axmodel is {text:?}, it must contain exactly one %d for the layer's number and no other %"
            )),
        }
    }
}

impl From<LayerPattern> for String {
    fn from(pattern: LayerPattern) -> Self {
        format!("{}%d{}", pattern.before, pattern.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "model_name": "smollm2", "tokenizer_type": "SmolLM2", "url_tokenizer_model": "tokenizer.json",
            "template_filename_axmodel": "smollm2_p128_l%d_together.axmodel", "axmodel_num": 30,
            "filename_post_axmodel": "smollm2_post.axmodel", "filename_tokens_embed": "embed.bin",
            "tokens_embed_num": 49152, "tokens_embed_size": 576, "unknown_key": [1, 2]
        })
    }

    fn parse(value: &Value) -> Result<Config, ConfigError> {
        Config::parse(value.to_string().as_bytes())
    }

    #[test]
    fn reads_the_vendors_keys() {
        let config = parse(&good()).unwrap();
        assert_eq!(config.template_filename_axmodel.file_name(7), "smollm2_p128_l7_together.axmodel");
        assert_eq!(config.embedding_bytes(), 49152 * 576 * 2);
        assert!(config.bos && !config.eos);
        assert_eq!(Config::parse(&serde_json::to_vec(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn names_the_key_that_is_wrong() {
        for (key, value) in [
            ("template_filename_axmodel", json!("layer.axmodel")),
            ("template_filename_axmodel", json!("l%d_%d.axmodel")),
            ("template_filename_axmodel", json!("l%s%d.axmodel")),
            ("template_filename_axmodel", json!("../l%d.axmodel")),
            ("axmodel_num", json!(0)),
            ("axmodel_num", json!(100_000)),
            ("axmodel_num", json!(-1)),
            ("tokens_embed_num", json!(1_u64 << 40)),
            ("tokens_embed_size", json!("many")),
            ("filename_post_axmodel", json!("/etc/passwd")),
            ("filename_tokens_embed", json!("a/../../b")),
            ("url_tokenizer_model", json!("")),
            ("url_tokenizer_model", json!("http://127.0.0.1:12345/../..")),
        ] {
            let mut broken = good();
            broken[key] = value.clone();
            let error = parse(&broken).unwrap_err().to_string();
            let named = error.contains(key) || error.contains("line 1 column");
            assert!(named && error.contains("config.json"), "{key} = {value}: {error}");
        }
        let mut missing = good();
        missing.as_object_mut().unwrap().remove("axmodel_num");
        assert!(parse(&missing).unwrap_err().to_string().contains("axmodel_num"));
    }

    #[test]
    fn says_how_to_repair_a_file_that_is_no_configuration() {
        assert!(matches!(Config::parse(b""), Err(ConfigError::Empty)));
        assert!(matches!(Config::parse(b" \n"), Err(ConfigError::Empty)));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 584\n";
        assert!(matches!(Config::parse(pointer), Err(ConfigError::LfsPointer)));
        assert!(matches!(Config::parse(b"{\"model_name\": "), Err(ConfigError::Json(_))));
        assert!(matches!(Config::parse(&vec![b' '; 2 << 20]), Err(ConfigError::TooLarge)));
        let deep = "[".repeat(100_000);
        assert!(matches!(Config::parse(deep.as_bytes()), Err(ConfigError::Json(_))));
    }
}
