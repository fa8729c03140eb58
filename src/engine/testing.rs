//! A card whose every answer and failure the test decides, and models to put on it.
//!
//! The next token is a function of the tokens whose keys and values are in the sequence, so any mistake in what is
//! written, reused or forgotten changes the answer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::card::{Card, CardModel, CardSequence, Fault, ModelSizes, StreamText};
use super::handle::always_the_same;
use super::host::Host;
use super::{
    Counters, DoneReason, Engine, EngineConfig, EngineError, Event, GenerateOptions, Generation, LoadedPaths,
    Request, SamplingOptions, Summary,
};
use crate::device::{CancelFlag, DeviceChoice, DeviceInfo, Interface};
use crate::models::final_norm::FinalNorm;
use crate::models::model::Model;
use crate::text::{SpelledTokens, TokenId};

pub(crate) const CONTEXT: usize = 32;
pub(crate) const CHUNK: usize = 8;
pub(crate) const VOCAB: usize = 128;
pub(crate) const HIDDEN: usize = 4;
/// Ends an answer.
pub(crate) const END: TokenId = 0;
const LAYERS: usize = 4;

/// The logic of a fake model: the token that follows.
pub(crate) type Rule = fn(&[TokenId]) -> TokenId;

/// Counts up, and ends after 99.
pub(crate) fn count_up(tokens: &[TokenId]) -> TokenId {
    tokens.last().map_or(1, |&last| if last >= 99 { END } else { last + 1 })
}

/// Depends on every token and its place; never ends.
pub(crate) fn scramble(tokens: &[TokenId]) -> TokenId {
    let hash =
        tokens.iter().fold(7_u64, |hash, &token| (hash ^ u64::from(token)).wrapping_mul(0x0100_0000_01b3));
    u32::try_from((hash >> 20) % 90).unwrap() + 1
}

/// What goes wrong in a step.
#[derive(Debug, Clone)]
pub(crate) enum Mishap {
    Fault(Fault),
    Panic,
    NotANumber,
}

/// What all fake cards of one test share. Clones share too.
#[derive(Clone)]
pub(crate) struct World(Arc<State>);

struct State {
    rule: Rule,
    dir: tempfile::TempDir,
    log: Mutex<Vec<String>>,
    steps: AtomicUsize,
    mishaps: Mutex<HashMap<usize, Mishap>>,
    load_mishaps: Mutex<Vec<Mishap>>,
    break_unload: AtomicBool,
    loads_wait: AtomicBool,
    open_faults: Mutex<Vec<Fault>>,
    has_real_card: AtomicBool,
    drop_fault: Mutex<Option<Fault>>,
    sequences_left: AtomicUsize,
    sequence_ids: AtomicUsize,
    /// Layers that may run; `None`: any number.
    permits: Mutex<Option<usize>>,
    permitted: Condvar,
    layers_run: AtomicUsize,
}

impl World {
    pub(crate) fn new(rule: Rule) -> Self {
        Self(Arc::new(State {
            rule,
            dir: tempfile::tempdir().unwrap(),
            log: Mutex::default(),
            steps: AtomicUsize::new(0),
            mishaps: Mutex::default(),
            load_mishaps: Mutex::default(),
            break_unload: AtomicBool::new(false),
            loads_wait: AtomicBool::new(false),
            open_faults: Mutex::default(),
            has_real_card: AtomicBool::new(false),
            drop_fault: Mutex::default(),
            sequences_left: AtomicUsize::new(usize::MAX),
            sequence_ids: AtomicUsize::new(0),
            permits: Mutex::default(),
            permitted: Condvar::new(),
            layers_run: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn engine(&self, config: &EngineConfig) -> Engine {
        self.try_engine(config).unwrap()
    }

    pub(crate) fn try_engine(&self, config: &EngineConfig) -> Result<Engine, EngineError> {
        self.engine_beside(config, Host::start(config.max_queue, config.keep_alive)?)
    }

    /// An engine that has this thread for encoders.
    pub(super) fn engine_beside(&self, config: &EngineConfig, host: Host) -> Result<Engine, EngineError> {
        let world = self.clone();
        let open = always_the_same(config.device.clone(), move |choice| world.open(choice));
        Engine::start_with(config, host, open)
    }

    /// As drivers do: `auto` takes the real card where there is one, and the software card where it cannot be opened.
    fn open(&self, choice: &DeviceChoice) -> Result<FakeCard, Fault> {
        self.note("open".to_owned());
        let is_real = self.0.has_real_card.load(Ordering::SeqCst);
        let kind = match (self.0.open_faults.lock().pop(), is_real, choice) {
            (Some(_), true, DeviceChoice::Auto) | (None, false, _) => "software",
            (Some(fault), ..) => return Err(fault),
            (None, true, _) => "pcie",
        };
        Ok(FakeCard { world: self.clone(), kind })
    }

    /// Puts a PCIe card into the machine; without one there is the software card.
    pub(crate) fn plug_in_a_card(&self) {
        self.0.has_real_card.store(true, Ordering::SeqCst);
    }

    /// A model directory that passes the checks of the store, of files that only the fake card takes.
    pub(crate) fn model(&self, name: &str) -> Arc<Model> {
        let dir = self.0.dir.path().join(name);
        write_model(&dir, name);
        Arc::new(Model::open(name.parse().unwrap(), &dir).unwrap())
    }

    /// What was done on the card since the last call.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.log.lock())
    }

    fn note(&self, what: String) {
        self.0.log.lock().push(what);
    }

    /// Lets step number `step`, counted from 0 over the whole test, go wrong.
    pub(crate) fn break_step(&self, step: usize, mishap: Mishap) {
        self.0.mishaps.lock().insert(step, mishap);
    }

    /// The number of the next step.
    pub(crate) fn steps(&self) -> usize {
        self.0.steps.load(Ordering::SeqCst)
    }

    /// Lets something that was given back have gone wrong.
    pub(crate) fn break_drop(&self, fault: Fault) {
        *self.0.drop_fault.lock() = Some(fault);
    }

    /// Makes loads wait, or lets them go on.
    pub(crate) fn hold_loads(&self, wait: bool) {
        self.0.loads_wait.store(wait, Ordering::SeqCst);
    }

    pub(crate) fn break_next_load(&self, mishap: Mishap) {
        self.0.load_mishaps.lock().push(mishap);
    }

    pub(crate) fn break_next_unload(&self) {
        self.0.break_unload.store(true, Ordering::SeqCst);
    }

    pub(crate) fn break_next_open(&self, fault: Fault) {
        self.0.open_faults.lock().push(fault);
    }

    pub(crate) fn limit_sequences(&self, count: usize) {
        self.0.sequences_left.store(count, Ordering::SeqCst);
    }

    /// From now on only as many layers run as are permitted.
    pub(crate) fn permit_layers(&self, count: usize) {
        *self.0.permits.lock() = Some(count);
        self.0.permitted.notify_all();
    }

    pub(crate) fn permit_all(&self) {
        *self.0.permits.lock() = None;
        self.0.permitted.notify_all();
    }

    pub(crate) fn layers_run(&self) -> usize {
        self.0.layers_run.load(Ordering::SeqCst)
    }

    /// Waits until `layers` layers have run in all.
    pub(crate) async fn until_layers(&self, layers: usize) {
        eventually(|| self.layers_run() >= layers).await;
    }

    fn run_layers(&self, cancel: &CancelFlag) -> Result<(), Fault> {
        for _ in 0..LAYERS {
            if cancel.is_cancelled() {
                return Err(Fault::Cancelled);
            }
            let mut permits = self.0.permits.lock();
            while *permits == Some(0) {
                // A layer under way cannot be cancelled, but the test that holds it may.
                if cancel.is_cancelled() {
                    return Err(Fault::Cancelled);
                }
                self.0.permitted.wait_for(&mut permits, Duration::from_millis(1));
            }
            if let Some(permits) = permits.as_mut() {
                *permits -= 1;
            }
            self.0.layers_run.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// Waits until something is true, and fails after ten seconds.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}

/// Lets requests begin such that all of them run. The card is held in step 1, the second one; `permit_all` lets it go.
pub(crate) async fn begin_together(
    world: &World,
    engine: &Engine,
    requests: Vec<Request>,
) -> Vec<Generation> {
    world.permit_layers(0);
    let mut beginning = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        let engine_of_task = engine.clone();
        beginning.push(tokio::spawn(async move { engine_of_task.generate(request).await.unwrap() }));
        eventually(|| engine.counters() == Counters { running: 1, queued: index, sequences: 1 }).await;
    }
    world.permit_layers(LAYERS);
    let begun = futures_util::future::join_all(beginning).await;
    eventually(|| world.steps() == 2).await;
    begun.into_iter().map(Result::unwrap).collect()
}

struct FakeCard {
    world: World,
    kind: &'static str,
}

pub(crate) struct FakeModel {
    world: World,
    name: String,
}

pub(crate) struct FakeSequence {
    world: World,
    id: usize,
    tokens: Vec<TokenId>,
}

pub(crate) struct FakeText;

impl Card for FakeCard {
    type Model = FakeModel;

    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: self.kind,
            summary: "a card for tests".into(),
            soc: String::new(),
            interface: Interface::Pcie,
            profile: None,
            weight_bytes_per_second: None,
            version: "1".into(),
            total_memory: 1,
            free_memory: 1,
        }
    }

    fn load(&self, model: &Arc<Model>, cancel: &CancelFlag) -> Result<FakeModel, Fault> {
        let name = model.name.model.clone();
        self.world.note(format!("load {name}"));
        while self.world.0.loads_wait.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if cancel.is_cancelled() {
            self.world.note(format!("stop load {name}"));
            return Err(Fault::Cancelled);
        }
        match self.world.0.load_mishaps.lock().pop() {
            Some(Mishap::Fault(fault)) => Err(fault),
            Some(_) => panic!("the load panics"),
            None => Ok(FakeModel { world: self.world.clone(), name }),
        }
    }

    fn take_drop_fault(&self) -> Option<Fault> {
        self.world.0.drop_fault.lock().take()
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.world.note(format!("unload {}", self.name));
        assert!(!self.world.0.break_unload.swap(false, Ordering::SeqCst), "the unload panics");
    }
}

impl CardModel for FakeModel {
    type Sequence = FakeSequence;
    type Text = FakeText;

    fn sizes(&self) -> ModelSizes {
        ModelSizes {
            context_len: CONTEXT,
            chunk_len: CHUNK,
            vocab: VOCAB,
            hidden: HIDDEN,
            memory_bytes: 1000,
        }
    }

    fn paths(&self) -> LoadedPaths {
        LoadedPaths::default()
    }

    fn new_sequence(&self) -> Result<FakeSequence, Fault> {
        let left = &self.world.0.sequences_left;
        if left.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            return Err(Fault::OutOfMemory("no memory for a sequence".into()));
        }
        let id = self.world.0.sequence_ids.fetch_add(1, Ordering::SeqCst);
        Ok(FakeSequence { world: self.world.clone(), id, tokens: Vec::new() })
    }

    fn is_end(&self, token: TokenId) -> bool {
        token == END
    }

    fn token_text(&self, token: TokenId) -> String {
        text_of(token).to_string()
    }

    fn final_norm(&self) -> Option<&FinalNorm> {
        None
    }

    fn stream_text(&self, _spelled: &SpelledTokens) -> FakeText {
        FakeText
    }
}

impl FakeSequence {
    fn step(&mut self, what: &str, tokens: &[TokenId], cancel: &CancelFlag) -> Result<bool, Fault> {
        let step = self.world.0.steps.fetch_add(1, Ordering::SeqCst);
        self.world.note(format!("{what} s{} {}+{}", self.id, self.tokens.len(), tokens.len()));
        self.world.run_layers(cancel)?;
        match self.world.0.mishaps.lock().remove(&step) {
            Some(Mishap::Fault(fault)) => return Err(fault),
            Some(Mishap::Panic) => panic!("the step panics"),
            Some(Mishap::NotANumber) => {
                self.tokens.extend(tokens);
                return Ok(false);
            }
            None => {}
        }
        assert!(self.tokens.len() + tokens.len() <= CONTEXT, "written past the last cell");
        self.tokens.extend(tokens);
        Ok(true)
    }

    fn fill(&self, logits: &mut [u16], good: bool) {
        assert_eq!(logits.len(), VOCAB);
        logits.fill(0);
        if good {
            logits[(self.world.0.rule)(&self.tokens) as usize] = 0x4120;
        } else {
            logits[3] = 0x7fc0;
        }
    }
}

impl CardSequence for FakeSequence {
    fn len(&self) -> usize {
        self.tokens.len()
    }

    fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
    }

    fn prefill(
        &mut self,
        tokens: &[TokenId],
        logits: Option<&mut [u16]>,
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        assert!((1..=CHUNK).contains(&tokens.len()));
        let good = self.step("prefill", tokens, cancel)?;
        if let Some(logits) = logits {
            self.fill(logits, good);
        }
        Ok(())
    }

    fn prefill_hidden(
        &mut self,
        tokens: &[TokenId],
        hidden: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<(), Fault> {
        assert!((1..=CHUNK).contains(&tokens.len()) && hidden.len() == tokens.len() * HIDDEN);
        let first = self.tokens.len();
        let good = self.step("hidden", tokens, cancel)?;
        if !good {
            // In one row that counts for few ways to pool.
            hidden[tokens.len() / 2 * HIDDEN] = 0x7fc0;
            return Ok(());
        }
        for (place, row) in (first..).zip(hidden.chunks_exact_mut(HIDDEN)) {
            row.copy_from_slice(&hidden_after(&self.tokens[..=place]).map(half::bf16::to_bits));
        }
        Ok(())
    }

    fn decode(&mut self, token: TokenId, logits: &mut [u16], cancel: &CancelFlag) -> Result<(), Fault> {
        let good = self.step("decode", &[token], cancel)?;
        self.fill(logits, good);
        Ok(())
    }
}

/// The hidden state after these tokens: how many there are, the last one, and something of all of them.
pub(crate) fn hidden_after(tokens: &[TokenId]) -> [half::bf16; HIDDEN] {
    let last = tokens.last().copied().unwrap_or_default();
    let count = u32::try_from(tokens.len()).unwrap();
    [count, last, scramble(tokens), 1].map(|value| half::bf16::from_f32(value as f32))
}

impl StreamText for FakeText {
    fn push(&mut self, token: TokenId) -> String {
        text_of(token).to_string()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

/// Token 1 is `a`, 2 is `b`, and so on round the alphabet.
pub(crate) fn text_of(token: TokenId) -> char {
    char::from(b'a' + u8::try_from((token + 25) % 26).unwrap())
}

/// Writes such a directory. Its files do not say how long the context is; the manifest has the card's.
pub(crate) fn write_model(dir: &Path, name: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let write = |file: &str, bytes: &[u8]| std::fs::write(dir.join(file), bytes).unwrap();
    let config = serde_json::json!({
        "model_name": name, "tokenizer_type": "x", "url_tokenizer_model": "tokenizer.json",
        "template_filename_axmodel": "x_p128_l%d_together.axmodel", "axmodel_num": 1,
        "filename_post_axmodel": "x_post.axmodel", "filename_tokens_embed": "embed.bin",
        "tokens_embed_num": VOCAB, "tokens_embed_size": HIDDEN
    });
    let manifest = serde_json::json!({
        "schema": 1, "format": "axmodel", "family": name, "parameter_count": 1, "parameter_size": "1",
        "quantization_level": "BF16", "context_length": CONTEXT, "trained_context": CONTEXT, "embedding_length": HIDDEN,
        "model_info": {}, "files": []
    });
    write("config.json", config.to_string().as_bytes());
    write("manifest.json", manifest.to_string().as_bytes());
    write("tokenizer.json", b"{}");
    write("embed.bin", &[0; VOCAB * 8]);
    for file in ["x_p128_l0_together.axmodel", "x_post.axmodel"] {
        write(file, b"\x08\x08\x12\x07Pulsar2 not a layer that anything could run");
    }
}

/// A greedy request.
pub(crate) fn request(model: &Arc<Model>, prompt: &[TokenId], num_predict: i64) -> Request {
    let sampling = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
    let options = GenerateOptions { sampling, num_predict, ..GenerateOptions::default() };
    Request { model: Arc::clone(model), prompt: prompt.to_vec(), options, keep_alive: None }
}

/// Reads a request to its end: the whole text, and the last event. Checks that nothing follows it.
pub(crate) async fn read(mut generation: Generation) -> (String, Event) {
    let mut whole = String::new();
    loop {
        match generation.next().await.expect("a last event") {
            Event::Text { text, .. } => whole.push_str(&text),
            last => {
                assert!(generation.next().await.is_none(), "nothing follows the last event");
                return (whole, last);
            }
        }
    }
}

/// Runs a request that must succeed.
pub(crate) async fn answer(engine: &Engine, request: Request) -> (String, Summary) {
    match read(engine.generate(request).await.unwrap()).await {
        (text, Event::Done(summary)) => (text, summary),
        (_, other) => panic!("{other:?}"),
    }
}

/// Runs a request and returns its tokens and why it ended.
pub(crate) async fn tokens(engine: &Engine, request: Request) -> (Vec<TokenId>, DoneReason) {
    let (_, summary) = answer(engine, request).await;
    (summary.tokens, summary.reason)
}
