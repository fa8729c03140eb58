//! Breaches of the vendor's contract, as the card sees them.
//!
//! A real card answers a breach with a code, with silence or with wrong numbers. The software card answers
//! with the vendor's code where one is known and always writes the breach down, so that a test fails on it
//! even when the caller ignored the code.

use std::fmt;

/// The rule that a call broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The interface was used before `axclInit`, `AX_SYS_Init` or `AX_ENGINE_Init`.
    NotInitialised,
    /// The interface was used after the last `axclFinalize`, `AX_SYS_Deinit` or `AX_ENGINE_Deinit`.
    UseAfterFinalize,
    /// The calling thread has no context bound, or one that only the documentation binds to it.
    UnboundThread,
    /// A context, stream, event, model, `IOInfo` or IO that does not exist (any more).
    UnknownHandle,
    /// A device address that no allocation contains.
    UnknownAddress,
    /// A device address whose allocation was freed.
    UseAfterFree,
    /// `axclrtFree` or `AX_SYS_MemFree` of an address inside an allocation.
    InteriorFree,
    /// `axclrtFree` or `AX_SYS_MemFree` of an allocation that was freed before.
    DoubleFree,
    /// A range that starts inside an allocation and ends behind it.
    OutOfRange,
    /// A device address where a host address belongs, or the reverse.
    MixedAddress,
    /// Memory of one device used with another.
    OtherDevice,
    /// Source and destination of a copy, or two tensors of a run, share memory.
    Overlap,
    /// A run with a tensor that has no buffer.
    UnboundTensor,
    /// A run with a buffer smaller than its tensor, or declared larger than its allocation.
    BufferSize,
    /// A run reads memory that nobody wrote since it was allocated.
    NeverWritten,
    /// A buffer that is not aligned to the elements of its tensor.
    Misaligned,
    /// One IO object used for runs of several shape groups. Prefill groups need their own
    /// (measured on AXCL 3.6.5).
    SharedIo,
    /// `indices` or `mask` bound inside a larger allocation (mis-executed on AXCL 3.6.5).
    InteriorBinding,
    /// An IO object re-bound while a submitted run still refers to it.
    BoundWhileQueued,
    /// The engine is used without `axclrtEngineInit`.
    EngineNotReady,
    /// Something was still allocated, loaded or queued at the last `axclFinalize`.
    Leak,
    /// A run reads a cached buffer that the CPU wrote and did not flush.
    NotFlushed,
    /// A physical and a virtual address that do not belong to each other.
    AddressPair,
    /// A copy reads what queued work is still to write.
    ReadBeforeWait,
    /// A copy or a fill writes what queued work is still to read or to write.
    WriteBeforeWait,
    /// A model is loaded while another one runs or is queued.
    LoadDuringRun,
    /// `axclrtResetDevice` of a device that is not set.
    Unpaired,
    /// The card itself failed; a defect of the card, not of the caller.
    Panic,
}

/// One breach: what was called, which rule it broke, and the particulars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Vendor name of the function.
    pub call: &'static str,
    /// The rule.
    pub rule: Rule,
    /// Addresses, sizes and names involved.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {:?}: {}", self.call, self.rule, self.detail)
    }
}

/// Violations in the order they happened. Bounded, because a caller in a loop repeats its mistake.
#[derive(Debug, Default)]
pub(crate) struct ViolationLog(Vec<Violation>);

impl ViolationLog {
    const CAPACITY: usize = 1000;

    pub(crate) fn push(&mut self, violation: Violation) {
        if self.0.len() < Self::CAPACITY {
            self.0.push(violation);
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.0)
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn as_slice(&self) -> &[Violation] {
        &self.0
    }
}
