//! Functions that the vendor's libraries export without any declaration. Nobody is known to call them; what they take
//! is published nowhere, so they take nothing and answer that they are not supported.

use super::code;
use super::face::{Chip, Name, call, npu, sys};
use crate::fault::Fault;

/// A function whose parameters nobody knows.
pub type Undocumented = unsafe extern "C" fn() -> i32;

/// Names and functions, of `libax_sys` and `libax_engine`. The other functions of these libraries are in
/// [`board_table`](crate::board_table).
pub const UNDOCUMENTED: [(&str, Undocumented); 5] = [
    (sys!(QueryFifoStatus).chip, fifo_status),
    (sys!(DumpAllPTSBuffer).chip, dump_stamps),
    (npu!(CloneHandle).chip, clone_handle),
    (npu!(GetExtraData).chip, extra_data),
    (npu!(GetVNPUInfo).chip, vnpu_info),
];

unsafe extern "C" fn fifo_status() -> i32 {
    unsupported(sys!(QueryFifoStatus), code::CMM_NOT_SUPPORTED)
}

unsafe extern "C" fn dump_stamps() -> i32 {
    unsupported(sys!(DumpAllPTSBuffer), code::CMM_NOT_SUPPORTED)
}

unsafe extern "C" fn clone_handle() -> i32 {
    unsupported(npu!(CloneHandle), code::NPU_NOT_SUPPORTED)
}

unsafe extern "C" fn extra_data() -> i32 {
    unsupported(npu!(GetExtraData), code::NPU_NOT_SUPPORTED)
}

unsafe extern "C" fn vnpu_info() -> i32 {
    unsupported(npu!(GetVNPUInfo), code::NPU_NOT_SUPPORTED)
}

fn unsupported(name: Name, code: i32) -> i32 {
    call::<Chip>(name, |_, _| Err(Fault::plain(code, "the vendor does not document this function")))
}
