//! A minimal host: keeps the cache, chooses the group, makes masks.

use half::bf16;

use crate::testing::{CHUNK, TinyModel, TinySpec, write_tiny_model};
use crate::{Engine, Pool, Scratch};

pub(super) const HIDDEN: u16 = 0xC780;
pub(super) const NAN: u16 = 0x7FC0;

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Decode,
    Chunk(usize),
}

impl Step {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Decode => 1,
            Self::Chunk(rows) => rows,
        }
    }
}

/// Everything a layer put out for some rows.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) output: Vec<u16>,
    pub(super) k: Vec<u16>,
    pub(super) v: Vec<u16>,
}

pub(super) struct Fixture {
    spec: TinySpec,
    _dir: tempfile::TempDir,
    pub(super) model: TinyModel,
    pub(super) layer: Engine,
    pub(super) pool: Pool,
}

impl Fixture {
    pub(super) fn new(spec: &TinySpec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let model = write_tiny_model(dir.path(), spec).unwrap();
        let layer = Engine::load(&model.layers[0]).unwrap();
        Self { spec: spec.clone(), _dir: dir, model, layer, pool: Pool::new(2) }
    }

    /// Random hidden states.
    pub(super) fn rows(&self, count: usize, seed: u64) -> Vec<u16> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bf16::from_f32((state >> 40) as f32 / (1 << 23) as f32 - 1.0).to_bits()
        };
        (0..count * self.spec.hidden).map(|_| next()).collect()
    }

    /// Runs the rows in the given steps, as far as there are rows, with a causal mask.
    pub(super) fn run(&self, rows: &[u16], steps: &[Step]) -> Run {
        self.run_masked(rows, steps, &|row, key| if key <= row { 0 } else { HIDDEN })
    }

    /// As [`Fixture::run`]; `mask` has the value for (position of the row, position of the key).
    pub(super) fn run_masked(&self, rows: &[u16], steps: &[Step], mask: &dyn Fn(usize, usize) -> u16) -> Run {
        let (hidden, kv_dim) = (self.spec.hidden, self.spec.kv_dim());
        let total = rows.len() / hidden;
        // Cells that were never written hold NaN: nobody may read them.
        let mut cache = [vec![NAN; self.spec.kv_len * kv_dim], vec![NAN; self.spec.kv_len * kv_dim]];
        let mut output = Vec::new();
        let mut scratch = Scratch::default();
        let mut past = 0;
        for step in steps {
            let count = step.len().min(total - past);
            if count == 0 {
                break;
            }
            let (group, length) = self.group(*step, past);
            let chunk = if group == 0 { 1 } else { CHUNK };
            let own = if length == 1 && group != 0 { 0 } else { length };
            let columns = own + chunk;
            let mut masks = vec![HIDDEN; chunk * columns];
            for row in 0..count {
                let masks = &mut masks[row * columns..(row + 1) * columns];
                for (key, value) in masks.iter_mut().take(past).enumerate() {
                    *value = mask(past + row, key);
                }
                for key in 0..count {
                    masks[own + key] = mask(past + row, past + key);
                }
            }
            let mut indices = vec![0_u32; chunk];
            for (row, index) in indices.iter_mut().take(count).enumerate() {
                *index = u32::try_from(past + row).unwrap();
            }
            let mut input = vec![NAN; chunk * hidden];
            input[..count * hidden].copy_from_slice(&rows[past * hidden..(past + count) * hidden]);
            let mut outputs =
                [vec![NAN; chunk * kv_dim], vec![NAN; chunk * kv_dim], vec![NAN; chunk * hidden]];
            self.call(
                group,
                [
                    &cache[0][..length * kv_dim],
                    &cache[1][..length * kv_dim],
                    bytemuck::cast_slice(&indices),
                    &input,
                    &masks,
                ],
                &mut outputs,
                &mut scratch,
            );
            for (cache, rows) in cache.iter_mut().zip(&outputs) {
                cache[past * kv_dim..(past + count) * kv_dim].copy_from_slice(&rows[..count * kv_dim]);
            }
            assert!(outputs[2][count * hidden..].iter().all(|bits| *bits == 0), "padding is zero");
            output.extend_from_slice(&outputs[2][..count * hidden]);
            past += count;
        }
        let [mut k, mut v] = cache;
        k.truncate(past * kv_dim);
        v.truncate(past * kv_dim);
        Run { output, k, v }
    }

    fn call(&self, group: usize, inputs: [&[u16]; 5], outputs: &mut [Vec<u16>; 3], scratch: &mut Scratch) {
        let inputs = inputs.map(bytemuck::cast_slice);
        let mut outputs = outputs.each_mut().map(|output| bytemuck::cast_slice_mut(output));
        self.layer.run(&self.pool, group, &inputs, &mut outputs, scratch).unwrap();
    }

    /// Smallest group for a step after `past` rows, and the length of its cache.
    fn group(&self, step: Step, past: usize) -> (usize, usize) {
        let Step::Chunk(_) = step else { return (0, self.spec.kv_len) };
        let ladder = self.spec.history();
        let index = ladder.iter().position(|&length| past == 0 || (length > 1 && length >= past)).unwrap();
        (index + 1, ladder[index])
    }
}

/// Every value within `tolerance` of the expected one, relative to it or to the mean size, whichever is larger.
pub(super) fn assert_close(got: &[u16], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let mean = expected.iter().map(|x| x.abs()).sum::<f64>() / expected.len() as f64;
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let got = f64::from(bf16::from_bits(*got));
        let error = (got - expected).abs();
        assert!(error <= tolerance * expected.abs().max(mean), "{what}: {got} instead of {expected} at {i}");
    }
}
