//! Tiny text encoders with random weights, as directories of safetensors the way sentence-transformers writes them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

/// What to write. The defaults make an encoder that is accepted.
#[derive(Debug, Clone)]
pub(crate) struct TinyBert {
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate: usize,
    pub(crate) positions: usize,
    pub(crate) max_tokens: usize,
    /// The suffix of `pooling_mode_`.
    pub(crate) pooling: &'static str,
    pub(crate) activation: &'static str,
    /// Before the names of all tensors.
    pub(crate) prefix: &'static str,
    pub(crate) seed: u64,
    /// What kind of encoder; all but `bert` begin with position 2.
    pub(crate) model_type: &'static str,
}

/// Tokens of the vocabulary: marks, letters, letters within words.
pub(crate) const VOCAB: usize = 57;
pub(crate) const NORM_EPS: f64 = 1e-6;

impl Default for TinyBert {
    fn default() -> Self {
        Self {
            hidden: 16,
            layers: 2,
            heads: 2,
            intermediate: 24,
            positions: 40,
            max_tokens: 32,
            pooling: "mean_tokens",
            activation: "gelu",
            prefix: "",
            seed: 1,
            model_type: "bert",
        }
    }
}

/// A tensor's shape and values.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

impl TinyBert {
    /// All weights, by their names without the prefix.
    pub(crate) fn tensors(&self) -> Tensors {
        let (hidden, between) = (self.hidden, self.intermediate);
        let mut random = Random(self.seed);
        let mut all = Tensors::new();
        for (name, rows) in [("word", VOCAB), ("position", self.positions), ("token_type", 2)] {
            let name = format!("embeddings.{name}_embeddings.weight");
            all.insert(name, (vec![rows, hidden], random.values(rows * hidden, 1.0, 0.0)));
        }
        let mut norms = vec!["embeddings".to_owned()];
        for layer in 0..self.layers {
            let at = format!("encoder.layer.{layer}");
            for (name, rows, columns) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", between, hidden),
                ("output.dense", hidden, between),
            ] {
                let weight = random.values(rows * columns, 0.5, 0.0);
                all.insert(format!("{at}.{name}.weight"), (vec![rows, columns], weight));
                all.insert(format!("{at}.{name}.bias"), (vec![rows], random.values(rows, 0.1, 0.0)));
            }
            norms.extend([format!("{at}.attention.output"), format!("{at}.output")]);
        }
        for norm in norms {
            let weight = random.values(hidden, 0.2, 1.0);
            all.insert(format!("{norm}.LayerNorm.weight"), (vec![hidden], weight));
            all.insert(format!("{norm}.LayerNorm.bias"), (vec![hidden], random.values(hidden, 0.2, 0.0)));
        }
        all
    }

    /// Writes the directory with all its files and returns its path.
    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let write = |name: &str, value: &Value| fs::write(dir.join(name), value.to_string()).unwrap();
        fs::create_dir_all(dir.join("1_Pooling")).unwrap();
        write(
            "config.json",
            &json!({
                "model_type": self.model_type, "pad_token_id": 1, "hidden_size": self.hidden,
                "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
                "intermediate_size": self.intermediate, "vocab_size": VOCAB, "type_vocab_size": 2,
                "max_position_embeddings": self.positions, "layer_norm_eps": NORM_EPS,
                "hidden_act": self.activation, "position_embedding_type": "absolute"
            }),
        );
        let step = |path: &str, kind: &str| json!({"path": path, "type": format!("sentence_transformers.models.{kind}")});
        let steps = [step("", "Transformer"), step("1_Pooling", "Pooling"), step("2_Normalize", "Normalize")];
        write("modules.json", &json!(steps));
        let modes = ["cls_token", "mean_tokens", "max_tokens", "lasttoken"];
        let mut pooling: Map<String, Value> =
            modes.iter().map(|mode| (format!("pooling_mode_{mode}"), json!(*mode == self.pooling))).collect();
        pooling.insert("word_embedding_dimension".to_owned(), json!(self.hidden));
        write("1_Pooling/config.json", &Value::Object(pooling));
        write(
            "sentence_bert_config.json",
            &json!({"max_seq_length": self.max_tokens, "do_lower_case": false}),
        );
        write("tokenizer_config.json", &json!({"do_lower_case": true}));
        fs::write(dir.join("vocab.txt"), vocab().join("\n") + "\n").unwrap();
        write("tokenizer.json", &tokenizer());
        fs::write(dir.join("model.safetensors"), self.safetensors()).unwrap();
        dir.to_owned()
    }

    /// The weights as a file.
    pub(crate) fn safetensors(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (shape, values)) in self.tensors() {
            let begin = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
            header.insert(format!("{}{name}", self.prefix), entry);
        }
        let header = Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }
}

/// The vocabulary in order.
fn vocab() -> Vec<String> {
    let marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let letters = ('a'..='z').map(String::from);
    let inner = ('a'..='z').map(|letter| format!("##{letter}"));
    marks.into_iter().chain(letters).chain(inner).collect()
}

fn tokenizer() -> Value {
    let special = |id: usize, content: &str| {
        json!({"id": id, "content": content, "special": true, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false})
    };
    let vocab = vocab();
    let marks: Vec<Value> = vocab.iter().take(5).enumerate().map(|(id, mark)| special(id, mark)).collect();
    let ids: Map<String, Value> =
        vocab.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    json!({
        "version": "1.0",
        // As real ones have them; they must not count.
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                    "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": marks,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids}
    })
}

/// A generator of values that are the same everywhere.
struct Random(u64);

impl Random {
    /// `count` values around `middle`, at most `reach` away from it.
    fn values(&mut self, count: usize, reach: f32, middle: f32) -> Vec<f32> {
        (0..count).map(|_| middle + reach * self.next()).collect()
    }

    /// Between -1 and 1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = u16::try_from(self.0 >> 48).unwrap();
        f32::from(bits) / 32_768.0 - 1.0
    }
}
