//! Device memory: an address space of its own, kept in host memory.
//!
//! Addresses start at [`BASE`], which is no valid host address on x86-64 or aarch64: a caller that
//! dereferences one faults at once instead of reading something. Allocations are [`ALIGNMENT`]-aligned,
//! separated by a guard gap and never placed twice, not even after the interface was finalised, so every stale or
//! overrun address is recognised. A card that is not strict, which is to work for ever, begins anew when it has used
//! up its addresses.
//! Fresh memory of a strict card is full of NaN, as the real memory is full of whatever was there.

use std::collections::BTreeMap;
use std::ops::Range;

pub use crate::block::ALIGNMENT;
use crate::block::{Block, View};
use crate::board::cmm::{self, Cmm};
use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// First device address. It has bits above the 47th set and others not, as no host address has.
pub const BASE: u64 = 0x0065_0000_0000_0000;
/// First address behind the device's space.
const END: u64 = BASE + (1 << 48);
/// Addresses of one device of the list.
const DEVICE_SPACE: u64 = 1 << 40;
/// Freed allocations that are told from addresses that never were, the latest ones.
const FREED_REMEMBERED: usize = 1 << 16;
/// Unmapped bytes behind each allocation.
const GUARD: u64 = 4096;

/// Whether `address` lies in the device's address space, allocated or not.
pub(crate) fn is_device_address(address: u64) -> bool {
    (BASE..END).contains(&address)
}

/// The allocations of one card and its CMM budget.
pub(crate) struct DeviceMemory {
    blocks: BTreeMap<u64, Block>,
    /// Base and length of freed allocations.
    freed: BTreeMap<u64, u64>,
    /// First address of the device.
    first: u64,
    /// Behind the latest allocation.
    next: u64,
    used: u64,
    limit: u64,
    strict: bool,
    /// Where the CMM blocks of the board are, and how blocks are called.
    pub(crate) cmm: Cmm,
}

impl DeviceMemory {
    /// A memory of `limit` bytes; `strict` as in [`Block::new`].
    pub(crate) fn new(limit: u64, strict: bool) -> Self {
        let (blocks, freed, cmm) = (BTreeMap::new(), BTreeMap::new(), Cmm::default());
        Self { blocks, freed, first: BASE, next: BASE, used: 0, limit, strict, cmm }
    }

    /// A memory in which nothing is allocated, that knows what was: no address comes again.
    pub(crate) fn renewed(&self) -> Self {
        let Self { first, next, limit, strict, .. } = *self;
        let mut freed = self.freed.clone();
        freed.extend(self.blocks.iter().map(|(&base, block)| (base, block.len())));
        while freed.len() > FREED_REMEMBERED {
            freed.pop_first();
        }
        Self { freed, first, next, cmm: self.cmm.renewed(), ..Self::new(limit, strict) }
    }

    /// Bytes in use: allocations and reservations, each rounded up to [`ALIGNMENT`].
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(crate) fn allocations(&self) -> usize {
        self.blocks.len()
    }

    /// Takes `bytes` out of the budget without an address: weights and working memory of models.
    pub(crate) fn reserve(&mut self, bytes: u64) -> Result<(), Fault> {
        let bytes = rounded(bytes);
        let free = self.limit.saturating_sub(self.used);
        if bytes > free {
            let reason =
                format!("device memory exhausted: {bytes} bytes wanted, {free} of {} free", self.limit);
            return Err(Fault::plain(status::CMM_EXHAUSTED, reason));
        }
        self.used += bytes;
        Ok(())
    }

    /// Gives back what [`Self::reserve`] took.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(rounded(bytes));
    }

    /// Allocates `len` bytes and returns their address.
    pub(crate) fn allocate(&mut self, len: u64) -> Result<u64, Fault> {
        self.allocate_aligned(len, ALIGNMENT)
    }

    /// As [`Self::allocate`], at a multiple of `align`, a power of two.
    pub(crate) fn allocate_aligned(&mut self, len: u64, align: u64) -> Result<u64, Fault> {
        if len == 0 {
            return Err(Fault::plain(
                status::common(Part::Memory, Common::IllegalParam),
                "an allocation of 0 bytes",
            ));
        }
        self.reserve(len)?;
        let refused = |reason| Fault::plain(status::CMM_EXHAUSTED, reason);
        let Some(address) = self.place(rounded(len), align) else {
            self.release(len);
            return Err(refused(format!("the device has no addresses for {len} bytes left")));
        };
        let Some(block) = Block::new(len, self.strict) else {
            self.release(len);
            return Err(refused(format!(
                "the host has no {len} bytes for an allocation of the software card"
            )));
        };
        self.next = address + rounded(len) + GUARD;
        self.freed.remove(&address);
        self.blocks.insert(address, block);
        Ok(address)
    }

    /// Finds addresses for `len` bytes and the gap behind them: behind the latest allocation, or anywhere if that is at
    /// the end and the card is not strict.
    fn place(&self, len: u64, align: u64) -> Option<u64> {
        let again = (!self.strict).then_some(self.first);
        [Some(self.next), again].into_iter().flatten().find_map(|from| self.room(from, len, align))
    }

    /// The first address from `from` with room for `len` bytes and the gap behind them.
    fn room(&self, from: u64, len: u64, align: u64) -> Option<u64> {
        let len = len.checked_add(GUARD)?;
        let mut at = from.checked_next_multiple_of(align)?;
        for (base, block) in self.blocks.range(from..) {
            if at.checked_add(len)? <= *base {
                break;
            }
            at = (base + rounded(block.len()) + GUARD).checked_next_multiple_of(align)?;
        }
        (at.checked_add(len)? <= self.first + DEVICE_SPACE).then_some(at)
    }

    /// Allocates `len` bytes of the board's CMM, in whole pages, at a multiple of `align`; the CPU reaches them.
    pub(crate) fn allocate_cmm(&mut self, len: u64, align: u64) -> Result<u64, Fault> {
        let pages = cmm::pages(len);
        self.reserve(pages)?;
        let address = self.cmm.place(pages, align, self.limit);
        let (Some(address), Some(mut block)) = (address, Block::new(len, self.strict)) else {
            self.release(pages);
            if let Some(address) = address {
                self.cmm.remove(address);
            }
            let reason = format!("no {len} bytes in one piece are left of the device memory");
            return Err(Fault::plain(status::CMM_EXHAUSTED, reason));
        };
        block.share();
        self.freed.remove(&address);
        self.blocks.insert(address, block);
        Ok(address)
    }

    /// Frees the allocation that starts at `address`; returns it.
    pub(crate) fn free(&mut self, address: u64) -> Result<Block, Fault> {
        if let Some(block) = self.blocks.remove(&address) {
            // CMM blocks were booked in whole pages, those of the twins like any other of a PCIe card.
            let pages = self.cmm.remove(address).filter(|_| !is_device_address(address));
            self.release(pages.unwrap_or(block.len()));
            self.freed.insert(address, block.len());
            if self.freed.len() > FREED_REMEMBERED {
                self.freed.pop_first();
            }
            return Ok(block);
        }
        let (rule, what) = if self.freed.contains_key(&address) {
            (Rule::DoubleFree, "was freed before")
        } else if self.containing(address).is_some() {
            (Rule::InteriorFree, "lies inside an allocation; only its base can be freed")
        } else if self.is_of_another(address) {
            (Rule::OtherDevice, "belongs to another device")
        } else {
            (Rule::UnknownAddress, "was never allocated")
        };
        Err(Fault::breach(status::MEMORY_NOT_DEVICE, rule, format!("{address:#x} {what}")))
    }

    /// Takes the blocks that the CPU reaches out of the memory, without giving back what they hold of it.
    pub(crate) fn take_lent(&mut self) -> Vec<(u64, Block)> {
        self.blocks.extract_if(.., |_, block| !matches!(block.view(), View::Card)).collect()
    }

    /// The bytes of a range.
    pub(crate) fn bytes(&self, address: u64, len: u64) -> Result<&[u8], Fault> {
        let (block, start, end) = self.locate(address, len)?;
        Ok(self.blocks.get(&block).map_or(&[], |block| block.bytes(start, end)))
    }

    /// The bytes of a range, for writing.
    pub(crate) fn bytes_mut(&mut self, address: u64, len: u64) -> Result<&mut [u8], Fault> {
        let (block, start, end) = self.locate(address, len)?;
        Ok(self.blocks.get_mut(&block).map_or(&mut [], |block| block.bytes_mut(start, end)))
    }

    /// Fills a range.
    pub(crate) fn fill(&mut self, address: u64, len: u64, value: u8) -> Result<(), Fault> {
        let (block, start, end) = self.locate(address, len)?;
        if let Some(block) = self.blocks.get_mut(&block) {
            block.fill(start, end, value);
        }
        Ok(())
    }

    /// Whether a range holds memory that was never written, as far as [`Block::is_fresh`] can tell.
    pub(crate) fn is_fresh(&self, address: u64, len: u64) -> Result<bool, Fault> {
        let (block, start, end) = self.locate(address, len)?;
        Ok(self.blocks.get(&block).is_some_and(|block| block.is_fresh(start, end)))
    }

    /// Copies between two ranges, which must not overlap.
    pub(crate) fn copy(&mut self, to: u64, from: u64, len: u64) -> Result<(), Fault> {
        let (source_block, source, source_end) = self.locate(from, len)?;
        let (target_block, target, target_end) = self.locate(to, len)?;
        if overlap(to, len, from, len) {
            let code = status::common(Part::Memory, Common::IllegalParam);
            let reason = format!("a copy of {len} bytes from {from:#x} to {to:#x} overlaps itself");
            return Err(Fault::breach(code, Rule::Overlap, reason));
        }
        if source_block == target_block {
            if let Some(block) = self.blocks.get_mut(&source_block) {
                block.copy_within(source..source_end, target);
            }
            return Ok(());
        }
        // Two blocks cannot be borrowed from one map at once: the target leaves it for the copy.
        let Some(mut block) = self.blocks.remove(&target_block) else { return Ok(()) };
        if let Some(from) = self.blocks.get(&source_block) {
            block.bytes_mut(target, target_end).copy_from_slice(from.bytes(source, source_end));
        }
        self.blocks.insert(target_block, block);
        Ok(())
    }

    /// Base and length of the allocation that contains `address`.
    pub(crate) fn containing(&self, address: u64) -> Option<(u64, u64)> {
        let (&base, block) = self.blocks.range(..=address).next_back()?;
        (address - base < block.len()).then_some((base, block.len()))
    }

    /// The allocation at `address`, and the offset in it.
    pub(crate) fn block(&self, address: u64) -> Option<(&Block, usize)> {
        let (base, _) = self.containing(address)?;
        Some((self.blocks.get(&base)?, usize::try_from(address - base).ok()?))
    }

    /// The allocation in which a range lies, and the offsets of the range.
    pub(crate) fn block_mut(&mut self, address: u64, len: u64) -> Result<(&mut Block, Range<usize>), Fault> {
        let (base, start, end) = self.locate(address, len)?;
        let block = self.blocks.get_mut(&base).ok_or_else(|| {
            Fault::breach(status::MEMORY_NOT_DEVICE, Rule::UnknownAddress, format!("{address:#x} is gone"))
        })?;
        Ok((block, start..end))
    }

    /// All allocations by address.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.blocks.iter().map(|(&base, block)| (base, block))
    }

    /// Finds a range: base of its allocation, and start and end inside it.
    fn locate(&self, address: u64, len: u64) -> Result<(u64, usize, usize), Fault> {
        let Some((base, block_len)) = self.containing(address) else {
            return Err(self.unknown(address));
        };
        let start = address - base;
        let out_of_range = || {
            let code = status::common(Part::Memory, Common::IllegalParam);
            let reason = format!(
                "{len} bytes at {address:#x} end behind the allocation of {block_len} bytes at {base:#x}"
            );
            Fault::breach(code, Rule::OutOfRange, reason)
        };
        let end = start.checked_add(len).filter(|&end| end <= block_len).ok_or_else(out_of_range)?;
        let index = |offset: u64| usize::try_from(offset).map_err(|_| out_of_range());
        Ok((base, index(start)?, index(end)?))
    }

    /// As [`Self::new`], for the device at `index` of the list. Devices have address ranges of their own, so that an
    /// address tells whose it is.
    pub(crate) fn of_device(limit: u64, strict: bool, index: usize) -> Self {
        let first = BASE + index as u64 * DEVICE_SPACE;
        Self { first, next: first, ..Self::new(limit, strict) }
    }

    /// Whether `address` would be one of another device.
    fn is_of_another(&self, address: u64) -> bool {
        is_device_address(address) && !(self.first..self.first + DEVICE_SPACE).contains(&address)
    }

    fn unknown(&self, address: u64) -> Fault {
        let stale = self.freed.range(..=address).next_back().is_some_and(|(base, len)| address - base < *len);
        let (rule, what) = if stale {
            (Rule::UseAfterFree, "belongs to a freed allocation")
        } else if self.is_of_another(address) {
            (Rule::OtherDevice, "belongs to another device")
        } else if is_device_address(address) {
            (Rule::UnknownAddress, "lies in no allocation")
        } else {
            (Rule::MixedAddress, "is no device address")
        };
        Fault::breach(status::MEMORY_NOT_DEVICE, rule, format!("{address:#x} {what}"))
    }
}

/// Whether two ranges share a byte.
pub(crate) fn overlap(first: u64, first_len: u64, second: u64, second_len: u64) -> bool {
    first < second.saturating_add(second_len) && second < first.saturating_add(first_len)
}

fn rounded(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(result: Result<impl Sized, Fault>) -> Rule {
        result.err().and_then(|fault| fault.rule).expect("a breach")
    }

    #[test]
    fn fresh_memory_is_nan_and_aligned() {
        let mut memory = DeviceMemory::new(1 << 20, true);
        for len in [1, 127, 128, 129] {
            let address = memory.allocate(len).unwrap();
            assert_eq!(address % ALIGNMENT, 0);
            assert!(memory.bytes(address, len).unwrap().iter().all(|&byte| byte == 0xFF));
        }
    }

    #[test]
    fn offsets_reach_the_last_byte_and_no_further() {
        let mut memory = DeviceMemory::new(1 << 20, true);
        let address = memory.allocate(100).unwrap();
        memory.bytes_mut(address + 90, 10).unwrap().fill(7);
        assert_eq!(memory.bytes(address + 99, 1).unwrap(), [7]);
        assert_eq!(rule(memory.bytes(address + 90, 11)), Rule::OutOfRange);
        assert_eq!(rule(memory.bytes(address + 1, u64::MAX)), Rule::OutOfRange);
        assert_eq!(rule(memory.bytes(address + 100, 1)), Rule::UnknownAddress);
        assert_eq!(rule(memory.bytes(4096, 1)), Rule::MixedAddress);
    }

    #[test]
    fn free_takes_only_a_live_base() {
        let mut memory = DeviceMemory::new(1 << 20, true);
        let address = memory.allocate(256).unwrap();
        assert_eq!(rule(memory.free(address + 128)), Rule::InteriorFree);
        memory.free(address).unwrap();
        assert_eq!(rule(memory.free(address)), Rule::DoubleFree);
        assert_eq!(rule(memory.free(address + 4096)), Rule::UnknownAddress);
        assert_eq!(rule(memory.bytes(address + 5, 1)), Rule::UseAfterFree);
        assert_eq!((memory.used(), memory.allocations()), (0, 0));
    }

    #[test]
    fn the_budget_holds_and_is_given_back() {
        let mut memory = DeviceMemory::new(1024, true);
        let first = memory.allocate(1000).unwrap();
        let fault = memory.allocate(1).unwrap_err();
        assert_eq!((fault.code, fault.rule), (status::CMM_EXHAUSTED, None));
        memory.free(first).unwrap();
        memory.reserve(1024).unwrap();
        assert!(memory.reserve(1).is_err());
        memory.release(1024);
        memory.allocate(1024).unwrap();
        assert!(memory.allocate(u64::MAX).is_err());
    }

    #[test]
    fn addresses_stay_those_of_the_device_and_are_used_up() {
        let mut memory = DeviceMemory::of_device(1 << 20, true, 1);
        let end = BASE + 2 * DEVICE_SPACE;
        memory.next = end - 2 * (GUARD + ALIGNMENT);
        let last = [memory.allocate(1).unwrap(), memory.allocate(100).unwrap()];
        assert_eq!(last[1], end - GUARD - ALIGNMENT);
        let fault = memory.allocate(1).unwrap_err();
        assert!(fault.reason.contains("no addresses"), "{}", fault.reason);
        assert_eq!(memory.used(), 2 * ALIGNMENT);
        assert_eq!(rule(memory.free(end)), Rule::OtherDevice);
        assert_eq!(rule(memory.free(end - 1)), Rule::UnknownAddress);
    }

    #[test]
    fn a_card_that_nobody_watches_uses_addresses_again() {
        let mut memory = DeviceMemory::of_device(1 << 20, false, 0);
        let first = [memory.allocate(256).unwrap(), memory.allocate(256).unwrap()];
        memory.free(first[0]).unwrap();
        memory.next = BASE + DEVICE_SPACE;
        assert_eq!(memory.allocate(256).unwrap(), first[0]);
        let next = memory.allocate(256).unwrap();
        assert_eq!(next, first[1] + 256 + GUARD, "past the one that is there");
        assert_eq!(memory.allocate(1).unwrap(), next + 256 + GUARD);
    }

    #[test]
    fn a_renewed_memory_knows_the_addresses_of_the_old_one() {
        let mut memory = DeviceMemory::of_device(1 << 20, true, 0);
        let freed = memory.allocate(64).unwrap();
        memory.free(freed).unwrap();
        let (left, block) = (memory.allocate(64).unwrap(), memory.allocate_cmm(64, 128).unwrap());
        let mut memory = memory.renewed();
        assert_eq!((memory.used(), memory.allocations(), memory.limit()), (0, 0, 1 << 20));
        assert!(memory.allocate(64).unwrap() > left && memory.allocate_cmm(64, 128).unwrap() > block);
        for stale in [freed, left, block] {
            assert_eq!(rule(memory.bytes(stale, 1)), Rule::UseAfterFree);
        }
    }

    #[test]
    fn copies_within_and_between_allocations() {
        let mut memory = DeviceMemory::new(1 << 20, true);
        let (first, second) = (memory.allocate(64).unwrap(), memory.allocate(64).unwrap());
        memory.bytes_mut(first, 4).unwrap().copy_from_slice(&[1, 2, 3, 4]);
        memory.copy(first + 8, first, 4).unwrap();
        memory.copy(second + 60, first + 8, 4).unwrap();
        assert_eq!(memory.bytes(second + 60, 4).unwrap(), [1, 2, 3, 4]);
        assert_eq!(rule(memory.copy(first + 2, first, 4)), Rule::Overlap);
        assert_eq!(rule(memory.copy(second + 61, first, 4)), Rule::OutOfRange);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Allocate(u64),
        Free(usize),
        Write(usize, u64, u64, u8),
        Copy(usize, u64, usize, u64, u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let (which, offset, len) = (0_usize..8, 0_u64..400, 0_u64..400);
        let step = prop_oneof![
            (1_u64..400).prop_map(Step::Allocate),
            which.clone().prop_map(Step::Free),
            (which.clone(), offset.clone(), len.clone(), any::<u8>())
                .prop_map(|(block, at, len, value)| Step::Write(block, at, len, value)),
            (which.clone(), offset.clone(), which, offset, len)
                .prop_map(|(to, to_at, from, from_at, len)| Step::Copy(to, to_at, from, from_at, len)),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Against plain vectors: what is legal does the same, what is not changes nothing.
        #[test]
        fn memory_behaves_like_separate_vectors(steps in steps()) {
            let mut memory = DeviceMemory::new(1 << 20, true);
            let mut model: Vec<(u64, Option<Vec<u8>>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate(len) => {
                        let bytes = vec![0xFF; usize::try_from(len).unwrap()];
                        model.push((memory.allocate(len).unwrap(), Some(bytes)));
                    }
                    Step::Free(block) => {
                        let Some((address, bytes)) = model.get_mut(block) else { continue };
                        prop_assert_eq!(memory.free(*address).is_ok(), bytes.take().is_some());
                    }
                    Step::Write(block, at, len, value) => {
                        let Some((address, bytes)) = model.get_mut(block) else { continue };
                        let end = usize::try_from(at + len).unwrap();
                        let target = bytes.as_mut().filter(|bytes| at < bytes.len() as u64);
                        let target = target.and_then(|bytes| bytes.get_mut(usize::try_from(at).unwrap()..end));
                        let written = memory.bytes_mut(*address + at, len);
                        prop_assert_eq!(written.is_ok(), target.is_some());
                        if let (Ok(written), Some(target)) = (written, target) {
                            written.fill(value);
                            target.fill(value);
                        }
                    }
                    Step::Copy(to, to_at, from, from_at, len) => {
                        let (Some(source), Some(target)) = (model.get(from), model.get(to)) else { continue };
                        let (target, source) = (target.0 + to_at, source.0 + from_at);
                        let copied = memory.bytes(source, len).map(<[u8]>::to_vec);
                        if memory.copy(target, source, len).is_ok() {
                            let at = usize::try_from(to_at).unwrap();
                            let bytes = copied.unwrap();
                            model[to].1.as_mut().unwrap()[at..at + bytes.len()].copy_from_slice(&bytes);
                        }
                    }
                }
            }
            for (address, bytes) in model {
                if let Some(bytes) = bytes {
                    prop_assert_eq!(memory.bytes(address, bytes.len() as u64).unwrap(), &bytes[..]);
                }
            }
        }
    }
}
