//! Units of cards that reach each other's memory. Only models that were compiled for several cards use that memory, and
//! the software card has none; so a unit is the memory it takes on each card.

use std::ffi::c_void;

use ax650_sys::vendor::axclrtP2PUnitInfo;

use super::{Out, address, call, opaque};
use crate::card::State;
use crate::fault::Fault;
use crate::status::{self, Common, Part};

const ILLEGAL: i32 = status::common(Part::P2p, Common::IllegalParam);

/// Memory that a unit takes, by index of the card.
pub(crate) type Unit = Vec<(usize, u64)>;

/// Needs no context: the cards are named (axcl-runtime, test/rt/parallel).
pub(super) unsafe extern "C" fn create(info: *const axclrtP2PUnitInfo, handle: *mut *mut c_void) -> i32 {
    call("axclrtCreateP2PUnit", |state, _| {
        state.require_live()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::P2p, handle) }?;
        if info.is_null() {
            return Err(Fault::null(Part::P2p, "the description of the unit"));
        }
        // SAFETY: not null, so the caller's description; C need not align it.
        let info = unsafe { info.read_unaligned() };
        let unit = members(state, &info)?;
        for (taken, &(card, bytes)) in unit.iter().enumerate() {
            state.select(card);
            if let Err(fault) = state.memory.reserve(bytes) {
                release(state, &unit[..taken]);
                return Err(fault);
            }
        }
        let id = state.handle();
        state.units.insert(id, unit);
        out.set(opaque(id));
        Ok(())
    })
}

fn members(state: &State, info: &axclrtP2PUnitInfo) -> Result<Unit, Fault> {
    let count = usize::try_from(info.u32DeviceNum).unwrap_or(usize::MAX);
    let ids = info.n32DeviceId.get(..count).filter(|ids| !ids.is_empty());
    let ids = ids.ok_or_else(|| Fault::plain(ILLEGAL, format!("a unit of {count} cards")))?;
    let sizes = info.u32DeviceMemSize.iter().map(|&bytes| u64::from(bytes));
    ids.iter().zip(sizes).map(|(&id, bytes)| Ok((state.contexts.index_of(id)?, bytes))).collect()
}

fn release(state: &mut State, unit: &[(usize, u64)]) {
    for &(card, bytes) in unit {
        state.select(card);
        state.memory.release(bytes);
    }
}

pub(super) unsafe extern "C" fn destroy(handle: *mut c_void) -> i32 {
    call("axclrtDestoryP2PUnit", |state, _| {
        state.require_live()?;
        if handle.is_null() {
            return Err(Fault::null(Part::P2p, "the unit"));
        }
        let unit = state.units.remove(&address(handle));
        let unit = unit.ok_or_else(|| Fault::plain(ILLEGAL, format!("no unit {handle:?}")))?;
        release(state, &unit);
        Ok(())
    })
}
