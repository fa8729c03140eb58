//! Memory of ours that C may read or write between calls: device memory with a host view, pinned host blocks,
//! structures that the engine owns.
//!
//! A `Box` promises the compiler that nobody else touches its contents. This memory makes no such promise: it is
//! held by its exposed address, and of it no more is borrowed than a call needs, for the length of that call: beside
//! that C may write, also on another thread.

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::slice;

/// A block of `T` that is freed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Lent<T> {
    address: usize,
    count: usize,
    owned: PhantomData<fn() -> T>,
}

impl<T> Lent<T> {
    pub(crate) fn new(contents: Box<[T]>) -> Self {
        let count = contents.len();
        let address = Box::into_raw(contents).cast::<T>().expose_provenance();
        Self { address, count, owned: PhantomData }
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// The first element, for C.
    pub(crate) fn pointer(&self) -> *mut T {
        ptr::with_exposed_provenance_mut(self.address)
    }
}

impl<T: bytemuck::Pod> Lent<T> {
    /// A range of the contents as they are now. C leaves it alone while the borrow lasts: it may not touch memory that
    /// one of its own calls is using.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        let (first, len) = self.part(range);
        // SAFETY: the range lies in the block, whose elements are initialised and live as long as `self`; they are
        // plain old data, so every byte is one also after C has written it.
        unsafe { slice::from_raw_parts(first, len) }
    }

    /// A range of the contents for writing, as in [`Self::bytes`].
    pub(crate) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        let (first, len) = self.part(range);
        // SAFETY: as in `bytes`; `self` is borrowed exclusively, and any bytes are elements.
        unsafe { slice::from_raw_parts_mut(first, len) }
    }

    /// Copies a range to `target`; they may overlap.
    pub(crate) fn copy_within(&mut self, source: Range<usize>, target: usize) {
        let (from, len) = self.part(source);
        let (to, _) = self.part(target..target.saturating_add(len));
        // SAFETY: both ranges lie in the block; `self` is borrowed exclusively, and any bytes are elements.
        unsafe { ptr::copy(from, to, len) };
    }

    /// The first byte and the length of a range, which lies in the block.
    fn part(&self, range: Range<usize>) -> (*mut u8, usize) {
        let len = self.count * size_of::<T>();
        assert!(range.start <= range.end && range.end <= len, "{range:?} of {len} bytes");
        (self.pointer().cast::<u8>().wrapping_add(range.start), range.len())
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let block = ptr::slice_from_raw_parts_mut(self.pointer(), self.count);
        // SAFETY: `new` took the block from a box of `count` elements, and only this value frees it.
        drop(unsafe { Box::from_raw(block) });
    }
}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    #[test]
    fn ranges_are_borrowed_and_no_more() {
        let mut lent = Lent::new(Box::new([0x0201_u16, 0x0403, 0x0605]));
        // C may write beside what is borrowed.
        let beside = lent.pointer();
        let middle = lent.bytes_mut(2..4);
        // SAFETY: the block has three elements, of which the first is not borrowed.
        unsafe { beside.write(0x0909) };
        middle.fill(7);
        assert_eq!(lent.bytes(0..6), [9, 9, 7, 7, 5, 6]);
        lent.copy_within(0..4, 1);
        assert_eq!(lent.bytes(0..6), [9, 9, 9, 7, 7, 6]);
        assert!(lent.bytes(6..6).is_empty());
    }

    #[test]
    fn nothing_behind_the_block_is_reached() {
        for range in [5..7, 7..7] {
            let lent = Lent::new(Box::new([0_u16; 3]));
            assert!(panic::catch_unwind(|| lent.bytes(range.clone()).len()).is_err(), "{range:?}");
        }
        let outside = || Lent::new(Box::new([0_u8; 4])).copy_within(0..3, 2);
        assert!(panic::catch_unwind(outside).is_err());
    }
}
