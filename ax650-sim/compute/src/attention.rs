//! Attention of a chunk over the cache and itself.
//!
//! The keys of a row are taken in blocks of 128, counted from its first visible column. A block gives a
//! maximum, a sum and a weighted value by itself; blocks are merged in order. So the result depends on the row's keys
//! in their order, not on where they are stored, and blocks may be computed by several threads.

use std::cell::RefCell;

use super::limits::MAX_HEAD_DIM;
use super::micro::{BLOCK, Rows, Size, Sums, Weights, product};
use super::pool::Pool;
use super::shared::SharedMut;
use super::simd::{Isa, Kernel, LANES, Simd};
use super::visible::{TILE_ROWS, Tile, Visible};

/// Keys of a block.
const KEYS: usize = 128;
/// Most queries (rows times heads of one K/V head) that are computed together.
const QUERIES: usize = 48;
/// Floats for the weighted values of these queries.
const VALUES: usize = QUERIES * 128;
/// Channels of the keys that are transposed at a time.
const CHANNELS: usize = 64;
/// bf16 values of a cache line.
const LINE: usize = 32;
/// Eight queries of the largest head fit the buffers.
const _: () = assert!(MAX_HEAD_DIM * 8 <= VALUES);

/// What attention reads. Query and result layout: `[kv_heads][computed rows][heads / kv_heads][head_dim]`.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) kv_heads: usize,
    /// Query heads per K/V head.
    pub(super) group: usize,
    pub(super) head_dim: usize,
    /// Queries, scaled.
    pub(super) queries: &'a [f32],
    /// Cache rows, then the chunk's own: columns from `cached` on are rows of the chunk.
    pub(super) keys: [&'a [u16]; 2],
    pub(super) values: [&'a [u16]; 2],
    /// Cache columns of the mask.
    pub(super) cached: usize,
    pub(super) mask: &'a [u16],
    pub(super) columns: usize,
    pub(super) visible: &'a Visible,
}

/// Rows of a tile for `group` query heads per K/V head.
pub(super) fn tile_rows(group: usize, head_dim: usize) -> usize {
    (max_queries(head_dim) / group).clamp(1, TILE_ROWS)
}

fn max_queries(head_dim: usize) -> usize {
    (VALUES / head_dim).clamp(1, QUERIES)
}

/// Result of some blocks for up to [`QUERIES`] queries.
struct Partial {
    greatest: [f32; QUERIES],
    sum: [f32; QUERIES],
    /// `[query][head_dim]`, not yet divided by the sum.
    values: Vec<f32>,
}

impl Partial {
    fn new() -> Self {
        Self { greatest: [0.0; QUERIES], sum: [0.0; QUERIES], values: vec![0.0; VALUES] }
    }
}

/// Working memory of one thread, about 90 KB.
struct Buffers {
    total: Partial,
    block: Partial,
    /// `[query][key of the block]`.
    scores: Vec<f32>,
    /// Some channels of some keys, transposed: `[channel][key]`.
    panel: Vec<f32>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        total: Partial::new(),
        block: Partial::new(),
        scores: vec![0.0; QUERIES * KEYS],
        panel: vec![0.0; CHANNELS * BLOCK],
    });
}

/// Computes attention of all computed rows into `output`, `[computed rows][stride]`, heads side by side.
///
/// `split` is working memory for the case of few rows and many keys, grown as needed.
pub(super) fn attention(
    pool: &Pool,
    isa: Isa,
    inputs: &Inputs<'_>,
    output: &mut [f32],
    stride: usize,
    split: &mut Vec<f32>,
) {
    let tiles = &inputs.visible.tiles;
    let chunks = inputs.group.div_ceil(max_queries(inputs.head_dim));
    let jobs = inputs.kv_heads * tiles.len() * chunks;
    let job = |index: usize| Job {
        inputs: *inputs,
        head: index / chunks % inputs.kv_heads,
        // Later rows see more keys: the longest tasks come first, so that threads end together.
        tile: tiles[tiles.len() - 1 - index / chunks / inputs.kv_heads],
        chunk: index % chunks,
    };
    let shared = SharedMut::new(output);
    let longest = tiles.iter().map(|tile| inputs.visible.keys[tile.longest].count).max().unwrap_or(0);
    let blocks = longest.div_ceil(KEYS);
    if jobs >= 4 * pool.threads() || blocks <= 1 {
        pool.run(jobs, &|index| {
            let job = job(index);
            with_buffers(|buffers| isa.run(Whole { job, buffers, output: shared, stride }));
        });
        return;
    }
    let part = QUERIES.min(max_queries(inputs.head_dim)) * (inputs.head_dim + 2);
    if split.len() < jobs * blocks * part {
        split.resize(jobs * blocks * part, 0.0);
    }
    let partials = SharedMut::new(&mut split[..jobs * blocks * part]);
    // Heads follow each other within a block: their parts of a row lie side by side in memory.
    pool.run(jobs * blocks, &|index| {
        let (job, block) = (job(index % jobs), index / jobs);
        let place = index % jobs * blocks + block;
        // SAFETY: each task has its own place.
        let to = unsafe { partials.part(place * part..(place + 1) * part) };
        with_buffers(|buffers| isa.run(Split { job, block, buffers, to }));
    });
    pool.run(jobs, &|index| {
        // SAFETY: the writers of the round before are done; each task reads the blocks of its own job.
        let from = unsafe { partials.part(index * blocks * part..(index + 1) * blocks * part) };
        let job = job(index);
        with_buffers(|buffers| isa.run(Join { job, from, part, buffers, output: shared, stride }));
    });
}

fn with_buffers(work: impl FnOnce(&mut Buffers)) {
    BUFFERS.with_borrow_mut(|buffers| work(buffers));
}

/// One tile for one K/V head; of very large groups a part of the query heads.
#[derive(Clone, Copy)]
struct Job<'a> {
    inputs: Inputs<'a>,
    head: usize,
    tile: Tile,
    chunk: usize,
}

/// All blocks of a job.
struct Whole<'a> {
    job: Job<'a>,
    buffers: &'a mut Buffers,
    output: SharedMut<'a, f32>,
    stride: usize,
}

/// One block of a job, kept for [`Join`].
struct Split<'a> {
    job: Job<'a>,
    block: usize,
    buffers: &'a mut Buffers,
    to: &'a mut [f32],
}

/// Merges the blocks of a job.
struct Join<'a> {
    job: Job<'a>,
    from: &'a [f32],
    part: usize,
    buffers: &'a mut Buffers,
    output: SharedMut<'a, f32>,
    stride: usize,
}

impl Kernel for Whole<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { job, buffers, output, stride } = self;
        for block in 0..job.blocks() {
            job.block(simd, block, buffers);
            job.merge(
                simd,
                block,
                &buffers.block.greatest,
                &buffers.block.sum,
                &buffers.block.values,
                &mut buffers.total,
            );
        }
        job.write(simd, &buffers.total, output, stride);
    }
}

impl Kernel for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let queries = self.job.queries();
        if self.block >= self.job.blocks() {
            return;
        }
        self.job.block(simd, self.block, self.buffers);
        let (greatest, rest) = self.to.split_at_mut(queries);
        let (sum, rest) = rest.split_at_mut(queries);
        let values = queries * self.job.inputs.head_dim;
        greatest.copy_from_slice(&self.buffers.block.greatest[..queries]);
        sum.copy_from_slice(&self.buffers.block.sum[..queries]);
        rest[..values].copy_from_slice(&self.buffers.block.values[..values]);
    }
}

impl Kernel for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let queries = self.job.queries();
        for block in 0..self.job.blocks() {
            let (greatest, rest) = self.from[block * self.part..].split_at(queries);
            let (sum, values) = rest.split_at(queries);
            self.job.merge(simd, block, greatest, sum, values, &mut self.buffers.total);
        }
        self.job.write(simd, &self.buffers.total, self.output, self.stride);
    }
}

impl Job<'_> {
    /// Query heads of this job, from the K/V head's first.
    #[inline(always)]
    fn heads(&self) -> (usize, usize) {
        let most = max_queries(self.inputs.head_dim);
        if self.inputs.group <= most {
            return (0, self.inputs.group);
        }
        let first = self.chunk * most;
        (first, most.min(self.inputs.group - first))
    }

    #[inline(always)]
    fn queries(&self) -> usize {
        self.tile.rows * self.heads().1
    }

    #[inline(always)]
    fn blocks(&self) -> usize {
        self.inputs.visible.keys[self.tile.longest].count.div_ceil(KEYS)
    }

    /// Keys of `block` that row `row` of the tile sees.
    #[inline(always)]
    fn keys_of(&self, row: usize, block: usize) -> usize {
        self.inputs.visible.keys[self.tile.first + row].count.saturating_sub(block * KEYS).min(KEYS)
    }

    /// Computes one block into `buffers.block`.
    #[inline(always)]
    fn block<S: Simd>(&self, simd: S, block: usize, buffers: &mut Buffers) {
        let start = block * KEYS;
        let count = (self.inputs.visible.keys[self.tile.longest].count - start).min(KEYS);
        self.prefetch(simd, start, count);
        self.scores(simd, start, count, buffers);
        let heads = self.heads().1;
        for row in 0..self.tile.rows {
            let keys = self.keys_of(row, block);
            for query in row * heads..(row + 1) * heads {
                let scores = &mut buffers.scores[query * KEYS..(query + 1) * KEYS];
                self.add_mask(row, start, keys, scores);
                let (greatest, sum) = softmax(simd, scores, keys);
                buffers.block.greatest[query] = greatest;
                buffers.block.sum[query] = sum;
            }
        }
        self.weigh(simd, block, count, buffers);
    }

    /// Asks for the K and V rows of a block. A head's part of a row is too short for the processor to see the pattern.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, simd: S, start: usize, count: usize) {
        let width = self.inputs.kv_heads * self.inputs.head_dim;
        for rows in [self.inputs.keys, self.inputs.values] {
            for column in self.inputs.visible.columns(self.tile.longest, start..start + count).flatten() {
                for line in self.row(rows, column, width).chunks(LINE) {
                    simd.prefetch(line.as_ptr());
                }
            }
        }
    }

    /// Scores of all queries and `count` keys from key `start` on.
    #[inline(always)]
    fn scores<S: Simd>(&self, simd: S, start: usize, count: usize, buffers: &mut Buffers) {
        let Inputs { head_dim, group, .. } = self.inputs;
        let width = self.inputs.kv_heads * head_dim;
        let (first_head, _) = self.heads();
        let rows = self.inputs.visible.rows.len();
        let at = ((self.head * rows + self.tile.first) * group + first_head) * head_dim;
        let queries = &self.inputs.queries[at..];
        let mut columns = self.inputs.visible.columns(self.tile.longest, start..start + count).flatten();
        for first in (0..count).step_by(BLOCK) {
            let mut keys: [&[u16]; BLOCK] = [&[]; BLOCK];
            let here = BLOCK.min(count - first);
            for (key, column) in keys.iter_mut().zip((&mut columns).take(here)) {
                *key = self.row(self.inputs.keys, column, width);
            }
            for channel in (0..head_dim).step_by(CHANNELS) {
                let channels = CHANNELS.min(head_dim - channel);
                transpose_keys(simd, &keys[..here], channel..channel + channels, &mut buffers.panel);
                let weights = Weights { data: &buffers.panel[..], stride: BLOCK, block: 0 };
                let size = Size { rows: self.queries(), vectors: here.div_ceil(LANES), k: channels };
                let x = Rows { data: &queries[channel..], stride: head_dim };
                let mut sums = Sums { data: &mut buffers.scores[first..], stride: KEYS };
                product(simd, size, x, weights, &mut sums, channel > 0);
            }
        }
    }

    /// This head's channels of one K or V row.
    #[inline(always)]
    fn row<'a>(&self, rows: [&'a [u16]; 2], column: usize, width: usize) -> &'a [u16] {
        let (rows, row) = if column < self.inputs.cached {
            (rows[0], column)
        } else {
            (rows[1], column - self.inputs.cached)
        };
        &rows[row * width + self.head * self.inputs.head_dim..][..self.inputs.head_dim]
    }

    /// Adds the mask values of a row whose mask has more than zeros.
    #[inline(always)]
    fn add_mask(&self, row: usize, start: usize, keys: usize, scores: &mut [f32]) {
        let computed = self.tile.first + row;
        if !self.inputs.visible.keys[computed].additive {
            return;
        }
        let mask = &self.inputs.mask[self.inputs.visible.rows[computed] * self.inputs.columns..];
        let columns = self.inputs.visible.columns(computed, start..start + keys).flatten();
        for (score, column) in scores.iter_mut().zip(columns) {
            *score += f32::from_bits(u32::from(mask[column]) << 16);
        }
    }

    /// Sums the values, weighted by the scores, into `buffers.block.values`.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, block: usize, count: usize, buffers: &mut Buffers) {
        let heads = self.heads().1;
        let common = (0..self.tile.rows).map(|row| self.keys_of(row, block)).min().unwrap_or(0);
        let Buffers { block: partial, scores, .. } = buffers;
        self.weigh_keys(simd, block, 0..common, (0, self.queries()), scores, partial);
        for row in 0..self.tile.rows {
            let keys = self.keys_of(row, block).min(count);
            self.weigh_keys(simd, block, common..keys, (row * heads, heads), scores, partial);
        }
    }

    /// Keys `keys` of the block for some queries `(first, number)`; the first key starts the sums.
    #[inline(always)]
    fn weigh_keys<S: Simd>(
        &self,
        simd: S,
        block: usize,
        keys: std::ops::Range<usize>,
        queries: (usize, usize),
        scores: &[f32],
        partial: &mut Partial,
    ) {
        let Inputs { head_dim, kv_heads, cached, .. } = self.inputs;
        let width = kv_heads * head_dim;
        let mut done = keys.start;
        let columns = self
            .inputs
            .visible
            .columns(self.tile.longest, block * KEYS + keys.start..block * KEYS + keys.end);
        for run in columns {
            let split = run.end.min(cached).max(run.start);
            for part in [run.start..split, split..run.end] {
                if part.is_empty() {
                    continue;
                }
                let (rows, row) = if part.start < cached {
                    (self.inputs.values[0], part.start)
                } else {
                    (self.inputs.values[1], part.start - cached)
                };
                let weights = Weights {
                    data: &rows[row * width + self.head * head_dim..],
                    stride: width,
                    block: BLOCK,
                };
                let size = Size { rows: queries.1, vectors: head_dim / LANES, k: part.len() };
                let x = Rows { data: &scores[queries.0 * KEYS + done..], stride: KEYS };
                let mut sums = Sums { data: &mut partial.values[queries.0 * head_dim..], stride: head_dim };
                product(simd, size, x, weights, &mut sums, done > 0);
                done += part.len();
            }
        }
    }

    /// Adds one block to the total.
    #[inline(always)]
    fn merge<S: Simd>(
        &self,
        simd: S,
        block: usize,
        greatest: &[f32],
        sum: &[f32],
        values: &[f32],
        total: &mut Partial,
    ) {
        let (heads, head_dim) = (self.heads().1, self.inputs.head_dim);
        for row in 0..self.tile.rows {
            if self.keys_of(row, block) == 0 {
                continue;
            }
            for query in row * heads..(row + 1) * heads {
                let range = query * head_dim..(query + 1) * head_dim;
                let (to, from) = (&mut total.values[range.clone()], &values[range]);
                if block == 0 {
                    total.greatest[query] = greatest[query];
                    total.sum[query] = sum[query];
                    to.copy_from_slice(from);
                    continue;
                }
                let old = total.greatest[query];
                let new = if old > greatest[query] { old } else { greatest[query] };
                let kept = simd.exp(simd.splat(old - new));
                let added = simd.exp(simd.splat(greatest[query] - new));
                let both =
                    simd.fma(simd.splat(sum[query]), added, simd.mul(simd.splat(total.sum[query]), kept));
                total.greatest[query] = new;
                total.sum[query] = simd.lanes(both)[0];
                for (to, from) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(from.as_chunks::<LANES>().0) {
                    let old = simd.mul(simd.read(to), kept);
                    simd.write(simd.fma(simd.read(from), added, old), to);
                }
            }
        }
    }

    /// Divides by the sums and writes the rows; rows without keys become 0.
    #[inline(always)]
    fn write<S: Simd>(&self, simd: S, total: &Partial, output: SharedMut<'_, f32>, stride: usize) {
        let Inputs { head_dim, group, .. } = self.inputs;
        let (first, heads) = self.heads();
        for row in 0..self.tile.rows {
            let seen = self.inputs.visible.keys[self.tile.first + row].count > 0;
            let start = (self.tile.first + row) * stride + (self.head * group + first) * head_dim;
            // SAFETY: tiles share no row, and jobs of a tile share no head.
            let to = unsafe { output.part(start..start + heads * head_dim) };
            if !seen {
                to.fill(0.0);
                continue;
            }
            for (head, to) in to.chunks_exact_mut(head_dim).enumerate() {
                let query = row * heads + head;
                let scale = simd.splat(1.0 / total.sum[query]);
                let from = total.values[query * head_dim..][..head_dim].as_chunks::<LANES>().0;
                for (to, from) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(from) {
                    simd.write(simd.mul(simd.read(from), scale), to);
                }
            }
        }
    }
}

/// Turns the first `count` scores into weights; returns their maximum and the sum of the weights.
#[inline(always)]
fn softmax<S: Simd>(simd: S, scores: &mut [f32], count: usize) -> (f32, f32) {
    let whole = count.next_multiple_of(LANES);
    scores[count..whole].fill(f32::NEG_INFINITY);
    let mut greatest = simd.splat(f32::NEG_INFINITY);
    for scores in scores[..whole].as_chunks::<LANES>().0 {
        greatest = simd.max(greatest, simd.read(scores));
    }
    let greatest = simd.greatest(greatest);
    let shift = simd.splat(greatest);
    let mut sum = simd.splat(0.0);
    for scores in scores[..whole].as_chunks_mut::<LANES>().0 {
        let weight = simd.exp(simd.sub(simd.read(scores), shift));
        sum = simd.add(sum, weight);
        simd.write(weight, scores);
    }
    // The lanes beyond `count` weigh exp(-87) or so: far below half a unit in the last place of a sum above 1.
    (greatest, simd.sum(sum))
}

/// Some channels of up to 32 keys, as `panel[channel][key]`; keys that are not there are 0.
#[inline(always)]
fn transpose_keys<S: Simd>(simd: S, keys: &[&[u16]], channels: std::ops::Range<usize>, panel: &mut [f32]) {
    for (half, keys) in keys.chunks(LANES).enumerate() {
        for first in channels.clone().step_by(LANES) {
            let mut square = [simd.splat(0.0); LANES];
            for (to, key) in square.iter_mut().zip(keys) {
                let key = &key[first..first + LANES];
                // SAFETY: the slice has 16 elements.
                *to = unsafe { simd.load_bf16(key.as_ptr()) };
            }
            let square = simd.transpose(square);
            for (i, row) in square.into_iter().enumerate() {
                simd.write(row, &mut panel[(first - channels.start + i) * BLOCK + half * LANES..]);
            }
        }
    }
}
