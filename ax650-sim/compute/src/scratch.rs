//! Working memory of one run, kept between runs.

use super::rope::RopeTable;
use super::visible::Visible;

/// Floats between the end of one row and the start of the next: keeps rows whose length is a multiple of a
/// page from falling into the same few cache sets.
const GAP: usize = 16;

/// Rows of floats.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    data: Vec<f32>,
    pub(super) stride: usize,
}

impl Matrix {
    /// Makes room for `rows` rows of `width`. Contents are unspecified.
    pub(super) fn reserve(&mut self, rows: usize, width: usize) {
        self.stride = width + GAP;
        if self.data.len() < rows * self.stride {
            self.data.resize(rows * self.stride, 0.0);
        }
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}

/// Working memory for [`super::Engine::run`]: grows to what the largest group needs and is then reused.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) visible: Visible,
    pub(super) rope: RopeTable,
    /// The hidden state, updated in place.
    pub(super) hidden: Matrix,
    /// Normed input of a projection.
    pub(super) normed: Matrix,
    /// Q, K and V side by side.
    pub(super) qkv: Matrix,
    /// Queries by K/V head, see [`super::attention::Inputs`].
    pub(super) queries: Vec<f32>,
    /// Result of attention.
    pub(super) context: Matrix,
    /// Gated activations.
    pub(super) activations: Matrix,
    /// Partial results of attention.
    pub(super) split: Vec<f32>,
}
