//! The hyper-parameters in the metadata of a layer file, checked before anything is sized by them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::LoadError;
use super::file::LayerFile;
use super::limits::{
    HEAD_DIM_STEP, MAX_CHUNK, MAX_HEAD_DIM, MAX_SIZE, MAX_VOCAB, MIN_ROPE_THETA, RMS_EPS_BOUND,
};

/// Which two channels of a head turn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RopePairs {
    /// Channels `2i` and `2i + 1` (llama's GGUF files).
    Interleaved,
    /// Channels `i` and `i + head_dim / 2` (Qwen).
    Halves,
}

/// Hyper-parameters of one transformer layer.
#[derive(Debug, Clone)]
pub(super) struct LayerConfig {
    pub(super) hidden: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) intermediate: usize,
    pub(super) rms_eps: f32,
    pub(super) rope_theta: f64,
    pub(super) rope_pairs: RopePairs,
    pub(super) kv_len: usize,
    /// `K_cache` length of each decode group; the last is `kv_len`.
    pub(super) decode: Vec<usize>,
    pub(super) chunk: usize,
    /// `K_cache` length of each prefill group; 1 means no history.
    pub(super) history: Vec<usize>,
}

/// Hyper-parameters of the head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadConfig {
    pub(super) hidden: usize,
    pub(super) vocab: usize,
    pub(super) rms_eps: f32,
}

/// What a layer file holds.
#[derive(Debug, Clone)]
pub(super) enum Config {
    Layer(LayerConfig),
    Head(HeadConfig),
}

impl LayerConfig {
    /// Channels of all query heads.
    pub(super) fn q_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Channels of one K or V row.
    pub(super) fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Rows that a run of `group` computes.
    pub(super) fn rows(&self, group: usize) -> usize {
        if group < self.decode.len() { 1 } else { self.chunk }
    }

    /// Operations of the matrix products of `group`, if it has more than one row.
    pub(super) fn operations(&self, group: usize) -> u64 {
        match self.rows(group) {
            1 => 0,
            rows => 2 * rows as u64 * self.parameters(),
        }
    }

    /// Weights of all projections.
    fn parameters(&self) -> u64 {
        let of_attention = 2 * (self.q_dim() + self.kv_dim()) as u64;
        self.hidden as u64 * (of_attention + 3 * self.intermediate as u64)
    }

    fn read(entries: &Entries<'_>) -> Result<Self, LoadError> {
        let architecture = entries.text("ax650.architecture")?;
        if !matches!(architecture, "llama" | "qwen2" | "qwen3") {
            return Err(entries.bad("ax650.architecture", format!("`{architecture}` is not supported")));
        }
        let config = Self {
            hidden: entries.size("ax650.hidden", MAX_SIZE)?,
            heads: entries.size("ax650.heads", MAX_SIZE)?,
            kv_heads: entries.size("ax650.kv_heads", MAX_SIZE)?,
            head_dim: entries.size("ax650.head_dim", MAX_HEAD_DIM)?,
            intermediate: entries.size("ax650.intermediate", MAX_SIZE)?,
            rms_eps: entries.rms_eps()?,
            rope_theta: entries.number("ax650.rope_theta")?,
            rope_pairs: match entries.text("ax650.rope_pairs")? {
                "interleaved" => RopePairs::Interleaved,
                "halves" => RopePairs::Halves,
                other => return Err(entries.bad("ax650.rope_pairs", format!("`{other}` is not known"))),
            },
            kv_len: entries.size("ax650.kv_len", MAX_SIZE)?,
            decode: Vec::new(),
            chunk: entries.size("ax650.chunk", MAX_CHUNK)?,
            history: entries.lengths("ax650.history")?,
        };
        let decode = if entries.map.contains_key("ax650.decode") {
            entries.lengths("ax650.decode")?
        } else {
            vec![config.kv_len]
        };
        let config = Self { decode, ..config };
        entries.weights()?;
        if !config.heads.is_multiple_of(config.kv_heads) {
            let reason = format!("{} does not divide the {} heads", config.kv_heads, config.heads);
            return Err(entries.bad("ax650.kv_heads", reason));
        }
        if !config.head_dim.is_multiple_of(HEAD_DIM_STEP) {
            let reason = format!("{} is not a multiple of {HEAD_DIM_STEP}", config.head_dim);
            return Err(entries.bad("ax650.head_dim", reason));
        }
        if config.q_dim() > MAX_SIZE {
            return Err(entries.bad("ax650.heads", format!("{} is too many", config.heads)));
        }
        if config.rope_theta < MIN_ROPE_THETA {
            let reason = format!("{} is below {MIN_ROPE_THETA}", config.rope_theta);
            return Err(entries.bad("ax650.rope_theta", reason));
        }
        if config.decode.last() != Some(&config.kv_len) {
            let reason = format!("the last length is not the cache's {} rows", config.kv_len);
            return Err(entries.bad("ax650.decode", reason));
        }
        if config.history.iter().any(|length| *length > config.kv_len) {
            let reason = format!("a group is longer than the cache of {} rows", config.kv_len);
            return Err(entries.bad("ax650.history", reason));
        }
        Ok(config)
    }
}

/// Value of `ax650.weights` of a file that only names the bytes of its weights.
const SYNTHETIC: &str = "synthetic";

/// Bytes of weights that a synthetic file stands for; `None` for an ordinary file.
pub(super) fn synthetic_bytes(file: &LayerFile) -> Result<Option<u64>, LoadError> {
    let none = HashMap::new();
    let entries = Entries { path: file.path().to_path_buf(), map: file.entries().unwrap_or(&none) };
    if entries.map.get("ax650.weights").is_none_or(|weights| weights != SYNTHETIC) {
        return Ok(None);
    }
    entries.parse("ax650.weight_bytes").map(Some)
}

impl Config {
    /// Reads and checks the metadata of `file`.
    pub(super) fn read(file: &LayerFile) -> Result<Self, LoadError> {
        let none = HashMap::new();
        let entries = Entries { path: file.path().to_path_buf(), map: file.entries().unwrap_or(&none) };
        if !entries.map.contains_key("ax650.format") {
            return Err(LoadError::NotSafetensors {
                path: entries.path,
                reason: "its metadata lacks `ax650.format`".to_owned(),
            });
        }
        match entries.text("ax650.format")? {
            "1" => {}
            other => {
                return Err(entries.bad("ax650.format", format!("version `{other}`, this program reads 1")));
            }
        }
        match entries.text("ax650.kind")? {
            "layer" => LayerConfig::read(&entries).map(Self::Layer),
            "head" => {
                entries.weights()?;
                Ok(Self::Head(HeadConfig {
                    hidden: entries.size("ax650.hidden", MAX_SIZE)?,
                    vocab: entries.size("ax650.vocab", MAX_VOCAB)?,
                    rms_eps: entries.rms_eps()?,
                }))
            }
            other => Err(entries.bad("ax650.kind", format!("`{other}` is neither layer nor head"))),
        }
    }
}

struct Entries<'a> {
    path: PathBuf,
    map: &'a HashMap<String, String>,
}

impl Entries<'_> {
    fn bad(&self, key: &'static str, reason: String) -> LoadError {
        LoadError::Metadata { path: Path::to_path_buf(&self.path), key, reason }
    }

    fn text(&self, key: &'static str) -> Result<&str, LoadError> {
        self.map.get(key).map(String::as_str).ok_or_else(|| self.bad(key, "it is missing".to_owned()))
    }

    fn parse<T: FromStr>(&self, key: &'static str) -> Result<T, LoadError> {
        let text = self.text(key)?;
        text.trim().parse().map_err(|_| self.bad(key, format!("`{text}` is not a number of its kind")))
    }

    fn size(&self, key: &'static str, max: usize) -> Result<usize, LoadError> {
        let value: usize = self.parse(key)?;
        if value == 0 || value > max {
            return Err(self.bad(key, format!("{value} is not within 1 and {max}")));
        }
        Ok(value)
    }

    fn number(&self, key: &'static str) -> Result<f64, LoadError> {
        let value: f64 = self.parse(key)?;
        if value.is_finite() { Ok(value) } else { Err(self.bad(key, format!("{value} is not finite"))) }
    }

    fn rms_eps(&self) -> Result<f32, LoadError> {
        let key = "ax650.rms_eps";
        let value: f32 = self.parse(key)?;
        if (0.0..RMS_EPS_BOUND).contains(&value) {
            Ok(value)
        } else {
            Err(self.bad(key, format!("{value} is not within 0 and {RMS_EPS_BOUND}")))
        }
    }

    fn weights(&self) -> Result<(), LoadError> {
        match self.text("ax650.weights")? {
            "w8a16" | "bf16" | SYNTHETIC => Ok(()),
            other => Err(self.bad("ax650.weights", format!("`{other}` is neither w8a16 nor bf16"))),
        }
    }

    fn lengths(&self, key: &'static str) -> Result<Vec<usize>, LoadError> {
        let text = self.text(key)?;
        let lengths: Result<Vec<usize>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        let lengths =
            lengths.map_err(|_| self.bad(key, format!("`{text}` is not a list of lengths like 1,128")))?;
        let ascending = lengths.is_sorted_by(|a, b| a < b);
        if !ascending || lengths.first().is_none_or(|first| *first == 0) || lengths.len() > 1024 {
            return Err(self.bad(key, format!("`{text}` is not an ascending list of lengths from 1 on")));
        }
        Ok(lengths)
    }
}
