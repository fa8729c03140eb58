//! `manifest.json`: what a model directory holds, written last by the importer.
//!
//! The SHA-256 of this file is the model's digest, as Ollama defines it for its own manifests; since it lists the
//! digest of every file, it changes whenever any of them is made anew.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::encoder::Pooling;

/// File name of the manifest.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// Key of `model_info` with the directory that a registered model's weights stay in.
pub const SOURCE_KEY: &str = "ax650.source";
/// End of the key of `model_info` with the window of attention, in tokens; the family stands before it, as in GGUF.
pub const WINDOW_KEY: &str = ".attention.sliding_window";
/// End of the key of `model_info` with how hidden states become a vector, as GGUF numbers it.
pub const POOLING_KEY: &str = ".pooling_type";
/// Key of `model_info` with whether a model thinks aloud where a request does not say.
pub const THINK_KEY: &str = "ax650.think";
/// The schema this build writes and reads.
pub const SCHEMA: u32 = 1;

/// Content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's layout, [`SCHEMA`].
    pub schema: u32,
    /// File format of the layers: `axmodel`, or `synthetic` for a model without weights.
    pub format: String,
    /// Architecture, e.g. `llama`.
    pub family: String,
    /// Number of parameters.
    pub parameter_count: u64,
    /// The same for people, e.g. `134.5M`.
    pub parameter_size: String,
    /// `W8A16` or `BF16`.
    pub quantization_level: String,
    /// Tokens whose keys and values fit: the `kv_len` the layers are made for.
    pub context_length: usize,
    /// Context the model was trained with.
    pub trained_context: usize,
    /// Hidden size.
    pub embedding_length: usize,
    /// Flat map with GGUF's keys; long arrays are emptied.
    pub model_info: Map<String, Value>,
    /// Licence text or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Default options of requests, with Ollama's names (e.g. `stop`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Default system message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What somebody who made the model of another one wanted otherwise.
    #[serde(flatten)]
    pub custom: Custom,
    /// Every other file of the directory.
    pub files: Vec<FileEntry>,
}

/// What a model made of another one has that its files do not say; see `derive`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Custom {
    /// Chat template in place of the one of the files, in the language of Go or in Jinja.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Messages that stand before those of every request, each an object as in requests of the native API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// Name of the model that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Least version of Ollama that the model asks for. Shown, and of no effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// What listings say in place of what the files say, with the keys of the field `info` of `/api/create`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub info: Map<String, Value>,
}

/// The part of `manifest.json` that every schema has.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

/// One file of a model directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name within the directory.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The digest covers the length and some pieces of the content: a file that stays where its owner has it is not
    /// read as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sampled: bool,
    /// When such a file was last written, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Larger than any real one.
    #[error("manifest.json is larger than {MAX_MANIFEST_BYTES} bytes; it is not a manifest")]
    TooLarge,
    /// Not JSON, or a key is missing or of the wrong type; the text names it.
    #[error("manifest.json cannot be read: {0}; make the model again with `ax650 create`")]
    Json(#[from] serde_json::Error),
    /// Written by another version of this program.
    #[error(
        "manifest.json has schema {0}, this version reads {SCHEMA}; make the model again with this version's `ax650 create`"
    )]
    Schema(u32),
    /// A file entry that leads out of the directory or has no proper digest.
    #[error("manifest.json lists {name:?} with {reason}; make the model again with `ax650 create`")]
    File {
        /// The entry's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Manifest {
    /// Reads and checks the bytes of a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge);
        }
        // The schema first: another one need not have the keys of this one.
        let Versioned { schema } = serde_json::from_slice(bytes)?;
        if schema != SCHEMA {
            return Err(ManifestError::Schema(schema));
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        for file in &manifest.files {
            let fail = |reason| Err(ManifestError::File { name: file.name.clone(), reason });
            let mut parts = Path::new(&file.name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return fail("a name that is not a plain file name");
            }
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if file.sha256.len() != 64 || !file.sha256.bytes().all(hex) {
                return fail("a digest that is not 64 hexadecimal digits");
            }
        }
        Ok(manifest)
    }

    /// The directory that the weights stay in, if the model only links to them.
    pub fn source(&self) -> Option<&str> {
        self.model_info.get(SOURCE_KEY).and_then(Value::as_str)
    }

    /// Whether the model thinks aloud where a request does not say; yes, unless its package says otherwise.
    pub fn thinks_by_default(&self) -> bool {
        self.model_info.get(THINK_KEY).and_then(Value::as_bool).unwrap_or(true)
    }

    /// Tokens that a token sees at most, if the model was trained with a window.
    pub fn window(&self) -> Option<usize> {
        let tokens = self.model_info.get(&format!("{}{WINDOW_KEY}", self.family))?.as_u64()?;
        usize::try_from(tokens).ok().filter(|tokens| *tokens > 0)
    }

    /// How the model turns hidden states into a vector, if it was trained for that.
    pub fn pooling(&self) -> Option<Pooling> {
        let number = self.model_info.get(&format!("{}{POOLING_KEY}", self.family))?.as_u64()?;
        Pooling::from_gguf_number(number)
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

/// A parameter count for people: `134.5M`, `7.6B`.
pub fn parameter_size(count: u64) -> String {
    let count = count as f64;
    match count {
        c if c >= 1e9 => format!("{:.1}B", c / 1e9),
        c if c >= 1e6 => format!("{:.1}M", c / 1e6),
        c if c >= 1e3 => format!("{:.1}K", c / 1e3),
        c => format!("{c}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prints_parameter_counts() {
        assert_eq!(parameter_size(134_515_008), "134.5M");
        assert_eq!(parameter_size(7_615_616_512), "7.6B");
        assert_eq!(parameter_size(1_234), "1.2K");
        assert_eq!(parameter_size(12), "12");
    }

    #[test]
    fn another_schema_is_named_whatever_else_it_has() {
        for text in [r#"{"schema": 2}"#, r#"{"schema": 2, "files": {"a": 1}, "format": 7}"#] {
            assert!(matches!(Manifest::parse(text.as_bytes()), Err(ManifestError::Schema(2))), "{text}");
        }
        assert!(matches!(Manifest::parse(br#"{"files": []}"#), Err(ManifestError::Json(_))));
    }

    #[test]
    fn refuses_entries_that_lead_elsewhere() {
        let manifest = |name: &str, sha256: &str| {
            let value = json!({
                "schema": 1, "format": "axmodel", "family": "llama", "parameter_count": 1, "parameter_size": "1",
                "quantization_level": "BF16", "context_length": 1, "trained_context": 1, "embedding_length": 1,
                "model_info": {}, "files": [{"name": name, "size": u64::MAX, "sha256": sha256}]
            });
            Manifest::parse(value.to_string().as_bytes())
        };
        let digest = "0".repeat(64);
        assert!(manifest("a.bin", &digest).is_ok());
        for name in ["", "..", "../../etc/passwd", "/etc/passwd", "a/b", "."] {
            let error = manifest(name, &digest).unwrap_err().to_string();
            assert!(error.contains("plain file name"), "{name}: {error}");
        }
        for bad in ["", "00", "../../../etc/passwd", &"G".repeat(64), &"A".repeat(64)] {
            assert!(manifest("a.bin", bad).unwrap_err().to_string().contains("digest"), "{bad}");
        }
        assert!(matches!(Manifest::parse(b"{"), Err(ManifestError::Json(_))));
        assert!(matches!(Manifest::parse(b""), Err(ManifestError::Json(_))));
    }
}
