//! Runs a model as an answer does (embedding rows, prompt chunks, tokens, greedy sampling) and reads the counters
//! around each phase.

use std::time::Instant;

use super::figures::{Grammar, GuidedToken, Phase, Reading, Setting, cpu_time};
use super::form::Form;
use super::report::Run;
use crate::{
    device::{CancelFlag, Driver, LoadedModel, Sequence},
    engine::{MaskWorker, SamplingOptions, Spent, sampler::Sampler},
    models::embedding::EmbeddingTable,
    text::TokenId,
};

/// Decode steps before anything is counted: the first ones bind buffers and touch memory for the first time.
const WARM_UP_STEPS: usize = 2;

/// How much is computed: prompt tokens, and steps of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) prompt: usize,
    pub(super) steps: usize,
}

/// A model on a card and one conversation with it.
pub(super) struct Bench<'a> {
    driver: &'a Driver,
    model: &'a LoadedModel,
    embedding: &'a EmbeddingTable,
    sequence: Sequence,
    sampler: Sampler,
    rows: Vec<u16>,
    next_rows: Vec<u16>,
    logits: Vec<u16>,
    started: Instant,
    cancel: &'a CancelFlag,
}

impl<'a> Bench<'a> {
    /// Takes the memory of one conversation on the card.
    pub(super) fn new(
        driver: &'a Driver,
        model: &'a LoadedModel,
        embedding: &'a EmbeddingTable,
        cancel: &'a CancelFlag,
    ) -> anyhow::Result<Self> {
        // Temperature 0 without penalties: the path of every greedy answer.
        let greedy = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
        Ok(Self {
            driver,
            model,
            embedding,
            sequence: model.new_sequence()?,
            sampler: Sampler::new(greedy, model.vocab(), model.context_len()),
            rows: vec![0; model.chunk_len() * model.hidden()],
            next_rows: vec![0; model.chunk_len() * model.hidden()],
            logits: vec![0; model.vocab()],
            started: Instant::now(),
            cancel,
        })
    }

    /// Computes a prompt and its answer from the beginning and returns what it took.
    pub(super) fn run(&mut self, load: Load, setting: &Setting) -> anyhow::Result<Run> {
        let prompt: Vec<TokenId> = (0..load.prompt).map(|place| token(place, self.model.vocab())).collect();
        self.warm_up(&prompt, load.steps)?;

        let start = self.read();
        self.prefill(&prompt)?;
        let prompt_done = self.read();
        let mut next = self.sampler.sample(&self.logits)?;
        self.sampler.accept(next);
        let first = self.read();
        for _ in 0..load.steps {
            next = self.step(next)?;
        }
        let end = self.read();

        Ok(Run {
            time_to_first_token_seconds: first.card.saturating_sub(start.card).as_secs_f64(),
            prefill: Phase::between(&start, &prompt_done, load.prompt, 1, setting),
            decode: Phase::between(&first, &end, load.steps, load.steps, setting),
        })
    }

    /// Computes an answer in a form, from the beginning, and returns what the form took. The answer is given, since
    /// what the model would say may be nothing but blanks.
    pub(super) fn grammar(&mut self, form: &Form) -> anyhow::Result<Grammar> {
        self.sequence.truncate(0);
        let mut masks = MaskWorker::default();
        let mut guide = masks.begin(form.grammar.clone());
        let mut tokens = Vec::with_capacity(form.tokens.len());
        let mut before = Spent::default();
        for &token in &form.tokens {
            let start = self.driver.clock().now;
            let row = &mut self.rows[..self.model.hidden()];
            self.embedding.read_row(0, row)?;
            self.sequence.decode(row, &mut self.logits, self.cancel)?;
            let card = self.driver.clock().now.saturating_sub(start);
            anyhow::ensure!(guide.wait(self.cancel)?, "cancelled");
            self.sampler.sample(guide.mask(&mut self.logits, false)?)?;
            guide.accept(token)?;
            let after = guide.spent();
            let mask = after.computing.saturating_sub(before.computing);
            let applying = after.applying.saturating_sub(before.applying);
            tokens.push(GuidedToken { card, mask, applying });
            before = after;
        }
        // The first mask is computed while the prompt is.
        Ok(Grammar::of(tokens.get(1..).unwrap_or_default()))
    }

    /// The whole prompt is looked up, as rows that no disk has been asked for yet would count for the path that comes
    /// first; of the card's work the beginning does.
    fn warm_up(&mut self, prompt: &[TokenId], steps: usize) -> anyhow::Result<()> {
        self.sequence.truncate(0);
        for &token in prompt {
            self.embedding.read_row(token, &mut self.rows[..self.model.hidden()])?;
        }
        self.prefill(&prompt[..prompt.len().min(self.model.chunk_len())])?;
        let mut next = 0;
        for _ in 0..steps.min(WARM_UP_STEPS) {
            next = self.step(next)?;
        }
        self.sequence.truncate(0);
        Ok(())
    }

    /// The prompt in chunks; the logits behind it are there afterwards.
    fn prefill(&mut self, prompt: &[TokenId]) -> anyhow::Result<()> {
        let hidden = self.model.hidden();
        let mut chunks = prompt.chunks(self.model.chunk_len()).peekable();
        if let Some(first) = chunks.peek() {
            self.embedding.read_rows(first, &mut self.next_rows[..first.len() * hidden])?;
        }
        while let Some(chunk) = chunks.next() {
            std::mem::swap(&mut self.rows, &mut self.next_rows);
            let rows = &self.rows[..chunk.len() * hidden];
            if let Some(next) = chunks.peek() {
                let next_rows = &mut self.next_rows[..next.len() * hidden];
                self.embedding.read_rows(next, next_rows)?;
                self.sequence.prefill_before(rows, next_rows, self.cancel)?;
            } else {
                self.sequence.prefill(rows, Some(&mut self.logits), self.cancel)?;
            }
        }
        Ok(())
    }

    /// One token of the answer: computes `token` and chooses its successor.
    fn step(&mut self, token: TokenId) -> anyhow::Result<TokenId> {
        let row = &mut self.rows[..self.model.hidden()];
        self.embedding.read_row(token, row)?;
        self.sequence.decode(row, &mut self.logits, self.cancel)?;
        let next = self.sampler.sample(&self.logits)?;
        self.sampler.accept(next);
        Ok(next)
    }

    fn read(&self) -> Reading {
        // The card's clock last: what the other readings cost comes before the phase that begins here.
        let cpu = cpu_time();
        let stats = self.model.stats();
        let wall = self.started.elapsed();
        let clock = self.driver.clock();
        Reading {
            card: clock.now,
            wall,
            npu_busy: clock.npu_busy,
            weight_bytes: clock.weight_bytes_read,
            cpu,
            stats,
        }
    }
}

/// Some token or other: prompts of all lengths, the same every time, spread over the vocabulary.
fn token(place: usize, vocab: usize) -> TokenId {
    let spread = (place as u64 * 7_919 + 13) % vocab.max(1) as u64;
    TokenId::try_from(spread).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_lie_in_the_vocabulary_and_vary() {
        let ids: Vec<TokenId> = (0..512).map(|place| token(place, 1_000)).collect();
        assert!(ids.iter().all(|&id| id < 1_000));
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), 512);
    }
}
