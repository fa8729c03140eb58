//! Hidden states of the last layer: the same bits however the tokens are cut, and what the head makes its logits of.

use ax650::device::{CancelFlag, DeviceError, Paths};
use ax650::models::safetensors::TensorFile;
use ax650_sim::testing::{TinySpec, TinyWeights};
use half::bf16;

use crate::loaded::Loaded;
use crate::support::{Face, all_architectures, card, prompt, tiny_model};

/// The states of all tokens, computed in pieces of so many.
fn states(loaded: &Loaded, tokens: &[u32], piece: usize) -> Vec<u16> {
    let mut sequence = loaded.model.new_sequence().unwrap();
    let mut all = Vec::new();
    for tokens in tokens.chunks(piece) {
        let mut hidden = vec![0; tokens.len() * loaded.model.hidden()];
        sequence.prefill_hidden(&loaded.rows(tokens), &mut hidden, &CancelFlag::new()).unwrap();
        all.extend(hidden);
    }
    assert_eq!(sequence.len(), tokens.len());
    all
}

#[test]
fn any_cut_on_any_path_gives_the_same_states() {
    let card = card();
    for spec in all_architectures() {
        let store = tiny_model(&spec, None);
        let tokens = prompt(1, spec.kv_len);
        for face in [Face::Pcie, Face::Board] {
            let loaded = Loaded::on(face, &store, Paths::PLAIN);
            let expected = states(&loaded, &tokens, 128);
            assert!(expected.iter().all(|raw| raw & 0x7f80 != 0x7f80), "states are finite");
            drop(loaded);
            let loaded = Loaded::on(face, &store, Paths::ALL);
            for piece in [128, 1, 37, 100] {
                assert!(states(&loaded, &tokens, piece) == expected, "{}: by {piece}", spec.architecture);
            }
        }
    }
    drop(card);
}

#[test]
fn the_head_makes_logits_of_the_normed_state() {
    let card = card();
    let spec = TinySpec { weights: TinyWeights::Bf16, ..TinySpec::default() };
    let store = tiny_model(&spec, None);
    let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
    let tokens = prompt(3, 140);
    let logits = loaded.logits_of(&tokens, &|_| 128, &[]).remove(0);
    let hidden = states(&loaded, &tokens, 128);
    let last = &hidden[hidden.len() - spec.hidden..];
    let mut state: Vec<f32> = last.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect();
    store.model.final_norm().unwrap().unwrap().apply(&mut state);
    let head = TensorFile::open(&store.model.card_parts().unwrap().files.head).unwrap();
    let weights = head.read("weight", &[spec.vocab, spec.hidden]).unwrap();
    let product = |row: &[f32]| row.iter().zip(&state).map(|(a, b)| a * b).sum::<f32>();
    let wanted: Vec<f32> = weights.chunks_exact(spec.hidden).map(product).collect();
    let largest = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    for (&bits, wanted) in logits.iter().zip(&wanted) {
        let found = bf16::from_bits(bits).to_f32();
        assert!((found - wanted).abs() < 0.02 * largest, "{found} {wanted} of {largest}");
    }
    drop(loaded);
    drop(card);
}

#[test]
fn room_of_another_size_is_refused_and_cancelling_counts_nothing() {
    let card = card();
    let store = tiny_model(&TinySpec::default(), None);
    let loaded = Loaded::on(Face::Pcie, &store, Paths::ALL);
    let mut sequence = loaded.model.new_sequence().unwrap();
    let rows = loaded.rows(&prompt(2, 10));
    for values in [0, 9 * 64, 11 * 64] {
        let error = sequence.prefill_hidden(&rows, &mut vec![0; values], &CancelFlag::new()).unwrap_err();
        assert!(matches!(error, DeviceError::Internal(_)), "{error}");
    }
    let cancelled = CancelFlag::new();
    cancelled.cancel();
    let error = sequence.prefill_hidden(&rows, &mut vec![0; 640], &cancelled).unwrap_err();
    assert!(matches!(error, DeviceError::Cancelled), "{error}");
    assert_eq!(sequence.len(), 0);
    drop(sequence);
    drop(loaded);
    drop(card);
}
