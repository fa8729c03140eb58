//! Tiny models with random weights, for tests that need a model on the card but not its answers.
//!
//! The files are ordinary layer files of the software card: whatever opens a real model opens these. They
//! are a pure function of the [`TinySpec`], so two tests with the same spec see the same numbers.
//!
//! ```
//! let dir = tempfile::tempdir()?;
//! let model = ax650_compute::testing::write_tiny_model(dir.path(), &ax650_compute::testing::TinySpec::default())?;
//! assert_eq!(model.layers.len(), 2);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use half::bf16;
use safetensors::tensor::{Dtype, TensorView};

/// Rows of one prefill chunk, fixed by the layer file format.
pub const CHUNK: usize = 128;

/// How the projections of a tiny model are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TinyWeights {
    /// Signed bytes with one scale per output row.
    W8A16,
    /// bf16.
    Bf16,
    /// Not at all: the files only name the bytes that a card counts, and a run computes nothing.
    Synthetic {
        /// Weights of each layer.
        layer_bytes: u64,
        /// Weights of the head.
        head_bytes: u64,
    },
}

/// Shape and kind of a tiny model. `Default` is a two-layer llama of 64 channels with 300 cache rows.
#[derive(Debug, Clone)]
pub struct TinySpec {
    /// `llama`, `qwen2` (adds biases) or `qwen3` (adds query and key norms).
    pub architecture: &'static str,
    /// Number of layer files.
    pub layers: usize,
    /// Channels of the hidden state.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Channels of one head; need not be `hidden / heads`.
    pub head_dim: usize,
    /// Channels of the feed-forward network.
    pub intermediate: usize,
    /// Rows of the embedding and outputs of the head.
    pub vocab: usize,
    /// Rows of the K/V cache, which the last decode group sees all of.
    pub kv_len: usize,
    /// Cache rows of the decode groups before the last one, ascending and below `kv_len`.
    pub smaller_decode: Vec<usize>,
    /// Storage of the projections.
    pub weights: TinyWeights,
    /// Start value of the random weights.
    pub seed: u64,
}

impl Default for TinySpec {
    fn default() -> Self {
        Self {
            architecture: "llama",
            layers: 2,
            hidden: 64,
            heads: 4,
            kv_heads: 2,
            head_dim: 32,
            intermediate: 96,
            vocab: 200,
            kv_len: 300,
            smaller_decode: Vec::new(),
            weights: TinyWeights::W8A16,
            seed: 1,
        }
    }
}

impl TinySpec {
    /// Channels of one K or V row: `kv_heads * head_dim`.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// K/V lengths of the prefill groups: 1 (no history), then doubling from [`CHUNK`] until the last cache
    /// row can be the first row of a chunk.
    pub fn history(&self) -> Vec<usize> {
        let mut ladder = vec![1];
        let mut step = CHUNK;
        while ladder.last().is_some_and(|&last| last + 1 < self.kv_len) {
            ladder.push(step.min(self.kv_len));
            step *= 2;
        }
        ladder
    }
}

/// Where [`write_tiny_model`] put the files.
#[derive(Debug, Clone)]
pub struct TinyModel {
    /// Layer files in order.
    pub layers: Vec<PathBuf>,
    /// The post file.
    pub head: PathBuf,
    /// Raw little-endian bf16 `[vocab, hidden]`.
    pub embedding: PathBuf,
}

/// Writes the layer files, the head and the embedding of a random model into `dir`.
///
/// # Errors
///
/// Those of the file system.
pub fn write_tiny_model(dir: &Path, spec: &TinySpec) -> io::Result<TinyModel> {
    let mut random = Random(spec.seed);
    let arch = spec.architecture;
    let mut layers = Vec::with_capacity(spec.layers);
    for index in 0..spec.layers {
        let path = dir.join(format!("{arch}_p{CHUNK}_l{index}_together.axmodel"));
        let tensors = match spec.weights {
            TinyWeights::Synthetic { .. } => Tensors::default(),
            _ => layer_tensors(spec, &mut random),
        };
        tensors.write(&path, layer_metadata(spec, index))?;
        layers.push(path);
    }

    let head = dir.join(format!("{arch}_post.axmodel"));
    let mut tensors = Tensors::default();
    if !matches!(spec.weights, TinyWeights::Synthetic { .. }) {
        tensors.norm("norm", spec.hidden, &mut random);
        tensors.projection("weight", [spec.vocab, spec.hidden], spec.weights, &mut random);
    }
    tensors.write(&head, head_metadata(spec))?;

    let embedding = dir.join("model.embed_tokens.weight.bfloat16.bin");
    let rows = random.values(spec.vocab * spec.hidden, 1.0);
    fs::write(&embedding, bf16_bytes(&rows))?;
    Ok(TinyModel { layers, head, embedding })
}

fn layer_tensors(spec: &TinySpec, random: &mut Random) -> Tensors {
    let query_dim = spec.heads * spec.head_dim;
    let projections = [
        ("q.weight", [query_dim, spec.hidden]),
        ("k.weight", [spec.kv_dim(), spec.hidden]),
        ("v.weight", [spec.kv_dim(), spec.hidden]),
        ("o.weight", [spec.hidden, query_dim]),
        ("gate.weight", [spec.intermediate, spec.hidden]),
        ("up.weight", [spec.intermediate, spec.hidden]),
        ("down.weight", [spec.hidden, spec.intermediate]),
    ];
    let mut tensors = Tensors::default();
    tensors.norm("attn_norm", spec.hidden, random);
    tensors.norm("ffn_norm", spec.hidden, random);
    for (name, shape) in projections {
        tensors.projection(name, shape, spec.weights, random);
    }
    if spec.architecture == "qwen2" {
        tensors.float("q.bias", &random.values(query_dim, 0.1));
        tensors.float("k.bias", &random.values(spec.kv_dim(), 0.1));
        tensors.float("v.bias", &random.values(spec.kv_dim(), 0.1));
    }
    if spec.architecture == "qwen3" {
        tensors.norm("q_norm", spec.head_dim, random);
        tensors.norm("k_norm", spec.head_dim, random);
    }
    tensors
}

fn layer_metadata(spec: &TinySpec, index: usize) -> HashMap<String, String> {
    let pairs = if spec.architecture == "llama" { "interleaved" } else { "halves" };
    let list = |lengths: &[usize]| lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let decode = [&spec.smaller_decode[..], &[spec.kv_len]].concat();
    metadata(
        spec,
        "layer",
        &[
            ("architecture", spec.architecture.to_owned()),
            ("layer", index.to_string()),
            ("heads", spec.heads.to_string()),
            ("kv_heads", spec.kv_heads.to_string()),
            ("head_dim", spec.head_dim.to_string()),
            ("intermediate", spec.intermediate.to_string()),
            ("rope_theta", "10000".to_owned()),
            ("rope_pairs", pairs.to_owned()),
            ("kv_len", spec.kv_len.to_string()),
            ("chunk", CHUNK.to_string()),
            ("decode", list(&decode)),
            ("history", list(&spec.history())),
        ],
    )
}

fn head_metadata(spec: &TinySpec) -> HashMap<String, String> {
    metadata(spec, "head", &[("vocab", spec.vocab.to_string())])
}

fn metadata(spec: &TinySpec, kind: &str, more: &[(&str, String)]) -> HashMap<String, String> {
    let weights = match spec.weights {
        TinyWeights::W8A16 => "w8a16",
        TinyWeights::Bf16 => "bf16",
        TinyWeights::Synthetic { .. } => "synthetic",
    };
    let bytes = match spec.weights {
        TinyWeights::Synthetic { layer_bytes, .. } if kind == "layer" => Some(layer_bytes),
        TinyWeights::Synthetic { head_bytes, .. } => Some(head_bytes),
        _ => None,
    };
    let bytes = bytes.map(|bytes| ("weight_bytes", bytes.to_string()));
    let common = [
        ("format", "1".to_owned()),
        ("kind", kind.to_owned()),
        ("hidden", spec.hidden.to_string()),
        ("rms_eps", "0.00001".to_owned()),
        ("weights", weights.to_owned()),
    ];
    common
        .iter()
        .chain(more)
        .chain(&bytes)
        .map(|(key, value)| (format!("ax650.{key}"), value.clone()))
        .collect()
}

/// The tensors of one file, as bytes.
#[derive(Default)]
struct Tensors(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn float(&mut self, name: &str, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.push((name.to_owned(), Dtype::F32, vec![values.len()], bytes));
    }

    fn norm(&mut self, name: &str, len: usize, random: &mut Random) {
        let values: Vec<f32> = random.values(len, 0.2).iter().map(|value| 1.0 + value).collect();
        self.float(name, &values);
    }

    /// Adds `[out, in]` weights whose products with unit inputs are about one.
    fn projection(&mut self, name: &str, shape: [usize; 2], weights: TinyWeights, random: &mut Random) {
        let [_, inputs] = shape;
        let values = random.values(shape[0] * inputs, 1.7 / (inputs as f32).sqrt());
        match weights {
            TinyWeights::Bf16 => {
                self.0.push((name.to_owned(), Dtype::BF16, shape.to_vec(), bf16_bytes(&values)));
            }
            TinyWeights::W8A16 => {
                let (bytes, scales) = quantize(&values, inputs);
                self.0.push((name.to_owned(), Dtype::I8, shape.to_vec(), bytes));
                self.float(&name.replace("weight", "scale"), &scales);
            }
            // Has no tensors.
            TinyWeights::Synthetic { .. } => {}
        }
    }

    fn write(&self, path: &Path, metadata: HashMap<String, String>) -> io::Result<()> {
        let mut views = Vec::with_capacity(self.0.len());
        for (name, dtype, shape, bytes) in &self.0 {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(io::Error::other)?;
            views.push((name.as_str(), view));
        }
        let file = safetensors::serialize(views, Some(metadata)).map_err(io::Error::other)?;
        fs::write(path, file)
    }
}

/// Symmetric per-row quantisation; returns the signed bytes and one scale per row.
fn quantize(values: &[f32], inputs: usize) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / inputs);
    for row in values.chunks_exact(inputs) {
        let scale = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0;
        #[expect(clippy::cast_possible_truncation, reason = "the quotient lies within -127 and 127")]
        bytes.extend(row.iter().map(|value| ((value / scale).round() as i8).cast_unsigned()));
        scales.push(scale);
    }
    (bytes, scales)
}

fn bf16_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
}

/// A counter-based generator (the `SplitMix64` finaliser): enough for weights, and the same everywhere.
struct Random(u64);

impl Random {
    fn values(&mut self, count: usize, amplitude: f32) -> Vec<f32> {
        (0..count).map(|_| self.unit() * amplitude).collect()
    }

    /// The next value, uniform in [-1, 1).
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_reaches_the_last_cache_row() {
        let ladder = |kv_len| TinySpec { kv_len, ..TinySpec::default() }.history();
        assert_eq!(ladder(1), [1]);
        assert_eq!(ladder(100), [1, 100]);
        assert_eq!(ladder(129), [1, 128]);
        assert_eq!(ladder(300), [1, 128, 256, 300]);
        assert_eq!(ladder(1024), [1, 128, 256, 512, 1024]);
    }

    #[test]
    fn equal_specs_write_equal_files() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let spec = TinySpec { architecture: "qwen2", ..TinySpec::default() };
        let one = write_tiny_model(first.path(), &spec).unwrap();
        let two = write_tiny_model(second.path(), &spec).unwrap();
        for (left, right) in one.layers.iter().chain([&one.head]).zip(two.layers.iter().chain([&two.head])) {
            let (left, right) = (fs::read(left).unwrap(), fs::read(right).unwrap());
            let left = safetensors::SafeTensors::deserialize(&left).unwrap();
            let right = safetensors::SafeTensors::deserialize(&right).unwrap();
            for (name, view) in left.iter() {
                assert_eq!(view.data(), right.tensor(name).unwrap().data(), "{name}");
            }
        }
        assert_eq!(fs::read(one.embedding).unwrap().len(), spec.vocab * spec.hidden * 2);
    }
}
