//! Where blocks of the board's memory (CMM) lie, and what they are called.

use std::collections::BTreeMap;

/// First address of the CMM of a card or board with 8 GB (vendor documentation, FAQ).
pub(crate) const CMM_BASE: u64 = 0x1_4800_0000;
/// The driver hands out whole pages.
pub(crate) const PAGE: u64 = 4096;
/// Name of the one partition.
pub(crate) const PARTITION: &str = "anonymous";
/// Longest name of a block that is kept; our choice, the driver's is not published.
const NAME_BYTES: usize = 31;

/// `bytes` in whole pages.
pub(crate) fn pages(bytes: u64) -> u64 {
    bytes.max(1).checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
}

/// One block of the CMM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Bytes in whole pages.
    pub(crate) len: u64,
    /// The caller's token.
    pub(crate) name: String,
    pub(crate) cached: bool,
}

/// The blocks of the CMM by physical address.
#[derive(Debug, Default)]
pub(crate) struct Cmm {
    places: BTreeMap<u64, Place>,
    /// Where the search for the next place begins: addresses are used again as late as possible, so that stale ones
    /// are noticed.
    next: u64,
}

impl Cmm {
    /// Without blocks; what comes lies behind those that were.
    pub(crate) fn renewed(&self) -> Self {
        Self { places: BTreeMap::new(), next: self.next }
    }

    /// Finds room for `len` bytes (whole pages) at a multiple of `align` in a memory of `limit` bytes.
    pub(crate) fn place(&mut self, len: u64, align: u64, limit: u64) -> Option<u64> {
        let align = align.max(PAGE);
        let end = CMM_BASE.checked_add(limit)?;
        let starts = [self.next.max(CMM_BASE), CMM_BASE];
        let address = starts.into_iter().find_map(|from| self.room(from, end, len, align))?;
        self.next = address + len;
        self.places.insert(address, Place { len, name: String::new(), cached: false });
        Some(address)
    }

    /// The first address from `from` with `len` free bytes behind it.
    fn room(&self, from: u64, end: u64, len: u64, align: u64) -> Option<u64> {
        let before = self.places.range(..from).next_back();
        let mut at = before.map_or(from, |(base, place)| from.max(base + place.len));
        at = at.checked_next_multiple_of(align)?;
        for (base, place) in self.places.range(from..) {
            if at.checked_add(len)? <= *base {
                break;
            }
            at = at.max(base + place.len).checked_next_multiple_of(align)?;
        }
        (at.checked_add(len)? <= end).then_some(at)
    }

    /// Says what a block of `len` bytes is.
    pub(crate) fn label(&mut self, address: u64, len: u64, name: &[u8], cached: bool) {
        let name = String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES)]).into_owned();
        self.places.insert(address, Place { len: pages(len), name, cached });
    }

    /// Gives up a block; returns its length in whole pages.
    pub(crate) fn remove(&mut self, address: u64) -> Option<u64> {
        self.places.remove(&address).map(|place| place.len)
    }

    pub(crate) fn get(&self, address: u64) -> Option<&Place> {
        self.places.get(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_addresses_return_late() {
        let mut cmm = Cmm::default();
        let limit = 64 * PAGE;
        let first = cmm.place(PAGE, 128, limit).unwrap();
        let second = cmm.place(PAGE, 0x4000, limit).unwrap();
        assert_eq!((first, second), (CMM_BASE, CMM_BASE + 0x4000));
        cmm.remove(first);
        let third = cmm.place(PAGE, 128, limit).unwrap();
        assert_eq!(third, second + PAGE, "not where the first one was");
    }

    #[test]
    fn the_last_page_can_be_had_and_no_more() {
        let mut cmm = Cmm::default();
        let limit = 10 * PAGE;
        let places: Vec<_> = (0..10).map(|_| cmm.place(PAGE, 1, limit).unwrap()).collect();
        assert!(places.iter().all(|at| (CMM_BASE..CMM_BASE + limit).contains(at)));
        assert_eq!(cmm.place(PAGE, 1, limit), None);
        cmm.remove(places[3]);
        assert_eq!(cmm.place(2 * PAGE, 1, limit), None);
        assert_eq!(cmm.place(PAGE, 1, limit), Some(places[3]));
    }
}
