//! Further mappings of blocks, and questions about addresses.

use std::ffi::c_void;
use std::ptr;

use super::code;
use super::face::{Face, Name, call, sys, value};
use super::memory::{is_cached, pointer, virtual_address};
use super::state::Mapping;
use crate::axcl::{Out, address};
use crate::block::View;
use crate::card::State;
use crate::fault::Fault;
use crate::status::Part;
use crate::violations::Rule;

/// Bits of a memory type (BSP `ax_global_type.h`).
const CACHED: i32 = 2;
const NON_CACHED: i32 = 4;

pub(crate) unsafe extern "C" fn map<F: Face>(phy: u64, size: u32) -> *mut c_void {
    mapped::<F>(sys!(Mmap), phy, size, false)
}

pub(crate) unsafe extern "C" fn map_cached<F: Face>(phy: u64, size: u32) -> *mut c_void {
    mapped::<F>(sys!(MmapCache), phy, size, true)
}

/// The vendor's `Fast` forms differ in how quickly they map.
pub(crate) unsafe extern "C" fn map_fast<F: Face>(phy: u64, size: u32) -> *mut c_void {
    mapped::<F>(sys!(MmapFast), phy, size, false)
}

pub(crate) unsafe extern "C" fn map_cached_fast<F: Face>(phy: u64, size: u32) -> *mut c_void {
    mapped::<F>(sys!(MmapCacheFast), phy, size, true)
}

/// Every mapping of a block past the cache is at one address, and so is every cached one; our choice.
fn mapped<F: Face>(name: Name, phy: u64, size: u32, cached: bool) -> *mut c_void {
    value::<F, _>(name, ptr::null_mut(), |state, call| {
        state.board.require_sys()?;
        if size == 0 {
            return Err(Fault::plain(code::CMM_ILLEGAL_PARAM, "a mapping of 0 bytes"));
        }
        let refuse = |fault| Fault { code: code::CMM_MMAP_FAIL, ..fault };
        let strict = call.card.options.strict;
        let (block, range) = state.memory.block_mut(phy, u64::from(size)).map_err(refuse)?;
        let offset = range.start as u64;
        if cached && strict && !matches!(block.view(), View::Card) && !block.add_cache() {
            return Err(Fault::plain(code::CMM_MMAP_FAIL, "the host has no memory for a cache"));
        }
        let vir = virtual_address(phy - offset, block, cached) + offset;
        state.board.mappings.push(Mapping { vir, size, block: phy - offset });
        Ok(pointer::<F>(vir))
    })
}

/// Undoes one mapping, given as it was made.
pub(crate) unsafe extern "C" fn unmap<F: Face>(vir: *mut c_void, size: u32) -> i32 {
    call::<F>(sys!(Munmap), |state, _| {
        state.board.require_sys()?;
        let vir = address(vir);
        let mappings = &mut state.board.mappings;
        let Some(position) = mappings.iter().position(|found| found.vir == vir && found.size == size) else {
            let reason = format!("{vir:#x} was not mapped with {size} bytes, or was unmapped before");
            return Err(Fault::breach(code::CMM_MUNMAP_FAIL, Rule::UnknownAddress, reason));
        };
        let block = mappings.swap_remove(position).block;
        if !mappings.iter().any(|mapping| mapping.block == block) {
            state.board.kept.retain(|(base, _)| *base != block);
        }
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn block_by_phy<F: Face>(
    phy: u64,
    memory_type: *mut i32,
    vir: *mut *mut c_void,
    block_size: *mut u32,
) -> i32 {
    call::<F>(sys!(MemGetBlockInfoByPhy), |state, _| {
        state.board.require_sys()?;
        let found = Found::at(state, phy)?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { give(memory_type, found.memory_type()) }?;
        // SAFETY: the caller passes null or a place for an address.
        unsafe { give(vir, pointer::<F>(found.vir)) }?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { give(block_size, u32::try_from(found.len).unwrap_or(u32::MAX)) }
    })
}

pub(crate) unsafe extern "C" fn block_by_virt<F: Face>(
    vir: *mut c_void,
    phy: *mut u64,
    memory_type: *mut i32,
) -> i32 {
    call::<F>(sys!(MemGetBlockInfoByVirt), |state, _| {
        state.board.require_sys()?;
        let vir = address(vir);
        let (at, cached) = physical(state, vir).ok_or_else(|| {
            Fault::plain(code::CMM_ILLEGAL_PARAM, format!("{vir:#x} lies in no mapping of a block"))
        })?;
        // SAFETY: the caller passes null or a place for an address.
        unsafe { give(phy, at) }?;
        // SAFETY: the caller passes null or a place for an integer.
        unsafe { give(memory_type, if cached { CACHED } else { NON_CACHED }) }
    })
}

/// What the interface knows about a physical address.
struct Found {
    vir: u64,
    len: u64,
    cached: bool,
}

impl Found {
    fn at(state: &State, phy: u64) -> Result<Self, Fault> {
        let found = state.memory.block(phy).map(|(block, offset)| {
            let base = phy - offset as u64;
            let cached = is_cached(state.memory.cmm.get(base));
            Self { vir: virtual_address(base, block, cached) + offset as u64, len: block.len(), cached }
        });
        found.ok_or_else(|| Fault::plain(code::CMM_ILLEGAL_PARAM, format!("{phy:#x} lies in no block")))
    }

    fn memory_type(&self) -> i32 {
        if self.cached { CACHED } else { NON_CACHED }
    }
}

/// The physical address behind a virtual one, and whether the mapping is cached. A block that is cached by attribute
/// but has no cache of its own counts as cached.
fn physical(state: &State, vir: u64) -> Option<(u64, bool)> {
    state.memory.blocks().find_map(|(base, block)| {
        let place = state.memory.cmm.get(base)?;
        [place.cached, !place.cached].into_iter().find_map(|cached| {
            let offset = vir.checked_sub(virtual_address(base, block, cached))?;
            (offset < block.len()).then_some((base + offset, cached))
        })
    })
}

/// Writes a result that the caller may not want.
///
/// # Safety
///
/// `place` is null or valid for a write.
unsafe fn give<T>(place: *mut T, result: T) -> Result<(), Fault> {
    if place.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so valid for a write by the promise of the caller.
    unsafe { Out::new(Part::Memory, place) }?.set(result);
    Ok(())
}
