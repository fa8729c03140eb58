//! One thing that does one piece of work at a time: the NPU, or one link.

use std::collections::VecDeque;

/// When it is free, and how long it was busy.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    free_ns: u64,
    busy_ns: u64,
    /// Begin and end of work that may not be over yet.
    ahead: VecDeque<(u64, u64)>,
}

impl Timeline {
    /// When everything that was added is over.
    pub(super) fn free_ns(&self) -> u64 {
        self.free_ns
    }

    /// Adds, at `now_ns`, work that begins at `begin_ns`, or later when it is free; returns the end.
    pub(super) fn add(&mut self, now_ns: u64, begin_ns: u64, duration_ns: u64) -> u64 {
        let begin = begin_ns.max(self.free_ns);
        self.forget(now_ns);
        self.free_ns = begin + duration_ns;
        self.busy_ns += duration_ns;
        self.ahead.push_back((begin, self.free_ns));
        self.free_ns
    }

    /// Adds, at `now_ns`, what lasts from `begin_ns` to `end_ns`, as far as it comes behind all that was added.
    pub(super) fn cover(&mut self, now_ns: u64, begin_ns: u64, end_ns: u64) {
        let begin = begin_ns.max(self.free_ns);
        self.add(now_ns, begin, end_ns.saturating_sub(begin));
    }

    /// Takes out what lies from `begin_ns` to `end_ns`, as far as that is ahead of `now_ns`.
    pub(super) fn cut(&mut self, now_ns: u64, begin_ns: u64, end_ns: u64) {
        let begin_ns = begin_ns.max(now_ns);
        if begin_ns >= end_ns || self.ahead.back().is_none_or(|&(_, end)| end <= begin_ns) {
            return;
        }
        let before = |&(begin, end): &(u64, u64)| (begin, end.min(begin_ns));
        let behind = |&(begin, end): &(u64, u64)| (begin.max(end_ns), end);
        let left = self.ahead.iter().flat_map(|part| [before(part), behind(part)]);
        let left: VecDeque<_> = left.filter(|(begin, end)| begin < end).collect();
        let length = |parts: &VecDeque<(u64, u64)>| parts.iter().map(|(begin, end)| end - begin).sum::<u64>();
        self.busy_ns -= length(&self.ahead) - length(&left);
        self.ahead = left;
    }

    /// How long it was busy until `now_ns`.
    pub(super) fn busy_ns(&mut self, now_ns: u64) -> u64 {
        self.forget(now_ns);
        let later: u64 = self.ahead.iter().map(|&(begin, end)| end - begin.max(now_ns)).sum();
        self.busy_ns - later
    }

    /// What ended before `now_ns` is over for good: time does not go back.
    fn forget(&mut self, now_ns: u64) {
        while self.ahead.front().is_some_and(|&(_, end)| end <= now_ns) {
            self.ahead.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_the_work_before_it() {
        let mut line = Timeline::default();
        assert_eq!(line.add(0, 10, 5), 15);
        assert_eq!(line.add(0, 12, 5), 20);
        assert_eq!(line.add(0, 30, 1), 31);
        assert_eq!(line.busy_ns(31), 11);
    }

    #[test]
    fn work_that_is_ahead_does_not_count_yet() {
        let mut line = Timeline::default();
        line.add(0, 10, 10);
        line.add(0, 20, 10);
        assert_eq!([5, 15, 20, 29, 40].map(|now| line.busy_ns(now)), [0, 5, 10, 19, 20]);
    }

    #[test]
    fn what_is_covered_counts_once_and_can_be_cut_out() {
        let mut line = Timeline::default();
        line.cover(0, 10, 20);
        line.cover(0, 15, 30);
        line.cover(0, 5, 12);
        assert_eq!(line.busy_ns(0), 0);
        line.cut(0, 18, 25);
        line.cut(0, 40, 50);
        line.cut(29, 20, 29);
        assert_eq!([12, 18, 25, 40].map(|now| line.busy_ns(now)), [2, 8, 8, 13]);
    }
}
