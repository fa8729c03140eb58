//! One buffer that several tasks write, each its own part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice that can be handed to all tasks of a round. Copies refer to the same memory.
#[derive(Debug)]
pub(super) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

impl<T> Clone for SharedMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedMut<'_, T> {}

// SAFETY: it is a `&mut [T]` whose parts are given out one by one; whoever asks for a part promises that
// nobody else has it, so what moves between threads is exclusive access to values that are Send.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as for Send; a shared reference gives no access beyond what `part` hands out under that promise.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Takes the slice for as long as tasks share it.
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The elements in `range`.
    ///
    /// # Safety
    /// While the returned slice lives nobody else has a part that overlaps it.
    ///
    /// # Panics
    /// If the range is not within the slice.
    #[inline(always)]
    pub(super) unsafe fn part(self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "part outside of the buffer");
        // SAFETY: the range is within the slice, as asserted.
        let start = unsafe { self.start.add(range.start) };
        // SAFETY: within the slice that `owner` borrows exclusively; no other part overlaps, by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, range.len()) }
    }
}
