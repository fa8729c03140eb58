//! The vendor's status codes that the card answers with.
//!
//! Encoding and values: axcl-runtime V3.10.2, `include/external/axcl_base.h` and the error table of its
//! documentation. Where no source pins down which code a case gets, the choice is marked *ours*.

/// Parts of the runtime, as they appear in a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    Device = 1,
    Context = 2,
    Stream = 3,
    Task = 4,
    Memory = 5,
    Engine = 7,
    Log = 8,
    Control = 9,
    P2p = 0xB,
    Work = 0xC,
}

/// Errors that exist in every part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Common {
    Fail = 0x01,
    NullPointer = 0x02,
    IllegalParam = 0x03,
    Unsupported = 0x04,
    NoMemory = 0x07,
    Decode = 0x09,
    ExecuteFail = 0x0C,
}

/// Success.
pub(crate) const OK: i32 = 0;
/// No card answers.
#[cfg(any(test, feature = "testing"))]
pub(crate) const DEVICE_NO_CONNECT: i32 = code(Part::Device, 0x81);
/// The device was not activated by this process.
pub(crate) const DEVICE_NOT_ACTIVE: i32 = code(Part::Device, 0x83);
/// No such device id.
pub(crate) const DEVICE_INVALID_ID: i32 = code(Part::Device, 0x84);
/// The context cannot be destroyed.
pub(crate) const CONTEXT_DESTROY: i32 = code(Part::Context, 0x82);
/// The context cannot be bound to the thread.
pub(crate) const CONTEXT_BIND: i32 = code(Part::Context, 0x83);
/// The calling thread has no context.
pub(crate) const CONTEXT_UNBOUND: i32 = code(Part::Context, 0x84);
/// The stream (or event, which shares the code space) cannot be destroyed.
pub(crate) const STREAM_DESTROY: i32 = code(Part::Stream, 0x82);
/// The stream is not done by the time limit of its synchronisation.
pub(crate) const STREAM_TIMEOUT: i32 = code(Part::Stream, 0x83);
/// No such event to destroy.
pub(crate) const EVENT_DESTROY: i32 = code(Part::Stream, 0x82);
/// No such event to record.
pub(crate) const EVENT_RECORD: i32 = code(Part::Stream, 0x83);
/// A stream waited for an event that did not come, or is none.
pub(crate) const EVENT_WAIT: i32 = code(Part::Stream, 0x84);
/// What the vendor's library returns for the synchronisation of a default stream, which it refuses.
pub(crate) const REFUSED: i32 = -1;
/// No thread of the process has the device.
pub(crate) const DEVICE_NONE_ACTIVE: i32 = code(Part::Device, 0x85);
/// The address does not belong to an allocation of the device.
pub(crate) const MEMORY_NOT_DEVICE: i32 = code(Part::Memory, 0x81);
/// Tensor or group index out of range.
pub(crate) const ENGINE_INVALID_INDEX: i32 = code(Part::Engine, 0x81);
/// A file of the host cannot be read or written.
pub(crate) const WORK_OPEN_FILE: i32 = code(Part::Work, 0x81);
/// A file of the host is empty.
pub(crate) const WORK_EMPTY_FILE: i32 = code(Part::Work, 0x82);
/// Source and destination of a transfer are the same.
pub(crate) const WORK_INVALID_PATH: i32 = code(Part::Work, 0x84);
/// The configuration cannot be loaded (sub-module 6: AXCL's error table).
pub(crate) const CONFIG_LOAD: i32 = 0x8030_0681_u32.cast_signed();
/// A request could not be sent to the card.
#[cfg(any(test, feature = "testing"))]
pub(crate) const TASK_EXECUTE_FAIL: i32 = code(Part::Task, 0x0C);
/// CMM exhausted: the code of the device-side memory module.
pub(crate) const CMM_EXHAUSTED: i32 = 0x800B_0018_u32.cast_signed();

/// What `function` returns when the memory of the card is exhausted. The chip's own interface tells the code of its
/// memory module. The documentation of AXCL has that code pass unchanged; its source does not (V3.10.2, HOST
/// `memory/memory.cpp` and `engine/engine.cpp`, `invoke`): a program is only told that the card refused.
pub(crate) fn exhausted(function: &str) -> i32 {
    match function {
        // Of its two steps, the copy of the file comes first (HOST `engine/engine_load_unload.cpp`).
        "axclrtEngineLoadFromFile" => common(Part::Memory, Common::ExecuteFail),
        // Whatever was missing (HOST `p2p/p2p.cpp`, `create`).
        "axclrtCreateP2PUnit" => code(Part::P2p, 0x0B),
        name if name.starts_with("axclrtEngine") => common(Part::Engine, Common::ExecuteFail),
        name if name.starts_with("axclrt") => common(Part::Memory, Common::ExecuteFail),
        _ => CMM_EXHAUSTED,
    }
}

/// The code of an error that exists in every part.
pub(crate) const fn common(part: Part, error: Common) -> i32 {
    code(part, error as u8)
}

const fn code(part: Part, error: u8) -> i32 {
    (0x8030_0000_u32 | (part as u32) << 8 | error as u32).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_vendors() {
        let hex = |code: i32| code.cast_unsigned();
        assert_eq!(hex(CONTEXT_UNBOUND), 0x8030_0284);
        assert_eq!(hex(MEMORY_NOT_DEVICE), 0x8030_0581);
        assert_eq!(hex(ENGINE_INVALID_INDEX), 0x8030_0781);
        assert_eq!(hex(common(Part::Engine, Common::Unsupported)), 0x8030_0704);
        assert_eq!(hex(TASK_EXECUTE_FAIL), 0x8030_040C);
        let exhausted = |name| hex(exhausted(name));
        assert_eq!([exhausted("axclrtMalloc"), exhausted("axclrtEngineLoadFromFile")], [0x8030_050C; 2]);
        assert_eq!(exhausted("axclrtEngineLoadFromMem"), 0x8030_070C);
        assert_eq!([exhausted("AX_SYS_MemAlloc"), exhausted("AXCL_SYS_MemAlloc")], [0x800B_0018; 2]);
    }
}
