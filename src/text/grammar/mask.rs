//! The tokens that may come next, and how they rule out the others.

use llguidance::toktrie::SimpleVob;

use super::TokenId;

/// Raw bf16 of negative infinity.
const RULED_OUT: u16 = 0xff80;
/// The exponent bits of bf16: all set for infinities and for what is not a number.
const EXPONENT: u16 = 0x7f80;
/// Tokens per word of the set.
const WORD_BITS: usize = 32;

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

    /// Writes `logits` (raw bf16, one per token) to `masked`, with negative infinity for what may not come next.
    ///
    /// A logit that is infinite or not a number stays as it is: it means that the step failed, and is to be found.
    pub fn apply(&self, logits: &[u16], masked: &mut Vec<u16>) {
        masked.clear();
        masked.extend_from_slice(logits);
        let words = self.allowed.as_slice().iter().copied().chain(std::iter::repeat(0));
        for (block, word) in masked.chunks_mut(WORD_BITS).zip(words) {
            match word {
                u32::MAX => {}
                0 => block.iter_mut().for_each(|logit| rule_out(logit, true)),
                word => {
                    for (bit, logit) in block.iter_mut().enumerate() {
                        rule_out(logit, word >> bit & 1 == 0);
                    }
                }
            }
        }
    }
}

fn rule_out(logit: &mut u16, out: bool) {
    if out && *logit & EXPONENT != EXPONENT {
        *logit = RULED_OUT;
    }
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
        let mut masked = vec![7; 3];
        mask.apply(&[0x3f80; 100], &mut masked);
        for (token, &logit) in (0..).zip(&masked) {
            assert_eq!(logit == 0x3f80, mask.allows(token), "{token}");
            assert_eq!(logit == RULED_OUT, !mask.allows(token), "{token}");
        }
        assert_eq!(masked.len(), 100);
        assert!(mask.allows(69) && !mask.allows(70) && !mask.allows(1_000_000));
    }

    #[test]
    fn broken_logits_stay_visible() {
        let mask = TokenMask::new(SimpleVob::alloc(4));
        let mut masked = Vec::new();
        mask.apply(&[0x7fc0, 0x7f80, 0xff80, 0x4000], &mut masked);
        assert_eq!(masked, [0x7fc0, 0x7f80, 0xff80, 0xff80]);
    }
}
