//! Where each shape group is looked at.

use std::fmt;
use std::ops::RangeInclusive;

use ax650_sys::axloop as c;

use super::super::model::ShapeGroup;
use super::super::{Path, Paths};
use super::{Part, TAIL, parts_of};

/// Tokens in each decode group: a mask that is out of date is seen when the group is used again.
const TOKENS: usize = 2;

/// How rows are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// One by one, with the logits of each.
    Tokens,
    /// In one call, with the logits of the last.
    Prompt,
    /// In one call, with the hidden states of all.
    States,
}

/// Some rows behind a sequence of a length that leads to a certain group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) step: Step,
    /// Rows before it.
    pub(super) at: usize,
    /// Its own.
    pub(super) rows: usize,
    /// History of the smallest group that suffices; none where a prompt is behind the reach of all prefill groups and
    /// goes on as tokens.
    history: Option<usize>,
}

impl Probe {
    /// The sets of paths on which it is to be computed to know whether these ones are right: none where they have
    /// nothing to do. With a short tail, the few rows that replace a chunk would leave the chunk unseen.
    pub(super) fn sets(&self, paths: Paths) -> Vec<Paths> {
        let concerns = |part: Part| move |path: &Path| parts_of(*path).contains(&part);
        let those = |paths: Paths, part: Part| {
            Some(paths).filter(|paths| paths.iter().any(|path| concerns(part)(&path)))
        };
        if self.step == Step::Tokens || self.history.is_none() {
            return those(paths, Part::Tokens).into_iter().collect();
        }
        let chunk = those(paths - Path::ShortTail.into(), Part::Prompt);
        let is_short = self.rows <= c::AXL_SHORT_TAIL as usize;
        let tail = those(paths, Part::Tail).filter(|_| is_short);
        chunk.into_iter().chain(tail).collect()
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rows, .. } = self;
        match (self.step, self.history) {
            (Step::Tokens, Some(history)) => {
                write!(f, "{rows} tokens behind {at} (decode group of {history})")
            }
            (Step::Prompt | Step::States, Some(history)) => {
                write!(f, "{rows} rows of a prompt behind {at} (prefill group of {history})")
            }
            (_, None) => write!(f, "{rows} rows of a prompt behind {at} (behind all prefill groups)"),
        }
    }
}

/// Probes of every group that a sequence can come to, longest history first: what one writes, none of those after it
/// reads. `smallest` tells whether decode groups other than the largest are used.
///
/// Of a decode group the last cells. Of a prefill group a chunk that lacks one row of being full, at the longest
/// history for which it fits into the cache with its padding, so that its rows can be written in place and lie behind
/// what the group reads; and a few rows at the shortest, among what it reads. Of the chunk the hidden states are looked
/// at, from the last of which the head makes its logits; that it is given the right one, the few rows show.
pub(super) fn plan(groups: &[ShapeGroup], context: usize, smallest: bool) -> Vec<Probe> {
    let (decode, prefill): (Vec<ShapeGroup>, Vec<_>) = groups.iter().partition(|group| group.rows == 1);
    let largest = decode.len().saturating_sub(1);
    let decode = if smallest { &decode[..] } else { &decode[largest..] };
    let mut probes = Vec::new();
    for (history, lengths) in reached(decode, context) {
        let at = (lengths.end() + 1).saturating_sub(TOKENS).max(*lengths.start());
        let rows = lengths.end() + 1 - at;
        probes.push(Probe { step: Step::Tokens, at, rows, history: Some(history) });
    }
    let prompt = |step: Step, at: usize, rows: usize, history| Probe {
        step,
        at,
        rows: rows.min(context - at),
        history,
    };
    let chunk = prefill.first().map_or(0, |group| group.rows);
    for (history, lengths) in reached(&prefill, context) {
        let bottom = *lengths.start();
        let top = (*lengths.end()).min(context.saturating_sub(chunk)).max(bottom);
        probes.push(prompt(Step::Prompt, bottom, TAIL, Some(history)));
        probes.push(prompt(Step::States, top, chunk - 1, Some(history)));
    }
    if let Some(behind) = prefill.last().map(|group| group.history + 1).filter(|at| *at < context) {
        probes.push(prompt(Step::Prompt, behind, TAIL, None));
    }
    // At the same place the fewer rows first: where the mask then fails to grow, it shows.
    probes.sort_by_key(|probe| (std::cmp::Reverse(probe.at), probe.rows));
    probes
}

/// The groups, of ascending history, that some lengths of a sequence lead to, and these lengths.
fn reached(groups: &[ShapeGroup], context: usize) -> impl Iterator<Item = (usize, RangeInclusive<usize>)> {
    let mut first = 0;
    groups.iter().filter_map(move |group| {
        let last = group.history.min(context.checked_sub(1)?);
        let lengths = first..=last;
        first = first.max(last + 1);
        (!lengths.is_empty()).then_some((group.history, lengths))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(decode: &[usize], prefill: &[usize]) -> Vec<ShapeGroup> {
        let of = |rows| move |history: &usize| ShapeGroup { rows, history: *history };
        decode.iter().map(of(1)).chain(prefill.iter().map(of(128))).collect()
    }

    fn told(groups: &[ShapeGroup], context: usize, smallest: bool) -> Vec<String> {
        plan(groups, context, smallest).iter().map(Probe::to_string).collect()
    }

    #[test]
    fn every_group_of_a_published_ladder_is_visited_at_both_ends() {
        let groups = ladder(&[2559], &[0, 256, 512, 1024, 1536, 2048]);
        assert_eq!(
            told(&groups, 2559, true),
            [
                "2 tokens behind 2557 (decode group of 2559)",
                "2 rows of a prompt behind 2049 (behind all prefill groups)",
                "127 rows of a prompt behind 2048 (prefill group of 2048)",
                "2 rows of a prompt behind 1537 (prefill group of 2048)",
                "127 rows of a prompt behind 1536 (prefill group of 1536)",
                "2 rows of a prompt behind 1025 (prefill group of 1536)",
                "127 rows of a prompt behind 1024 (prefill group of 1024)",
                "2 rows of a prompt behind 513 (prefill group of 1024)",
                "127 rows of a prompt behind 512 (prefill group of 512)",
                "2 rows of a prompt behind 257 (prefill group of 512)",
                "127 rows of a prompt behind 256 (prefill group of 256)",
                "2 rows of a prompt behind 1 (prefill group of 256)",
                "2 rows of a prompt behind 0 (prefill group of 0)",
                "127 rows of a prompt behind 0 (prefill group of 0)",
            ]
        );
    }

    #[test]
    fn smaller_decode_groups_and_the_end_of_the_cache_are_visited() {
        let groups = ladder(&[128, 300], &[0, 128, 256, 300]);
        let all = told(&groups, 300, true);
        assert_eq!(
            all[..4],
            [
                "2 tokens behind 298 (decode group of 300)",
                "2 rows of a prompt behind 257 (prefill group of 300)",
                "43 rows of a prompt behind 257 (prefill group of 300)",
                "127 rows of a prompt behind 172 (prefill group of 256)",
            ]
        );
        assert!(all.contains(&"2 tokens behind 127 (decode group of 128)".to_owned()), "{all:?}");
        let without = told(&groups, 300, false);
        assert_eq!(without.len() + 1, all.len());
        assert_eq!(without[0], all[0]);
    }

    #[test]
    fn groups_that_nothing_leads_to_are_left_out_and_no_probe_leaves_the_cache() {
        for context in 1..300 {
            for groups in [
                ladder(&[100, 100, 101, 900], &[0, 0, 1, 2, 128, 128, 4000]),
                ladder(&[300], &[40, 41]),
                ladder(&[300], &[]),
                ladder(&[], &[]),
            ] {
                let probes = plan(&groups, context, true);
                for probe in &probes {
                    assert!(probe.rows > 0 && probe.at + probe.rows <= context, "{context}: {probe}");
                }
                assert!(probes.is_sorted_by_key(|probe| std::cmp::Reverse(probe.at)));
            }
        }
        assert_eq!(told(&ladder(&[10, 10, 20], &[]), 20, true).len(), 2);
    }

    #[test]
    fn a_probe_is_computed_on_what_has_to_do_with_it() {
        let probe = |step, rows, history| Probe { step, at: 9, rows, history };
        let short = Paths::from(Path::ShortTail);
        let chunk = probe(Step::States, 127, Some(128));
        let few = probe(Step::Prompt, 2, Some(128));
        let tokens = probe(Step::Tokens, 2, Some(300));
        let behind = probe(Step::Prompt, 2, None);
        assert_eq!(chunk.sets(Paths::ALL), [Paths::ALL - short]);
        assert_eq!(few.sets(Paths::ALL), [Paths::ALL - short, Paths::ALL]);
        assert_eq!(tokens.sets(Paths::ALL), [Paths::ALL]);
        assert_eq!(behind.sets(Paths::ALL), [Paths::ALL]);
        assert_eq!(few.sets(short), [short]);
        assert_eq!(chunk.sets(short), []);
        let in_place = Paths::from(Path::KvInPlace);
        assert_eq!((few.sets(in_place), behind.sets(in_place)), (vec![], vec![in_place]));
        assert_eq!(tokens.sets(Path::KvInPlacePrefill.into()), []);
    }
}
