//! A model on the card under test, step by step.

use ax650::device::{
    CancelFlag, DeviceChoice, Driver, DriverOptions, LoadedModel, ModelSpec, Paths, PathsWish, Sequence,
};
use ax650::models::embedding::EmbeddingTable;

use crate::support::{Face, THREADS, TinyStore, driver_options};

/// A model on the card under test, driven without an engine.
pub(crate) struct Loaded {
    pub(crate) model: LoadedModel,
    embedding: EmbeddingTable,
}

impl Loaded {
    /// Loads it; `paths` are tested and used.
    pub(crate) fn on(face: Face, store: &TinyStore, paths: Paths) -> Self {
        Self::with(&face.device(), driver_options(), store, paths)
    }

    /// The same on the built-in card, whatever the card under test is.
    pub(crate) fn built_in(face: Face, store: &TinyStore, paths: Paths) -> Self {
        let options = DriverOptions { software_threads: Some(THREADS), ..DriverOptions::default() };
        Self::with(&face.built_in(), options, store, paths)
    }

    fn with(device: &DeviceChoice, options: DriverOptions, store: &TinyStore, paths: Paths) -> Self {
        let options = DriverOptions { paths: PathsWish(paths), ..options };
        let driver = Driver::open(device, &options).unwrap();
        let files = store.model.card_parts().unwrap().files.clone();
        let (hidden, vocab) = (store.model.hidden(), store.model.vocab());
        let spec = ModelSpec {
            layers: files.layers,
            head: files.head,
            hidden,
            vocab,
            sequence_bytes: store.model.sequence_bytes(),
            digest: String::new(),
        };
        let mut seen = 0;
        let model = driver.load(&spec, &CancelFlag::new(), &mut |progress| seen = progress.total).unwrap();
        assert_eq!(seen, spec.layers.len() + 1);
        Self { model, embedding: store.model.embedding().unwrap() }
    }

    pub(crate) fn rows(&self, tokens: &[u32]) -> Vec<u16> {
        let mut rows = vec![0; tokens.len() * self.model.hidden()];
        self.embedding.read_rows(tokens, &mut rows).unwrap();
        rows
    }

    pub(crate) fn prefill(&self, sequence: &mut Sequence, tokens: &[u32]) -> Vec<u16> {
        let mut logits = vec![0; self.model.vocab()];
        sequence.prefill(&self.rows(tokens), Some(&mut logits), &CancelFlag::new()).unwrap();
        logits
    }

    pub(crate) fn decode(&self, sequence: &mut Sequence, token: u32) -> Vec<u16> {
        let mut logits = vec![0; self.model.vocab()];
        sequence.decode(&self.rows(&[token]), &mut logits, &CancelFlag::new()).unwrap();
        logits
    }

    /// The logits after each of the last tokens, computed one by one after a prompt cut as told.
    pub(crate) fn logits_of(
        &self,
        prompt: &[u32],
        cut: &dyn Fn(usize) -> usize,
        rest: &[u32],
    ) -> Vec<Vec<u16>> {
        let mut sequence = self.model.new_sequence().unwrap();
        let mut logits = Vec::new();
        let mut position = 0;
        while position < prompt.len() {
            let count = cut(position).clamp(1, self.model.chunk_len()).min(prompt.len() - position);
            let tokens = &prompt[position..position + count];
            let after = if count == 1 && cut(position) == 0 {
                self.decode(&mut sequence, tokens[0])
            } else {
                self.prefill(&mut sequence, tokens)
            };
            position += count;
            assert_eq!(sequence.len(), position);
            logits = vec![after];
        }
        logits.extend(rest.iter().map(|&token| self.decode(&mut sequence, token)));
        logits
    }
}
