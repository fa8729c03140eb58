//! The survey over `AX_SYS` and `AX_ENGINE`.

use ax650_sys::code::VendorCode;
use ax650_sys::vendor::{AX_CMM_STATUS_T, ax_board_table};

use super::{Survey, SurveyError};

const KIB: u64 = 1 << 10;

/// Surveys the chip. The engine is not touched: initialising it beside a running program may fail.
pub(super) fn survey(table: &ax_board_table, watch: &mut dyn FnMut(&str)) -> Result<Survey, SurveyError> {
    call(watch, "AX_SYS_Init", || {
        let function = table.AX_SYS_Init?;
        // SAFETY: takes nothing.
        Some(unsafe { function() })
    })?;
    let mut found = Survey { cards: 1, ..Survey::default() };
    let mut status = AX_CMM_STATUS_T::default();
    let asked = call(watch, "AX_SYS_MemQueryStatus", || {
        let function = table.AX_SYS_MemQueryStatus?;
        // SAFETY: writes one structure of this layout (checked by the bindings), a local.
        Some(unsafe { function(&raw mut status) })
    });
    // The unit is not documented; it can only be KiB, because 32 bits of bytes could not tell the size of a board.
    found.total_memory = u64::from(status.TotalSize) * KIB;
    found.free_memory = u64::from(status.RemainSize) * KIB;
    let ended = call(watch, "AX_SYS_Deinit", || {
        let function = table.AX_SYS_Deinit?;
        // SAFETY: takes nothing; this process initialised the library and uses nothing of it any more.
        Some(unsafe { function() })
    });
    asked?;
    ended?;
    found.absent = [
        ("AX_ENGINE_RunGroupIOSync", table.AX_ENGINE_RunGroupIOSync.is_none()),
        ("AX_ENGINE_GetGroupIOInfo", table.AX_ENGINE_GetGroupIOInfo.is_none()),
        ("AX_ENGINE_GetGroupIOInfoCount", table.AX_ENGINE_GetGroupIOInfoCount.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, absent)| absent.then_some(name))
    .collect();
    Ok(found)
}

/// Makes a call, named for whoever watches; an absent function has nothing to fail.
pub(super) fn call(
    watch: &mut dyn FnMut(&str),
    name: &'static str,
    call: impl FnOnce() -> Option<i32>,
) -> Result<(), SurveyError> {
    watch(name);
    match call() {
        Some(0) | None => Ok(()),
        Some(code) => Err(SurveyError::Call { call: name, code: VendorCode(code) }),
    }
}
