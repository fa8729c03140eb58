//! Writes tiny GGUF files: a whole Llama model with random weights in a few hundred kilobytes.

use std::{io::Write, path::Path};

/// Alignment of tensor data.
const ALIGNMENT: usize = 32;
/// Type numbers of the format: metadata values, then tensors.
const U32: u32 = 4;
const F32: u32 = 6;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const I32: u32 = 5;
const TENSOR_F32: u32 = 0;

/// Sizes of the model.
const LAYERS: u32 = 2;
const HIDDEN: usize = 64;
const HEADS: usize = 2;
const KV_HEADS: usize = 1;
const HEAD_DIM: usize = HIDDEN / HEADS;
const INTERMEDIATE: usize = 96;
/// Context that the file says the model was trained for.
const CONTEXT: u32 = 512;

const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + \
    '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A file under construction.
#[derive(Default)]
struct Writer {
    metadata: Vec<u8>,
    entries: u64,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
    random: u64,
}

impl Writer {
    fn key(&mut self, name: &str, kind: u32) {
        self.entries += 1;
        text(&mut self.metadata, name);
        self.metadata.extend(kind.to_le_bytes());
    }

    fn number(&mut self, name: &str, value: usize) {
        self.key(name, U32);
        self.metadata.extend(u32::try_from(value).unwrap().to_le_bytes());
    }

    fn float(&mut self, name: &str, value: f32) {
        self.key(name, F32);
        self.metadata.extend(value.to_le_bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name, TEXT);
        text(&mut self.metadata, value);
    }

    fn texts(&mut self, name: &str, values: &[String]) {
        self.array(name, TEXT, values.len());
        for value in values {
            text(&mut self.metadata, value);
        }
    }

    fn integers(&mut self, name: &str, values: &[i32]) {
        self.array(name, I32, values.len());
        for value in values {
            self.metadata.extend(value.to_le_bytes());
        }
    }

    fn array(&mut self, name: &str, kind: u32, length: usize) {
        self.key(name, ARRAY);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend((length as u64).to_le_bytes());
    }

    /// A matrix of `out` rows of `width` random numbers, or a vector of ones when `out` is 0.
    fn tensor(&mut self, name: &str, width: usize, out: usize) {
        let (shape, data) = if out == 0 {
            (vec![width], vec![1.0; width])
        } else {
            let scale = 1.0 / (width as f32).sqrt();
            (vec![width, out], (0..width * out).map(|_| self.next() * scale).collect())
        };
        self.tensors.push((name.to_owned(), shape, data));
    }

    /// Between -2 and 2, always the same row of numbers.
    fn next(&mut self) -> f32 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1 << 22) as f32 - 2.0
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend(self.entries.to_le_bytes());
        file.extend(&self.metadata);
        let mut offset = 0_u64;
        for (name, shape, data) in &self.tensors {
            text(&mut file, name);
            file.extend(u32::try_from(shape.len()).unwrap().to_le_bytes());
            file.extend(shape.iter().flat_map(|size| (*size as u64).to_le_bytes()));
            file.extend(TENSOR_F32.to_le_bytes());
            file.extend(offset.to_le_bytes());
            offset += (data.len() * 4).next_multiple_of(ALIGNMENT) as u64;
        }
        for (_, _, data) in &self.tensors {
            file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
            file.extend(data.iter().flat_map(|value| value.to_le_bytes()));
        }
        file
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// The printable stand-ins of the 256 bytes in byte-level vocabularies.
fn byte_tokens() -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    let stand_in = |byte: u32| {
        let code = if plain(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).unwrap().to_string()
    };
    (0..256).map(stand_in).collect()
}

/// Writes the model to `path`.
pub(crate) fn write_tiny_llama(path: &Path) {
    let mut tokens = byte_tokens();
    let bytes = tokens.len();
    tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "he"].map(str::to_owned));
    let kinds: Vec<i32> =
        (0..tokens.len()).map(|id| if (bytes..bytes + 3).contains(&id) { 3 } else { 1 }).collect();

    let mut file = Writer::default();
    file.text("general.architecture", "llama");
    file.text("general.name", "tiny");
    file.text("general.license", "apache-2.0");
    for (key, value) in [
        ("block_count", LAYERS as usize),
        ("context_length", CONTEXT as usize),
        ("embedding_length", HIDDEN),
        ("feed_forward_length", INTERMEDIATE),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", KV_HEADS),
        ("rope.dimension_count", HEAD_DIM),
        ("vocab_size", tokens.len()),
    ] {
        file.number(&format!("llama.{key}"), value);
    }
    file.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    file.float("llama.rope.freq_base", 10_000.0);
    file.text("tokenizer.ggml.model", "gpt2");
    file.text("tokenizer.ggml.pre", "gpt-2");
    file.texts("tokenizer.ggml.tokens", &tokens);
    file.integers("tokenizer.ggml.token_type", &kinds);
    file.texts("tokenizer.ggml.merges", &["h e".to_owned()]);
    file.number("tokenizer.ggml.bos_token_id", bytes + 1);
    file.number("tokenizer.ggml.eos_token_id", bytes + 2);
    file.text("tokenizer.chat_template", TEMPLATE);

    file.tensor("token_embd.weight", HIDDEN, tokens.len());
    file.tensor("output_norm.weight", HIDDEN, 0);
    for layer in 0..LAYERS {
        for (name, width, out) in [
            ("attn_norm", HIDDEN, 0),
            ("attn_q", HIDDEN, HEADS * HEAD_DIM),
            ("attn_k", HIDDEN, KV_HEADS * HEAD_DIM),
            ("attn_v", HIDDEN, KV_HEADS * HEAD_DIM),
            ("attn_output", HEADS * HEAD_DIM, HIDDEN),
            ("ffn_norm", HIDDEN, 0),
            ("ffn_gate", HIDDEN, INTERMEDIATE),
            ("ffn_up", HIDDEN, INTERMEDIATE),
            ("ffn_down", INTERMEDIATE, HIDDEN),
        ] {
            file.tensor(&format!("blk.{layer}.{name}.weight"), width, out);
        }
    }
    std::fs::File::create(path).unwrap().write_all(&file.bytes()).unwrap();
}
