//! Whose step is next.
//!
//! Requests take turns, one step each: a chunk of a prompt or a token of an answer. A request that has just begun
//! goes first, so that its prompt does not wait for a round of the others; from then on it takes its turn like them.
//! A chunk lasts as long as some tens of tokens, so while a prompt is computed the answers beside it slow down but do
//! not stand still, and the prompt has nearly the whole card. No request can be passed over for ever: each turn
//! of another one moves it forward. One that cannot use its turn yet, because of its client or its grammar, keeps its
//! place while others take theirs.

use std::collections::VecDeque;

/// The running requests in the order of their turns.
#[derive(Debug)]
pub(crate) struct Turns<T>(VecDeque<T>);

impl<T> Turns<T> {
    pub(crate) fn new() -> Self {
        Self(VecDeque::new())
    }

    /// A new request: its turn is next.
    pub(crate) fn begin(&mut self, item: T) {
        self.0.push_front(item);
    }

    /// A request that has had its turn: it is last.
    pub(crate) fn requeue(&mut self, item: T) {
        self.0.push_back(item);
    }

    /// Takes out the first request that is ready; those before it keep their places.
    pub(crate) fn next_ready(&mut self, ready: impl FnMut(&mut T) -> bool) -> Option<T> {
        let index = self.0.iter_mut().position(ready)?;
        self.0.remove(index)
    }

    /// Takes out all requests that match, in the order of their turns.
    pub(crate) fn take_where(&mut self, matches: impl Fn(&T) -> bool) -> Vec<T> {
        let (taken, kept) = std::mem::take(&mut self.0).into_iter().partition::<Vec<_>, _>(matches);
        self.0 = kept.into();
        taken
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_request_goes_first_and_then_takes_turns() {
        let mut turns = Turns::new();
        turns.begin('a');
        turns.begin('b');
        let mut order = String::new();
        for round in 0..6 {
            if round == 3 {
                turns.begin('c');
            }
            let item = turns.next_ready(|_| true).unwrap();
            order.push(item);
            turns.requeue(item);
        }
        assert_eq!(order, "babcab");
    }

    #[test]
    fn one_that_is_not_ready_keeps_its_place() {
        let mut turns = Turns::new();
        for item in ['a', 'b', 'c'] {
            turns.requeue(item);
        }
        assert_eq!(turns.next_ready(|item| *item != 'a'), Some('b'));
        assert_eq!(turns.next_ready(|_| true), Some('a'));
        assert_eq!(turns.next_ready(|_| false), None);
    }
}
