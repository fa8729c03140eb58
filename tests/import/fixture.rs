//! A minimal GGUF writer and tiny models to write with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ax650::models::import::{ImportError, ImportOptions};
use ax650::models::model::Model;
use ax650::models::name::ModelName;
use ax650::models::store::Store;

pub(crate) const HIDDEN: usize = 64;
pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 16;
pub(crate) const INTERMEDIATE: usize = 96;
pub(crate) const LAYERS: usize = 2;
/// Bytes and three special tokens.
pub(crate) const VOCAB: usize = 259;

/// A metadata value with its type number.
#[derive(Clone)]
pub(crate) enum Meta {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

impl Meta {
    fn write(&self, out: &mut Vec<u8>) {
        let kind = |out: &mut Vec<u8>, number: u32| out.extend(number.to_le_bytes());
        match self {
            Self::U32(value) => {
                kind(out, 4);
                out.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                kind(out, 6);
                out.extend(value.to_le_bytes());
            }
            Self::Bool(value) => {
                kind(out, 7);
                out.push(u8::from(*value));
            }
            Self::Text(value) => {
                kind(out, 8);
                text(out, value);
            }
            Self::Texts(values) => {
                kind(out, 9);
                kind(out, 8);
                out.extend((values.len() as u64).to_le_bytes());
                for value in values {
                    text(out, value);
                }
            }
            Self::I32s(values) => {
                kind(out, 9);
                kind(out, 5);
                out.extend((values.len() as u64).to_le_bytes());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }
}

/// One tensor to write: dimensions innermost first, ggml's number of its kind, raw data.
#[derive(Clone)]
pub(crate) struct TensorSpec {
    pub(crate) name: String,
    pub(crate) dimensions: Vec<u64>,
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
    /// Instead of the true offset.
    pub(crate) offset: Option<u64>,
}

/// A GGUF file to be written; tests change it before.
#[derive(Clone)]
pub(crate) struct Gguf {
    pub(crate) version: u32,
    pub(crate) metadata: Vec<(String, Meta)>,
    pub(crate) tensors: Vec<TensorSpec>,
}

impl Gguf {
    /// Sets or replaces a metadata value.
    pub(crate) fn set(&mut self, key: &str, value: Meta) -> &mut Self {
        self.remove_key(key);
        self.metadata.push((key.to_owned(), value));
        self
    }

    pub(crate) fn remove_key(&mut self, key: &str) {
        self.metadata.retain(|(found, _)| found != key);
    }

    pub(crate) fn remove_tensor(&mut self, name: &str) {
        self.tensors.retain(|tensor| tensor.name != name);
    }

    pub(crate) fn tensor(&mut self, name: &str) -> &mut TensorSpec {
        self.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    /// Adds a tensor of f32 values.
    pub(crate) fn floats(&mut self, name: &str, dimensions: &[usize], values: &[f32]) {
        self.tensors.push(TensorSpec {
            name: name.to_owned(),
            dimensions: dimensions.iter().map(|&one| one as u64).collect(),
            kind: 0,
            data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            offset: None,
        });
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            text(&mut out, key);
            value.write(&mut out);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            text(&mut out, &tensor.name);
            out.extend(u32::try_from(tensor.dimensions.len()).unwrap().to_le_bytes());
            out.extend(tensor.dimensions.iter().flat_map(|one| one.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(offset).to_le_bytes());
            offset += (tensor.data.len() as u64).next_multiple_of(32);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(32), 0);
            out.extend_from_slice(&tensor.data);
        }
        out
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend((value.len() as u64).to_le_bytes());
    out.extend_from_slice(value.as_bytes());
}

/// Repeatable values between -1 and 1, different for every name.
pub(crate) fn values(name: &str, count: usize) -> Vec<f32> {
    let mut state =
        name.bytes().fold(0x9e37_79b9_u32, |state, byte| (state ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from(u16::try_from(state >> 16).unwrap()) / 32768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The 256 characters that byte-level vocabularies write bytes as.
fn byte_characters() -> Vec<String> {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let character = |byte: u32| {
        let code = if printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).unwrap().to_string()
    };
    (0..256).map(character).collect()
}

/// A tiny model of one of the three architectures, all tensors f32.
pub(crate) fn tiny(architecture: &str) -> Gguf {
    let mut gguf = Gguf { version: 3, metadata: Vec::new(), tensors: Vec::new() };
    let mut tokens = byte_characters();
    tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    let types = [vec![1; 256], vec![3; 3]].concat();
    let number = |value: usize| Meta::U32(u32::try_from(value).unwrap());
    let string = |value: &str| Meta::Text(value.to_owned());
    let a = architecture;
    gguf.set("general.architecture", string(a))
        .set("general.name", string("tiny"))
        .set("general.license", string("mit"));
    for (key, value) in [
        ("block_count", LAYERS),
        ("context_length", 512),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", INTERMEDIATE),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV_HEADS),
    ] {
        gguf.set(&format!("{a}.{key}"), number(value));
    }
    gguf.set(&format!("{a}.rope.freq_base"), Meta::F32(10_000.0));
    gguf.set(&format!("{a}.attention.layer_norm_rms_epsilon"), Meta::F32(1e-5));
    gguf.set("tokenizer.ggml.model", string("gpt2")).set("tokenizer.ggml.pre", string("qwen2"));
    gguf.set("tokenizer.ggml.tokens", Meta::Texts(tokens))
        .set("tokenizer.ggml.token_type", Meta::I32s(types));
    gguf.set("tokenizer.ggml.merges", Meta::Texts(Vec::new()));
    gguf.set("tokenizer.ggml.bos_token_id", Meta::U32(256))
        .set("tokenizer.ggml.eos_token_id", Meta::U32(258));
    gguf.set("tokenizer.ggml.add_bos_token", Meta::Bool(false));
    gguf.set("tokenizer.chat_template", string("{% for m in messages %}{{ m.content }}{% endfor %}"));

    let (q, kv) = (HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM);
    let mut add = |name: String, dimensions: &[usize]| {
        let values = values(&name, dimensions.iter().product());
        gguf.floats(&name, dimensions, &values);
    };
    add("token_embd.weight".into(), &[HIDDEN, VOCAB]);
    add("output_norm.weight".into(), &[HIDDEN]);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        add(name("attn_norm.weight"), &[HIDDEN]);
        add(name("ffn_norm.weight"), &[HIDDEN]);
        add(name("attn_q.weight"), &[HIDDEN, q]);
        add(name("attn_k.weight"), &[HIDDEN, kv]);
        add(name("attn_v.weight"), &[HIDDEN, kv]);
        add(name("attn_output.weight"), &[q, HIDDEN]);
        add(name("ffn_gate.weight"), &[HIDDEN, INTERMEDIATE]);
        add(name("ffn_up.weight"), &[HIDDEN, INTERMEDIATE]);
        add(name("ffn_down.weight"), &[INTERMEDIATE, HIDDEN]);
        if architecture == "qwen2" {
            add(name("attn_q.bias"), &[q]);
            add(name("attn_k.bias"), &[kv]);
            add(name("attn_v.bias"), &[kv]);
        }
        if architecture == "qwen3" {
            add(name("attn_q_norm.weight"), &[HEAD_DIM]);
            add(name("attn_k_norm.weight"), &[HEAD_DIM]);
        }
    }
    gguf
}

/// A directory with a store and a place for source files.
pub(crate) struct Workshop {
    dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("models"));
        Self { dir, store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("models")
    }

    /// Writes a source file.
    pub(crate) fn source(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("source.gguf");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn create(
        &self,
        name: &str,
        bytes: &[u8],
        options: &ImportOptions,
    ) -> Result<Arc<Model>, ImportError> {
        let source = self.source(bytes);
        self.store.import(&name.parse::<ModelName>().unwrap(), &source, options, &mut |_| {})
    }

    /// Every file below the store's root.
    pub(crate) fn left(&self) -> Vec<PathBuf> {
        files(&self.root())
    }
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}
