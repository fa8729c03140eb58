//! From the hidden states of a prompt to one vector, while the prompt is computed chunk by chunk.

use tokio::sync::oneshot;

use super::generation::StepError;
use crate::models::encoder::Pooling;
use crate::models::final_norm::FinalNorm;

/// A vector in the making, and who waits for it.
#[derive(Debug)]
pub(crate) struct Pooled {
    pooling: Pooling,
    reply: oneshot::Sender<Vec<f32>>,
    /// Sum of the states that count.
    sum: Vec<f32>,
    /// How many they are.
    count: usize,
    /// States of one chunk, `[tokens, hidden]` bf16.
    rows: Vec<u16>,
}

impl Pooled {
    /// A vector of no tokens yet.
    pub(crate) fn new(pooling: Pooling, reply: oneshot::Sender<Vec<f32>>) -> Self {
        Self { pooling, reply, sum: Vec::new(), count: 0, rows: Vec::new() }
    }

    /// Whether tokens at the beginning of the prompt count: then they have to be computed even if their keys and values
    /// are still on the card.
    pub(crate) fn needs_beginning(&self) -> bool {
        !matches!(self.pooling, Pooling::Last)
    }

    /// Whether the states of a chunk are to be taken in that begins at `first` and may be the last one. Of the last
    /// chunk they always are: whatever is wrong with keys and values before it shows there.
    pub(crate) fn wants(&self, first: usize, is_last: bool) -> bool {
        match self.pooling {
            Pooling::Mean => true,
            Pooling::Cls => first == 0 || is_last,
            Pooling::Last => is_last,
        }
    }

    /// Room for the states of a chunk.
    pub(crate) fn room(&mut self, values: usize) -> &mut [u16] {
        self.rows.resize(values, 0);
        &mut self.rows
    }

    /// Takes in the states that [`room`](Self::room) was filled with, those of the chunk that begins at `first`.
    ///
    /// # Errors
    /// [`StepError::NotFinite`] if any state is not a number, also one that does not count: the keys and values behind
    /// it would go into the answers to later prompts.
    pub(crate) fn take_in(
        &mut self,
        first: usize,
        hidden: usize,
        norm: Option<&FinalNorm>,
    ) -> Result<(), StepError> {
        check_states(&self.rows)?;
        let all = self.rows.chunks_exact(hidden.max(1));
        let counting = match self.pooling {
            Pooling::Mean => 0..all.len(),
            Pooling::Cls => 0..usize::from(first == 0),
            Pooling::Last => all.len().saturating_sub(1)..all.len(),
        };
        self.sum.resize(hidden, 0.0);
        let mut state = vec![0.0; hidden];
        for row in all.skip(counting.start).take(counting.len()) {
            for (value, &bits) in state.iter_mut().zip(row) {
                *value = half::bf16::from_bits(bits).to_f32();
            }
            if let Some(norm) = norm {
                norm.apply(&mut state);
            }
            for (sum, value) in self.sum.iter_mut().zip(&state) {
                *sum += value;
            }
            self.count += 1;
        }
        Ok(())
    }

    /// Hands the vector over.
    pub(crate) fn finish(self) {
        let Self { reply, mut sum, count, .. } = self;
        let count = count.max(1) as f32;
        for value in &mut sum {
            *value /= count;
        }
        // Nobody may wait any more.
        reply.send(sum).ok();
    }
}

/// Whether hidden states are numbers, so that the keys and values behind them may be, too.
///
/// # Errors
/// [`StepError::NotFinite`].
pub(crate) fn check_states(states: &[u16]) -> Result<(), StepError> {
    let are_numbers = states.iter().all(|&bits| half::bf16::from_bits(bits).is_finite());
    if are_numbers { Ok(()) } else { Err(StepError::NotFinite) }
}
