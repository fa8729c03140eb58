//! Memory of ours that C may read or write between calls: device memory with a host view, pinned host blocks,
//! structures that the engine owns.
//!
//! A `Box` promises the compiler that nobody else touches its contents. This memory makes no such promise: it is
//! held by its exposed address and borrowed for the length of one call.

use std::marker::PhantomData;
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
    /// The contents as they are now. C leaves them alone while the borrow lasts: it may not touch a buffer that
    /// one of its own calls is using.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the address is that of `count` initialised elements, which live as long as `self`, and any bytes
        // that C has written are a `T`.
        bytemuck::cast_slice(unsafe { slice::from_raw_parts(self.pointer(), self.count) })
    }

    /// The contents for writing, as in [`Self::bytes`].
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; `self` is borrowed exclusively.
        bytemuck::cast_slice_mut(unsafe { slice::from_raw_parts_mut(self.pointer(), self.count) })
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let block = ptr::slice_from_raw_parts_mut(self.pointer(), self.count);
        // SAFETY: `new` took the block from a box of `count` elements, and only this value frees it.
        drop(unsafe { Box::from_raw(block) });
    }
}
