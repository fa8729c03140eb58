//! Models on the card: which are there, since when they idle, which has to go.
//!
//! A model stays for its keep-alive after the last request on it has ended. When the card has no room for another
//! model, the one idle longest goes; a busy one is never taken from under its requests. Each model has its
//! sequences: those at rest remember which tokens they hold, so that the next prompt can continue where it agrees.

use std::sync::Arc;
use std::time::Instant;

use super::card::{CardModel, CardSequence, Fault};
use super::keep_alive::KeepAlive;
use crate::models::model::Model;
use crate::text::TokenId;

/// A sequence that no request uses, and the tokens it holds.
struct Resting<S> {
    sequence: S,
    tokens: Vec<TokenId>,
    since: Instant,
}

/// A model on the card.
pub(crate) struct Resident<M: CardModel> {
    // Dropped in this order: sequences before the model they belong to.
    resting: Vec<Resting<M::Sequence>>,
    pub(crate) card_model: M,
    /// As it was named by the request that came last.
    pub(crate) model: Arc<Model>,
    keep_alive: KeepAlive,
    /// Requests that run on this model now.
    running: usize,
    /// Sequences there may be; lowered when the card has no memory for one more.
    most_sequences: usize,
    idle_since: Instant,
    /// Vendor calls that failed on this model since one succeeded.
    strikes: u32,
}

/// Number of failed calls in a row after which a model is taken off the card.
const STRIKES: u32 = 2;

impl<M: CardModel> Resident<M> {
    pub(crate) fn new(
        model: Arc<Model>,
        card_model: M,
        keep_alive: KeepAlive,
        most_sequences: usize,
        now: Instant,
    ) -> Self {
        Self {
            resting: Vec::new(),
            card_model,
            model,
            keep_alive,
            running: 0,
            most_sequences: most_sequences.max(1),
            idle_since: now,
            strikes: 0,
        }
    }

    /// Whether this is the model that a request means.
    pub(crate) fn is(&self, model: &Model) -> bool {
        same_model(&self.model, model)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running == 0
    }

    pub(crate) fn set_keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        if let Some(keep_alive) = keep_alive {
            self.keep_alive = keep_alive;
        }
    }

    pub(crate) fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// Lets the keep-alive begin anew, as every use of the model does.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.idle_since = now;
    }

    /// When the model has to go; `None` while requests run on it, or if it stays forever.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match self.keep_alive {
            KeepAlive::For(duration) if self.running == 0 => self.idle_since.checked_add(duration),
            _ => None,
        }
    }

    /// Sequences of this model on the card.
    pub(crate) fn sequences(&self) -> usize {
        self.resting.len() + self.running
    }

    /// Bytes of card memory of the model itself.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.card_model.sizes().memory_bytes
    }

    /// A sequence for `prompt`, holding as many of its leading tokens as can be reused, but never the last one: its
    /// logits have to be computed. `Ok(None)`: there is no memory for one more now, wait for one in use.
    ///
    /// Of the sequences at rest the one that agrees longest is taken, the one at rest longest among equals. A new one
    /// is made only when none is at rest: memory follows the number of requests at a time, not of conversations.
    pub(crate) fn take_sequence(&mut self, prompt: &[TokenId]) -> Result<Option<M::Sequence>, Fault> {
        let most_reused = prompt.len().saturating_sub(1);
        let best = self
            .resting
            .iter()
            .enumerate()
            .map(|(index, resting)| (common_prefix(&resting.tokens, prompt).min(most_reused), index))
            .max_by_key(|&(length, index)| (length, std::cmp::Reverse(self.resting[index].since)));
        if let Some((length, index)) = best {
            let mut sequence = self.resting.swap_remove(index).sequence;
            sequence.truncate(length);
            self.running += 1;
            return Ok(Some(sequence));
        }
        if self.running >= self.most_sequences {
            return Ok(None);
        }
        match self.card_model.new_sequence() {
            Ok(sequence) => {
                self.running += 1;
                Ok(Some(sequence))
            }
            Err(Fault::OutOfMemory(reason)) if self.running > 0 => {
                tracing::info!(model = %self.model.name, sequences = self.running, reason, "no memory for one more sequence");
                self.most_sequences = self.running;
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    /// A request has ended and its sequence may be reused: `tokens` are those written in it.
    pub(crate) fn rest_sequence(&mut self, sequence: M::Sequence, tokens: Vec<TokenId>, now: Instant) {
        debug_assert_eq!(sequence.len(), tokens.len(), "a sequence remembers exactly what is written in it");
        self.resting.push(Resting { sequence, tokens, since: now });
        self.end_run(now);
    }

    /// A request has ended, its sequence is gone with it.
    pub(crate) fn end_run(&mut self, now: Instant) {
        self.running = self.running.saturating_sub(1);
        self.idle_since = now;
    }

    /// A step on this model succeeded.
    pub(crate) fn note_success(&mut self) {
        self.strikes = 0;
    }

    /// A call failed on this model. True when it has to be taken off the card.
    pub(crate) fn note_failure(&mut self) -> bool {
        self.strikes += 1;
        self.strikes >= STRIKES
    }
}

/// All models on the card.
pub(crate) struct Residents<M: CardModel> {
    list: Vec<Resident<M>>,
}

impl<M: CardModel> Residents<M> {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Resident<M>> {
        self.list.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&mut self, model: &Model) -> Option<&mut Resident<M>> {
        self.list.iter_mut().find(|resident| resident.is(model))
    }

    pub(crate) fn add(&mut self, resident: Resident<M>) {
        self.list.push(resident);
    }

    /// Takes a model off the card, whether or not requests run on it. False if it was not there.
    pub(crate) fn remove(&mut self, model: &Model) -> bool {
        let before = self.list.len();
        self.list.retain(|resident| !resident.is(model));
        self.list.len() < before
    }

    /// Has a model go as soon as it is idle, and what bore its name before. False if there is none.
    pub(crate) fn let_go(&mut self, model: &Model) -> bool {
        let mut found = false;
        for resident in self.list.iter_mut().filter(|resident| goes_with(&resident.model, model)) {
            resident.keep_alive = KeepAlive::NOW;
            found = true;
        }
        found
    }

    /// Takes all models off the card.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// Takes the model that idles longest off the card, an outdated one of the same name first. False if all are busy.
    pub(crate) fn evict_idle(&mut self, wanted: &Model) -> bool {
        let oldest = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, resident)| resident.is_idle())
            .min_by_key(|(_, resident)| (resident.model.name != wanted.name, resident.idle_since))
            .map(|(index, _)| index);
        let Some(index) = oldest else { return false };
        let resident = self.list.swap_remove(index);
        tracing::info!(model = %resident.model.name, wanted = %wanted.name, "unloading an idle model");
        true
    }

    /// Takes those models off the card whose keep-alive has run out.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.list.retain(|resident| {
            let stays = resident.expires_at().is_none_or(|end| end > now);
            if !stays {
                tracing::info!(model = %resident.model.name, "unloading a model whose keep-alive has run out");
            }
            stays
        });
    }

    /// When the next keep-alive runs out.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.list.iter().filter_map(Resident::expires_at).min()
    }

    /// Sequences of all models on the card.
    pub(crate) fn sequences(&self) -> usize {
        self.list.iter().map(Resident::sequences).sum()
    }
}

/// Whether two requests mean the same model on the card: the same files, whatever they are called and whatever else was
/// made of them. The store may open it twice.
pub(crate) fn same_model(a: &Model, b: &Model) -> bool {
    a.weights == b.weights
}

/// Whether a model in memory is meant when `model` is to be unloaded: it is the same by another name, or it had the
/// name before it was made anew.
pub(crate) fn goes_with(in_memory: &Model, model: &Model) -> bool {
    same_model(in_memory, model) || in_memory.name == model.name
}

fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
