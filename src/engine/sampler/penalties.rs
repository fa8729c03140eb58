//! Penalties for tokens that occurred lately.

use std::collections::{HashMap, VecDeque};

use super::{SamplingOptions, TokenId};

/// The recent tokens and what their logits lose.
#[derive(Debug, Clone)]
pub(super) struct Penalties {
    repeat: f32,
    presence: f32,
    frequency: f32,
    /// How many tokens back a token counts as recent; 0 if there is nothing to penalise.
    window: usize,
    recent: VecDeque<TokenId>,
    counts: HashMap<TokenId, u32>,
}

impl Penalties {
    pub(super) fn new(options: &SamplingOptions, context: usize) -> Self {
        // Values that are no penalties at all (0, infinite) are as none: logits must stay numbers.
        let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
        let usable = options.repeat_penalty.is_finite() && options.repeat_penalty > 0.0;
        let repeat = if usable { options.repeat_penalty } else { 1.0 };
        let (presence, frequency) = (finite(options.presence_penalty), finite(options.frequency_penalty));
        let off = [repeat.to_bits(), presence.abs().to_bits(), frequency.abs().to_bits()]
            == [1.0_f32.to_bits(), 0, 0];
        let window = if off { 0 } else { usize::try_from(options.repeat_last_n).unwrap_or(context) };
        Self { repeat, presence, frequency, window, recent: VecDeque::new(), counts: HashMap::new() }
    }

    /// Returns whether any logit changes.
    pub(super) fn is_active(&self) -> bool {
        !self.recent.is_empty()
    }

    /// Notes a token; the oldest one is forgotten when the window is full.
    pub(super) fn accept(&mut self, token: TokenId) {
        if self.window == 0 {
            return;
        }
        if self.recent.len() == self.window
            && let Some(oldest) = self.recent.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.recent.push_back(token);
        *self.counts.entry(token).or_insert(0) += 1;
    }

    /// Returns whether the logit of this token changes.
    pub(super) fn contains(&self, token: TokenId) -> bool {
        self.counts.contains_key(&token)
    }

    /// The recent tokens, each once, in no particular order.
    pub(super) fn tokens(&self) -> impl Iterator<Item = TokenId> {
        self.counts.keys().copied()
    }

    /// Returns the logit of a token after its penalty.
    pub(super) fn apply(&self, token: TokenId, logit: f32) -> f32 {
        let Some(&count) = self.counts.get(&token) else { return logit };
        if logit == f32::NEG_INFINITY {
            return logit;
        }
        let repeated = if logit <= 0.0 { logit * self.repeat } else { logit / self.repeat };
        (repeated - count as f32 * self.frequency - self.presence).clamp(f32::MIN, f32::MAX)
    }
}
