//! One transformer layer.

use safetensors::tensor::Dtype;

use super::attention::{Inputs, attention, tile_rows};
use super::config::{LayerConfig, RopePairs};
use super::error::{LoadError, RunError};
use super::file::LayerFile;
use super::limits::MAX_HEAD_DIM;
use super::linear::{Linear, Output, Part};
use super::micro::Rows;
use super::pool::Pool;
use super::rope::{Frequencies, RopeTable, channel_at, reorder};
use super::scratch::{Matrix, Scratch};
use super::shared::SharedMut;
use super::simd::{Isa, Kernel, LANES, Simd};
use super::vector::{head_norm, padded, rms_norm, rotate, round_to_bf16, whole_vectors, widen};
use super::{DataType, TensorInfo, elements, elements_mut};

/// Rows that one task of a row-wise stage takes; up to this many need no other thread.
const ROWS_PER_TASK: usize = 4;

/// A packed layer file.
#[derive(Debug)]
pub struct LayerModel {
    config: LayerConfig,
    attn_norm: Vec<f32>,
    /// Q, K and V; channels of Q and K in packed order.
    qkv: Linear,
    q_norm: Option<Vec<f32>>,
    k_norm: Option<Vec<f32>>,
    frequencies: Frequencies,
    o: Linear,
    ffn_norm: Vec<f32>,
    /// 16 gates and 16 ups by turns.
    gate_up: Linear,
    down: Linear,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    isa: Isa,
}

impl LayerModel {
    pub(super) fn load(file: &mut LayerFile, config: LayerConfig) -> Result<Self, LoadError> {
        let LayerConfig { hidden, heads, kv_heads, head_dim, intermediate, .. } = config;
        let (q_dim, kv_dim) = (config.q_dim(), config.kv_dim());
        let halves = config.rope_pairs == RopePairs::Halves;
        let in_head = |row: usize| row / head_dim * head_dim + channel_at(row % head_dim, head_dim, halves);
        let qkv_parts = [
            Part { name: "q", rows: heads * head_dim },
            Part { name: "k", rows: kv_heads * head_dim },
            Part { name: "v", rows: kv_heads * head_dim },
        ];
        let qkv = Linear::load(file, &qkv_parts, hidden, q_dim + 2 * kv_dim, &|i| {
            Some(match i {
                i if i < q_dim => (0, in_head(i)),
                i if i < q_dim + kv_dim => (1, in_head(i - q_dim)),
                i => (2, i - q_dim - kv_dim),
            })
        })?;
        let gate_up_parts =
            [Part { name: "gate", rows: intermediate }, Part { name: "up", rows: intermediate }];
        let gate_up = Linear::load(file, &gate_up_parts, hidden, 2 * whole_vectors(intermediate), &|i| {
            let (part, row) = (i / LANES % 2, i / (2 * LANES) * LANES + i % LANES);
            (row < intermediate).then_some((part, row))
        })?;
        let mut head_vector = |name| {
            file.optional_vector(name, head_dim).map(|values| values.map(|values| reorder(&values, halves)))
        };
        let (q_norm, k_norm) = (head_vector("q_norm")?, head_vector("k_norm")?);
        let factors = file.optional_vector("rope_factors", head_dim / 2)?;
        if let Some(factors) = &factors
            && !factors.iter().all(|factor| factor.is_finite() && *factor > 0.0)
        {
            let found = "other values".to_owned();
            return Err(file.shape_error("rope_factors", format!("positive {}", Dtype::F32), found));
        }
        let (inputs, outputs) = tensors(&config);
        Ok(Self {
            attn_norm: padded(file.vector("attn_norm", hidden)?, LANES),
            qkv,
            q_norm,
            k_norm,
            frequencies: Frequencies::new(config.rope_theta, head_dim, factors.as_deref()),
            o: Linear::load(file, &[Part { name: "o", rows: hidden }], q_dim, hidden, &|i| Some((0, i)))?,
            ffn_norm: padded(file.vector("ffn_norm", hidden)?, LANES),
            gate_up,
            down: Linear::load(file, &[Part { name: "down", rows: hidden }], intermediate, hidden, &|i| {
                Some((0, i))
            })?,
            inputs,
            outputs,
            isa: Isa::best(),
            config,
        })
    }

    /// Computes with another instruction set: results are the same.
    #[cfg(test)]
    pub(super) fn set_isa(&mut self, isa: Isa) {
        self.isa = isa;
    }

    pub(super) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        let floats = self.attn_norm.len() + self.ffn_norm.len();
        [&self.qkv, &self.o, &self.gate_up, &self.down].into_iter().map(Linear::bytes).sum::<u64>()
            + 4 * floats as u64
    }

    pub(super) fn config(&self) -> &LayerConfig {
        &self.config
    }

    pub(super) fn run(
        &self,
        pool: &Pool,
        group: usize,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut Scratch,
    ) -> Result<(), RunError> {
        // The caller has checked the number of tensors and their sizes.
        let (&[k_cache, v_cache, indices, input, mask], [k_out, v_out, output]) = (inputs, outputs) else {
            return Err(RunError::Count { side: "inputs", expected: self.inputs.len(), found: inputs.len() });
        };
        let call = Call {
            layer: self,
            pool,
            rows: self.config.rows(group),
            k_cache: elements("K_cache", k_cache)?,
            v_cache: elements("V_cache", v_cache)?,
            indices: elements("indices", indices)?,
            input: elements("input", input)?,
            mask: elements("mask", mask)?,
        };
        call.run(
            elements_mut("K_cache_out", k_out)?,
            elements_mut("V_cache_out", v_out)?,
            elements_mut("output", output)?,
            scratch,
        );
        Ok(())
    }
}

/// One call with its inputs as elements.
struct Call<'a> {
    layer: &'a LayerModel,
    pool: &'a Pool,
    rows: usize,
    k_cache: &'a [u16],
    v_cache: &'a [u16],
    indices: &'a [u32],
    input: &'a [u16],
    mask: &'a [u16],
}

impl Call<'_> {
    fn run(&self, k_out: &mut [u16], v_out: &mut [u16], output: &mut [u16], scratch: &mut Scratch) {
        let Self { layer, pool, .. } = *self;
        let (config, isa) = (&layer.config, layer.isa);
        let (hidden, q_dim) = (config.hidden, config.q_dim());
        let group = config.heads / config.kv_heads;
        let columns = self.mask.len() / self.rows;
        let Scratch { visible, rope, hidden: state, normed, qkv, queries, context, activations, split } =
            scratch;
        visible.read(self.mask, self.rows, columns, tile_rows(group, config.head_dim));
        let visible = &*visible;
        let rows = visible.rows.len();
        if rows < self.rows {
            k_out.fill(0);
            v_out.fill(0);
            output.fill(0);
        }
        rope.prepare(&layer.frequencies, self.indices, &visible.rows);
        state.reserve(rows, layer.o.width());
        normed.reserve(rows, whole_vectors(hidden));
        qkv.reserve(rows, layer.qkv.width());
        context.reserve(rows, q_dim);
        activations.reserve(rows, layer.gate_up.width() / 2);
        queries.resize(queries.len().max(rows * q_dim), 0.0);

        self.begin(&visible.rows, state, normed);
        let stride = qkv.stride;
        let to = SharedMut::new(qkv.data_mut());
        layer.qkv.forward(pool, isa, rows, view(normed), Output::Store { to, stride });
        self.split_heads(&visible.rows, qkv, rope, queries, k_out, v_out);
        let inputs = Inputs {
            kv_heads: config.kv_heads,
            group,
            head_dim: config.head_dim,
            queries,
            keys: [self.k_cache, k_out],
            values: [self.v_cache, v_out],
            cached: columns.saturating_sub(self.rows),
            mask: self.mask,
            columns,
            visible,
        };
        let stride = context.stride;
        attention(pool, isa, &inputs, context.data_mut(), stride, split);
        let stride = state.stride;
        let to = SharedMut::new(state.data_mut());
        layer.o.forward(pool, isa, rows, view(context), Output::Add { to, stride });
        self.norm(rows, state, normed);
        let stride = activations.stride;
        let to = SharedMut::new(activations.data_mut());
        layer.gate_up.forward(pool, isa, rows, view(normed), Output::Gated { to, stride });
        let stride = state.stride;
        let to = SharedMut::new(state.data_mut());
        layer.down.forward(pool, isa, rows, view(activations), Output::Add { to, stride });
        self.end(&visible.rows, state, output);
    }

    /// Runs `work` for ranges of the computed rows.
    fn by_rows(&self, rows: usize, work: &(dyn Fn(std::ops::Range<usize>) + Sync)) {
        self.pool.run(rows.div_ceil(ROWS_PER_TASK), &|task| {
            work(task * ROWS_PER_TASK..((task + 1) * ROWS_PER_TASK).min(rows));
        });
    }

    /// Widens the input rows and norms them for attention.
    fn begin(&self, rows: &[usize], state: &mut Matrix, normed: &mut Matrix) {
        let layer = self.layer;
        let (len, stride) = (layer.config.hidden, state.stride);
        let shared = SharedMut::new(state.data_mut());
        self.by_rows(rows.len(), &|range| {
            for row in range {
                // SAFETY: each row belongs to one task.
                let state = unsafe { shared.part(row * stride..(row + 1) * stride) };
                layer.isa.run(Widen { from: &self.input[rows[row] * len..][..len], to: &mut state[..len] });
                state[len..].fill(0.0);
            }
        });
        self.norm_with(&layer.attn_norm, rows.len(), state, normed);
    }

    /// Norms all rows for the feed-forward network.
    fn norm(&self, rows: usize, state: &Matrix, normed: &mut Matrix) {
        self.norm_with(&self.layer.ffn_norm, rows, state, normed);
    }

    fn norm_with(&self, weight: &[f32], rows: usize, state: &Matrix, normed: &mut Matrix) {
        let layer = self.layer;
        let (width, stride) = (weight.len(), normed.stride);
        let to = SharedMut::new(normed.data_mut());
        self.by_rows(rows, &|range| {
            for row in range {
                let x = &state.data()[row * state.stride..][..width];
                // SAFETY: each row belongs to one task.
                let to = unsafe { to.part(row * stride..row * stride + width) };
                let (len, eps) = (layer.config.hidden, layer.config.rms_eps);
                layer.isa.run(Norm { x, len, eps, weight, to });
            }
        });
    }

    /// Norms, turns and scales queries; norms, turns and rounds keys; rounds values.
    fn split_heads(
        &self,
        rows: &[usize],
        qkv: &Matrix,
        rope: &RopeTable,
        queries: &mut [f32],
        k_out: &mut [u16],
        v_out: &mut [u16],
    ) {
        let layer = self.layer;
        let (k_out, v_out, queries) = (SharedMut::new(k_out), SharedMut::new(v_out), SharedMut::new(queries));
        let kv_dim = layer.config.kv_dim();
        self.by_rows(rows.len(), &|range| {
            for row in range {
                let own = rows[row] * kv_dim..(rows[row] + 1) * kv_dim;
                layer.isa.run(SplitHeads {
                    layer,
                    qkv: &qkv.data()[row * qkv.stride..][..layer.qkv.width()],
                    rope: rope.row(row),
                    queries,
                    rows: rows.len(),
                    row,
                    // SAFETY: each row belongs to one task.
                    keys: unsafe { k_out.part(own.clone()) },
                    // SAFETY: each row belongs to one task.
                    values: unsafe { v_out.part(own) },
                });
            }
        });
    }

    /// Rounds the hidden state to the output.
    fn end(&self, rows: &[usize], state: &Matrix, output: &mut [u16]) {
        let layer = self.layer;
        let len = layer.config.hidden;
        let output = SharedMut::new(output);
        self.by_rows(rows.len(), &|range| {
            for row in range {
                // SAFETY: each row belongs to one task.
                let to = unsafe { output.part(rows[row] * len..(rows[row] + 1) * len) };
                layer.isa.run(Round { from: &state.data()[row * state.stride..][..len], to });
            }
        });
    }
}

fn view(matrix: &Matrix) -> Rows<'_> {
    Rows { data: matrix.data(), stride: matrix.stride }
}

/// [`widen`] as a kernel.
pub(super) struct Widen<'a> {
    pub(super) from: &'a [u16],
    pub(super) to: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        widen(self.from, self.to);
    }
}

/// [`round_to_bf16`] as a kernel.
struct Round<'a> {
    from: &'a [f32],
    to: &'a mut [u16],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        round_to_bf16(self.from, self.to);
    }
}

/// [`rms_norm`] as a kernel.
pub(super) struct Norm<'a> {
    pub(super) x: &'a [f32],
    pub(super) len: usize,
    pub(super) eps: f32,
    pub(super) weight: &'a [f32],
    pub(super) to: &'a mut [f32],
}

impl Kernel for Norm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        rms_norm(simd, self.x, self.len, self.eps, self.weight, self.to);
    }
}

/// One row of [`Call::split_heads`].
struct SplitHeads<'a> {
    layer: &'a LayerModel,
    qkv: &'a [f32],
    rope: (&'a [f32], &'a [f32]),
    queries: SharedMut<'a, f32>,
    rows: usize,
    row: usize,
    keys: &'a mut [u16],
    values: &'a mut [u16],
}

impl Kernel for SplitHeads<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let LayerConfig { heads, kv_heads, head_dim, rms_eps, .. } = self.layer.config;
        let group = heads / kv_heads;
        let (q, rest) = self.qkv.split_at(heads * head_dim);
        let (k, v) = rest.split_at(kv_heads * head_dim);
        let scale = simd.splat(1.0 / (head_dim as f32).sqrt());
        for (head, from) in q.chunks_exact(head_dim).enumerate() {
            let start = ((head / group * self.rows + self.row) * group + head % group) * head_dim;
            // SAFETY: each row belongs to one task.
            let query = unsafe { self.queries.part(start..start + head_dim) };
            query.copy_from_slice(from);
            if let Some(weight) = &self.layer.q_norm {
                head_norm(simd, query, rms_eps, weight);
            }
            rotate(simd, query, self.rope.0, self.rope.1);
            for x in query.as_chunks_mut::<LANES>().0 {
                simd.write(simd.mul(simd.read(x), scale), x);
            }
        }
        let mut key = [0.0; MAX_HEAD_DIM];
        let key = &mut key[..head_dim];
        for (from, to) in k.chunks_exact(head_dim).zip(self.keys.chunks_exact_mut(head_dim)) {
            key.copy_from_slice(from);
            if let Some(weight) = &self.layer.k_norm {
                head_norm(simd, key, rms_eps, weight);
            }
            rotate(simd, key, self.rope.0, self.rope.1);
            round_to_bf16(key, to);
        }
        round_to_bf16(v, self.values);
    }
}

/// Shapes of the border tensors: the decode groups take one row, the others a chunk each.
pub(super) fn tensors(config: &LayerConfig) -> (Vec<TensorInfo>, Vec<TensorInfo>) {
    // (rows, K_cache length, mask columns)
    let mut groups: Vec<_> = config.decode.iter().map(|&length| (1, length, length + 1)).collect();
    groups.extend(config.history.iter().map(|&length| {
        let columns = if length == 1 { config.chunk } else { length + config.chunk };
        (config.chunk, length, columns)
    }));
    let tensor = |name, dtype, dims: &dyn Fn(usize, usize, usize) -> Vec<usize>| TensorInfo {
        name,
        dtype,
        dims: groups
            .iter()
            .map(|&(rows, length, columns)| {
                dims(rows, length, columns).iter().map(|&d| i32::try_from(d).unwrap_or(i32::MAX)).collect()
            })
            .collect(),
    };
    let (hidden, kv_dim) = (config.hidden, config.kv_dim());
    let inputs = vec![
        tensor("K_cache", DataType::Bf16, &|_, length, _| vec![1, length, kv_dim]),
        tensor("V_cache", DataType::Bf16, &|_, length, _| vec![1, length, kv_dim]),
        tensor("indices", DataType::U32, &|rows, _, _| vec![rows]),
        tensor("input", DataType::Bf16, &|rows, _, _| vec![1, rows, hidden]),
        tensor("mask", DataType::Bf16, &|rows, _, columns| vec![1, rows, columns]),
    ];
    let outputs = vec![
        tensor("K_cache_out", DataType::Bf16, &|rows, _, _| vec![1, rows, kv_dim]),
        tensor("V_cache_out", DataType::Bf16, &|rows, _, _| vec![1, rows, kv_dim]),
        tensor("output", DataType::Bf16, &|rows, _, _| vec![1, rows, hidden]),
    ];
    (inputs, outputs)
}
