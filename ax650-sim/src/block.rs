//! One allocation: aligned host memory, and which part of it was never written.
//!
//! On a real card a NaN in a cache row poisons attention even where the mask hides the row. The arithmetic
//! of the software card does not read hidden rows, so the damage would not show; that is why a run which
//! reads never written memory is noticed here. That costs time, and memory for the NaN: a card that is not strict has
//! zeros instead, which take no memory of the host until something else is written.

use std::cell::Cell;
use std::ops::Range;

use crate::board::cache::Cache;
use crate::lent::Lent;

/// Alignment of every allocation, in bytes: what the vendor's own programs ask for.
pub const ALIGNMENT: u64 = 128;

/// One aligned unit of backing store.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(128))]
pub(crate) struct Line([u8; 128]);

/// Contents of fresh memory: NaN as bf16 and as f32, and an impossible index.
const FILL: u8 = 0xFF;

impl Line {
    const NAN: Self = Self([FILL; 128]);
}

const LINE: usize = size_of::<Line>();
const _: () = assert!(LINE as u64 == ALIGNMENT && align_of::<Line>() == LINE);

/// An aligned, NaN-filled buffer of at least `bytes`, or `None` if the host has no memory for it.
pub(crate) fn lines(bytes: u64) -> Option<Box<[Line]>> {
    let count = usize::try_from(bytes.div_ceil(ALIGNMENT)).ok()?;
    let mut lines = Vec::new();
    lines.try_reserve_exact(count).ok()?;
    lines.resize(count, Line::NAN);
    Some(lines.into_boxed_slice())
}

/// Who reaches an allocation besides the card, and how.
#[derive(Debug)]
pub(crate) enum View {
    /// Nobody: the host copies to and from it by calls.
    Card,
    /// The CPU, at the address of the memory itself: what either side writes is there for both.
    Shared,
    /// The CPU, through a cache.
    Cached(Cache),
}

/// What zeroed memory is made of: the largest alignment at which the system hands out zeroed pages untouched.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(16))]
struct Unit([u8; 16]);

const UNIT: usize = size_of::<Unit>();

/// Backing store of a block.
#[derive(Debug)]
struct Store {
    units: Lent<Unit>,
    /// Bytes before the first one that is aligned to a line.
    skipped: usize,
}

impl Store {
    /// Zeroed memory of at least `bytes` in whole lines, or `None` if the host has none.
    fn new(bytes: u64) -> Option<Self> {
        let lines = usize::try_from(bytes.div_ceil(ALIGNMENT)).ok()?;
        let count = lines.checked_mul(LINE / UNIT)?.checked_add(LINE / UNIT - 1)?;
        let units = Lent::new(bytemuck::allocation::try_zeroed_slice_box(count).ok()?);
        let skipped = units.address().next_multiple_of(LINE) - units.address();
        Some(Self { units, skipped })
    }

    fn address(&self) -> usize {
        self.units.address() + self.skipped
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.units.bytes(self.skipped + range.start..self.skipped + range.end)
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.units.bytes_mut(self.skipped + range.start..self.skipped + range.end)
    }

    fn copy_within(&mut self, source: Range<usize>, target: usize) {
        self.units.copy_within(self.skipped + source.start..self.skipped + source.end, self.skipped + target);
    }
}

/// An allocation of `len` bytes.
#[derive(Debug)]
pub(crate) struct Block {
    memory: Store,
    len: u64,
    view: View,
    /// Whether every byte is certainly zero.
    zero: bool,
    /// One bit per line that was never written, and how many are left; the bits go when none is.
    fresh: Box<[Cell<u64>]>,
    fresh_lines: Cell<usize>,
}

impl Block {
    /// Fresh memory that only the card reaches, or `None` if the host has none: full of NaN and watched for reads of
    /// what was never written if `strict`, else full of zeros.
    pub(crate) fn new(len: u64, strict: bool) -> Option<Self> {
        let memory = Store::new(len)?;
        let (view, fresh, fresh_lines) = (View::Card, Box::default(), Cell::new(0));
        let mut block = Self { memory, len, view, zero: true, fresh, fresh_lines };
        if strict {
            let lines = usize::try_from(len.div_ceil(ALIGNMENT)).ok()?;
            block.bytes_mut(0, lines * LINE).fill(FILL);
            block.fresh = vec![Cell::new(u64::MAX); lines.div_ceil(64)].into_boxed_slice();
            block.fresh_lines.set(lines);
        }
        Some(block)
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Lets the CPU at the memory directly.
    pub(crate) fn share(&mut self) {
        self.zero = false;
        self.view = View::Shared;
    }

    /// Gives the CPU a cached view, if it has none yet; returns whether the host has memory for it.
    pub(crate) fn add_cache(&mut self) -> bool {
        if !matches!(self.view, View::Cached(_)) {
            let Some(cache) = Cache::new(self.all()) else { return false };
            self.view = View::Cached(cache);
        }
        true
    }

    /// Host address of the memory itself.
    pub(crate) fn memory_address(&self) -> u64 {
        self.memory.address() as u64
    }

    /// The bytes from `start` to `end`, which lie inside.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &[u8] {
        self.memory.bytes(start..end)
    }

    /// The bytes from `start` to `end`, which lie inside and count as written afterwards.
    pub(crate) fn bytes_mut(&mut self, start: usize, end: usize) -> &mut [u8] {
        self.zero = false;
        self.mark_written(start, end);
        self.memory.bytes_mut(start..end)
    }

    /// Fills the bytes from `start` to `end`, which lie inside. Zeros over zeros take no memory of the host.
    pub(crate) fn fill(&mut self, start: usize, end: usize, value: u8) {
        if !(self.zero && value == 0) {
            self.bytes_mut(start, end).fill(value);
        }
    }

    /// Copies `source` (which lies inside) to `target`.
    pub(crate) fn copy_within(&mut self, source: Range<usize>, target: usize) {
        if self.zero {
            return;
        }
        self.mark_written(target, target + source.len());
        self.memory.copy_within(source, target);
    }

    /// Writes dirty lines of the CPU's cache that touch `range` to the memory. Without a cache nothing happens.
    pub(crate) fn flush(&mut self, range: Range<usize>) {
        let View::Cached(cache) = &mut self.view else { return };
        for line in cache.flush(self.memory.bytes_mut(cache.lines(&range)), range) {
            self.mark_written(line.start, line.end);
        }
    }

    /// Makes the CPU's cache see the memory in the lines that touch `range`. Without a cache nothing happens.
    pub(crate) fn invalidate(&mut self, range: Range<usize>) {
        let View::Cached(cache) = &mut self.view else { return };
        for line in cache.invalidate(self.memory.bytes_mut(cache.lines(&range)), range) {
            self.mark_written(line.start, line.end);
        }
    }

    /// Offset of the first byte's line in `range` that the CPU wrote and did not flush.
    pub(crate) fn first_dirty(&self, range: Range<usize>) -> Option<usize> {
        match &self.view {
            View::Cached(cache) => cache.first_dirty(range),
            View::Card | View::Shared => None,
        }
    }

    /// Whether a line between `start` and `end` was never written to. A line that was written in part counts as
    /// written. The CPU writes unseen: memory that it reaches is fresh as long as it holds what it was filled with.
    pub(crate) fn is_fresh(&self, start: usize, end: usize) -> bool {
        if self.fresh_lines.get() == 0 || start >= end {
            return false;
        }
        let lines = start / LINE..end.div_ceil(LINE);
        if !matches!(self.view, View::Card) {
            self.find_written(lines.clone());
        }
        self.fresh_lines.get() > 0 && lines.into_iter().any(|line| self.is_fresh_line(line))
    }

    fn is_fresh_line(&self, line: usize) -> bool {
        self.fresh.get(line / 64).is_some_and(|word| word.get() >> (line % 64) & 1 == 1)
    }

    /// Marks the lines that no longer hold their first contents.
    fn find_written(&self, lines: Range<usize>) {
        for line in lines {
            let memory = self.memory.bytes(line * LINE..(line + 1) * LINE);
            if self.is_fresh_line(line) && memory.iter().any(|&byte| byte != FILL) {
                self.mark_written(line * LINE, line * LINE + 1);
            }
        }
    }

    fn mark_written(&self, start: usize, end: usize) {
        if self.fresh_lines.get() == 0 || start == end {
            return;
        }
        for line in start / LINE..end.div_ceil(LINE) {
            let (word, bit) = (&self.fresh[line / 64], 1 << (line % 64));
            self.fresh_lines.set(self.fresh_lines.get() - usize::from(word.get() & bit != 0));
            word.set(word.get() & !bit);
        }
    }

    fn all(&self) -> &[u8] {
        self.bytes(0, self.byte_count())
    }

    /// The length, which has been allocated and therefore is one of memory.
    fn byte_count(&self) -> usize {
        usize::try_from(self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_fresh_until_touched() {
        let mut block = Block::new(1000, true).unwrap();
        assert!(block.is_fresh(0, 1) && block.is_fresh(999, 1000) && !block.is_fresh(5, 5));
        block.bytes_mut(130, 140).fill(0);
        assert!(!block.is_fresh(128, 256) && block.is_fresh(127, 256) && block.is_fresh(128, 257));
        block.copy_within(128..256, 256);
        assert!(!block.is_fresh(128, 384));
        block.bytes_mut(0, 1000).fill(0);
        assert!(!block.is_fresh(0, 1000));
        block.bytes_mut(0, 1000).fill(0);
    }

    #[test]
    fn memory_that_is_not_watched_is_zero_and_aligned() {
        for len in [1, 128, 1000] {
            let mut block = Block::new(len, false).unwrap();
            let end = usize::try_from(len).unwrap();
            assert_eq!(block.memory_address() % ALIGNMENT, 0);
            assert!(!block.is_fresh(0, end) && block.bytes(0, end).iter().all(|&byte| byte == 0));
            block.fill(0, end, 0);
            assert!(block.zero);
            block.fill(end - 1, end, 9);
            block.fill(0, end - 1, 0);
            assert_eq!(block.bytes(0, end).iter().map(|&byte| u32::from(byte)).sum::<u32>(), 9);
        }
    }

    #[test]
    fn shared_lines_are_fresh_until_their_contents_change() {
        let mut block = Block::new(300, true).unwrap();
        block.share();
        assert!(block.is_fresh(0, 300));
        block.memory.bytes_mut(140..141).fill(0);
        assert!(!block.is_fresh(128, 256) && block.is_fresh(0, 128));
    }

    #[test]
    fn a_cached_line_is_written_when_it_is_flushed() {
        let mut block = Block::new(300, true).unwrap();
        assert!(block.add_cache());
        let View::Cached(cache) = block.view() else { panic!("no cache") };
        let cpu = std::ptr::with_exposed_provenance_mut::<u8>(cache.address() + 10);
        // SAFETY: the view has 300 bytes and nothing borrows them.
        unsafe { cpu.write(7) };
        assert_eq!((block.first_dirty(0..300), block.bytes(10, 11)), (Some(0), &[FILL][..]));
        assert!(block.is_fresh(0, 128));
        block.flush(0..300);
        assert_eq!((block.first_dirty(0..300), block.bytes(10, 11)), (None, &[7][..]));
        assert!(!block.is_fresh(0, 128) && block.is_fresh(0, 129));
    }
}
