//! One allocation: aligned host memory, and which part of it was never written.
//!
//! On a real card a NaN in a cache row poisons attention even where the mask hides the row. The arithmetic
//! of the software card does not read hidden rows, so the damage would not show; that is why a run which
//! reads never written memory is noticed here.

/// Alignment of every allocation, in bytes: what the vendor's own programs ask for.
pub const ALIGNMENT: u64 = 128;

/// One aligned unit of backing store.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(128))]
pub(crate) struct Line([u8; 128]);

impl Line {
    /// Every byte 0xFF: NaN as bf16 and as f32, and an impossible index.
    const NAN: Self = Self([0xFF; 128]);
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

/// An allocation of `len` bytes.
pub(crate) struct Block {
    lines: Box<[Line]>,
    len: u64,
    /// One bit per line that was never written, and how many are left; the bits go when none is.
    fresh: Box<[u64]>,
    fresh_lines: usize,
}

impl Block {
    /// Fresh memory, or `None` if the host has none.
    pub(crate) fn new(len: u64) -> Option<Self> {
        let lines = lines(len)?;
        let fresh_lines = lines.len();
        let fresh = vec![u64::MAX; fresh_lines.div_ceil(64)].into_boxed_slice();
        Some(Self { lines, len, fresh, fresh_lines })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes from `start` to `end`, which lie inside.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> &[u8] {
        &bytemuck::cast_slice::<Line, u8>(&self.lines)[start..end]
    }

    /// The bytes from `start` to `end`, which lie inside and count as written afterwards.
    pub(crate) fn bytes_mut(&mut self, start: usize, end: usize) -> &mut [u8] {
        self.mark_written(start, end);
        &mut bytemuck::cast_slice_mut::<Line, u8>(&mut self.lines)[start..end]
    }

    /// Copies `source` (which lies inside) to `target`.
    pub(crate) fn copy_within(&mut self, source: std::ops::Range<usize>, target: usize) {
        self.mark_written(target, target + source.len());
        bytemuck::cast_slice_mut::<Line, u8>(&mut self.lines).copy_within(source, target);
    }

    /// Whether a line between `start` and `end` was never written to. A line that was written in part
    /// counts as written.
    pub(crate) fn is_fresh(&self, start: usize, end: usize) -> bool {
        self.fresh_lines > 0
            && start < end
            && (start / LINE..end.div_ceil(LINE)).any(|line| self.fresh[line / 64] >> (line % 64) & 1 == 1)
    }

    fn mark_written(&mut self, start: usize, end: usize) {
        if self.fresh_lines == 0 || start == end {
            return;
        }
        for line in start / LINE..end.div_ceil(LINE) {
            let (word, bit) = (&mut self.fresh[line / 64], 1 << (line % 64));
            self.fresh_lines -= usize::from(*word & bit != 0);
            *word &= !bit;
        }
        if self.fresh_lines == 0 {
            self.fresh = Box::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_fresh_until_touched() {
        let mut block = Block::new(1000).unwrap();
        assert!(block.is_fresh(0, 1) && block.is_fresh(999, 1000) && !block.is_fresh(5, 5));
        block.bytes_mut(130, 140).fill(0);
        assert!(!block.is_fresh(128, 256) && block.is_fresh(127, 256) && block.is_fresh(128, 257));
        block.copy_within(128..256, 256);
        assert!(!block.is_fresh(128, 384));
        block.bytes_mut(0, 1000).fill(0);
        assert!(!block.is_fresh(0, 1000));
        block.bytes_mut(0, 1000).fill(0);
    }
}
