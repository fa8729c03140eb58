//! The CPU's view of a cached block, as far apart from the memory as the vendor's rules allow it to be.
//!
//! On the board the NPU reads and writes memory behind the CPU's cache. What the CPU wrote reaches memory when
//! its line is flushed, what the NPU wrote reaches the CPU when the line is invalidated; until then either side
//! may or may not see the other. This model never lets a line through by chance: each omission shows.
//!
//! The CPU writes without a call, so which lines are dirty is found by comparing its view with what the view was
//! when it last agreed with memory. A line that the CPU wrote without changing a byte counts as clean.
//!
//! Lines are 64 bytes, those of the chip's Cortex-A55. A flush writes whole dirty lines, also over what the NPU wrote
//! beside the CPU's bytes. An invalidation throws dirty lines away, except where it covers a line only in part: those
//! are flushed first, as the arm64 routines of Linux do.

use std::ops::Range;

use crate::block::{self, Line};
use crate::lent::Lent;

/// Bytes of a line.
const LINE: usize = 64;

/// The cached view of one block.
#[derive(Debug)]
pub(crate) struct Cache {
    /// What the CPU sees and writes.
    view: Lent<Line>,
    /// The view when each line was last filled or flushed.
    clean: Box<[Line]>,
    len: usize,
}

impl Cache {
    /// A cache that agrees with `memory`, or `None` if the host has no memory for it.
    pub(crate) fn new(memory: &[u8]) -> Option<Self> {
        let (mut view, mut clean) = (block::lines(memory.len() as u64)?, block::lines(memory.len() as u64)?);
        for copy in [&mut view, &mut clean] {
            bytemuck::cast_slice_mut(copy)[..memory.len()].copy_from_slice(memory);
        }
        Some(Self { view: Lent::new(view), clean, len: memory.len() })
    }

    /// Address of the first byte of the view.
    pub(crate) fn address(&self) -> usize {
        self.view.address()
    }

    /// Writes the dirty lines that touch `range` to `memory`, which is that of [`Self::lines`]; returns what was
    /// written.
    pub(crate) fn flush(&mut self, memory: &mut [u8], range: Range<usize>) -> Vec<Range<usize>> {
        let first = self.lines(&range).start;
        self.write_back(memory, first, range)
    }

    /// As [`Self::flush`], to memory of which the byte `first` of the block is the first one.
    fn write_back(&mut self, memory: &mut [u8], first: usize, range: Range<usize>) -> Vec<Range<usize>> {
        let written: Vec<_> = self.dirty_lines(&range).collect();
        for line in &written {
            let target = &mut memory[line.start - first..line.end - first];
            target.copy_from_slice(self.view.bytes(line.clone()));
            self.clean_mut()[line.clone()].copy_from_slice(target);
        }
        written
    }

    /// Fills the lines that touch `range` from `memory`, as in [`Self::flush`]. Dirty ones are lost, except at the
    /// edges; returns the edges that had to be written to `memory`.
    pub(crate) fn invalidate(&mut self, memory: &mut [u8], range: Range<usize>) -> Vec<Range<usize>> {
        let mut written = Vec::new();
        let lines = self.lines(&range);
        for edge in [range.start, range.end] {
            if !edge.is_multiple_of(LINE) && edge < self.len {
                written.extend(self.write_back(memory, lines.start, edge..edge + 1));
            }
        }
        self.view.bytes_mut(lines.clone()).copy_from_slice(memory);
        self.clean_mut()[lines].copy_from_slice(memory);
        written
    }

    /// Offset of the first dirty line that touches `range`.
    pub(crate) fn first_dirty(&self, range: Range<usize>) -> Option<usize> {
        self.dirty_lines(&range).next().map(|line| line.start)
    }

    /// `range` extended to whole lines.
    pub(crate) fn lines(&self, range: &Range<usize>) -> Range<usize> {
        let start = range.start - range.start % LINE;
        start..range.end.next_multiple_of(LINE).min(self.len).max(start)
    }

    fn dirty_lines(&self, range: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<'_> {
        let clean = bytemuck::cast_slice::<Line, u8>(&self.clean);
        let end = self.len;
        let lines = self.lines(range).step_by(LINE).map(move |start| start..(start + LINE).min(end));
        lines.filter(move |line| self.view.bytes(line.clone()) != &clean[line.clone()])
    }

    fn clean_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The CPU writes `value` at `offset`.
    fn write(cache: &mut Cache, offset: usize, value: u8) {
        cache.view.bytes_mut(offset..offset + 1).fill(value);
    }

    fn read(cache: &Cache, offset: usize) -> u8 {
        cache.view.bytes(offset..offset + 1)[0]
    }

    fn flush(cache: &mut Cache, memory: &mut [u8], range: Range<usize>) -> Vec<Range<usize>> {
        cache.flush(&mut memory[cache.lines(&range)], range)
    }

    fn invalidate(cache: &mut Cache, memory: &mut [u8], range: Range<usize>) -> Vec<Range<usize>> {
        cache.invalidate(&mut memory[cache.lines(&range)], range)
    }

    #[test]
    fn writes_wait_for_a_flush_and_results_for_an_invalidation() {
        let mut memory = vec![0; 300];
        let mut cache = Cache::new(&memory).unwrap();
        write(&mut cache, 130, 1);
        assert_eq!((memory[130], cache.first_dirty(0..300)), (0, Some(128)));
        assert_eq!(cache.first_dirty(0..128), None);
        assert_eq!(flush(&mut cache, &mut memory, 191..192), vec![128..192; 1]);
        assert_eq!((memory[130], cache.first_dirty(0..300)), (1, None));

        memory[299] = 2;
        assert_eq!(read(&cache, 299), 0);
        assert_eq!(flush(&mut cache, &mut memory, 0..300), []);
        assert_eq!(memory[299], 2, "a clean line is not written back");
        assert_eq!(invalidate(&mut cache, &mut memory, 256..300), []);
        assert_eq!(read(&cache, 299), 2);
    }

    #[test]
    fn an_invalidation_throws_away_what_was_not_flushed() {
        let mut memory = vec![0; 256];
        let mut cache = Cache::new(&memory).unwrap();
        write(&mut cache, 70, 1);
        assert_eq!(invalidate(&mut cache, &mut memory, 64..128), []);
        assert_eq!((read(&cache, 70), memory[70]), (0, 0));
    }

    #[test]
    fn neighbours_in_a_partly_invalidated_line_are_kept() {
        let mut memory = vec![0; 256];
        let mut cache = Cache::new(&memory).unwrap();
        write(&mut cache, 64, 1);
        memory[100] = 9;
        assert_eq!(invalidate(&mut cache, &mut memory, 96..128), vec![64..128; 1]);
        assert_eq!((memory[64], read(&cache, 64)), (1, 1));
        assert_eq!(memory[100], 0, "the whole line was written, over what the NPU had put there");
    }
}
