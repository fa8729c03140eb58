//! Directories as the vendor publishes them, with the software card's layer files in place of compiled ones.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ax650::models::changes::Changes;
use ax650::models::import::{ImportError, ImportOptions, Registered};
use ax650::models::model::Model;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::fixture::{HIDDEN, LAYERS, VOCAB, Workshop, tiny};

/// A workshop with an imported model and an empty directory for a package made of its files.
pub(crate) struct Publisher {
    pub(crate) workshop: Workshop,
    /// The model that the package's files come from.
    pub(crate) model: Arc<Model>,
    pub(crate) dir: PathBuf,
}

impl Publisher {
    /// `name` is the package's directory.
    pub(crate) fn new(name: &str) -> Self {
        let workshop = Workshop::new();
        let options = ImportOptions { context: Some(200), ..ImportOptions::default() };
        let model = workshop.create("direct", &tiny("qwen3").bytes(), &options).unwrap();
        let dir = workshop.root().parent().unwrap().join(name);
        fs::create_dir(&dir).unwrap();
        Self { workshop, model, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Layers, head and table in the folder `to`, under the vendor's names.
    pub(crate) fn weights(&self, to: &str) {
        let folder = self.path(to);
        fs::create_dir_all(&folder).unwrap();
        for (index, path) in self.model.card_parts().unwrap().files.layers.iter().enumerate() {
            fs::copy(path, folder.join(format!("qwen3_p128_l{index}_together.axmodel"))).unwrap();
        }
        fs::copy(&self.model.card_parts().unwrap().files.head, folder.join("qwen3_post.axmodel")).unwrap();
        fs::copy(&self.model.card_parts().unwrap().files.embedding, folder.join(EMBEDDING)).unwrap();
    }

    /// A complete package of generation C with a tokenizer file of that kind.
    pub(crate) fn generation_c(&self, kind: u8) {
        self.weights("");
        self.write("config.json", config().to_string());
        self.write("qwen3_tokenizer.txt", tokenizer_text(kind));
        self.write("post_config.json", post_config().to_string());
    }

    /// A complete package of generation B.
    pub(crate) fn generation_b(&self) {
        self.weights("qwen3-tiny-ax650");
        self.write("run_qwen3_tiny_ctx_ax650.sh", script("main_ax650", "qwen3-tiny-ax650"));
        self.write("run_qwen3_tiny_ctx_axcl_aarch64.sh", script("main_axcl_aarch64", "qwen3-tiny-ax650"));
        self.write("run_qwen3_tiny_ctx_axcl_x86.sh", script("main_axcl_x86", "qwen3-tiny-ax650"));
        self.write("post_config.json", post_config().to_string());
        self.write("qwen3_tokenizer_uid.py", "raise SystemExit('never run')\n");
        self.write("kvcache/k_cache_0.bin", "x");
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            self.write(&format!("qwen3_tokenizer/{file}"), fs::read(self.model.dir.join(file)).unwrap());
        }
    }

    pub(crate) fn register(&self, name: &str) -> Result<Registered, ImportError> {
        self.register_from(name, &self.dir)
    }

    pub(crate) fn register_from(&self, name: &str, source: &Path) -> Result<Registered, ImportError> {
        self.workshop.store.register(&name.parse().unwrap(), source, &Changes::default())
    }

    pub(crate) fn register_changed(&self, name: &str, changes: &Changes) -> Result<Registered, ImportError> {
        self.workshop.store.register(&name.parse().unwrap(), &self.dir, changes)
    }

    /// Registers what must be refused, checks that nothing is left of it, and returns what was said.
    pub(crate) fn refused(&self) -> String {
        let before = self.workshop.left();
        let error = self.register("refused").unwrap_err();
        assert_eq!(self.workshop.left(), before, "{error}");
        error.to_string()
    }
}

pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight.bfloat16.bin";

pub(crate) fn config() -> Value {
    json!({
        "model_name": "AXERA-TECH/Qwen3-Tiny", "tokenizer_type": "Qwen3", "url_tokenizer_model": "qwen3_tokenizer.txt",
        "template_filename_axmodel": "qwen3_p128_l%d_together.axmodel", "axmodel_num": LAYERS,
        "filename_post_axmodel": "qwen3_post.axmodel", "filename_tokens_embed": EMBEDDING,
        "tokens_embed_num": VOCAB, "tokens_embed_size": HIDDEN, "use_mmap_load_embed": true, "devices": [0]
    })
}

fn post_config() -> Value {
    json!({
        "enable_temperature": false, "temperature": 0.9, "enable_repetition_penalty": false,
        "repetition_penalty": 1.2, "penalty_window": 20, "enable_top_p_sampling": false, "top_p": 0.8,
        "enable_top_k_sampling": false, "top_k": 10
    })
}

/// A script as the packages ship it.
pub(crate) fn script(program: &str, weights: &str) -> String {
    format!(
        "WEIGHTS={weights}\n\n./{program} \\\n--system_prompt \"You are Tiny.\" \\\n--kvcache_path \"./kvcache\" \\\n\
         --template_filename_axmodel \"${{WEIGHTS}}/qwen3_p128_l%d_together.axmodel\" \\\n--axmodel_num {LAYERS} \\\n\
         --tokenizer_type 2 \\\n--url_tokenizer_model \"http://127.0.0.1:12345\" \\\n\
         --filename_post_axmodel $WEIGHTS/qwen3_post.axmodel \\\n--filename_tokens_embed $WEIGHTS/{EMBEDDING} \\\n\
         --tokens_embed_num {VOCAB} \\\n--tokens_embed_size {HIDDEN} \\\n--use_mmap_load_embed 1 \\\n--live_print 1\n\n\
         # --system_prompt \"another\"\n"
    )
}

/// The vocabulary of the imported model as a `.txt` file of kind 3 or 1, without the tokens that end an answer.
pub(crate) fn tokenizer_text(kind: u8) -> String {
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0xff;
    let mut text = format!("430 {kind}\n3 0 0\n256 257 258 \n{VOCAB}{}\n", if kind == 3 { " 0" } else { "" });
    for byte in 0..=255_u8 {
        let mut code = u32::from(byte);
        if !printable(code) {
            next += 1;
            code = next;
        }
        let line =
            if kind == 3 { char::from_u32(code).unwrap().to_string() } else { STANDARD.encode([byte]) };
        writeln!(text, "{line}").unwrap();
    }
    for mark in ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] {
        writeln!(text, "{}", if kind == 3 { mark.to_owned() } else { STANDARD.encode(mark) }).unwrap();
    }
    text
}
