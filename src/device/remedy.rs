//! What to do about a failed call, by the class of its code.

use ax650_sys::code::VendorCode;
use ax650_sys::vendor as v;

const LOAD: &str = "axclrtEngineLoadFromFile";

/// What a person can do about `code` from `call`.
pub(super) fn remedy(call: &str, code: VendorCode, software: bool) -> &'static str {
    if call.starts_with(LOAD) && software {
        return "the file may be damaged: create the model again with 'ax650 create'";
    }
    if software {
        return "try again, and report it if it happens again";
    }
    if call.starts_with(LOAD) {
        return "check that the file is whole and was compiled for this chip (AX650N, AX8850), and that the driver is no older than its compiler";
    }
    match Class::of(code) {
        Class::Setup => {
            "check that the card's driver package is installed, its kernel module loaded, and its devices open to this user"
        }
        Class::Busy => "another program may use the card; try again, and restart the card if it stays busy",
        Class::Versions => {
            "driver, firmware and model may not belong together: install driver and firmware of one version, and a model compiled for them"
        }
        Class::Card => {
            "try again; if it happens again, check the card's power and temperature, and restart it"
        }
    }
}

enum Class {
    /// The host is not set up.
    Setup,
    /// Someone else has what is needed, or it takes too long.
    Busy,
    /// The two sides do not understand each other.
    Versions,
    /// The card itself, and all that is not known.
    Card,
}

impl Class {
    fn of(code: VendorCode) -> Self {
        let bits = code.bits();
        match bits {
            v::AXCL_ERR_DEVICE_OPEN | v::AXCL_ERR_CONFIG_LOAD => return Self::Setup,
            v::AXCL_ERR_STREAM_SYNC_TIMEOUT | v::AX_ERR_NPU_TASK_BUSY => return Self::Busy,
            v::AX_ERR_NPU_NOT_SUPPORT | v::AX_ERR_NPU_PARAM_INVALID => return Self::Versions,
            _ => {}
        }
        match bits & 0xFF {
            v::AXCL_ERR_OPEN if code.is_axcl() => Self::Setup,
            v::AXCL_ERR_BUSY | v::AXCL_ERR_TIMEOUT if code.is_axcl() => Self::Busy,
            v::AXCL_ERR_UNSUPPORT | v::AXCL_ERR_ILLEGAL_PARAM | v::AXCL_ERR_ENCODE | v::AXCL_ERR_DECODE
                if code.is_axcl() =>
            {
                Self::Versions
            }
            v::AX_ERR_NOT_PERM if !code.is_axcl() => Self::Setup,
            v::AX_ERR_BUSY | v::AX_ERR_TIMED_OUT if !code.is_axcl() => Self::Busy,
            v::AX_ERR_NOT_SUPPORT | v::AX_ERR_ILLEGAL_PARAM if !code.is_axcl() => Self::Versions,
            _ => Self::Card,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_codes_has_its_remedy() {
        let of = |call, bits: u32| remedy(call, VendorCode(bits.cast_signed()), false);
        assert!(of("axclInit", v::AXCL_ERR_DEVICE_OPEN).contains("kernel module"));
        assert!(of("axclrtMemcpy", v::AXCL_ERR_STREAM_SYNC_TIMEOUT).contains("another program"));
        assert!(of("axclrtEngineGetInputDims (mask, group 1)", 0x8030_0709).contains("one version"));
        assert!(of("axclrtEngineExecute", v::AX_ERR_NPU_HARDWARE).contains("temperature"));
        assert!(of("axclrtEngineExecute", 0xFFFF_FFFF).contains("try again"));
        assert!(of(LOAD, 0x8030_0703).contains("compiled for this chip"));
    }

    #[test]
    fn nobody_is_told_to_restart_the_software_card() {
        let failed = VendorCode(0x8030_0703_u32.cast_signed());
        assert!(remedy(LOAD, failed, true).contains("ax650 create"));
        assert!(remedy("axclrtEngineExecute", failed, true).contains("report it"));
    }
}
