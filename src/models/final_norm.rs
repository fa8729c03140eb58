//! The norm between the last layer and the head.
//!
//! On a card it is part of the head's file and its outcome never leaves the card. Who wants the hidden state itself, as
//! a vector of the text, has to apply it on the host: vectors without it are not those that the model's makers have.

use std::path::Path;

use super::layer_file::{FileHead, read_head};
use super::safetensors::TensorFile;

/// Divides by the root of the mean square and scales each value.
#[derive(Debug, Clone, PartialEq)]
pub struct FinalNorm {
    weights: Vec<f32>,
    eps: f64,
}

impl FinalNorm {
    /// Reads it from a head file; `None` if that does not show it. The error continues the name of the file.
    pub(super) fn read(path: &Path, hidden: usize) -> Result<Option<Self>, String> {
        let FileHead::Software(head) = read_head(path)? else { return Ok(None) };
        if head.is_synthetic() {
            return Ok(None);
        }
        let key = "ax650.rms_eps";
        let text = head.metadata.get(key).ok_or_else(|| format!("lacks the metadata key {key}"))?;
        let eps = text.parse().ok().filter(|eps: &f64| eps.is_finite() && *eps >= 0.0);
        let eps = eps.ok_or_else(|| format!("has {key} = {text:?} in its metadata"))?;
        let weights = TensorFile::open(path).and_then(|file| file.read("norm", &[hidden]));
        Ok(Some(Self { weights: weights.map_err(|error| error.to_string())?, eps }))
    }

    /// Applies it to one hidden state.
    pub fn apply(&self, row: &mut [f32]) {
        let square = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        let scale = 1.0 / (square / row.len().max(1) as f64 + self.eps).sqrt();
        for (value, weight) in row.iter_mut().zip(&self.weights) {
            #[expect(clippy::cast_possible_truncation, reason = "values are f32")]
            let scaled = (f64::from(*value) * scale) as f32;
            *value = scaled * weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scaled_to_a_mean_square_of_one() {
        let norm = FinalNorm { weights: vec![1.0, 2.0], eps: 0.0 };
        let mut row = [3.0, -3.0];
        norm.apply(&mut row);
        assert_eq!(row.map(f32::to_bits), [1.0_f32, -2.0].map(f32::to_bits));
        let mut nothing = [0.0, 0.0];
        FinalNorm { eps: 1e-6, ..norm }.apply(&mut nothing);
        assert_eq!(nothing.map(f32::to_bits), [0, 0]);
    }
}
