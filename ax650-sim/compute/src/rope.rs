//! Rotary positions: cosines and sines of the positions of a call.

use super::simd::LANES;
use super::vector::padded;

/// Frequencies of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frequencies(Vec<f64>);

impl Frequencies {
    /// `theta^(-2i/head_dim)`, each divided by its factor if there are factors (Llama 3 files bring them).
    pub(super) fn new(theta: f64, head_dim: usize, factors: Option<&[f32]>) -> Self {
        let frequency = |i: usize| {
            let plain = theta.powf(-2.0 * i as f64 / head_dim as f64);
            plain / factors.and_then(|f| f.get(i)).map_or(1.0, |f| f64::from(*f))
        };
        Self((0..head_dim / 2).map(frequency).collect())
    }
}

/// Cosines and sines of the rows of a call. All layers of a model ask for the same, so the last are kept.
#[derive(Debug, Default)]
pub(super) struct RopeTable {
    frequencies: Option<Frequencies>,
    positions: Vec<u32>,
    width: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// Makes row `i` that of `positions[rows[i]]`.
    pub(super) fn prepare(&mut self, frequencies: &Frequencies, positions: &[u32], rows: &[usize]) {
        let wanted = rows.iter().filter_map(|row| positions.get(*row)).copied();
        if self.frequencies.as_ref() == Some(frequencies) && wanted.clone().eq(self.positions.iter().copied())
        {
            return;
        }
        self.positions.clear();
        self.positions.extend(wanted);
        self.width = frequencies.0.len() * 2;
        self.cos.clear();
        self.sin.clear();
        for position in &self.positions {
            for frequency in &frequencies.0 {
                let (sin, cos) = (f64::from(*position) * frequency).sin_cos();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "computed in double, used in single precision"
                )]
                let (sin, cos) = (sin as f32, cos as f32);
                self.cos.extend([cos, cos]);
                self.sin.extend([-sin, sin]);
            }
        }
        self.frequencies = Some(frequencies.clone());
    }

    /// Cosines and signed sines of computed row `row`, one per channel of a head, as [`super::vector::rotate`] takes
    /// them.
    pub(super) fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.width..(row + 1) * self.width;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

/// Channel of the model that stands at place `i` of a head once pairs are neighbours.
pub(super) fn channel_at(i: usize, head_dim: usize, halves: bool) -> usize {
    if halves { i / 2 + (i % 2) * (head_dim / 2) } else { i }
}

/// Puts the channels of a head vector in packed order.
pub(super) fn reorder(values: &[f32], halves: bool) -> Vec<f32> {
    let ordered = (0..values.len()).map(|i| values[channel_at(i, values.len(), halves)]).collect();
    padded(ordered, LANES)
}
