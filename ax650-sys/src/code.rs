//! What a vendor's error code says.

use std::fmt;

use crate::vendor as v;

/// The operating system refused something to the memory module of the chip: error 0x30 of module 0x0B.
const MEMORY_OS_FAIL: u32 = 0x800B_0000 | v::AX_ERR_OS_FAIL;

/// An error code of any of the vendor's libraries, printed with its decoded parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VendorCode(pub i32);

impl VendorCode {
    /// The bits as the vendor's headers write them.
    pub fn bits(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Whether the code comes from the host's AXCL library rather than from the chip behind it.
    pub fn is_axcl(self) -> bool {
        self.bits() & 0x80FF_0000 == 0x8030_0000
    }

    /// Whether it is an error of AXCL without the part that it comes from, as a few functions return it.
    fn is_bare(self) -> bool {
        (1..v::AXCL_ERR_BUTT).contains(&self.bits())
    }

    /// Whether the library or the card does not support what was asked for.
    pub fn is_unsupported(self) -> bool {
        (self.is_bare() || self.is_axcl()) && self.bits() & 0xFF == v::AXCL_ERR_UNSUPPORT
    }

    /// Whether it says that there is no card, or none that answers.
    pub fn is_no_card(self) -> bool {
        matches!(
            self.bits(),
            v::AXCL_ERR_DEVICE_QUERY_DEVICE
                | v::AXCL_ERR_DEVICE_NO_CONNECT
                | v::AXCL_ERR_DEVICE_PROBE
                | v::AXCL_ERR_DEVICE_INVALID_ID
        )
    }

    /// Whether a card that worked before has gone: nothing can be sent to it, it is not active, or its answers are
    /// not understood.
    ///
    /// A task that took too long is none of these: the library gives only shell commands a time (HOST
    /// `system/control.cpp`), and a card that is merely busy takes longer for them.
    ///
    /// On the chip itself nothing is published about that. Our choice: a failure of the NPU's hardware, and of the
    /// operating system behind the memory, for both say that the driver is not as it was.
    pub fn is_lost(self) -> bool {
        let transport = [v::AXCL_ERR_TIMEOUT, v::AXCL_ERR_UNEXPECT_RESPONSE];
        match self.bits() {
            v::AX_ERR_NPU_HARDWARE
            | MEMORY_OS_FAIL
            | v::AXCL_ERR_TASK_EXECUTE_FAIL
            | v::AXCL_ERR_TASK_SUBMIT
            | v::AXCL_ERR_DEVICE_NOT_ACTIVE
            | v::AXCL_ERR_DEVICE_NO_ACTIVE_DEVICE => true,
            v::AXCL_ERR_TASK_TIMEOUT => false,
            bits => self.is_no_card() || (self.is_axcl() && transport.contains(&(bits & 0xFF))),
        }
    }

    fn axcl_module(self) -> &'static str {
        match (self.bits() >> 24) & 0x7F {
            v::AXCL_RUNTIME => "runtime",
            v::AXCL_NATIVE => "native",
            v::AXCL_LITE => "lite",
            _ => "unknown module",
        }
    }

    fn axcl_part(self) -> &'static str {
        match (self.bits() >> 8) & 0xFF {
            v::AXCL_RUNTIME_DEVICE => "device",
            v::AXCL_RUNTIME_CONTEXT => "context",
            v::AXCL_RUNTIME_STREAM => "stream",
            v::AXCL_RUNTIME_TASK => "task",
            v::AXCL_RUNTIME_MEMORY => "memory",
            v::AXCL_RUNTIME_CONFIG => "config",
            v::AXCL_RUNTIME_ENGINE => "engine",
            v::AXCL_RUNTIME_SYSLOG => "syslog",
            v::AXCL_RUNTIME_SYSCTRL => "sysctrl",
            v::AXCL_RUNTIME_LATENCY => "latency",
            v::AXCL_RUNTIME_P2P => "p2p",
            v::AXCL_RUNTIME_USRWORK => "worker",
            _ => "unknown part",
        }
    }

    fn axcl_meaning(self) -> &'static str {
        match self.bits() {
            v::AXCL_ERR_DEVICE_OPEN => "cannot open the kernel driver",
            v::AXCL_ERR_DEVICE_QUERY_DEVICE => "cannot query the devices",
            v::AXCL_ERR_DEVICE_NO_CONNECT => "no card is connected",
            v::AXCL_ERR_DEVICE_PROBE => "the card did not come up",
            v::AXCL_ERR_DEVICE_NOT_ACTIVE => "the device is not active",
            v::AXCL_ERR_DEVICE_INVALID_ID => "no such device",
            v::AXCL_ERR_DEVICE_NO_ACTIVE_DEVICE => "no device is active",
            v::AXCL_ERR_DEVICE_PORT_ALLOCATE => "no port to the card",
            v::AXCL_ERR_DEVICE_REBOOT => "the card could not be rebooted",
            v::AXCL_ERR_DEVICE_PORT_DESTROY => "the port to the card could not be closed",
            v::AXCL_ERR_CONTEXT_CREATE => "cannot create the context",
            v::AXCL_ERR_CONTEXT_DESTROY => "cannot destroy the context",
            v::AXCL_ERR_CONTEXT_BIND_THREAD => "cannot bind the context to the thread",
            v::AXCL_ERR_CONTEXT_NO_BIND_CONTEXT => "no context is bound to the thread",
            v::AXCL_ERR_STREAM_CREATE => "cannot create",
            v::AXCL_ERR_STREAM_DESTROY => "cannot destroy",
            v::AXCL_ERR_STREAM_SYNC_TIMEOUT => "synchronising took too long",
            v::AXCL_ERR_EVENT_WAIT => "the event did not come",
            v::AXCL_ERR_USRWORK_OPEN_FILE => "cannot open the file",
            v::AXCL_ERR_USRWORK_EMPTY_FILE => "the file is empty",
            v::AXCL_ERR_USRWORK_PROCESS_NOT_FOUND => "no such process",
            v::AXCL_ERR_USRWORK_INVALID_PATH => "the path is not valid",
            v::AXCL_ERR_USRWORK_OPEN_CHANNEL => "no channel to the process",
            v::AXCL_ERR_USRWORK_SEND_DATA => "the message could not be sent",
            v::AXCL_ERR_USRWORK_BUFFER_TOO_SMALL => "the message is larger than the buffer",
            v::AXCL_ERR_TASK_SUBMIT => "cannot submit the task",
            v::AXCL_ERR_TASK_EXECUTE_FAIL => "the request could not be sent to the card",
            v::AXCL_ERR_MEMORY_NOT_DEVICE_MEMORY => "not memory of the device",
            v::AXCL_ERR_CONFIG_LOAD => "cannot load the configuration",
            v::AXCL_ERR_ENGINE_INVALID_INDEX => "no such tensor or group",
            bits => common_meaning(bits & 0xFF),
        }
    }

    fn chip_module(self) -> &'static str {
        match (self.bits() >> 16) & 0xFF {
            v::AX_ID_NPU => "NPU",
            v::AX_ID_SYS => "chip memory",
            v::AX_ID_ENGINE => "engine",
            _ => "chip",
        }
    }

    fn chip_meaning(self) -> &'static str {
        match self.bits() {
            v::AX_ERR_CMM_NOMEM => "the chip's memory is exhausted",
            v::AX_ERR_NPU_HANDLE_INVALID => "invalid handle",
            v::AX_ERR_NPU_TASK_INVALID => "invalid task",
            v::AX_ERR_NPU_NOT_INIT => "not initialised",
            v::AX_ERR_NPU_PARAM_INVALID => "invalid parameter",
            v::AX_ERR_NPU_NO_RESOURCE => "no resources",
            v::AX_ERR_NPU_MEMORY => "memory error",
            v::AX_ERR_NPU_HARDWARE => "hardware error",
            v::AX_ERR_NPU_NOT_SUPPORT => "not supported",
            v::AX_ERR_NPU_TASK_BUSY => "task busy",
            v::AX_ERR_NPU_TASK_FAILED => "task failed",
            bits => generic_meaning(bits & 0xFF),
        }
    }
}

fn common_meaning(error: u32) -> &'static str {
    match error {
        v::AXCL_ERR_UNKNOWN => "failed",
        v::AXCL_ERR_NULL_POINTER => "null pointer",
        v::AXCL_ERR_ILLEGAL_PARAM => "illegal parameter",
        v::AXCL_ERR_UNSUPPORT => "not supported",
        v::AXCL_ERR_TIMEOUT => "timed out",
        v::AXCL_ERR_BUSY => "busy",
        v::AXCL_ERR_NO_MEMORY => "no memory",
        v::AXCL_ERR_ENCODE => "the request could not be encoded",
        v::AXCL_ERR_DECODE => "the card's answer could not be decoded",
        v::AXCL_ERR_UNEXPECT_RESPONSE => "unexpected answer of the card",
        v::AXCL_ERR_OPEN => "cannot open",
        v::AXCL_ERR_EXECUTE_FAIL => "the card could not execute it",
        _ => "unknown error",
    }
}

fn generic_meaning(error: u32) -> &'static str {
    match error {
        v::AX_ERR_ILLEGAL_PARAM => "illegal parameter",
        v::AX_ERR_NULL_PTR => "null pointer",
        v::AX_ERR_BAD_ADDR => "bad address",
        v::AX_ERR_SYS_NOTREADY => "not ready",
        v::AX_ERR_BUSY => "busy",
        v::AX_ERR_NOT_INIT => "not initialised",
        v::AX_ERR_NOT_CONFIG => "not configured",
        v::AX_ERR_NOT_SUPPORT => "not supported",
        v::AX_ERR_NOT_PERM => "not permitted",
        v::AX_ERR_EXIST => "exists already",
        v::AX_ERR_UNEXIST => "does not exist",
        v::AX_ERR_NOMEM => "no memory",
        v::AX_ERR_NOBUF => "no buffer",
        v::AX_ERR_TIMED_OUT => "timed out",
        v::AX_ERR_OS_FAIL => "the operating system refused",
        _ => "unknown error",
    }
}

impl fmt::Display for VendorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_bare() {
            write!(f, "{:#010X} ({})", self.bits(), common_meaning(self.bits()))
        } else if self.is_axcl() {
            let (module, part) = (self.axcl_module(), self.axcl_part());
            write!(f, "{:#010X} ({module}, {part}: {})", self.bits(), self.axcl_meaning())
        } else {
            write!(f, "{:#010X} ({}: {})", self.bits(), self.chip_module(), self.chip_meaning())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VendorCode;

    fn text(bits: u32) -> String {
        VendorCode(bits.cast_signed()).to_string()
    }

    #[test]
    fn codes_are_taken_apart() {
        assert_eq!(text(0x8030_0283), "0x80300283 (runtime, context: cannot bind the context to the thread)");
        assert_eq!(text(0x8030_0709), "0x80300709 (runtime, engine: the card's answer could not be decoded)");
        assert_eq!(text(0x800B_0018), "0x800B0018 (chip memory: the chip's memory is exhausted)");
        assert_eq!(text(0x8006_008A), "0x8006008A (NPU: task failed)");
        assert_eq!(text(0x8130_0103), "0x81300103 (native, device: illegal parameter)");
        assert_eq!(text(0xFFFF_FFFF), "0xFFFFFFFF (chip: unknown error)");
        assert_eq!(text(0x8030_0C84), "0x80300C84 (runtime, worker: the path is not valid)");
        assert_eq!(text(0x8030_0384), "0x80300384 (runtime, stream: the event did not come)");
        assert_eq!(text(4), "0x00000004 (not supported)");
    }

    /// `CODE("call", 0x8030040C, LOST, "source")`: the call, the code, its meaning.
    fn known(line: &str) -> (&str, VendorCode, &str) {
        let mut parts = line.splitn(4, ',').map(|part| part.trim().trim_matches('"'));
        let mut next = || parts.next().expect("a part");
        let (call, code, meaning) = (next(), next(), next());
        let bits = u32::from_str_radix(code.trim_start_matches("0x"), 16).expect("a code");
        (call, VendorCode(bits.cast_signed()), meaning)
    }

    /// The same list as the loop's own test has.
    #[test]
    fn what_the_library_says_of_a_lost_card_is_understood() {
        let lines = include_str!("../loop/tests/codes.inc").lines();
        let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("CODE(")).collect();
        for line in &lines {
            let (call, code, meaning) = known(line);
            assert_eq!(code.is_lost(), meaning == "LOST", "{call}: {code}");
        }
        assert!(lines.len() > 15, "{}", lines.len());
    }

    #[test]
    fn a_missing_card_is_not_a_lost_run() {
        let code = |bits: u32| VendorCode(bits.cast_signed());
        assert!(code(0x8030_0181).is_no_card());
        assert!(code(0x8030_0185).is_lost() && !code(0x8030_0185).is_no_card());
        assert!(!code(0x8030_0703).is_lost());
        // On the chip: its hardware or its operating system, not a task that failed or memory that is exhausted.
        assert!(code(0x8006_0087).is_lost() && code(0x800B_0030).is_lost());
        assert!(!code(0x8006_008A).is_lost() && !code(0x800B_0018).is_lost() && !code(0x800B_0041).is_lost());
        assert!(code(0x8030_0704).is_unsupported() && code(4).is_unsupported());
        assert!(!code(0x8006_0004).is_unsupported() && !code(0).is_unsupported());
    }
}
