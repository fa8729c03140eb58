//! Blocks of the CMM: allocation, release, and cache maintenance.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;

use super::cmm::{PAGE, Place};
use super::code;
use super::face::{Face, Name, call, sys};
use crate::axcl::{Out, address, opaque};
use crate::block::{Block, View};
use crate::card::State;
use crate::clock::Work;
use crate::fault::Fault;
use crate::memory::BASE;
use crate::status::Part;
use crate::violations::Rule;

/// First of the virtual addresses that the twins give: those of the device, which no host address is.
const DEVICE_VIRTUAL: u64 = 0x0067_0000_0000_0000;

pub(crate) unsafe extern "C" fn init<F: Face>() -> i32 {
    call::<F>(sys!(Init), |state, _| {
        state.board.sys.enter();
        Ok(())
    })
}

/// The last one gives back what the program left, and writes it down; without `AX_SYS_Init` it does nothing.
/// Programs that end may still hold pointers to their blocks, so the memory behind them stays.
pub(crate) unsafe extern "C" fn deinit<F: Face>() -> i32 {
    call::<F>(sys!(Deinit), |state, call| {
        if !state.board.sys.leave() {
            return Ok(());
        }
        state.board.mappings.clear();
        let left: Vec<u64> = state.memory.blocks().map(|(base, _)| base).collect();
        let mut leaks = 0;
        for base in left {
            if state.memory.cmm.get(base).is_some() {
                let block = state.memory.free(base)?;
                if F::ON_CHIP {
                    state.board.kept.push((base, block));
                }
                leaks += 1;
            }
        }
        if leaks > 0 {
            call.warn(Rule::Leak, format!("{leaks} blocks of memory left"))?;
        }
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn alloc<F: Face>(
    phy: *mut u64,
    vir: *mut *mut c_void,
    size: u32,
    align: u32,
    token: *const i8,
) -> i32 {
    let request = Request { size, align, token, cached: false };
    // SAFETY: the caller passes null or places for two addresses, and null or a string.
    unsafe { allocate::<F>(sys!(MemAlloc), phy, vir, request) }
}

pub(crate) unsafe extern "C" fn alloc_cached<F: Face>(
    phy: *mut u64,
    vir: *mut *mut c_void,
    size: u32,
    align: u32,
    token: *const i8,
) -> i32 {
    let request = Request { size, align, token, cached: true };
    // SAFETY: the caller passes null or places for two addresses, and null or a string.
    unsafe { allocate::<F>(sys!(MemAllocCached), phy, vir, request) }
}

#[derive(Clone, Copy)]
struct Request {
    size: u32,
    align: u32,
    token: *const i8,
    cached: bool,
}

/// The virtual address is not wanted by every program: the vendor's own tests pass null for it.
///
/// # Safety
///
/// `phy` and `vir` are null or valid for a write, `request.token` is null or a terminated string.
unsafe fn allocate<F: Face>(name: Name, phy: *mut u64, vir: *mut *mut c_void, request: Request) -> i32 {
    call::<F>(name, |state, call| {
        state.board.require_sys()?;
        // SAFETY: `phy` is null or valid for a write by the promise of the caller.
        let phy = unsafe { Out::new(Part::Memory, phy) }?;
        // SAFETY: `vir` is not null, so valid for a write by the promise of the caller.
        let vir = (!vir.is_null()).then(|| unsafe { Out::new(Part::Memory, vir) }).transpose()?;
        let Request { size, align, cached, .. } = request;
        let align = if align == 0 { PAGE } else { u64::from(align) };
        if size == 0 || !align.is_power_of_two() {
            let reason = format!("a block of {size} bytes at a multiple of {align}");
            return Err(Fault::plain(code::CMM_ILLEGAL_PARAM, reason));
        }
        let token = if request.token.is_null() {
            c""
        } else {
            // SAFETY: not null, and terminated by the caller's promise.
            unsafe { CStr::from_ptr(request.token.cast::<c_char>()) }
        };
        let base = if F::ON_CHIP {
            state.memory.allocate_cmm(u64::from(size), align)?
        } else {
            state.memory.allocate_aligned(u64::from(size), align.max(PAGE))?
        };
        #[cfg(any(test, feature = "testing"))]
        crate::control::mistakes::forget(call, base, u64::from(size));
        state.memory.cmm.label(base, u64::from(size), token.to_bytes(), cached);
        let wants_cache = cached && F::ON_CHIP && call.card.options.strict;
        let (block, _) = state.memory.block_mut(base, 1)?;
        if wants_cache && !block.add_cache() {
            state.memory.free(base)?;
            return Err(Fault::plain(crate::status::CMM_EXHAUSTED, "the host has no memory for a cache"));
        }
        let address = state.memory.block(base).map_or(0, |(block, _)| virtual_address(base, block, cached));
        phy.set(base);
        if let Some(vir) = vir {
            vir.set(pointer::<F>(address));
        }
        Ok(())
    })
}

/// A virtual address as a pointer: one that the CPU may follow on the chip, one that nobody can elsewhere.
pub(super) fn pointer<F: Face>(address: u64) -> *mut c_void {
    match usize::try_from(address) {
        Ok(address) if F::ON_CHIP => std::ptr::with_exposed_provenance_mut(address),
        _ => opaque(address),
    }
}

/// Where the caller finds the first byte of a block, through its cache or past it.
pub(super) fn virtual_address(base: u64, block: &Block, cached: bool) -> u64 {
    match block.view() {
        View::Card => base - BASE + DEVICE_VIRTUAL,
        View::Cached(cache) if cached => cache.address() as u64,
        View::Shared | View::Cached(_) => block.memory_address(),
    }
}

/// The virtual address belongs to the physical one, in either view. Null, where a program has none, passes.
pub(super) fn check_pair(state: &State, phy: u64, vir: u64, fails_with: i32) -> Result<(), Fault> {
    let Some((block, offset)) = state.memory.block(phy) else { return Ok(()) };
    let (base, offset) = (phy - offset as u64, offset as u64);
    let views = [virtual_address(base, block, true), virtual_address(base, block, false)];
    if vir == 0 || views.iter().any(|view| view + offset == vir) {
        return Ok(());
    }
    let reason = format!("{vir:#x} is no virtual address of {phy:#x}, which has {:#x}", views[0] + offset);
    Err(Fault::breach(fails_with, Rule::AddressPair, reason))
}

/// Frees a whole block. While it is mapped elsewhere its memory stays.
pub(crate) unsafe extern "C" fn free<F: Face>(phy: u64, vir: *mut c_void) -> i32 {
    call::<F>(sys!(MemFree), |state, _| {
        state.board.require_sys()?;
        let refuse = |fault| Fault { code: code::CMM_FREE_FAIL, ..fault };
        let foreign = state.memory.cmm.get(phy).is_none();
        if foreign && state.memory.blocks().any(|(base, _)| base == phy) {
            let reason = format!("{phy:#x} was not allocated by this interface");
            return Err(Fault::breach(code::CMM_FREE_FAIL, Rule::UnknownAddress, reason));
        }
        if !foreign {
            check_pair(state, phy, address(vir), code::CMM_FREE_FAIL)?;
        }
        let block = state.memory.free(phy).map_err(refuse)?;
        if state.board.mappings.iter().any(|mapping| mapping.block == phy) {
            state.board.kept.push((phy, block));
        }
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn flush<F: Face>(phy: u64, vir: *mut c_void, size: u32) -> i32 {
    maintain::<F>(sys!(MflushCache), phy, vir, size, Block::flush)
}

pub(crate) unsafe extern "C" fn invalidate<F: Face>(phy: u64, vir: *mut c_void, size: u32) -> i32 {
    maintain::<F>(sys!(MinvalidateCache), phy, vir, size, Block::invalidate)
}

/// Works on any part of one block. On uncached memory there is nothing to do, and that is no error.
fn maintain<F: Face>(
    name: Name,
    phy: u64,
    vir: *mut c_void,
    size: u32,
    work: impl FnOnce(&mut Block, Range<usize>),
) -> i32 {
    call::<F>(name, |state, call| {
        state.board.require_sys()?;
        check_pair(state, phy, address(vir), code::CMM_ILLEGAL_PARAM)?;
        let (block, range) = state.memory.block_mut(phy, u64::from(size))?;
        if !range.is_empty() {
            work(block, range);
        }
        call.charge(Work::Cache { bytes: u64::from(size) });
        Ok(())
    })
}

/// Whether a block of the interface is cached.
pub(super) fn is_cached(place: Option<&Place>) -> bool {
    place.is_some_and(|place| place.cached)
}
