//! The tokens still in the running, and the filters that thin them out.
//!
//! No filter sorts more than it must: what a probability mass needs is found by sorting ever longer beginnings.

use std::cmp::Ordering;

use super::{
    TokenId,
    math::{exp, float_of},
    penalties::Penalties,
    scan::{self, KEY_MASKED},
};

/// A token in the running.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    logit: f32,
    token: TokenId,
    /// What the filter at work orders or sums by.
    weight: f32,
}

/// Tokens in the running. Kept between steps for its memory.
///
/// Either all tokens in ascending order of their number, or some of them, best first: sums have a fixed order.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
}

/// Length of the first beginning that is sorted in search of a probability mass.
const FIRST_PREFIX: usize = 64;

impl Candidates {
    /// Takes the `limit` best tokens (0: all), after the penalties, leaving out those that are ruled out.
    ///
    /// At least one token must be possible.
    pub(super) fn fill(&mut self, logits: &[u16], limit: usize, penalties: &Penalties) {
        self.list.clear();
        if limit == 0 || limit >= logits.len() {
            let all = logits.iter().enumerate().filter(|&(_, &raw)| scan::key(raw) > KEY_MASKED);
            self.list.extend(all.map(|(index, &raw)| Candidate::from((scan::token(index), float_of(raw)))));
            for token in penalties.tokens() {
                if let Ok(place) = self.list.binary_search_by_key(&token, |candidate| candidate.token) {
                    let logit = &mut self.list[place].logit;
                    *logit = penalties.apply(token, *logit);
                }
            }
            return;
        }
        // A penalty may also be a bonus, so all penalised tokens come in, and so many of the others.
        let penalised = penalties.tokens().filter(|&token| (token as usize) < logits.len());
        let penalised =
            penalised.map(|token| (token, penalties.apply(token, float_of(logits[token as usize]))));
        self.list.extend(penalised.filter(|(_, logit)| *logit > f32::NEG_INFINITY).map(Candidate::from));
        self.list.extend(best_unpenalised(logits, limit, penalties).into_iter().map(Candidate::from));
        keep_first(&mut self.list, limit, best_first);
        self.list.sort_unstable_by(best_first);
    }

    /// Returns the best token, the lowest number among equals.
    pub(super) fn best(&self) -> TokenId {
        self.list.iter().min_by(|left, right| best_first(left, right)).map_or(0, |best| best.token)
    }

    /// Keeps the most typical tokens that together have more than the probability `mass`: those whose surprise is
    /// nearest to the expected one (Meister et al., 2022).
    pub(super) fn keep_typical(&mut self, mass: f32) {
        if mass >= 1.0 {
            return;
        }
        let (highest, total) = self.weigh(1.0);
        let log_total = total.ln();
        let surprise = |logit: f32| log_total - f64::from(logit - highest);
        let entropy: f64 = self
            .list
            .iter()
            .map(|candidate| f64::from(candidate.weight) / total * surprise(candidate.logit))
            .sum();
        for candidate in &mut self.list {
            #[expect(clippy::cast_possible_truncation, reason = "only the order matters")]
            let distance = (surprise(candidate.logit) - entropy).abs() as f32;
            candidate.weight = distance;
        }
        let most_typical_first = |left: &Candidate, right: &Candidate| {
            left.weight.total_cmp(&right.weight).then_with(|| best_first(left, right))
        };
        let wanted = f64::from(mass) * total;
        self.keep_mass(most_typical_first, |sum| sum > wanted, |candidate| exp(candidate.logit - highest));
    }

    /// Keeps the best tokens that together have at least the probability `mass`.
    pub(super) fn keep_top_p(&mut self, mass: f32) {
        if mass >= 1.0 {
            return;
        }
        let (_, total) = self.weigh(1.0);
        let wanted = f64::from(mass) * total;
        self.keep_mass(best_first, |sum| sum >= wanted, |candidate| candidate.weight);
    }

    /// Keeps the tokens that are at least `share` as probable as the best one.
    pub(super) fn keep_min_p(&mut self, share: f32) {
        if share <= 0.0 {
            return;
        }
        let share = share.min(1.0);
        self.weigh(1.0);
        self.list.retain(|candidate| candidate.weight >= share);
    }

    /// Draws a token at the given temperature (> 0); `unit` is a random number in [0, 1).
    pub(super) fn draw(&mut self, temperature: f32, unit: f64) -> TokenId {
        let (_, total) = self.weigh(temperature);
        let target = unit * total;
        let mut sum = 0.0;
        for candidate in &self.list {
            sum += f64::from(candidate.weight);
            if sum > target {
                return candidate.token;
            }
        }
        self.best()
    }

    /// Sets the weights to the probabilities at a temperature, relative to the best token's; returns the highest logit
    /// and the sum of the weights.
    fn weigh(&mut self, temperature: f32) -> (f32, f64) {
        let highest = self.list.iter().map(|candidate| candidate.logit).fold(f32::NEG_INFINITY, f32::max);
        let mut total = 0.0;
        for candidate in &mut self.list {
            candidate.weight = exp((candidate.logit - highest) / temperature);
            total += f64::from(candidate.weight);
        }
        (highest, total)
    }

    /// Keeps the first candidates in `order` up to and including the one with which `is_enough` holds for the sum of
    /// their probabilities; then sorts them, best first.
    fn keep_mass(
        &mut self,
        order: impl Fn(&Candidate, &Candidate) -> Ordering + Copy,
        is_enough: impl Fn(f64) -> bool,
        probability: impl Fn(&Candidate) -> f32,
    ) {
        let mut sum = 0.0;
        let mut done = 0;
        let mut prefix = FIRST_PREFIX;
        'search: while done < self.list.len() {
            let rest = &mut self.list[done..];
            let length = prefix.min(rest.len());
            if length < rest.len() {
                rest.select_nth_unstable_by(length - 1, order);
            }
            rest[..length].sort_unstable_by(order);
            for candidate in &rest[..length] {
                sum += f64::from(probability(candidate));
                done += 1;
                if is_enough(sum) {
                    break 'search;
                }
            }
            prefix *= 4;
        }
        self.list.truncate(done);
        self.list.sort_unstable_by(best_first);
    }
}

impl From<(TokenId, f32)> for Candidate {
    fn from((token, logit): (TokenId, f32)) -> Self {
        Self { logit, token, weight: 0.0 }
    }
}

/// The `limit` best tokens without a penalty, in no particular order, and their logits.
fn best_unpenalised(logits: &[u16], limit: usize, penalties: &Penalties) -> Vec<(TokenId, f32)> {
    let found = best_of(logits, limit, |token| !penalties.contains(token));
    found.into_iter().map(|(_, token)| (token, float_of(logits[token as usize]))).collect()
}

/// The `count` best tokens that are not ruled out, best first.
pub(super) fn best_tokens(logits: &[u16], count: usize) -> Vec<TokenId> {
    let mut found = best_of(logits, count, |_| true);
    found.sort_unstable_by(|&left, &right| key_order(left, right));
    found.into_iter().map(|(_, token)| token).collect()
}

/// Higher keys first, lower numbers first among equals.
fn key_order(left: (i16, TokenId), right: (i16, TokenId)) -> Ordering {
    right.0.cmp(&left.0).then(left.1.cmp(&right.1))
}

/// The keys and numbers of the `limit` best tokens that are wanted and not ruled out, in no particular order.
fn best_of(logits: &[u16], limit: usize, is_wanted: impl Fn(TokenId) -> bool) -> Vec<(i16, TokenId)> {
    let limit = limit.min(logits.len());
    if limit == 0 {
        return Vec::new();
    }
    let mut found: Vec<(i16, TokenId)> = Vec::with_capacity(2 * limit);
    let mut threshold = KEY_MASKED;
    scan::above(logits, threshold, |token, raw| {
        if is_wanted(token) {
            found.push((scan::key(raw), token));
            if found.len() == 2 * limit {
                keep_first(&mut found, limit, |&left, &right| key_order(left, right));
                // Tokens come in ascending order: a later one of the same logit loses to those found.
                threshold = found[limit - 1].0;
            }
        }
        threshold
    });
    keep_first(&mut found, limit, |&left, &right| key_order(left, right));
    found
}

/// Keeps the first `count` in the given order; the last of them stands last.
fn keep_first<T>(list: &mut Vec<T>, count: usize, order: impl Fn(&T, &T) -> Ordering) {
    if list.len() > count {
        list.select_nth_unstable_by(count - 1, order);
        list.truncate(count);
    }
}

/// Higher logits first, lower numbers first among equals.
fn best_first(left: &Candidate, right: &Candidate) -> Ordering {
    right.logit.total_cmp(&left.logit).then(left.token.cmp(&right.token))
}
