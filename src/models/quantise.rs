//! Weights for the card: int8 with one scale per output channel, or bf16.

use half::bf16;
use half::slice::HalfFloatSliceExt;

/// Largest magnitude of a quantised weight. -128 is not used, so that the grid is symmetric.
const LIMIT: f32 = 127.0;

/// How the card keeps its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weights {
    /// int8 weights with one f32 scale per output channel, bf16 activations; the vendor's default.
    #[default]
    W8A16,
    /// bf16 weights.
    Bf16,
}

impl Weights {
    /// The value of the metadata key `ax650.weights`.
    pub fn key(self) -> &'static str {
        match self {
            Self::W8A16 => "w8a16",
            Self::Bf16 => "bf16",
        }
    }

    /// What listings show as quantisation level.
    pub fn level(self) -> &'static str {
        match self {
            Self::W8A16 => "W8A16",
            Self::Bf16 => "BF16",
        }
    }
}

impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key())
    }
}

impl std::str::FromStr for Weights {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "w8a16" => Ok(Self::W8A16),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("unknown weights {other:?}; use w8a16 (int8, default) or bf16")),
        }
    }
}

/// Quantises one row, one output channel, into `out` and returns its scale: value = `out` * scale.
///
/// The scale that maps the largest magnitude to 127 bounds the error of every weight; the least-squares scale of the
/// integers so found has the smallest mean error among all scales with these integers, so it is what is stored.
/// A row of zeros has scale 0.
pub fn quantise_row(row: &[f32], out: &mut [i8]) -> f32 {
    let peak = row.iter().fold(0.0_f32, |peak, value| peak.max(value.abs()));
    let inverse = LIMIT / peak;
    // A peak so small that its inverse overflows is as good as zero: no bf16 sum would notice it.
    if !inverse.is_finite() {
        out.fill(0);
        return 0.0;
    }
    let (mut cross, mut square) = (0.0_f64, 0.0_f64);
    for (value, quantised) in row.iter().zip(out) {
        let rounded = (value * inverse).round_ties_even().clamp(-LIMIT, LIMIT);
        #[expect(clippy::cast_possible_truncation, reason = "clamped to -127..=127 just above")]
        {
            *quantised = rounded as i8;
        }
        cross += f64::from(*value) * f64::from(rounded);
        square += f64::from(rounded * rounded);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a scale is kept as f32")]
    let scale = (cross / square) as f32;
    scale
}

/// Rounds to bf16, to nearest, ties to even; raw bits in little-endian bytes.
pub fn bf16_bytes(values: &[f32]) -> Vec<u8> {
    let mut halves = vec![bf16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    if cfg!(target_endian = "big") {
        for half in &mut halves {
            *half = bf16::from_bits(half.to_bits().to_le());
        }
    }
    bytemuck::cast_slice(&halves).to_vec()
}

/// The bytes of f32 values, little-endian.
pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(row: &[f32], quantised: &[i8], scale: f32) -> f64 {
        row.iter().zip(quantised).map(|(w, q)| f64::from(w - f32::from(*q) * scale).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn stays_within_half_a_step(row in prop::collection::vec(-3.0_f32..3.0, 1..300)) {
            let mut quantised = vec![0; row.len()];
            let scale = quantise_row(&row, &mut quantised);
            let peak = row.iter().fold(0.0_f32, |p, v| p.max(v.abs()));
            let plain = peak / 127.0;
            // No worse than the plain scale, and no single weight far from it.
            prop_assert!(error(&row, &quantised, scale) <= error(&row, &quantised, plain) * 1.000_01 + 1e-9);
            for (w, q) in row.iter().zip(&quantised) {
                prop_assert!((w - f32::from(*q) * scale).abs() <= plain * 1.01 + 1e-7);
            }
        }
    }

    #[test]
    fn handles_rows_without_a_scale() {
        let mut out = [1_i8; 3];
        assert!(quantise_row(&[0.0, -0.0, 0.0], &mut out).abs() < f32::EPSILON);
        assert_eq!(out, [0; 3]);
        assert!(quantise_row(&[1e-44, 0.0, 0.0], &mut out).is_finite());
        let scale = quantise_row(&[f32::MAX, -f32::MAX, 0.0], &mut out);
        assert!(scale.is_finite());
        assert_eq!(out, [127, -127, 0]);
    }

    #[test]
    fn rounds_bf16_to_even() {
        let values = [f32::from_bits(0x3f80_8000), f32::from_bits(0x3f81_8000), f32::from_bits(0x3f80_8001)];
        assert_eq!(bf16_bytes(&values), [0x80, 0x3f, 0x82, 0x3f, 0x81, 0x3f]);
        assert_eq!(f32_bytes(&[1.0]), 1.0_f32.to_le_bytes());
    }

    #[test]
    fn parses_weights() {
        assert_eq!("bf16".parse(), Ok(Weights::Bf16));
        assert_eq!(Weights::default().to_string().parse(), Ok(Weights::W8A16));
        assert!("q4".parse::<Weights>().unwrap_err().contains("w8a16"));
    }
}
