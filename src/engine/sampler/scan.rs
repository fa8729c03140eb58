//! Passes over all logits of a step, as 16-bit integers.
//!
//! A bf16 value is turned into an integer of the same order ([`key`]); then maxima and comparisons are integer
//! operations on 16 or 32 values at once, which compilers vectorise from plain loops over fixed-size blocks.

use super::{SamplerError, TokenId, math::float_of};

/// Logits per block: large enough to vectorise, small enough to look through again.
const BLOCK: usize = 256;
/// Key of negative infinity; NaNs with the sign bit lie below.
pub(super) const KEY_MASKED: i16 = -0x7f80;
/// Key of positive infinity; NaNs without the sign bit lie above.
const KEY_INFINITE: i16 = 0x7f80;

/// Returns an integer that orders as the logit does; both zeros are equal.
#[inline]
pub(super) fn key(raw: u16) -> i16 {
    let sign = raw.cast_signed() >> 15;
    ((raw & 0x7fff).cast_signed() ^ sign).wrapping_sub(sign)
}

/// Returns the logit and the number of the best token, the lowest number among equals.
///
/// # Errors
///
/// [`SamplerError`] if any logit is NaN or positive infinity, or all are negative infinity.
pub(super) fn best(logits: &[u16]) -> Result<(f32, TokenId), SamplerError> {
    let mut lowest = i16::MAX;
    let mut highest = i16::MIN;
    let mut highest_block = 0;
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        let (low, high) = range(block);
        lowest = lowest.min(low);
        if high > highest {
            highest = high;
            highest_block = index;
        }
    }
    if highest >= KEY_INFINITE || lowest < KEY_MASKED {
        return Err(broken(logits));
    }
    if highest <= KEY_MASKED {
        return Err(SamplerError::AllMasked { vocab: logits.len() });
    }
    let start = highest_block * BLOCK;
    let offset = logits[start..].iter().position(|&raw| key(raw) == highest).unwrap_or(0);
    Ok((float_of(logits[start + offset]), token(start + offset)))
}

/// Calls `take` with every token, in ascending order, whose key is above `threshold`; `take` returns the new threshold.
pub(super) fn above(logits: &[u16], mut threshold: i16, mut take: impl FnMut(TokenId, u16) -> i16) {
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        if range(block).1 <= threshold {
            continue;
        }
        for (offset, &raw) in block.iter().enumerate() {
            if key(raw) > threshold {
                threshold = take(token(index * BLOCK + offset), raw);
            }
        }
    }
}

/// Lowest and highest key of a block.
fn range(block: &[u16]) -> (i16, i16) {
    let mut low = i16::MAX;
    let mut high = i16::MIN;
    for &raw in block {
        let key = key(raw);
        low = low.min(key);
        high = high.max(key);
    }
    (low, high)
}

/// Names the first logit that is no number or infinite.
fn broken(logits: &[u16]) -> SamplerError {
    for (index, &raw) in logits.iter().enumerate() {
        let value = float_of(raw);
        if value.is_nan() {
            return SamplerError::NotANumber { token: token(index) };
        }
        if value == f32::INFINITY {
            return SamplerError::Infinite { token: token(index) };
        }
    }
    SamplerError::AllMasked { vocab: logits.len() }
}

/// Token numbers are 32 bits wide everywhere; a vocabulary beyond that cannot be loaded.
#[expect(clippy::cast_possible_truncation, reason = "vocabularies have fewer than 2^32 tokens")]
pub(super) fn token(index: usize) -> TokenId {
    index as TokenId
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn keys_order_as_the_values_do() {
        let values = [f32::NEG_INFINITY, -3e38, -1.0, -1e-40, 0.0, 1e-40, 1.0, 3e38, f32::INFINITY];
        let keys: Vec<i16> = values.iter().map(|&value| key(bf16::from_f32(value).to_bits())).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(key(0x8000), key(0));
        assert_eq!(key(0xff80), KEY_MASKED);
        assert_eq!(key(0x7f80), KEY_INFINITE);
        assert!(key(0xffc0) < KEY_MASKED && key(0x7fc0) > KEY_INFINITE);
    }

    #[test]
    fn the_first_of_equals_is_best_wherever_it_lies() {
        for place in [0, 1, 255, 256, 1000, 1999] {
            let mut logits = vec![0xbf80; 2000];
            logits[place] = 0x3f80;
            logits[1999] = 0x3f80;
            assert_eq!(best(&logits), Ok((1.0, token(place))));
        }
    }

    #[test]
    fn broken_logits_are_named() {
        let mut logits = vec![0; 1000];
        for (raw, error) in [
            (0x7fc0, SamplerError::NotANumber { token: 700 }),
            (0xffc0, SamplerError::NotANumber { token: 700 }),
            (0x7f80, SamplerError::Infinite { token: 700 }),
        ] {
            logits[700] = raw;
            assert_eq!(best(&logits), Err(error));
        }
        assert_eq!(best(&[0xff80; 3]), Err(SamplerError::AllMasked { vocab: 3 }));
        assert_eq!(best(&[]), Err(SamplerError::AllMasked { vocab: 0 }));
        assert_eq!(best(&[0xff80, 0xc000, 0xff80]), Ok((-2.0, 1)));
    }
}
