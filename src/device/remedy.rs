//! What to do about a failed call, by the function and the class of its code.
//!
//! The vendor's codes say little, and one may have several causes. What is said here is what helped the people whose
//! reports the sections 3.1, 1.4, 2.5 and 6 of abi.md and 6 of ax-llm.md collect, the likeliest first.

use ax650_sys::code::VendorCode;
use ax650_sys::vendor as v;

/// What a person can do about `code` from `call`.
pub(super) fn remedy(call: &str, code: VendorCode, software: bool) -> &'static str {
    let starts = |names: &[&str]| names.iter().any(|name| call.starts_with(name));
    let is_load = starts(&["axclrtEngineLoadFrom", "AX_ENGINE_CreateHandle"]);
    if software {
        return if is_load {
            "the file may be damaged: create the model again with 'ax650 create'"
        } else {
            "try again, and report it if it happens again"
        };
    }
    // What the runtime makes of the chip's own code, and what a load says when there is no room to send the file to
    // (axcl-runtime, host/runtime/memory/memory.cpp, engine/engine_load_unload.cpp).
    let is_allocation = starts(&["axclrtMalloc"]) || is_load;
    match Class::of(code) {
        Class::CardMemory => CARD_MEMORY,
        _ if is_allocation && code.bits() == v::AXCL_ERR_MEMORY_EXECUTE_FAIL => CARD_MEMORY,
        // Seen when the card's memory ran out during a load: the far side fails and answers nothing that makes sense.
        Class::Versions if is_load && is_code(code, v::AXCL_ERR_DECODE) => LOAD_DECODE,
        Class::Setup if starts(&["AX_"]) => BOARD_SETUP,
        Class::Setup => HOST_SETUP,
        _ if starts(&["AX_SYS_Init"]) => BOARD_SETUP,
        _ if starts(&["AX_ENGINE_Init", "axclrtEngineInit"]) => NPU_MODE,
        _ if starts(&["axclInit"]) => HOST_SETUP,
        _ if is_load => LOAD,
        Class::Busy => BUSY,
        Class::Versions => VERSIONS,
        Class::Program => PROGRAM,
        Class::Task => TASK,
        Class::Card => CARD,
    }
}

const CARD_MEMORY: &str = "the card's memory is exhausted: unload other models, end other programs that use the card (a killed one may hold its memory for a while), or use a smaller context or model";
const LOAD_DECODE: &str = "the card most likely has too little free memory for this file: unload other models and end other programs that use the card; if it has enough, install driver and firmware of one version";
const BOARD_SETUP: &str = "check that this is an AX650N system with its kernel modules loaded, and that /dev/ax_sys, /dev/ax_cmm and /dev/npu are open to this user";
const HOST_SETUP: &str = "check that the card's driver package is installed, its kernel modules loaded (/dev/axcl_host), its devices open to this user, and /tmp/axcl writable";
const NPU_MODE: &str = "another program may have set up the NPU in another mode: end it; else try again, and restart the card if it happens again";
const LOAD: &str = "check that the file is whole and was compiled for this chip (AX650N, AX8850), that the driver is no older than its compiler, and that /tmp/axcl is writable";
const BUSY: &str = "another program may use the card; try again, and restart the card if it stays busy";
const VERSIONS: &str = "driver, firmware and model may not belong together: install driver and firmware of one version, and a model compiled for them";
const PROGRAM: &str = "this should not happen: please report it with this message";
const TASK: &str =
    "the NPU gave up a run, as it does when memory is short: try again, and unload other models";
const CARD: &str = "try again; if it happens again, check the card's power and temperature, and restart it";

/// What to do when no card answers. A Raspberry Pi 5 shows none without these two lines (abi.md 6, trap 8).
pub(super) const NO_CARD: &str = "check that the card is seated and powered (lspci), its kernel modules loaded (/dev/axcl_host), driver and firmware of one version, and on a Raspberry Pi 5 that config.txt has dtparam=pciex1 and dtoverlay=pciex1-compat-pi5,no-mip; or use --device software";

/// What to do when a card that worked is gone (abi.md 6, trap 7).
pub(super) const LOST: &str = "the next request opens it again; if it stays away, look for its cause (dmesg: heat, power, the host was suspended, the card crashed) and power the machine off and on: a reboot alone does not reset the card";

enum Class {
    /// The machine is not set up.
    Setup,
    /// Someone else has what is needed, or it takes too long.
    Busy,
    /// The two sides do not understand each other.
    Versions,
    /// No memory on the card.
    CardMemory,
    /// The program broke a rule of the interface.
    Program,
    /// A run failed.
    Task,
    /// The card itself, and all that is not known.
    Card,
}

fn is_code(code: VendorCode, error: u32) -> bool {
    code.is_axcl() && code.bits() & 0xFF == error
}

impl Class {
    fn of(code: VendorCode) -> Self {
        let bits = code.bits();
        match bits {
            v::AXCL_ERR_DEVICE_OPEN | v::AXCL_ERR_CONFIG_LOAD | v::AX_ERR_CMM_NOTREADY => Self::Setup,
            v::AXCL_ERR_STREAM_SYNC_TIMEOUT | v::AX_ERR_NPU_TASK_BUSY => Self::Busy,
            v::AX_ERR_NPU_NOT_SUPPORT | v::AX_ERR_NPU_PARAM_INVALID => Self::Versions,
            v::AX_ERR_CMM_NOMEM | v::AX_ERR_NPU_MEMORY | v::AX_ERR_NPU_NO_RESOURCE => Self::CardMemory,
            v::AXCL_ERR_CONTEXT_NO_BIND_CONTEXT | v::AX_ERR_NPU_HANDLE_INVALID | v::AX_ERR_NPU_NOT_INIT => {
                Self::Program
            }
            v::AX_ERR_NPU_TASK_FAILED | v::AX_ERR_NPU_TASK_INVALID => Self::Task,
            _ if code.is_axcl() => Self::of_axcl(bits & 0xFF),
            _ => Self::of_chip(bits & 0xFF),
        }
    }

    fn of_axcl(error: u32) -> Self {
        match error {
            v::AXCL_ERR_OPEN => Self::Setup,
            v::AXCL_ERR_BUSY | v::AXCL_ERR_TIMEOUT => Self::Busy,
            v::AXCL_ERR_UNSUPPORT | v::AXCL_ERR_ILLEGAL_PARAM | v::AXCL_ERR_ENCODE | v::AXCL_ERR_DECODE => {
                Self::Versions
            }
            v::AXCL_ERR_NULL_POINTER => Self::Program,
            _ => Self::Card,
        }
    }

    fn of_chip(error: u32) -> Self {
        match error {
            v::AX_ERR_NOT_PERM | v::AX_ERR_SYS_NOTREADY => Self::Setup,
            v::AX_ERR_BUSY | v::AX_ERR_TIMED_OUT => Self::Busy,
            v::AX_ERR_NOT_SUPPORT | v::AX_ERR_ILLEGAL_PARAM => Self::Versions,
            v::AX_ERR_NOMEM | v::AX_ERR_NOBUF => Self::CardMemory,
            _ => Self::Card,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(call: &str, bits: u32) -> &'static str {
        remedy(call, VendorCode(bits.cast_signed()), false)
    }

    #[test]
    fn each_class_of_codes_has_its_remedy() {
        for (call, bits, what) in [
            ("axclInit", 0x8030_010B, "/dev/axcl_host"),
            ("AX_SYS_Init", 0xFFFF_FFFF, "/dev/ax_sys"),
            ("AX_ENGINE_Init", 0x8006_0084, "another mode"),
            ("AX_SYS_MemAlloc", 0x800B_0010, "/dev/ax_cmm"),
            ("axclrtMemcpy", v::AXCL_ERR_STREAM_SYNC_TIMEOUT, "another program"),
            ("axclrtEngineGetInputDims (mask, group 1)", 0x8030_0709, "one version"),
            ("axclrtEngineLoadFromFile", 0x8030_0709, "too little free memory"),
            ("axclrtEngineLoadFromFile", 0x8030_0703, "compiled for this chip"),
            ("axclrtEngineLoadFromFile", 0x8030_050C, "exhausted"),
            ("axclrtMalloc", 0x8030_050C, "exhausted"),
            ("axclrtMemcpy", 0x8030_050C, "try again"),
            ("AX_ENGINE_CreateHandleV2", 0x8006_0081, "compiled for this chip"),
            ("AX_ENGINE_CreateHandleV2", 0x800B_0018, "exhausted"),
            ("axclrtEngineExecute", 0x8006_0086, "exhausted"),
            ("axclrtEngineExecute", v::AX_ERR_NPU_HARDWARE, "temperature"),
            ("AX_ENGINE_RunSyncV2", 0x8006_008A, "gave up a run"),
            ("axclrtMemcpy", 0x8030_0284, "report it"),
            ("axclrtEngineExecute", 0xFFFF_FFFF, "try again"),
        ] {
            assert!(of(call, bits).contains(what), "{call} {bits:#010X}: {}", of(call, bits));
        }
    }

    #[test]
    fn nobody_is_told_to_restart_the_software_card() {
        let failed = VendorCode(0x8030_0703_u32.cast_signed());
        for load in ["axclrtEngineLoadFromFile", "AX_ENGINE_CreateHandleV2"] {
            assert!(remedy(load, failed, true).contains("ax650 create"));
        }
        assert!(remedy("axclrtEngineExecute", failed, true).contains("report it"));
    }
}
