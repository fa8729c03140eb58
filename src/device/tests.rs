//! The wrapper and the loop below it, on the software card: what any card must do, and how it may fail.

mod faults;
mod groups;
mod mistakes;
mod paths;
mod steps;

use std::path::Path;

use ax650_sim::CardOptions;
use ax650_sim::control::{AttachedCard, SoftwareCard};
use ax650_sim::testing::{TinyModel, TinySpec, write_tiny_model};
use static_assertions::{assert_impl_all, assert_not_impl_any};

use super::{
    CancelFlag, DeviceChoice, DeviceError, DeviceInfo, Driver, DriverOptions, LoadedModel, ModelSpec, Paths,
    PathsWish, Sequence,
};

assert_not_impl_any!(Driver: Send, Sync);
assert_not_impl_any!(LoadedModel: Send, Sync);
assert_not_impl_any!(Sequence: Send, Sync);
assert_impl_all!(CancelFlag: Send, Sync);
assert_impl_all!(DeviceInfo: Send, Sync);
assert_impl_all!(DeviceError: Send, Sync, std::error::Error);

const HIDDEN: usize = 64;
const VOCAB: usize = 200;

/// A software card of its own, a tiny model in files, and the embedding rows of its tokens.
struct Bench {
    files: TinyModel,
    rows: Vec<u16>,
    driver: Driver,
    control: SoftwareCard,
    _attached: AttachedCard,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// On the plain path, without a self-test.
    fn new(spec: &TinySpec) -> Self {
        let plain = DriverOptions { paths: PathsWish(Paths::PLAIN), ..DriverOptions::default() };
        Self::with(spec, &DeviceChoice::SOFTWARE, &plain)
    }

    fn with(spec: &TinySpec, choice: &DeviceChoice, options: &DriverOptions) -> Self {
        let strict = CardOptions { threads: Some(1), strict: true, ..CardOptions::default() };
        let control = SoftwareCard::new(strict);
        control.set_fatal(true);
        let attached = control.attach();
        let directory = tempfile::tempdir().unwrap();
        let files = write_tiny_model(directory.path(), spec).unwrap();
        let rows = read_rows(&files.embedding);
        let driver = Driver::open(choice, options).unwrap();
        Self { files, rows, driver, control, _attached: attached, _directory: directory }
    }

    fn spec(&self) -> ModelSpec {
        ModelSpec {
            layers: self.files.layers.clone(),
            head: self.files.head.clone(),
            hidden: HIDDEN,
            vocab: VOCAB,
            sequence_bytes: 0,
            digest: "tiny".to_owned(),
        }
    }

    fn load(&self) -> LoadedModel {
        self.driver.load(&self.spec(), &CancelFlag::new(), &mut |_| {}).unwrap()
    }

    /// The embedding rows of tokens `from..to` of a fixed text.
    fn text(&self, from: usize, to: usize) -> Vec<u16> {
        (from..to)
            .flat_map(|i| {
                let token = (i * 37 + 11) % VOCAB;
                self.rows[token * HIDDEN..(token + 1) * HIDDEN].to_vec()
            })
            .collect()
    }

    /// Puts tokens `from..to` behind the sequence, in chunks of at most `chunk`; the logits of the last one.
    fn prefill(&self, sequence: &mut Sequence, from: usize, to: usize, chunk: usize) -> Vec<u16> {
        let mut logits = vec![0; VOCAB];
        let mut at = from;
        while at < to {
            let end = (at + chunk).min(to);
            let wanted = (end == to).then_some(logits.as_mut_slice());
            sequence.prefill(&self.text(at, end), wanted, &CancelFlag::new()).unwrap();
            at = end;
        }
        logits
    }

    /// The hidden states of one chunk.
    fn states(&self, sequence: &mut Sequence, from: usize, to: usize) -> Vec<u16> {
        let rows = self.text(from, to);
        let mut states = vec![0; rows.len()];
        sequence.prefill_hidden(&rows, &mut states, &CancelFlag::new()).unwrap();
        states
    }

    fn decode(&self, sequence: &mut Sequence, token: usize) -> Vec<u16> {
        let mut logits = vec![0; VOCAB];
        sequence.decode(&self.text(token, token + 1), &mut logits, &CancelFlag::new()).unwrap();
        logits
    }
}

fn read_rows(embedding: &Path) -> Vec<u16> {
    let bytes = std::fs::read(embedding).unwrap();
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.control.violations(), [], "the loop broke a rule of the vendor's interface");
            let errors = self.driver.take_drop_errors();
            assert!(errors.is_none(), "{errors:?}");
        }
    }
}
