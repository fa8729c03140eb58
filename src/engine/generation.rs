//! The state of one answer: which tokens are written, which comes next, which text may be shown.
//!
//! The unit of work is a step: one chunk of the prompt, or one token of the answer. Between steps the card is free
//! for other conversations, so a step never leaves anything on the card that the next one needs except the sequence.
//!
//! The tokens of the conversation are those of the prompt and those generated; the first `sequence.len()` of them
//! have their keys and values on the card. The last generated token has not: it is written by the step that
//! computes its successor. What a later request may reuse follows from this and is nowhere kept a second time.
//!
//! An answer that fills the context ends there, or forgets: the tokens after the first few are left out up to the
//! middle, and what stands after them is computed anew, as a prompt is. Moving it would leave keys on the card that
//! know of what was forgotten. An answer that only repeats itself by then is not continued: it would for ten contexts.
//!
//! A token is chosen on the card thread, right after the head has run. Greedy choice over 150 000 logits takes some
//! tens of microseconds, against milliseconds of a step; so the card waits for less than a hand-over would cost. Which
//! tokens a grammar allows takes longer: that is computed elsewhere, while the card computes (`guide`).

use std::time::{Duration, Instant};

use super::card::{CardModel, CardSequence, Fault, StreamText};
use super::error::EngineError;
use super::guide::{Guide, MaskWorker};
use super::pooled::{Pooled, check_states};
use super::request::{DoneReason, GenerateOptions, TokenLogprob};
use super::sampler::{LogProbs, Sampler, SamplerError};
use crate::device::CancelFlag;
use crate::text::{StopMatcher, ThoughtLimit, TokenId};

/// Upper bound of an answer without `num_predict`, in contexts.
const UNLIMITED_CONTEXTS: usize = 10;
/// Tokens at the end of an answer that are looked at for a loop.
const LOOP_TAIL: usize = 256;
/// Longest loop that is found, in tokens.
const MAX_LOOP: usize = 64;

/// One answer in the making.
pub(crate) struct Run<M: CardModel> {
    sequence: M::Sequence,
    /// The prompt, then what was generated, without an end token and without what was forgotten.
    tokens: Vec<TokenId>,
    /// The first of them, those that are computed in chunks before the next token is chosen.
    chunked: usize,
    /// Most tokens of a chunk.
    chunk_len: usize,
    /// Tokens of the prompt, forgotten or not.
    prompt_len: usize,
    /// What was generated, forgotten or not, without an end token.
    generated: Vec<TokenId>,
    /// Tokens at the start that are never forgotten; `None` if the answer ends with the context.
    slide: Option<usize>,
    reused: usize,
    /// Tokens chosen so far, an end token included.
    eval_tokens: usize,
    limit: usize,
    logprobs: Option<usize>,
    sampler: Sampler,
    guide: Option<Guide>,
    text: M::Text,
    thoughts: Option<ThoughtLimit>,
    stops: StopMatcher,
    clock: Clock,
    /// Set where a vector of the prompt is wanted instead of an answer to it.
    pooled: Option<Pooled>,
}

/// When the phases of an answer began.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    prompt_began: Option<Instant>,
    prompt_ended: Option<Instant>,
}

/// What a step brought.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Text that may be shown now.
    pub(crate) text: String,
    /// One element per token chosen in this step, if asked for.
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// Set when the answer is complete.
    pub(crate) done: Option<DoneReason>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepError {
    /// The card, or the text side of the model.
    Fault(Fault),
    /// The logits cannot be sampled from; the keys and values behind them are suspect.
    Sampling(String),
    /// The hidden states are not numbers, so the keys and values behind them are as suspect.
    NotFinite,
    /// The answer cannot go on; the card has nothing to do with it.
    Answer(EngineError),
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<SamplerError> for StepError {
    fn from(error: SamplerError) -> Self {
        Self::Sampling(error.to_string())
    }
}

impl StepError {
    /// What the client is told.
    pub(crate) fn into_engine_error(self) -> EngineError {
        match self {
            Self::Fault(fault) => fault.into_step_error(),
            Self::Sampling(reason) => EngineError::Sampling(reason),
            Self::NotFinite => EngineError::NotFinite,
            Self::Answer(error) => error,
        }
    }
}

impl<M: CardModel> Run<M> {
    /// Prepares the answer to `prompt`, whose first `sequence.len()` tokens are on the card already.
    ///
    /// `prompt` must be longer than that: the logits of its last token have to be computed.
    pub(crate) fn new(
        model: &M,
        sequence: M::Sequence,
        prompt: Vec<TokenId>,
        options: GenerateOptions,
        masks: &mut MaskWorker,
    ) -> Self {
        let sizes = model.sizes();
        let mut sampler = Sampler::new(options.sampling, sizes.vocab, sizes.context_len);
        for &token in &prompt {
            sampler.accept(token);
        }
        let unlimited = sizes.context_len.saturating_mul(UNLIMITED_CONTEXTS);
        Self {
            chunked: prompt.len(),
            chunk_len: sizes.chunk_len,
            prompt_len: prompt.len(),
            generated: Vec::new(),
            slide: options.slide,
            reused: sequence.len(),
            sequence,
            tokens: prompt,
            eval_tokens: 0,
            limit: usize::try_from(options.num_predict).unwrap_or(unlimited),
            logprobs: options.logprobs,
            sampler,
            guide: options.grammar.map(|grammar| masks.begin(grammar)),
            text: model.stream_text(&options.spelled),
            thoughts: options.thoughts,
            stops: StopMatcher::new(options.stop),
            clock: Clock::default(),
            pooled: None,
        }
    }

    /// The same prompt, to be turned into a vector.
    pub(crate) fn pooled(self, pooled: Pooled) -> Self {
        Self { pooled: Some(pooled), limit: 0, ..self }
    }

    /// Whether there is more to compute in chunks: of the prompt, or of what stays of a full context.
    fn in_chunks(&self) -> bool {
        self.sequence.len() < self.chunked
    }

    /// Whether a step would not have to wait for the grammar.
    pub(crate) fn is_ready(&mut self) -> bool {
        let rest = self.chunked.saturating_sub(self.sequence.len());
        rest > self.chunk_len || self.guide.as_mut().is_none_or(Guide::is_ready)
    }

    /// Computes one chunk of the prompt or one token. `logits` holds one value per token of the vocabulary.
    pub(crate) fn step(
        &mut self,
        model: &M,
        logits: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<Output, StepError> {
        if self.in_chunks() {
            self.clock.prompt_began.get_or_insert_with(Instant::now);
            let complete = self.prompt_step(model, logits, cancel)?;
            if !complete {
                return Ok(Output::default());
            }
            self.clock.prompt_ended.get_or_insert_with(Instant::now);
            if let Some(pooled) = self.pooled.take() {
                pooled.finish();
            }
            if self.limit == 0 {
                return Ok(Output { done: Some(DoneReason::Length), ..Output::default() });
            }
        } else {
            let token = self.tokens[self.sequence.len()];
            self.sequence.decode(token, logits, cancel)?;
        }
        self.choose(model, logits, cancel)
    }

    /// True when the last token of them is computed and `logits` are those after it.
    fn prompt_step(&mut self, model: &M, logits: &mut [u16], cancel: &CancelFlag) -> Result<bool, StepError> {
        let first = self.sequence.len();
        let rest = &self.tokens[first..self.chunked];
        let chunk_len = self.chunk_len;
        let is_last = rest.len() <= chunk_len;
        if let Some(pooled) = self.pooled.as_mut().filter(|pooled| pooled.wants(first, is_last)) {
            let chunk = &rest[..rest.len().min(chunk_len)];
            let hidden = model.sizes().hidden;
            self.sequence.prefill_hidden(chunk, pooled.room(chunk.len() * hidden), cancel)?;
            pooled.take_in(first, hidden, model.final_norm())?;
            return Ok(is_last);
        }
        if !is_last {
            let (chunk, next) = rest.split_at(chunk_len);
            self.sequence.prefill_before(chunk, &next[..next.len().min(chunk_len)], cancel)?;
            return Ok(false);
        }
        if self.limit > 0 {
            self.sequence.prefill(rest, Some(logits), cancel)?;
        } else {
            // No token is chosen, which would show whether what is kept for later prompts can be right.
            let mut states = vec![0; rest.len() * model.sizes().hidden];
            self.sequence.prefill_hidden(rest, &mut states, cancel)?;
            check_states(&states)?;
        }
        Ok(true)
    }

    /// Takes the next token out of the logits and turns it into text.
    fn choose(&mut self, model: &M, logits: &mut [u16], cancel: &CancelFlag) -> Result<Output, StepError> {
        let mut forced = self.thoughts.as_ref().and_then(ThoughtLimit::forced);
        if let Some(guide) = &mut self.guide {
            if !guide.wait(cancel).map_err(StepError::Answer)? {
                return Err(StepError::Fault(Fault::Cancelled));
            }
            // Where the thoughts are over by the grammar's account there is nothing left to end.
            if forced.take_if(|token| !guide.allows(*token)).is_some() {
                self.thoughts = None;
            }
        }
        let token = match (forced, &mut self.guide) {
            (Some(token), _) => token,
            (None, None) => self.sampler.sample(logits)?,
            (None, Some(guide)) => {
                // Log-probabilities are those of the model, whatever the grammar rules out.
                let kept = self.logprobs.is_some();
                self.sampler.sample(guide.mask(logits, kept).map_err(StepError::Answer)?)?
            }
        };
        self.sampler.accept(token);
        self.eval_tokens += 1;
        if model.is_end(token) {
            return Ok(self.finish(Output::default(), DoneReason::Stop));
        }
        self.tokens.push(token);
        self.generated.push(token);
        let complete = match &mut self.guide {
            None => false,
            Some(guide) => guide.accept(token).map_err(StepError::Answer)?,
        };
        let mut output = Output::default();
        if let Some(count) = self.logprobs {
            output.logprobs.push(token_logprob(model, logits, token, count)?);
        }
        let piece = self.text.push(token);
        if let Some(thoughts) = &mut self.thoughts {
            thoughts.accept(&piece);
        }
        let outcome = self.stops.push(&piece);
        output.text = outcome.text_to_emit;
        if outcome.stopped {
            output.done = Some(DoneReason::Stop);
            return Ok(output);
        }
        if complete {
            return Ok(self.finish(output, DoneReason::Stop));
        }
        // The token chosen last needs a cell of its own before the next can be computed.
        let context_len = model.sizes().context_len;
        let is_full = self.sequence.len() >= context_len;
        if self.eval_tokens >= self.limit || (is_full && !self.forget(context_len)) {
            return Ok(self.finish(output, DoneReason::Length));
        }
        Ok(output)
    }

    /// Makes room in a full context: half of what need not stay goes. False if nothing may go.
    fn forget(&mut self, context_len: usize) -> bool {
        let Some(keep) = self.slide else { return false };
        let keep = keep.min(context_len / 2);
        let forgotten = (context_len - keep) / 2;
        if forgotten == 0 || is_loop(&self.generated) {
            return false;
        }
        self.tokens.drain(keep..keep + forgotten);
        self.sequence.truncate(keep);
        self.chunked = self.tokens.len();
        true
    }

    /// Releases the text held back. It may turn out to hold a stop text that was only now complete.
    fn finish(&mut self, mut output: Output, reason: DoneReason) -> Output {
        let rest = self.text.finish();
        let outcome = self.stops.push(&rest);
        output.text.push_str(&outcome.text_to_emit);
        if outcome.stopped {
            output.done = Some(DoneReason::Stop);
        } else {
            output.text.push_str(&self.stops.finish());
            output.done = Some(reason);
        }
        output
    }

    pub(crate) fn prompt_len(&self) -> usize {
        self.prompt_len
    }

    pub(crate) fn reused(&self) -> usize {
        self.reused
    }

    pub(crate) fn eval_tokens(&self) -> usize {
        self.eval_tokens
    }

    /// Time for which the card waited because of the grammar.
    pub(crate) fn grammar_time(&self) -> Duration {
        let spent = self.guide.as_ref().map(Guide::spent).unwrap_or_default();
        spent.waiting + spent.applying
    }

    /// Tokens generated so far, without an end token.
    pub(crate) fn generated(&self) -> &[TokenId] {
        &self.generated
    }

    /// Time spent on the prompt, and on the answer until now. Never zero once the phase has begun.
    pub(crate) fn durations(&self) -> (Duration, Duration) {
        let least = Duration::from_nanos(1);
        let Some(began) = self.clock.prompt_began else { return (Duration::ZERO, Duration::ZERO) };
        let Some(ended) = self.clock.prompt_ended else {
            return (began.elapsed().max(least), Duration::ZERO);
        };
        (ended.duration_since(began).max(least), ended.elapsed().max(least))
    }

    /// The sequence, with the tokens whose keys and values are written in it: what a later prompt may reuse.
    pub(crate) fn into_sequence(mut self) -> (M::Sequence, Vec<TokenId>) {
        self.tokens.truncate(self.sequence.len());
        (self.sequence, self.tokens)
    }
}

/// Whether an answer has come to repeat itself, token by token.
fn is_loop(generated: &[TokenId]) -> bool {
    let Some(start) = generated.len().checked_sub(LOOP_TAIL) else { return false };
    let tail = &generated[start..];
    (1..=MAX_LOOP).any(|length| tail[length..] == tail[..LOOP_TAIL - length])
}

fn token_logprob<M: CardModel>(
    model: &M,
    logits: &[u16],
    token: TokenId,
    count: usize,
) -> Result<TokenLogprob, SamplerError> {
    let element = |id, logprob| TokenLogprob { id, token: model.token_text(id), logprob, top: Vec::new() };
    let all = LogProbs::new(logits)?;
    let top = all.top(count).into_iter().map(|(id, logprob)| element(id, logprob)).collect();
    Ok(TokenLogprob { top, ..element(token, all.of(token)) })
}
