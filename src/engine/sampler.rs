//! Chooses the next token from the logits of a step.
//!
//! The chain is the one Ollama runs (llama.cpp's samplers in this order): penalties, `top_k`, `typical_p`, `top_p`,
//! `min_p`, temperature, draw. Temperature 0 takes the best token after the penalties, the lowest number among equals.
//!
//! Logits are read as the card wrote them, bf16, and never converted as a whole: one pass over 16-bit integers finds
//! the few best, and only those become floats. Only with `top_k` off does the whole vocabulary take part.
//!
//! The same seed gives the same tokens on every machine and in every version: random numbers are [`SplitMix64`],
//! exponentials are our own (`exp`), sums have a fixed order.
//!
//! ```
//! use ax650::engine::sampler::{Sampler, SamplingOptions};
//!
//! let options = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
//! let mut sampler = Sampler::new(options, 4, 2048);
//! let logits = [0x3f80, 0x4000, 0xbf80, 0x4000]; // bf16 of 1, 2, -1, 2
//! assert_eq!(sampler.sample(&logits)?, 1);
//! # Ok::<(), ax650::engine::sampler::SamplerError>(())
//! ```

mod candidates;
mod log_probs;
mod math;
mod penalties;
mod random;
mod scan;

#[cfg(test)]
mod tests;

use candidates::Candidates;
pub use log_probs::{LogProbs, log_prob, top_log_probs};
use penalties::Penalties;
pub use random::SplitMix64;

use crate::text::TokenId;

/// What decides the next token: Ollama's options and defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingOptions {
    /// Flattens (> 1) or sharpens (< 1) the distribution; 0 or less takes the best token.
    pub temperature: f32,
    /// Only so many of the best tokens take part; 0 or less: all.
    pub top_k: i32,
    /// Only the best tokens that together reach this probability take part; 1 or more: all.
    pub top_p: f32,
    /// Tokens less probable than this share of the best one's probability are left out; 0 or less: none.
    pub min_p: f32,
    /// Only the tokens of the most typical surprise that together reach this probability take part; 1 or more: all.
    pub typical_p: f32,
    /// Divides (positive) or multiplies (negative) the logits of recent tokens; 1: off.
    pub repeat_penalty: f32,
    /// How many recent tokens are penalised; 0: none, negative: as many as the context holds.
    pub repeat_last_n: i32,
    /// Taken from the logit of each recent token.
    pub presence_penalty: f32,
    /// Taken from the logit of a recent token for each time it occurs.
    pub frequency_penalty: f32,
    /// Where the random numbers start; -1: somewhere else each time.
    pub seed: i64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.9,
            min_p: 0.0,
            typical_p: 1.0,
            repeat_penalty: 1.0,
            repeat_last_n: 64,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            seed: -1,
        }
    }
}

/// Why no token can be chosen. Each means that the step before failed, whatever its status said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A logit is not a number.
    #[error("logit of token {token} is not a number: the model's computation failed")]
    NotANumber {
        /// The first such token.
        token: TokenId,
    },
    /// A logit is positive infinity.
    #[error("logit of token {token} is infinite: the model's computation failed")]
    Infinite {
        /// The first such token.
        token: TokenId,
    },
    /// Every token is ruled out.
    #[error("no token is possible: all {vocab} logits are negative infinity")]
    AllMasked {
        /// Number of logits.
        vocab: usize,
    },
    /// There are not as many logits as tokens.
    #[error("got {got} logits for a vocabulary of {vocab} tokens")]
    WrongLength {
        /// Number of logits.
        got: usize,
        /// Number of tokens.
        vocab: usize,
    },
}

/// Chooses the tokens of one answer.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplingOptions,
    vocab: usize,
    penalties: Penalties,
    random: SplitMix64,
    candidates: Candidates,
}

impl Sampler {
    /// Returns a sampler for one answer.
    ///
    /// `vocab` is the number of logits of a step; `context` the number of tokens that the context holds, which is what
    /// a negative `repeat_last_n` means.
    pub fn new(options: SamplingOptions, vocab: usize, context: usize) -> Self {
        let random =
            if options.seed == -1 { SplitMix64::from_entropy() } else { SplitMix64::new(options.seed) };
        let penalties = Penalties::new(&options, context);
        Self { options, vocab, penalties, random, candidates: Candidates::default() }
    }

    /// Notes a token of the prompt or of the answer, for the penalties.
    pub fn accept(&mut self, token: TokenId) {
        self.penalties.accept(token);
    }

    /// Chooses a token. `logits`: `[vocab]`, raw bf16; negative infinity rules a token out.
    ///
    /// The token is not accepted: the caller does that, as not every sampled token is kept.
    ///
    /// # Errors
    ///
    /// Every [`SamplerError`]: none of them is a reason to choose some token nevertheless.
    pub fn sample(&mut self, logits: &[u16]) -> Result<TokenId, SamplerError> {
        if logits.len() != self.vocab {
            return Err(SamplerError::WrongLength { got: logits.len(), vocab: self.vocab });
        }
        let (_, best) = scan::best(logits)?;
        let options = &self.options;
        let greedy = options.temperature <= 0.0 || options.temperature.is_nan() || options.top_k == 1;
        if greedy && !self.penalties.is_active() {
            return Ok(best);
        }
        let limit = if greedy { 1 } else { usize::try_from(options.top_k).unwrap_or(0) };
        self.candidates.fill(logits, limit, &self.penalties);
        if greedy {
            return Ok(self.candidates.best());
        }
        self.candidates.keep_typical(options.typical_p);
        self.candidates.keep_top_p(options.top_p);
        self.candidates.keep_min_p(options.min_p);
        Ok(self.candidates.draw(options.temperature, self.random.next_unit()))
    }
}
