//! Packed projections and their products with 1..n rows.
//!
//! Weights stand in blocks of 32 outputs, channel by channel, so that one pass reads them as one stream. Outputs may
//! come from several tensors and in any order: packing fuses Q, K and V, and interleaves gate and up.

use std::ops::Range;

use safetensors::tensor::Dtype;

use super::error::LoadError;
use super::file::LayerFile;
use super::micro::{BLOCK, Rows, Size, Sums, Weight, Weights, product};
use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{Isa, Kernel, LANES, Simd};
use super::vector::{gated, round_to_bf16};

/// Channels that are converted to f32 at a time when there are more rows than a tile has.
const PANEL: usize = 128;
/// Rows that share a converted panel.
const PANEL_ROWS: usize = 128;
/// Rows up to which weights are converted in registers.
const DIRECT_ROWS: usize = 12;
/// Blocks that one row takes at a time.
const DIRECT_BLOCKS: usize = 4;

/// A weight tensor `[rows, k]` in the file, with optional bias.
pub(super) struct Part {
    /// `X` in `X.weight`, `X.scale` and `X.bias`; empty for plain `weight` and `scale`.
    pub(super) name: &'static str,
    /// Outputs of the tensor.
    pub(super) rows: usize,
}

impl Part {
    fn tensor(&self, kind: &str) -> String {
        if self.name.is_empty() { kind.to_owned() } else { format!("{}.{kind}", self.name) }
    }
}

#[derive(Debug)]
enum Packed {
    I8(Vec<i8>),
    Bf16(Vec<u16>),
}

/// A packed projection from `k` channels to `blocks * 32` outputs, of which those beyond the tensors are 0.
#[derive(Debug)]
pub(super) struct Linear {
    k: usize,
    blocks: usize,
    weights: Packed,
    /// Per output; 1 for bf16 weights.
    scale: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// Where the outputs of a product go. `stride` is in elements.
#[derive(Clone, Copy)]
pub(super) enum Output<'a> {
    /// `to[row][out] = value`.
    Store { to: SharedMut<'a, f32>, stride: usize },
    /// `to[row][out] += value`.
    Add { to: SharedMut<'a, f32>, stride: usize },
    /// Blocks hold 16 gates, then the 16 matching ups: `to[row][i] = silu(gate) * up`.
    Gated { to: SharedMut<'a, f32>, stride: usize },
    /// One row, rounded; exactly as many outputs as the buffer has.
    Bf16 { to: SharedMut<'a, u16>, len: usize },
}

impl Linear {
    /// Packs outputs `0..outputs` of which number `i` is row `order(i) = (part, row)`, or 0 where that is `None`.
    pub(super) fn load(
        file: &mut LayerFile,
        parts: &[Part],
        k: usize,
        outputs: usize,
        order: &dyn Fn(usize) -> Option<(usize, usize)>,
    ) -> Result<Self, LoadError> {
        let blocks = outputs.div_ceil(BLOCK);
        let order = |i: usize| if i < outputs { order(i) } else { None };
        let quantised =
            parts.first().is_some_and(|part| file.dtype(&part.tensor("weight")) == Some(Dtype::I8));
        let (weights, mut scale) = if quantised {
            (Packed::I8(pack(file, parts, k, blocks, Dtype::I8, &order)?), vec![0.0; blocks * BLOCK])
        } else {
            (Packed::Bf16(pack(file, parts, k, blocks, Dtype::BF16, &order)?), vec![1.0; blocks * BLOCK])
        };
        let mut bias = None;
        for (index, part) in parts.iter().enumerate() {
            let spread = |values: &[f32], to: &mut [f32]| {
                for (i, to) in to.iter_mut().enumerate() {
                    if let Some((of, row)) = order(i)
                        && of == index
                        && let Some(value) = values.get(row)
                    {
                        *to = *value;
                    }
                }
            };
            if quantised {
                spread(&file.vector(&part.tensor("scale"), part.rows)?, &mut scale);
            }
            if let Some(values) = file.optional_vector(&part.tensor("bias"), part.rows)? {
                spread(&values, bias.get_or_insert_with(|| vec![0.0; blocks * BLOCK]));
            }
        }
        Ok(Self { k, blocks, weights, scale, bias })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        let weights = match &self.weights {
            Packed::I8(data) => data.len(),
            Packed::Bf16(data) => data.len() * 2,
        };
        (weights + 4 * (self.scale.len() + self.bias.as_ref().map_or(0, Vec::len))) as u64
    }

    /// Outputs, padding included: the least stride of an output buffer ([`Output::Gated`]: half of it).
    pub(super) fn width(&self) -> usize {
        self.blocks * BLOCK
    }

    /// Multiplies `rows` rows of `x` and writes to `output`.
    pub(super) fn forward(&self, pool: &Pool, isa: Isa, rows: usize, x: Rows<'_>, output: Output<'_>) {
        // A single row is bound by reading: a few blocks at a time keep enough loads in flight. Tasks should
        // divide evenly among the threads.
        let grain = if rows == 1 {
            let rounds = self.blocks.div_ceil(pool.threads() * DIRECT_BLOCKS);
            self.blocks.div_ceil(pool.threads() * rounds)
        } else {
            1
        };
        pool.run(self.blocks.div_ceil(grain), &|task| {
            let blocks = task * grain..((task + 1) * grain).min(self.blocks);
            isa.run(Task { linear: self, rows, x, output, blocks });
        });
    }
}

/// Reads the tensors' rows in packing order and transposes them block by block.
fn pack<T: Weight + bytemuck::Pod>(
    file: &mut LayerFile,
    parts: &[Part],
    k: usize,
    blocks: usize,
    dtype: Dtype,
    order: &dyn Fn(usize) -> Option<(usize, usize)>,
) -> Result<Vec<T>, LoadError> {
    let mut infos = Vec::with_capacity(parts.len());
    for part in parts {
        infos.push(file.expect(&part.tensor("weight"), dtype, &[part.rows, k])?);
    }
    let row_bytes = k * size_of::<T>();
    let mut packed = vec![T::zeroed(); blocks * BLOCK * k];
    let mut rows = vec![T::zeroed(); BLOCK * k];
    for (block, packed) in packed.chunks_exact_mut(BLOCK * k).enumerate() {
        let source = |i: usize| order(block * BLOCK + i);
        let mut i = 0;
        while i < BLOCK {
            // Rows that follow each other in the file are read at once.
            let mut run = 1;
            if let Some((part, row)) = source(i) {
                while i + run < BLOCK && source(i + run) == Some((part, row + run)) {
                    run += 1;
                }
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut rows[i * k..(i + run) * k]);
                file.read(&infos[part], row * row_bytes, bytes)?;
            } else {
                rows[i * k..(i + 1) * k].fill(T::zeroed());
            }
            i += run;
        }
        for (channel, outputs) in packed.chunks_exact_mut(BLOCK).enumerate() {
            for (i, output) in outputs.iter_mut().enumerate() {
                *output = rows[i * k + channel];
            }
        }
    }
    Ok(packed)
}

/// Some blocks of a product.
struct Task<'a> {
    linear: &'a Linear,
    rows: usize,
    x: Rows<'a>,
    output: Output<'a>,
    blocks: Range<usize>,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match &self.linear.weights {
            Packed::I8(data) => self.blocks(simd, data),
            Packed::Bf16(data) => self.blocks(simd, data),
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn blocks<S: Simd, T: Weight>(&self, simd: S, data: &[T]) {
        let k = self.linear.k;
        let weights =
            |block: usize| Weights { data: &data[block * BLOCK * k..], stride: BLOCK, block: BLOCK * k };
        if self.rows > DIRECT_ROWS {
            for block in self.blocks.clone() {
                self.many_rows(simd, weights(block).data, block);
            }
            return;
        }
        let mut block = self.blocks.start;
        while block < self.blocks.end {
            let take = if self.rows == 1 { DIRECT_BLOCKS.min(self.blocks.end - block) } else { 1 };
            let mut sums = [0.0; DIRECT_ROWS * BLOCK];
            let stride = take * BLOCK;
            let size = Size { rows: self.rows, vectors: take * 2, k };
            product(simd, size, self.x, weights(block), &mut Sums { data: &mut sums, stride }, false);
            for row in 0..self.rows {
                for (i, sums) in sums[row * stride..][..stride].as_chunks::<BLOCK>().0.iter().enumerate() {
                    self.finish(simd, row, block + i, sums);
                }
            }
            block += take;
        }
    }

    /// Converts the block panel by panel; each panel feeds all rows.
    #[inline(always)]
    fn many_rows<S: Simd, T: Weight>(&self, simd: S, data: &[T], block: usize) {
        let k = self.linear.k;
        let mut panel = [0.0; PANEL * BLOCK];
        let mut sums = [0.0; PANEL_ROWS * BLOCK];
        for first in (0..self.rows).step_by(PANEL_ROWS) {
            let rows = PANEL_ROWS.min(self.rows - first);
            for start in (0..k).step_by(PANEL) {
                let len = PANEL.min(k - start);
                let from = data[start * BLOCK..][..len * BLOCK].as_chunks::<LANES>().0;
                for (to, from) in panel.as_chunks_mut::<LANES>().0.iter_mut().zip(from) {
                    // SAFETY: `from` is an array of 16 elements.
                    simd.write(unsafe { T::load(simd, from.as_ptr()) }, to);
                }
                let x = Rows { data: &self.x.data[first * self.x.stride + start..], stride: self.x.stride };
                let weights = Weights { data: &panel[..], stride: BLOCK, block: 0 };
                let size = Size { rows, vectors: 2, k: len };
                product(simd, size, x, weights, &mut Sums { data: &mut sums, stride: BLOCK }, start > 0);
            }
            for (row, sums) in sums.as_chunks::<BLOCK>().0.iter().take(rows).enumerate() {
                self.finish(simd, first + row, block, sums);
            }
        }
    }

    /// Scale and bias of 16 outputs from `out` on.
    #[inline(always)]
    fn value<S: Simd>(&self, simd: S, out: usize, sums: &[f32]) -> S::V {
        let scaled = simd.mul(simd.read(sums), simd.read(&self.linear.scale[out..]));
        match &self.linear.bias {
            Some(bias) => simd.add(scaled, simd.read(&bias[out..])),
            None => scaled,
        }
    }

    /// Scale, bias, and the way out for one row of one block.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, row: usize, block: usize, sums: &[f32; BLOCK]) {
        let out = block * BLOCK;
        let values = [self.value(simd, out, sums), self.value(simd, out + LANES, &sums[LANES..])];
        match self.output {
            Output::Store { to, stride } => {
                // SAFETY: this task alone has this block, and rows of a block do not overlap.
                let to = unsafe { to.part(row * stride + out..row * stride + out + BLOCK) };
                simd.write(values[0], to);
                simd.write(values[1], &mut to[LANES..]);
            }
            Output::Add { to, stride } => {
                // SAFETY: as for Store.
                let to = unsafe { to.part(row * stride + out..row * stride + out + BLOCK) };
                let sum = simd.add(simd.read(to), values[0]);
                simd.write(sum, to);
                let sum = simd.add(simd.read(&to[LANES..]), values[1]);
                simd.write(sum, &mut to[LANES..]);
            }
            Output::Gated { to, stride } => {
                let start = row * stride + block * LANES;
                // SAFETY: this task alone has this block.
                let to = unsafe { to.part(start..start + LANES) };
                simd.write(gated(simd, values[0], values[1]), to);
            }
            Output::Bf16 { to, len } => {
                let mut floats = [0.0; BLOCK];
                simd.write(values[0], &mut floats);
                simd.write(values[1], &mut floats[LANES..]);
                // SAFETY: this task alone has this block.
                let to = unsafe { to.part(out.min(len)..(out + BLOCK).min(len)) };
                round_to_bf16(&floats, to);
            }
        }
    }
}
