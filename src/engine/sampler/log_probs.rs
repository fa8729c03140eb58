//! Log-probabilities of tokens, over the whole vocabulary and before any sampling option.

use super::{
    SamplerError, TokenId,
    candidates::best_tokens,
    math::{exp, float_of},
    scan,
};

/// The logits of one step, normalised once for any number of questions.
#[derive(Debug, Clone, Copy)]
pub struct LogProbs<'a> {
    logits: &'a [u16],
    /// Natural logarithm of the sum of the exponentials of all logits.
    log_sum: f64,
}

impl<'a> LogProbs<'a> {
    /// Reads the logits of one step: `[vocab]`, raw bf16.
    ///
    /// # Errors
    ///
    /// [`SamplerError`] if they are broken or rule out every token.
    pub fn new(logits: &'a [u16]) -> Result<Self, SamplerError> {
        let (highest, _) = scan::best(logits)?;
        // Sixteen sums side by side: vectorised, and the order of additions is fixed.
        let mut sums = [0.0_f32; 16];
        let mut total = 0.0_f64;
        for block in logits.chunks(4096) {
            for lane in block.chunks(16) {
                for (sum, &raw) in sums.iter_mut().zip(lane) {
                    *sum += exp(float_of(raw) - highest);
                }
            }
            total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
            sums = [0.0; 16];
        }
        Ok(Self { logits, log_sum: f64::from(highest) + total.ln() })
    }

    /// Returns the natural log-probability of a token; negative infinity if it is ruled out or does not exist.
    #[expect(clippy::cast_possible_truncation, reason = "a log-probability needs no more than f32")]
    pub fn of(&self, token: TokenId) -> f32 {
        let logit = self.logits.get(token as usize).map_or(f32::NEG_INFINITY, |&raw| float_of(raw));
        // Rounding may leave a hair above 0.
        (f64::from(logit) - self.log_sum).min(0.0) as f32
    }

    /// Returns the `count` most probable tokens, most probable first.
    pub fn top(&self, count: usize) -> Vec<(TokenId, f32)> {
        best_tokens(self.logits, count).into_iter().map(|token| (token, self.of(token))).collect()
    }
}

/// Returns the natural log-probability of a token. For several tokens of one step use [`LogProbs`].
pub fn log_prob(logits: &[u16], token: TokenId) -> Result<f32, SamplerError> {
    Ok(LogProbs::new(logits)?.of(token))
}

/// Returns the `count` most probable tokens with their natural log-probabilities, most probable first.
pub fn top_log_probs(logits: &[u16], count: usize) -> Result<Vec<(TokenId, f32)>, SamplerError> {
    Ok(LogProbs::new(logits)?.top(count))
}
