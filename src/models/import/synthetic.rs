//! Models with a real one's shapes and no weights, for measuring a card and the way to it.
//!
//! Such a model has everything that costs time on a card: layers, cache rows, vocabulary, shape groups and the number
//! of weight bytes a token reads, which the layer files only name (`ax650.weights` = `synthetic`,
//! `ax650.weight_bytes`). Only the software card runs it, without arithmetic, so its answers mean nothing. On the disk
//! it takes some kilobytes: the embedding table is a file of one hole.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::super::layer_file::{CHUNK, FORMAT, SYNTHETIC};
use super::super::manifest::{Custom, MANIFEST_FILE, Manifest, SCHEMA, parameter_size};
use super::super::model::Model;
use super::super::name::ModelName;
use super::super::quantise::Weights;
use super::super::store::Store;
use super::documents::{self, FileNames, pretty};
use super::staging::Staging;
use super::weights::FilePlan;
use super::{ImportError, SetUp, set_up};

mod tokenizer;

/// Rows of the cache that the packages published in 2025 and 2026 have.
const LONG_CACHE: usize = 2559;
/// Tokens of an answer unless a request says otherwise: without an end of its own it would fill the context.
const ANSWER_TOKENS: u32 = 128;

/// Models whose shapes are known. Layers, hidden size, cache and ladder are those of the vendor's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntheticShape {
    /// Qwen3-4B, int8 weights.
    Qwen3_4b,
    /// Qwen3-1.7B, int8 weights.
    Qwen3_1_7b,
    /// Qwen3-0.6B, int8 weights.
    Qwen3_0_6b,
    /// The text part of Qwen3-VL-4B, int4 weights.
    Qwen3Vl4bInt4,
}

/// How the weights of the layers would be stored. The head is int8 in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LayerWeights {
    Int8,
    Int4,
}

/// The numbers behind a [`SyntheticShape`].
#[derive(Debug, Clone, Copy)]
struct Shape {
    layers: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    intermediate: usize,
    vocab: usize,
    /// Rows of the decode group's cache.
    kv_len: usize,
    /// `K_cache` length of each prefill group.
    history: &'static [usize],
    weights: LayerWeights,
    trained_context: usize,
}

/// Qwen3-4B; the others differ in some numbers.
const QWEN3_4B: Shape = Shape {
    layers: 36,
    hidden: 2560,
    heads: 32,
    kv_heads: 8,
    head_dim: 128,
    intermediate: 9728,
    vocab: 151_936,
    kv_len: LONG_CACHE,
    history: &[1, 256, 512, 1024, 1536, 2048],
    weights: LayerWeights::Int8,
    trained_context: 40_960,
};

impl SyntheticShape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Qwen3_4b, Self::Qwen3_1_7b, Self::Qwen3_0_6b, Self::Qwen3Vl4bInt4];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen3_4b => "qwen3-4b",
            Self::Qwen3_1_7b => "qwen3-1.7b",
            Self::Qwen3_0_6b => "qwen3-0.6b",
            Self::Qwen3Vl4bInt4 => "qwen3-vl-4b-int4",
        }
    }

    fn shape(self) -> Shape {
        let small = Shape {
            layers: 28,
            heads: 16,
            history: &[1, 512, 1024, 1536, 2048],
            trained_context: 40_960,
            ..QWEN3_4B
        };
        match self {
            Self::Qwen3_4b => QWEN3_4B,
            Self::Qwen3_1_7b => Shape { hidden: 2048, intermediate: 6144, ..small },
            Self::Qwen3_0_6b => Shape { hidden: 1024, intermediate: 3072, ..small },
            Self::Qwen3Vl4bInt4 => Shape {
                kv_len: 2047,
                history: &[1, 128, 256, 384, 512, 640, 768, 896, 1024, 1152],
                weights: LayerWeights::Int4,
                trained_context: 262_144,
                ..QWEN3_4B
            },
        }
    }
}

impl std::fmt::Display for SyntheticShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for SyntheticShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|shape| shape.name().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|shape| shape.name()).collect();
            format!("no shape is called {text:?}; there are {}", known.join(", "))
        })
    }
}

impl Shape {
    /// Weights of the matrices of one layer.
    fn layer_weights(&self) -> u64 {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        (self.hidden * (2 * q + 2 * kv + 3 * self.intermediate)) as u64
    }

    /// Bytes of one layer's weights: int4 comes with four bytes per group of 128, which gives the published 2.32 GB
    /// for a 4B model.
    fn layer_bytes(&self) -> u64 {
        match self.weights {
            LayerWeights::Int8 => self.layer_weights(),
            LayerWeights::Int4 => self.layer_weights() / 2 + self.layer_weights() / 128 * 4,
        }
    }

    /// Weights of the head, a byte each.
    fn head_bytes(&self) -> u64 {
        (self.vocab * self.hidden) as u64
    }

    fn parameters(&self) -> u64 {
        self.layers as u64 * self.layer_weights() + self.head_bytes()
    }

    fn level(&self) -> &'static str {
        match self.weights {
            LayerWeights::Int8 => "W8A16",
            LayerWeights::Int4 => "W4A16",
        }
    }
}

/// Makes the model `name` of `store` with the shapes of `shape`. Replaces a model of that name.
///
/// # Errors
///
/// Every error leaves the store as it was.
pub(in crate::models) fn create(
    store: &Store,
    name: &ModelName,
    shape: SyntheticShape,
) -> Result<Arc<Model>, ImportError> {
    let numbers = shape.shape();
    let names = FileNames::new(&name.model)?;
    let SetUp { name, target, mut staging } = set_up(store, name)?;
    for index in 0..numbers.layers {
        write(&mut staging, &names.layer.file_name(index), &layer_file(&numbers, index))?;
    }
    write(&mut staging, &names.head, &head_file(&numbers))?;
    staging.hole(&names.embedding, (numbers.vocab * numbers.hidden * 2) as u64)?;
    for (file, json) in tokenizer::files() {
        staging.write(file, &pretty(&json)?)?;
    }
    let config = names.config("Qwen3", numbers.layers, numbers.vocab, numbers.hidden, false);
    for (file, bytes) in documents::configuration(config)? {
        staging.write(file, &bytes)?;
    }
    let manifest = manifest(shape, &numbers, &staging);
    staging.write(MANIFEST_FILE, &pretty(&json!(manifest))?)?;
    staging.complete(store, name, &target)
}

fn write(staging: &mut Staging, name: &str, job: &FilePlan<'_>) -> Result<(), ImportError> {
    let mut file = staging.create(name)?;
    job.write(&mut file, &mut |_, _| {})?;
    staging.finish(file)
}

fn layer_file(shape: &Shape, index: usize) -> FilePlan<'static> {
    let history: Vec<String> = shape.history.iter().map(usize::to_string).collect();
    let mut job = file(shape, "layer", shape.layer_bytes());
    job.set("architecture", "qwen3");
    job.set("layer", index);
    job.set("heads", shape.heads);
    job.set("kv_heads", shape.kv_heads);
    job.set("head_dim", shape.head_dim);
    job.set("intermediate", shape.intermediate);
    job.set("rope_theta", 1_000_000);
    job.set("rope_pairs", "halves");
    job.set("kv_len", shape.kv_len);
    job.set("chunk", CHUNK);
    job.set("history", history.join(","));
    job
}

fn head_file(shape: &Shape) -> FilePlan<'static> {
    let mut job = file(shape, "head", shape.head_bytes());
    job.set("vocab", shape.vocab);
    job
}

/// What both kinds have in common. `weight_bytes` is what the card counts for memory and bandwidth.
fn file(shape: &Shape, kind: &str, weight_bytes: u64) -> FilePlan<'static> {
    let mut job = FilePlan::new(Weights::W8A16);
    job.set("weights", SYNTHETIC);
    job.set("weight_bytes", weight_bytes);
    job.set("format", FORMAT);
    job.set("kind", kind);
    job.set("hidden", shape.hidden);
    job.set("rms_eps", 1e-6);
    job
}

fn manifest(shape: SyntheticShape, numbers: &Shape, staging: &Staging) -> Manifest {
    let mut model_info = Map::new();
    for (key, value) in [
        ("general.architecture", Json::from("qwen3")),
        ("general.basename", shape.name().into()),
        ("general.parameter_count", numbers.parameters().into()),
        ("qwen3.attention.head_count", numbers.heads.into()),
        ("qwen3.attention.head_count_kv", numbers.kv_heads.into()),
        ("qwen3.attention.key_length", numbers.head_dim.into()),
        ("qwen3.block_count", numbers.layers.into()),
        ("qwen3.context_length", numbers.trained_context.into()),
        ("qwen3.embedding_length", numbers.hidden.into()),
        ("qwen3.feed_forward_length", numbers.intermediate.into()),
    ] {
        model_info.insert(key.to_owned(), value);
    }
    let mut parameters = Map::new();
    parameters.insert("num_predict".to_owned(), ANSWER_TOKENS.into());
    Manifest {
        schema: SCHEMA,
        format: SYNTHETIC.to_owned(),
        family: "qwen3".to_owned(),
        parameter_count: numbers.parameters(),
        parameter_size: parameter_size(numbers.parameters()),
        quantization_level: numbers.level().to_owned(),
        context_length: numbers.kv_len,
        trained_context: numbers.trained_context,
        embedding_length: numbers.hidden,
        model_info,
        license: None,
        parameters,
        system: None,
        custom: Custom::default(),
        files: staging.entries().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_per_token_are_the_published_ones() {
        let gigabytes = |shape: SyntheticShape| {
            let shape = shape.shape();
            (shape.layers as u64 * shape.layer_bytes() + shape.head_bytes()) as f64 / 1e9
        };
        for (shape, wanted) in SyntheticShape::ALL.into_iter().zip([4.02, 1.72, 0.596, 2.32]) {
            let found = gigabytes(shape);
            assert!((found - wanted).abs() < 0.005, "{shape}: {found}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for shape in SyntheticShape::ALL {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        let error = "gpt-5".parse::<SyntheticShape>().unwrap_err();
        assert!(error.contains("gpt-5") && error.contains("qwen3-vl-4b-int4"), "{error}");
    }
}
