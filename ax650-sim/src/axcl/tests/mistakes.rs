//! Mistakes on demand: what a fast path computes is wrong then, what the plain path does is not.

use std::ffi::c_void;
use std::ptr;

use super::engine::{Bound, DECODE, INDICES, INPUT, K_CACHE, K_OUT, MASK, OUTPUT};
use super::{Client, D2D};
use crate::control::{Mistake, Trouble};
use crate::testing::{CHUNK, TinyModel, TinySpec};

/// Two layers of a tiny model, bound for decode, which see rows of a cache that differ.
struct Pair {
    client: Client,
    spec: TinySpec,
    files: TinyModel,
    layers: [Bound; 2],
    _dir: tempfile::TempDir,
}

fn len(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a size")
}

impl Pair {
    fn new(spec: TinySpec, group: u32) -> Self {
        let (client, files, dir) = Client::with_model(&spec);
        let layers = [client.bind(&files.layers[0], group), client.bind(&files.layers[1], group)];
        for layer in &layers {
            let rows: Vec<u8> = (0..len(layer.inputs[K_CACHE].1) / 2)
                .flat_map(|at| [(at / 64).to_le_bytes()[0], 0x3D])
                .collect();
            for (cache, _) in &layer.inputs[K_CACHE..K_CACHE + 2] {
                assert_eq!(client.write(*cache, &rows), 0);
            }
        }
        let pair = Self { client, spec, files, layers, _dir: dir };
        for layer in &pair.layers {
            pair.show(layer, 8);
        }
        pair.feed(0x3F);
        pair
    }

    fn wrong(&self, mistake: Mistake) {
        self.client.card.cause(Trouble::Wrong(mistake));
    }

    /// The first layer's hidden state: one value everywhere.
    fn feed(&self, high: u8) {
        let (input, bytes) = self.layers[0].inputs[INPUT];
        assert_eq!(self.client.write(input, &[0x80, high].repeat(len(bytes) / 2)), 0);
    }

    /// Makes `rows` rows of the cache visible to decode, and the token itself.
    fn show(&self, layer: &Bound, rows: usize) {
        let (mask, bytes) = layer.inputs[MASK];
        let columns = len(bytes) / 2;
        let cells = (0..columns).map(|column| column < rows || column == columns - 1);
        let mut values: Vec<u8> =
            cells.flat_map(|visible| if visible { [0, 0] } else { [0x80, 0xC7] }).collect();
        values.resize(len(bytes), 0);
        assert_eq!(self.client.write(mask, &values), 0);
    }

    fn run(&self, layer: usize, group: u32) -> Vec<u8> {
        assert_eq!(self.client.execute(&self.layers[layer], group), 0);
        self.output(layer)
    }

    fn output(&self, layer: usize) -> Vec<u8> {
        let (output, bytes) = self.layers[layer].outputs[OUTPUT];
        self.client.read(output, len(bytes))
    }

    /// Both layers, the hidden state copied from one to the other.
    fn run_plain(&self) -> Vec<u8> {
        self.run(0, DECODE);
        let (from, bytes) = self.layers[0].outputs[OUTPUT];
        let to = self.layers[1].inputs[INPUT].0;
        assert_eq!(axcl!(self.client.table, axclrtMemcpy(to, from, len(bytes), D2D)), 0);
        self.run(1, DECODE)
    }

    /// Binds the hidden state of the first layer as the input of the second.
    fn alias(&self) {
        let (hidden, bytes) = self.layers[0].outputs[OUTPUT];
        self.client.rebind_input(&self.layers[1], INPUT, hidden, bytes);
    }

    fn stream(&self) -> *mut c_void {
        let mut stream = ptr::null_mut();
        assert_eq!(axcl!(self.client.table, axclrtCreateStream(&raw mut stream)), 0);
        stream
    }

    fn end(self) {
        assert!(self.client.broken().is_empty());
    }
}

/// Runs a group with its K rows bound at row 130 of a longer cache: true if they are there, false if at its base.
fn k_rows_are_in_place(pair: &Pair, group: u32) -> bool {
    let layer = &pair.layers[0];
    let row = pair.spec.kv_dim() * 2;
    let (_, bytes) = layer.outputs[K_OUT];
    let cache = pair.client.malloc(3 * CHUNK * row);
    assert_eq!(axcl!(pair.client.table, axclrtMemset(cache, 0, 3 * CHUNK * row)), 0);
    pair.client.rebind_input(layer, K_CACHE, cache, (3 * CHUNK * row) as u64);
    pair.client.rebind_output(layer, K_OUT, cache.wrapping_byte_add(130 * row), bytes);
    pair.run(0, group);
    let written = [130, 0].map(|at| pair.client.read(cache.wrapping_byte_add(at * row), row) != vec![0; row]);
    assert_ne!(written[0], written[1]);
    written[0]
}

#[test]
fn rows_in_place_go_to_the_base_of_the_cache() {
    for (group, other, wrong) in [
        (DECODE, Mistake::KvPrefillAtBase, Mistake::KvDecodeAtBase),
        (2, Mistake::KvDecodeAtBase, Mistake::KvPrefillAtBase),
    ] {
        let pair = Pair::new(TinySpec::default(), group);
        pair.wrong(other);
        assert!(k_rows_are_in_place(&pair, group), "{group}");
        pair.wrong(wrong);
        assert!(!k_rows_are_in_place(&pair, group), "{group}");
        pair.end();
    }
}

#[test]
fn a_mistake_of_one_group_is_made_in_no_other() {
    for (group, in_place) in [(2, false), (3, true)] {
        let pair = Pair::new(TinySpec::default(), 2);
        pair.client.card.cause(Trouble::WrongIn { mistake: Mistake::KvPrefillAtBase, group });
        assert_eq!(k_rows_are_in_place(&pair, 2), in_place, "the mistake of group {group}");
        pair.end();
    }
}

#[test]
fn an_aliased_hidden_state_is_stale() {
    let pair = Pair::new(TinySpec::default(), DECODE);
    let first = pair.run_plain();
    pair.feed(0x40);
    let second = pair.run_plain();
    assert_ne!(first, second);

    pair.wrong(Mistake::StaleHidden);
    pair.feed(0x3F);
    assert_eq!(pair.run_plain(), first, "copies are not affected");
    pair.feed(0x40);
    assert_eq!(pair.run_plain(), second);
    pair.alias();
    pair.run(0, DECODE);
    pair.feed(0x3F);
    pair.run(0, DECODE);
    assert_eq!(pair.run(1, DECODE), second, "the state before");
    pair.end();
}

#[test]
fn a_shared_mask_is_stale_for_all_but_the_first_layer() {
    let pair = Pair::new(TinySpec::default(), DECODE);
    let outputs = |rows: [usize; 2]| {
        let [first, second] = rows.map(|rows| {
            pair.layers.iter().for_each(|layer| pair.show(layer, rows));
            pair.run_plain()
        });
        assert_ne!(first, second);
        [first, second]
    };
    let expected = outputs([3, 200]);
    pair.wrong(Mistake::StaleMask);
    assert_eq!(outputs([3, 200]), expected, "separate masks are not affected");

    let (mask, bytes) = pair.layers[0].inputs[MASK];
    pair.client.rebind_input(&pair.layers[1], MASK, mask, bytes);
    pair.show(&pair.layers[0], 3);
    pair.run_plain();
    pair.show(&pair.layers[0], 200);
    assert_ne!(pair.run_plain(), expected[1]);
    pair.end();
}

#[test]
fn queued_runs_change_places() {
    let pair = Pair::new(TinySpec::default(), DECODE);
    let expected = pair.run_plain();
    pair.alias();
    assert_eq!(pair.run(1, DECODE), expected);
    let stream = pair.stream();
    let queued = |high| {
        pair.feed(high);
        for layer in &pair.layers {
            let (model, context, io) = (layer.model, layer.context, layer.io);
            let code = axcl!(pair.client.table, axclrtEngineExecuteAsync(model, context, DECODE, io, stream));
            assert_eq!(code, 0);
        }
        assert_eq!(axcl!(pair.client.table, axclrtSynchronizeStream(stream)), 0);
        pair.output(1)
    };
    let other = queued(0x40);
    assert_eq!(queued(0x3F), expected);
    pair.wrong(Mistake::AsyncOrder);
    assert_eq!(queued(0x40), expected, "the second layer ran first");
    assert_eq!(queued(0x3F), other);
    pair.end();
}

#[test]
fn copies_from_pinned_memory_are_late() {
    let pair = Pair::new(TinySpec::default(), DECODE);
    let before = pair.run(0, DECODE);
    let (input, bytes) = pair.layers[0].inputs[INPUT];
    let mut pinned: *mut c_void = ptr::null_mut();
    assert_eq!(axcl!(pair.client.table, axclrtMallocHost(&raw mut pinned, len(bytes))), 0);
    // SAFETY: the card gave this many bytes of host memory.
    unsafe { pinned.cast::<u8>().write_bytes(0x3E, len(bytes)) };
    pair.wrong(Mistake::PinnedLate);
    assert_eq!(axcl!(pair.client.table, axclrtMemcpy(input, pinned, len(bytes), super::H2D)), 0);
    assert_eq!(pair.run(0, DECODE), before);
    assert_ne!(pair.run(0, DECODE), before);
    assert_eq!(pair.client.write(input, &[0x80, 0x3F].repeat(len(bytes) / 2)), 0);
    assert_eq!(pair.run(0, DECODE), before, "other memory is not affected");
    pair.end();
}

#[test]
fn smaller_decode_groups_are_wrong() {
    let spec = TinySpec { smaller_decode: vec![100], ..TinySpec::default() };
    let outcomes = [0, 1].map(|group| {
        let pair = Pair::new(spec.clone(), group);
        let expected = pair.run(0, group);
        pair.wrong(Mistake::SmallGroup);
        let spoiled = pair.run(0, group);
        pair.end();
        (expected, spoiled)
    });
    let [(small, spoiled), (large, kept)] = outcomes;
    assert_eq!((&small, &kept), (&large, &large));
    assert_ne!(spoiled, small);
}

#[test]
fn a_step_behind_a_step_without_a_head_has_its_position() {
    let pair = Pair::new(TinySpec::default(), DECODE);
    let head = pair.client.bind(&pair.files.head, 0);
    let run_at = |position: u32| {
        assert_eq!(pair.client.write(pair.layers[0].inputs[INDICES].0, &position.to_le_bytes()), 0);
        pair.run(0, DECODE)
    };
    let [third, fourth] = [3, 4].map(run_at);
    assert_ne!(third, fourth);
    pair.wrong(Mistake::StalePosition);
    assert_eq!([run_at(3), run_at(4), run_at(4)], [third.clone(), third, fourth.clone()]);
    assert_eq!(pair.client.execute(&head, 0), 0);
    assert_eq!(run_at(4), fourth);
    pair.end();
}

#[test]
fn the_first_row_behind_an_aliased_hidden_state_is_wrong() {
    let pair = Pair::new(TinySpec::default(), 2);
    let row = pair.spec.hidden * 2;
    let outputs = || [0, 1].map(|layer| pair.run(layer, 2));
    pair.alias();
    let right = outputs();
    pair.wrong(Mistake::FirstRow);
    let [first, last] = outputs();
    assert_eq!(first, right[0], "it is not the last layer");
    assert_ne!(last[..row], right[1][..row]);
    assert_eq!(last[row..], right[1][row..]);
    // Copied to another place the hidden state does no harm.
    let (from, bytes) = pair.layers[0].outputs[OUTPUT];
    let to = pair.layers[1].inputs[INPUT].0;
    assert_eq!(axcl!(pair.client.table, axclrtMemcpy(to, from, len(bytes), D2D)), 0);
    pair.client.rebind_input(&pair.layers[1], INPUT, to, bytes);
    assert_eq!(pair.run(1, 2), right[1]);
    pair.end();
}

#[test]
fn decode_groups_round_otherwise() {
    let outcomes = [DECODE, 1].map(|group| {
        let pair = Pair::new(TinySpec::default(), group);
        let results = || [pair.run(0, group), pair.client.read(pair.layers[0].outputs[K_OUT].0, 64)];
        let before = results();
        pair.wrong(Mistake::DecodeRounds);
        let same = results().iter().zip(&before).map(|(after, before)| after == before).collect::<Vec<_>>();
        pair.end();
        same
    });
    assert_eq!(outcomes, [[false, false], [true, true]]);
}
