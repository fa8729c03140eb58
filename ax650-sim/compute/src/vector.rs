//! Row operations: norm, rope, activation, and the rounding at the borders.

use super::simd::{LANES, Simd};

/// Rounds `n` up to whole vectors.
pub(super) const fn whole_vectors(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Pads a vector of parameters with zeros to whole vectors of `lanes`.
pub(super) fn padded(mut values: Vec<f32>, multiple: usize) -> Vec<f32> {
    values.resize(values.len().next_multiple_of(multiple), 0.0);
    values.shrink_to_fit();
    values
}

/// bf16 bits to floats, exactly.
#[inline(always)]
pub(super) fn widen(from: &[u16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f32::from_bits(u32::from(*from) << 16);
    }
}

/// Floats to bf16 bits, to nearest, ties to even. NaN stays NaN.
#[inline(always)]
pub(super) fn round_to_bf16(from: &[f32], to: &mut [u16]) {
    for (to, from) in to.iter_mut().zip(from) {
        let bits = from.to_bits();
        let rounded = bits.wrapping_add(0x7FFF + ((bits >> 16) & 1));
        // A NaN could be rounded into an infinity; its quiet bit survives the cut.
        let chosen = if bits & 0x7FFF_FFFF > 0x7F80_0000 { bits | 0x0040_0000 } else { rounded };
        *to = (chosen >> 16) as u16;
    }
}

/// Root-mean-square norm of the first `len` channels, times `weight`.
/// `x`, `weight` and `out` are whole vectors; what follows `len` in `x` is zero.
#[inline(always)]
pub(super) fn rms_norm<S: Simd>(simd: S, x: &[f32], len: usize, eps: f32, weight: &[f32], out: &mut [f32]) {
    let mut squares = simd.splat(0.0);
    for x in x.as_chunks::<LANES>().0 {
        let x = simd.read(x);
        squares = simd.fma(x, x, squares);
    }
    let scale = simd.splat(1.0 / (simd.sum(squares) / len as f32 + eps).sqrt());
    let (x, weight, out) =
        (x.as_chunks::<LANES>().0, weight.as_chunks::<LANES>().0, out.as_chunks_mut::<LANES>().0);
    for ((x, weight), out) in x.iter().zip(weight).zip(out) {
        let scaled = simd.mul(simd.read(x), scale);
        simd.write(simd.mul(scaled, simd.read(weight)), out);
    }
}

/// Root-mean-square norm of one head, in place.
#[inline(always)]
pub(super) fn head_norm<S: Simd>(simd: S, head: &mut [f32], eps: f32, weight: &[f32]) {
    let mut squares = simd.splat(0.0);
    for x in head.as_chunks::<LANES>().0 {
        let x = simd.read(x);
        squares = simd.fma(x, x, squares);
    }
    let scale = simd.splat(1.0 / (simd.sum(squares) / head.len() as f32 + eps).sqrt());
    for (x, weight) in head.as_chunks_mut::<LANES>().0.iter_mut().zip(weight.as_chunks::<LANES>().0) {
        let scaled = simd.mul(simd.read(x), scale);
        simd.write(simd.mul(scaled, simd.read(weight)), x);
    }
}

/// Turns the pairs of one head: `cos` has each cosine twice, `sin` has minus sine, then sine.
#[inline(always)]
pub(super) fn rotate<S: Simd>(simd: S, head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (cos, sin) = (cos.as_chunks::<LANES>().0, sin.as_chunks::<LANES>().0);
    for ((x, cos), sin) in head.as_chunks_mut::<LANES>().0.iter_mut().zip(cos).zip(sin) {
        let value = simd.read(x);
        let crossed = simd.mul(simd.swap_pairs(value), simd.read(sin));
        simd.write(simd.fma(value, simd.read(cos), crossed), x);
    }
}

/// `silu(gate) * up`.
#[inline(always)]
pub(super) fn gated<S: Simd>(simd: S, gate: S::V, up: S::V) -> S::V {
    let one = simd.splat(1.0);
    let exp = simd.exp(simd.sub(simd.splat(0.0), gate));
    simd.mul(simd.div(gate, simd.add(one, exp)), up)
}
