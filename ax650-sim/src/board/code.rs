//! The codes of the board's interface, and what the card's own codes become there.
//!
//! Those of memory are published (BSP `V1.45.0_P39`, `ax_global_type.h`); those of the NPU only for an earlier
//! generation of the chip, and one of them was seen on this one. Which of them an argument error of `AX_ENGINE` gets is
//! published nowhere: the choices are ours, clients only look for a value that is not 0.

use crate::fault::Fault;
use crate::status::{self, Common, Part};

pub(crate) const CMM_ILLEGAL_PARAM: i32 = code(0x0B, 0x0A);
pub(crate) const CMM_NULL_PTR: i32 = code(0x0B, 0x0B);
pub(crate) const CMM_NOT_READY: i32 = code(0x0B, 0x10);
pub(crate) const CMM_NOT_SUPPORTED: i32 = code(0x0B, 0x14);
pub(crate) const CMM_UNKNOWN: i32 = code(0x0B, 0x29);
pub(crate) const CMM_MMAP_FAIL: i32 = code(0x0B, 0x80);
pub(crate) const CMM_MUNMAP_FAIL: i32 = code(0x0B, 0x81);
pub(crate) const CMM_FREE_FAIL: i32 = code(0x0B, 0x82);

pub(crate) const NPU_HANDLE_INVALID: i32 = code(0x06, 0x81);
pub(crate) const NPU_TASK_INVALID: i32 = code(0x06, 0x82);
pub(crate) const NPU_NOT_INIT: i32 = code(0x06, 0x83);
pub(crate) const NPU_PARAM_INVALID: i32 = code(0x06, 0x84);
pub(crate) const NPU_MEMORY: i32 = code(0x06, 0x86);
pub(crate) const NPU_NOT_SUPPORTED: i32 = code(0x06, 0x88);
pub(crate) const NPU_TASK_FAILED: i32 = code(0x06, 0x8A);

const fn code(module: u32, error: u32) -> i32 {
    (0x8000_0000_u32 | module << 16 | error).cast_signed()
}

/// Which library a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    /// `libax_sys`.
    Sys,
    /// `libax_engine`.
    Npu,
}

impl Module {
    /// A fault with the code that this library gives for it. Codes of the device side pass unchanged, as they do
    /// through AXCL; so do those of a PCIe device that is not there.
    pub(crate) fn translate(self, fault: Fault) -> Fault {
        let memory = |error| status::common(Part::Memory, error);
        let engine = |error| status::common(Part::Engine, error);
        let is = |codes: &[i32]| codes.contains(&fault.code);
        let null = is(&[memory(Common::NullPointer), engine(Common::NullPointer)]);
        let illegal = is(&[
            memory(Common::IllegalParam),
            engine(Common::IllegalParam),
            engine(Common::Decode),
            status::ENGINE_INVALID_INDEX,
        ]);
        let unsupported = is(&[memory(Common::Unsupported), engine(Common::Unsupported)]);
        let address = is(&[status::MEMORY_NOT_DEVICE]);
        let failed = is(&[memory(Common::Fail), engine(Common::Fail), engine(Common::ExecuteFail)]);
        let code = match self {
            Self::Sys if null => CMM_NULL_PTR,
            Self::Sys if illegal || address => CMM_ILLEGAL_PARAM,
            Self::Sys if unsupported => CMM_NOT_SUPPORTED,
            Self::Sys if failed => CMM_UNKNOWN,
            Self::Npu if null || illegal => NPU_PARAM_INVALID,
            Self::Npu if unsupported => NPU_NOT_SUPPORTED,
            Self::Npu if address => NPU_MEMORY,
            Self::Npu if failed => NPU_TASK_FAILED,
            Self::Sys | Self::Npu => fault.code,
        };
        Fault { code, ..fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_vendors() {
        let hex = |code: i32| code.cast_unsigned();
        assert_eq!(hex(CMM_FREE_FAIL), 0x800B_0082);
        assert_eq!(hex(NPU_TASK_FAILED), 0x8006_008A);
        let become_of = |module: Module, code| hex(module.translate(Fault::plain(code, "")).code);
        assert_eq!(become_of(Module::Sys, status::MEMORY_NOT_DEVICE), 0x800B_000A);
        assert_eq!(become_of(Module::Npu, status::common(Part::Engine, Common::ExecuteFail)), 0x8006_008A);
        assert_eq!(become_of(Module::Npu, status::CMM_EXHAUSTED), 0x800B_0018);
        assert_eq!(become_of(Module::Sys, status::CONTEXT_UNBOUND), 0x8030_0284);
    }
}
