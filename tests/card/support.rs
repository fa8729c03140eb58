//! Tiny models in the model store's layout, and the card of a test.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ax650::device::{DeviceChoice, Driver, DriverOptions};
use ax650::doctor::recording::{Recording, profile::profile};
use ax650::engine::{
    DoneReason, Engine, EngineConfig, Event, GenerateOptions, Generation, Request, SamplingOptions, Summary,
};
use ax650::models::model::Model;
use ax650_sim::CardOptions;
use ax650_sim::control::{ClaimedCard, claim};
use ax650_sim::profile::Profile;
use ax650_sim::testing::{TinySpec, write_tiny_model};
use parking_lot::{Mutex, MutexGuard};
use tempfile::TempDir;

/// Threads of the card: two, so that work is divided.
pub(crate) const THREADS: usize = 2;

/// Names the card under test: unset or empty for the built-in software card, a directory (or a library) for one behind
/// the vendor's shared libraries, opened as with `--driver-path`, or `linked` for the SDK that the program is linked
/// with.
const DRIVER_PATH: &str = "AX650_TEST_DRIVER_PATH";

/// Names a recording of a card (see `ax650 doctor --record`): the built-in card is then one of its memory and speed.
const RECORDING: &str = "AX650_TEST_RECORDING";

/// The vendor's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Pcie,
    Board,
}

impl Face {
    pub(crate) const ALL: [Self; 2] = [Self::Pcie, Self::Board];

    /// The card under test by this interface.
    pub(crate) fn device(self) -> DeviceChoice {
        match (self, driver_path()) {
            (_, None) => self.built_in(),
            (Self::Pcie, Some(_)) => DeviceChoice::Pcie(0),
            (Self::Board, Some(_)) => DeviceChoice::Board,
        }
    }

    /// The built-in card by this interface.
    pub(crate) fn built_in(self) -> DeviceChoice {
        match self {
            Self::Pcie => DeviceChoice::SOFTWARE,
            Self::Board => "software,interface=board".parse().unwrap(),
        }
    }

    /// The engine on the card under test.
    pub(crate) fn config(self) -> EngineConfig {
        EngineConfig { device: self.device(), driver: driver_options(), ..EngineConfig::default() }
    }
}

/// How the card under test is opened.
pub(crate) fn driver_options() -> DriverOptions {
    let linked = Path::new("linked");
    DriverOptions {
        driver_path: driver_path().filter(|path| path != linked),
        software_threads: Some(THREADS),
        ..DriverOptions::default()
    }
}

fn driver_path() -> Option<PathBuf> {
    std::env::var_os(DRIVER_PATH).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The card under test, for one test at a time.
pub(crate) enum Card {
    /// Dropping it fails the test if violations are left.
    BuiltIn(#[expect(dead_code, reason = "held until the test ends")] ClaimedCard),
    /// In libraries, one for the whole process. What it notes goes where its environment says.
    Library(#[expect(dead_code, reason = "held until the test ends")] MutexGuard<'static, ()>),
}

/// Takes the card under test.
pub(crate) fn card() -> Card {
    static TURN: Mutex<()> = Mutex::new(());
    match driver_path() {
        None => Card::BuiltIn(built_in()),
        Some(_) => Card::Library(TURN.lock()),
    }
}

/// A model directory that lives as long as this.
pub(crate) struct TinyStore {
    pub(crate) model: Arc<Model>,
    _dir: TempDir,
}

/// The specs of all architectures.
pub(crate) fn all_architectures() -> [TinySpec; 3] {
    ["llama", "qwen2", "qwen3"].map(|architecture| TinySpec { architecture, ..TinySpec::default() })
}

/// Writes a tiny model; `end` is the token that ends its answers, if any.
pub(crate) fn tiny_model(spec: &TinySpec, end: Option<u32>) -> TinyStore {
    let dir = tempfile::tempdir().unwrap();
    let files = write_tiny_model(dir.path(), spec).unwrap();
    let name_of = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let config = serde_json::json!({
        "model_name": "tiny", "tokenizer_type": "tiny", "url_tokenizer_model": "tokenizer.json",
        "template_filename_axmodel": name_of(&files.layers[0]).replace("_l0_", "_l%d_"),
        "axmodel_num": spec.layers, "filename_post_axmodel": name_of(&files.head),
        "filename_tokens_embed": name_of(&files.embedding),
        "tokens_embed_num": spec.vocab, "tokens_embed_size": spec.hidden
    });
    let manifest = serde_json::json!({
        "schema": 1, "format": "axmodel", "family": spec.architecture, "parameter_count": 1, "parameter_size": "1",
        "quantization_level": "W8A16", "context_length": spec.kv_len, "trained_context": spec.kv_len,
        "embedding_length": spec.hidden, "model_info": {}, "files": []
    });
    let generation = serde_json::json!({ "eos_token_id": end.map_or(vec![], |end| vec![end]) });
    let write = |file: &str, json: serde_json::Value| {
        std::fs::write(dir.path().join(file), json.to_string()).unwrap();
    };
    write("config.json", config);
    write("manifest.json", manifest);
    write("generation_config.json", generation);
    write("tokenizer.json", byte_tokenizer(spec.vocab));
    let model = Model::open("tiny".parse().unwrap(), dir.path()).unwrap();
    TinyStore { model: Arc::new(model), _dir: dir }
}

/// A byte-level tokenizer whose tokens are the first characters of the byte alphabet, without merges.
fn byte_tokenizer(vocab: usize) -> serde_json::Value {
    let alphabet = ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}');
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        alphabet.take(vocab).zip(0_u32..).map(|(c, id)| (c.to_string(), id.into())).collect();
    assert_eq!(vocabulary.len(), vocab);
    let byte_level = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
    });
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []
        }
    })
}

/// The engine on the built-in software card.
pub(crate) fn built_in_config(face: Face) -> EngineConfig {
    let driver = DriverOptions { software_threads: Some(THREADS), ..DriverOptions::default() };
    EngineConfig { device: face.built_in(), driver, ..EngineConfig::default() }
}

/// Takes the built-in software card with its controls, whatever the card under test is.
pub(crate) fn built_in() -> ClaimedCard {
    let recording = std::env::var_os(RECORDING).filter(|value| !value.is_empty());
    let profile = recording.map(|path| profile_of(&Recording::read(Path::new(&path)).unwrap()));
    built_in_like(profile)
}

/// The same with the memory and the speed of a profile.
pub(crate) fn built_in_like(profile: Option<Profile>) -> ClaimedCard {
    claim(CardOptions { threads: Some(THREADS), profile: profile.map(Arc::new), ..CardOptions::default() })
}

/// The profile that a recording is turned into.
pub(crate) fn profile_of(recording: &Recording) -> Profile {
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::fs::write(file.path(), profile(recording).unwrap()).unwrap();
    Profile::read(file.path()).unwrap()
}

/// Runs `test` on an engine of its own; afterwards nothing may be left on the card.
pub(crate) fn with_engine<F: Future<Output = ()>>(config: &EngineConfig, test: impl FnOnce(Engine) -> F) {
    let card = card();
    let free = || {
        let driver = Driver::open(&config.device, &config.driver).unwrap();
        driver.info().free_memory
    };
    let before = free();
    block_on(async {
        let engine = Engine::start(config.clone()).unwrap();
        test(engine.clone()).await;
        engine.shutdown().await;
    });
    assert_eq!(free(), before, "left on the card");
    drop(card);
}

/// Ends when the future does, on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// `count` tokens that repeat nowhere in an obvious way.
pub(crate) fn prompt(seed: u32, count: usize) -> Vec<u32> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % 200
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A greedy request.
pub(crate) fn request(model: &Arc<Model>, prompt: &[u32], num_predict: i64) -> Request {
    let sampling = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
    let options = GenerateOptions { sampling, num_predict, ..GenerateOptions::default() };
    Request { model: Arc::clone(model), prompt: prompt.to_vec(), options, keep_alive: None }
}

/// Reads a request to its end: the whole text and the last event.
pub(crate) async fn read(mut generation: Generation) -> (String, Event) {
    let mut whole = String::new();
    loop {
        match generation.next().await.expect("a last event") {
            Event::Text { text, .. } => whole.push_str(&text),
            last => return (whole, last),
        }
    }
}

/// Runs a request that must succeed.
pub(crate) async fn run(engine: &Engine, request: Request) -> Summary {
    match read(engine.generate(request).await.unwrap()).await.1 {
        Event::Done(summary) => summary,
        other => panic!("{other:?}"),
    }
}

/// Its tokens and why it ended.
pub(crate) async fn tokens(engine: &Engine, request: Request) -> (Vec<u32>, DoneReason) {
    let summary = run(engine, request).await;
    (summary.tokens, summary.reason)
}
