//! The tokens that may come next, and how they rule out the others.

use llguidance::toktrie::SimpleVob;

use super::TokenId;

/// Raw bf16 of negative infinity.
const RULED_OUT: u16 = 0xff80;
/// The exponent bits of bf16: all set for infinities and for what is not a number.
const EXPONENT: u16 = 0x7f80;
/// Tokens per word of the set.
const WORD_BITS: usize = 32;
/// The bits of half a word.
const BITS: [u16; WORD_BITS / 2] = {
    let mut bits = [0; WORD_BITS / 2];
    let mut place = 0;
    while place < bits.len() {
        bits[place] = 1 << place;
        place += 1;
    }
    bits
};

/// The tokens that may come next.
#[derive(Debug, Clone)]
pub struct TokenMask {
    allowed: SimpleVob,
}

impl TokenMask {
    pub(super) fn new(allowed: SimpleVob) -> Self {
        Self { allowed }
    }

    /// Returns whether this token may come next.
    pub fn allows(&self, token: TokenId) -> bool {
        (token as usize) < self.allowed.len() && self.allowed.is_allowed(token)
    }

    /// Turns those of `logits` (raw bf16, one per token) into negative infinity that may not come next.
    ///
    /// A logit that is infinite or not a number stays as it is: it means that the step failed, and is to be found.
    pub fn apply(&self, logits: &mut [u16]) {
        let words = self.allowed.as_slice().iter().copied().chain(std::iter::repeat(0));
        for (block, word) in logits.chunks_mut(WORD_BITS).zip(words) {
            match word {
                u32::MAX => {}
                // Of most tokens: no bits to look at, and one operation for many logits.
                0 => block.iter_mut().for_each(|logit| *logit = ruled_out(*logit)),
                // Bits as wide as logits, and no branches: one operation for many logits, too.
                word => {
                    let [first, second, third, fourth] = word.to_le_bytes();
                    let halves = [[first, second], [third, fourth]].map(u16::from_le_bytes);
                    for (logits, bits) in block.chunks_mut(BITS.len()).zip(halves) {
                        for (logit, bit) in logits.iter_mut().zip(BITS) {
                            *logit = if bits & bit == 0 { ruled_out(*logit) } else { *logit };
                        }
                    }
                }
            }
        }
    }
}

fn ruled_out(logit: u16) -> u16 {
    if logit & EXPONENT == EXPONENT { logit } else { RULED_OUT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_allowed_is_negative_infinity() {
        let mut allowed = SimpleVob::alloc(70);
        for token in [0, 33, 69].into_iter().chain(34..64) {
            allowed.allow_token(token);
        }
        let mask = TokenMask::new(allowed);
        let mut masked = vec![0x3f80; 100];
        mask.apply(&mut masked);
        for (token, &logit) in (0..).zip(&masked) {
            assert_eq!(logit == 0x3f80, mask.allows(token), "{token}");
            assert_eq!(logit == RULED_OUT, !mask.allows(token), "{token}");
        }
        assert!(mask.allows(69) && !mask.allows(70) && !mask.allows(1_000_000));
    }

    #[test]
    fn broken_logits_stay_visible() {
        let mask = TokenMask::new(SimpleVob::alloc(4));
        let mut masked = [0x7fc0, 0x7f80, 0xff80, 0x4000];
        mask.apply(&mut masked);
        assert_eq!(masked, [0x7fc0, 0x7f80, 0xff80, 0xff80]);
    }
}
