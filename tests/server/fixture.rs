//! A server on a free port with tiny random models in a store of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ax650::api::settings::Settings;
use ax650::api::{AppState, bind, host, serve};
use ax650::device::{DeviceChoice, DriverOptions};
use ax650::engine::{Engine, EngineConfig};
use ax650::models::blobs::Digest;
use ax650::models::manifest::{Custom, MANIFEST_FILE, Manifest, SCHEMA};
use ax650::models::store::Store;
use ax650_sim::testing::{TinySpec, TinyWeights, write_tiny_model};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinHandle;

/// Tokens of the byte-level vocabulary: every byte and one special token.
const VOCAB: usize = 257;
/// Context of the models.
pub(crate) const CONTEXT: usize = 512;
const TEMPLATE: &str = "{% for message in messages %}<|turn|>{{ message.role }}\n{{ message.content }}\n{% endfor %}\
    {% if add_generation_prompt %}<|turn|>assistant\n{% endif %}";

/// The software card's state belongs to the process: one server at a time.
static ONE_SERVER: Mutex<()> = Mutex::const_new(());

/// A running server; dropping it without [`Server::stop`] leaves the rest to the end of the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) root: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    _alone: MutexGuard<'static, ()>,
}

/// Starts a server with default settings and the model `tiny`.
pub(crate) async fn start() -> Server {
    start_with(Settings::default(), 8).await
}

/// Starts a server with these settings and as many waiting requests as `max_queue`.
pub(crate) async fn start_with(settings: Settings, max_queue: usize) -> Server {
    let alone = ONE_SERVER.lock().await;
    let root = tempfile::tempdir().unwrap();
    write_model(root.path(), "tiny", TEMPLATE);
    let config = EngineConfig {
        device: DeviceChoice::SOFTWARE,
        driver: DriverOptions { software_threads: Some(1), ..DriverOptions::default() },
        max_queue,
        keep_alive: settings.keep_alive,
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let store = Arc::new(Store::open(root.path().to_owned()));
    let listener = bind(&host::parse("127.0.0.1:0")).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let state = AppState::new(engine.clone(), store, settings);
    let task = tokio::spawn(async move {
        let shutdown = async move { stopped.await.unwrap_or_default() };
        serve(listener, state, shutdown).await.unwrap();
    });
    Server { address, engine, root, stop, task, _alone: alone }
}

/// Writes a model that never ends an answer by itself: it has no end tokens.
pub(crate) fn write_model(root: &Path, name: &str, template: &str) {
    write_model_of(root, name, template, &TinySpec { kv_len: CONTEXT, ..TinySpec::default() });
}

/// Writes a model with the weights of `tiny` that calls some tokens by other names, and ends answers at `end`.
///
/// The weights are random, so this is how to get an answer with known words at known places: see first what tokens the
/// model produces, then name them.
pub(crate) fn write_model_naming(
    root: &Path,
    name: &str,
    template: &str,
    names: &[(u64, &str)],
    end: Option<u64>,
) {
    write_model(root, name, template);
    let dir = model_dir(root, name);
    std::fs::write(dir.join("tokenizer.json"), tokenizer_naming(names).to_string()).unwrap();
    let end = json!({"eos_token_id": end});
    std::fs::write(dir.join("generation_config.json"), end.to_string()).unwrap();
}

/// The tokens that the tiny weights answer to one byte with, alone in the prompt.
pub(crate) async fn answer_tokens(server: &Server, byte: &str) -> Vec<u64> {
    write_model_naming(server.root.path(), "bare", "{{ messages[-1].content }}", &[], None);
    let ask = json!({"model": "bare", "prompt": byte, "stream": false, "options": {"num_predict": 40}});
    let context = server.post("/api/generate", &ask).await.json()["context"].clone();
    context.as_array().unwrap().iter().skip(1).map(|id| id.as_u64().unwrap()).collect()
}

fn model_dir(root: &Path, name: &str) -> PathBuf {
    root.join("ax650/registry.ollama.ai/library").join(name).join("latest")
}

/// Writes into a model's manifest which files it has, as imports do: what is made of it then shares its weights.
pub(crate) fn list_files(root: &Path, name: &str) {
    let dir = model_dir(root, name);
    let path = dir.join(MANIFEST_FILE);
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let names =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != MANIFEST_FILE).collect();
    names.sort_unstable();
    let files = names.into_iter().map(|name| {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        let digest = Digest::of(&bytes).to_string();
        json!({"name": name, "size": bytes.len(), "sha256": digest.strip_prefix("sha256:")})
    });
    manifest["files"] = files.collect();
    std::fs::write(path, manifest.to_string()).unwrap();
}

/// Writes the model `endless`, whose answers go on for many seconds.
pub(crate) fn write_endless_model(root: &Path) {
    write_model_of(root, "endless", TEMPLATE, &TinySpec { layers: 8, kv_len: 16_384, ..TinySpec::default() });
}

/// Tells models written one after the other to the same place apart: without a list of files only the manifest can.
static SERIAL: AtomicU64 = AtomicU64::new(0);

fn write_model_of(root: &Path, name: &str, template: &str, spec: &TinySpec) {
    let dir = model_dir(root, name);
    std::fs::create_dir_all(&dir).unwrap();
    let spec = TinySpec { vocab: VOCAB, weights: TinyWeights::Bf16, ..spec.clone() };
    write_tiny_model(&dir, &spec).unwrap();
    let write = |file: &str, value: Value| std::fs::write(dir.join(file), value.to_string()).unwrap();
    write(
        "config.json",
        json!({
            "model_name": name, "tokenizer_type": "Tiny", "url_tokenizer_model": "tokenizer.json",
            "template_filename_axmodel": "llama_p128_l%d_together.axmodel", "axmodel_num": spec.layers,
            "filename_post_axmodel": "llama_post.axmodel",
            "filename_tokens_embed": "model.embed_tokens.weight.bfloat16.bin",
            "tokens_embed_num": spec.vocab, "tokens_embed_size": spec.hidden
        }),
    );
    write("tokenizer.json", tokenizer());
    std::fs::write(dir.join("chat_template.jinja"), template).unwrap();
    let info = json!({
        "general.architecture": "llama", "llama.context_length": 2048, "tokenizer.ggml.tokens": ["a", "b", "c", "d", "e", "f"],
        "general.tags": ["a", "b"],
        "general.name": format!("Tiny {}", SERIAL.fetch_add(1, Ordering::Relaxed))
    });
    let manifest = Manifest {
        schema: SCHEMA,
        format: "axmodel".into(),
        family: "llama".into(),
        parameter_count: 100_000,
        parameter_size: "100.0K".into(),
        quantization_level: "BF16".into(),
        context_length: spec.kv_len,
        trained_context: 2048,
        embedding_length: spec.hidden,
        model_info: info.as_object().unwrap().clone(),
        license: Some("none".into()),
        parameters: Map::from_iter([("temperature".to_owned(), json!(0))]),
        system: None,
        custom: Custom::default(),
        files: Vec::new(),
    };
    std::fs::write(dir.join(MANIFEST_FILE), serde_json::to_vec(&manifest).unwrap()).unwrap();
}

/// A byte-level BPE without merges: token = byte, in the alphabet of GPT-2.
fn tokenizer() -> Value {
    tokenizer_naming(&[])
}

/// The same, with words in the place of some bytes.
fn tokenizer_naming(names: &[(u64, &str)]) -> Value {
    let added = |id: u64, content: &str, special: bool| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": special})
    };
    let words = names.iter().map(|&(id, word)| added(id, word, false));
    let added_tokens: Vec<Value> = words.chain([added(256, "<|turn|>", true)]).collect();
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut shifted = 0x100..;
    let vocab: Map<String, Value> = (0..256)
        .map(|byte| {
            let code = if printable(byte) { byte } else { shifted.next().unwrap() };
            let text = char::from_u32(code).unwrap().to_string();
            let word = names.iter().find(|(id, _)| *id == u64::from(byte));
            (word.map_or(text, |(_, word)| (*word).to_owned()), json!(byte))
        })
        .collect();
    json!({
        "version": "1.0",
        "added_tokens": added_tokens,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        "model": {"type": "BPE", "vocab": vocab, "merges": []}
    })
}

/// An answer read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body as one JSON value per line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert!(self.text.ends_with('\n'), "the last record must end with a line end: {:?}", self.text);
        self.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The `error` of the body, which must have no other key.
    pub(crate) fn error(&self) -> String {
        let value = self.json();
        assert_eq!(value.as_object().unwrap().len(), 1, "{value}");
        value["error"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    /// Sends a request with a body that says nothing about its type.
    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send_with(method, path, &[], body).await
    }

    /// Sends a request with headers of its own.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("http://{}{path}", self.address);
        let request = headers
            .iter()
            .fold(client.request(method, url), |request, (name, value)| request.header(*name, *value));
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, body.to_string()).await
    }

    /// Writes bytes to the server and returns what comes back until it closes the connection.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Asks the server to end and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        self.task.await.unwrap();
    }
}
