//! What the chip's own interface keeps of a program: who has initialised what, mappings, and model handles.

use std::collections::BTreeMap;
use std::time::Instant;

use super::code;
use super::handle::Handle;
use crate::block::Block;
use crate::fault::Fault;
use crate::memory::DeviceMemory;
use crate::violations::Rule;

/// Calls of an `Init` without their `Deinit`.
#[derive(Debug, Default)]
pub(crate) struct Users {
    count: u32,
    closed: bool,
}

impl Users {
    pub(crate) fn enter(&mut self) {
        self.count += 1;
    }

    /// Takes one user away; returns whether it was the last one.
    pub(crate) fn leave(&mut self) -> bool {
        let last = self.count == 1;
        self.closed |= last;
        self.count = self.count.saturating_sub(1);
        last
    }

    pub(crate) fn any(&self) -> bool {
        self.count > 0
    }

    /// Fails with `code` unless somebody has called `init`.
    fn require(&self, code: i32, init: &str) -> Result<(), Fault> {
        if self.any() {
            return Ok(());
        }
        if self.closed {
            return Err(Fault::breach(code, Rule::UseAfterFinalize, format!("{init} was undone")));
        }
        Err(Fault::breach(code, Rule::NotInitialised, format!("{init} was not called")))
    }
}

/// A mapping made by one of the `Mmap` functions.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) vir: u64,
    pub(crate) size: u32,
    /// Base address of the block.
    pub(crate) block: u64,
}

/// Time stamps of the chip: microseconds since `base` was set.
#[derive(Debug)]
pub(crate) struct Pts {
    pub(crate) base: u64,
    pub(crate) since: Instant,
}

impl Pts {
    pub(crate) fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.base.saturating_add(elapsed)
    }
}

/// The state of the interface on one card.
pub(crate) struct Board {
    /// Of `AX_SYS_Init`.
    pub(crate) sys: Users,
    /// Of `AX_ENGINE_Init`.
    pub(crate) npu: Users,
    pub(crate) handles: BTreeMap<u64, Handle>,
    pub(crate) mappings: Vec<Mapping>,
    /// Freed blocks that are still mapped, by their base address, and blocks that were left behind: programs may hold
    /// pointers to them, so their memory stays.
    pub(crate) kept: Vec<(u64, Block)>,
    pub(crate) pts: Pts,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            sys: Users::default(),
            npu: Users::default(),
            handles: BTreeMap::new(),
            mappings: Vec::new(),
            kept: Vec::new(),
            pts: Pts { base: 0, since: Instant::now() },
        }
    }
}

impl Board {
    /// Fails unless `AX_SYS_Init` was called.
    pub(crate) fn require_sys(&self) -> Result<(), Fault> {
        self.sys.require(code::CMM_NOT_READY, "AX_SYS_Init")
    }

    /// Fails unless `AX_ENGINE_Init` was called.
    pub(crate) fn require_npu(&self) -> Result<(), Fault> {
        self.npu.require(code::NPU_NOT_INIT, "AX_ENGINE_Init")
    }

    /// Whether a program is using the interface.
    pub(crate) fn any_user(&self) -> bool {
        self.sys.any() || self.npu.any()
    }

    /// Everything that the CPU may hold pointers to: it has to outlive the interface.
    pub(crate) fn take_lent(&mut self, memory: &mut DeviceMemory) -> Vec<(u64, Block)> {
        let mut lent = std::mem::take(&mut self.kept);
        lent.extend(memory.take_lent());
        lent
    }

    pub(crate) fn handle(&mut self, handle: u64) -> Result<&mut Handle, Fault> {
        self.handles.get_mut(&handle).ok_or_else(|| {
            let reason = format!("no handle {handle:#x}, or it was destroyed");
            Fault::breach(code::NPU_HANDLE_INVALID, Rule::UnknownHandle, reason)
        })
    }
}
