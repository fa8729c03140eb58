//! Pinned host memory (`axclrtMallocHost`): ordinary memory here, but tracked, so that a wrong free is
//! caught instead of ending the process.

use std::collections::BTreeMap;
use std::ptr;

use crate::block::{self, Line};
use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// The host blocks that are handed out: exposed address and count of lines.
#[derive(Debug, Default)]
pub(crate) struct HostMemory(BTreeMap<usize, usize>);

impl HostMemory {
    pub(crate) fn blocks(&self) -> usize {
        self.0.len()
    }

    /// Whether `address` lies in a block.
    pub(crate) fn contains(&self, address: u64) -> bool {
        let Ok(address) = usize::try_from(address) else { return false };
        let below = self.0.range(..=address).next_back();
        below.is_some_and(|(&base, &lines)| address - base < lines * size_of::<Line>())
    }

    /// Allocates at least `len` bytes and at least one, aligned to 128 and full of 0xFF.
    pub(crate) fn allocate(&mut self, len: u64) -> Result<*mut u8, Fault> {
        let Some(lines) = block::lines(len.max(1)) else {
            return Err(Fault::plain(status::CMM_EXHAUSTED, format!("the host has no {len} bytes")));
        };
        let count = lines.len();
        let block = Box::into_raw(lines).cast::<u8>();
        self.0.insert(block.expose_provenance(), count);
        Ok(block)
    }

    /// Frees a block that [`Self::allocate`] returned.
    pub(crate) fn free(&mut self, address: usize) -> Result<(), Fault> {
        let Some(count) = self.0.remove(&address) else {
            let code = status::common(Part::Memory, Common::IllegalParam);
            let reason = format!("{address:#x} is no allocation of axclrtMallocHost, or was freed before");
            return Err(Fault::breach(code, Rule::UnknownAddress, reason));
        };
        let block = ptr::slice_from_raw_parts_mut(ptr::with_exposed_provenance_mut::<Line>(address), count);
        // SAFETY: `block` was made by `Box::into_raw` from a box of `count` lines, its address was exposed
        // then, and the map gave up its entry, so it is freed once.
        drop(unsafe { Box::from_raw(block) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_freed_once() {
        let mut host = HostMemory::default();
        let block = host.allocate(200).unwrap();
        assert_eq!(block.addr() % 128, 0);
        let base = block.addr() as u64;
        assert!(host.contains(base) && host.contains(base + 255));
        assert!(!host.contains(base - 1) && !host.contains(base + 256));
        assert_eq!(host.free(block.addr() + 1).unwrap_err().rule, Some(Rule::UnknownAddress));
        host.free(block.addr()).unwrap();
        assert!(host.free(block.addr()).is_err());
        assert_eq!(host.blocks(), 0);
    }
}
