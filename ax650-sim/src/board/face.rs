//! The two faces of the chip's own interface: on the chip (`AX_SYS`, `AX_ENGINE`), and its twin on the host of a PCIe
//! card (`AXCL_SYS`, `AXCL_ENGINE`), which has the same functions with the same parameters.
//!
//! What differs: on the chip the CPU reaches the blocks it allocates and no context is needed. The twin works for
//! the device of the calling thread's context, and the virtual addresses it gives are those of the device: the host
//! can only hand them back (the vendor's samples copy with `axclrtMemcpy` by physical address).

use super::code::Module;
use crate::call::{self, Call};
use crate::card::State;
use crate::fault::Fault;
use crate::status;

/// A face of the interface.
pub(crate) trait Face {
    /// Whether the caller's CPU is the chip's.
    const ON_CHIP: bool;
}

/// Programs on the chip.
pub(crate) struct Chip;

/// Programs on the host of a card.
pub(crate) struct Twin;

impl Face for Chip {
    const ON_CHIP: bool = true;
}

impl Face for Twin {
    const ON_CHIP: bool = false;
}

/// The name of a function on both faces, and its library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    pub(crate) chip: &'static str,
    pub(crate) twin: &'static str,
    pub(crate) module: Module,
}

impl Name {
    pub(crate) const fn of<F: Face>(self) -> &'static str {
        if F::ON_CHIP { self.chip } else { self.twin }
    }
}

/// The [`Name`] of a function of `libax_sys`: `sys!(MemAlloc)`.
macro_rules! sys {
    ($name:ident) => {
        $crate::board::face::Name {
            chip: concat!("AX_SYS_", stringify!($name)),
            twin: concat!("AXCL_SYS_", stringify!($name)),
            module: $crate::board::code::Module::Sys,
        }
    };
}

/// The [`Name`] of a function of `libax_engine`: `npu!(RunSync)`.
macro_rules! npu {
    ($name:ident) => {
        $crate::board::face::Name {
            chip: concat!("AX_ENGINE_", stringify!($name)),
            twin: concat!("AXCL_ENGINE_", stringify!($name)),
            module: $crate::board::code::Module::Npu,
        }
    };
}

/// The [`Name`] of a function of pools, in `libax_sys`: `pool!(Init)`.
macro_rules! pool {
    ($name:ident) => {
        $crate::board::face::Name {
            chip: concat!("AX_POOL_", stringify!($name)),
            twin: concat!("AXCL_POOL_", stringify!($name)),
            module: $crate::board::code::Module::Sys,
        }
    };
}

pub(crate) use {npu, pool, sys};

/// Makes a call that returns a code.
pub(crate) fn call<F: Face>(
    name: Name,
    body: impl FnOnce(&mut State, &Call<'_>) -> Result<(), Fault>,
) -> i32 {
    match attempt::<F, ()>(name, body) {
        Ok(()) => status::OK,
        Err(code) => code,
    }
}

/// Makes a call that returns a value, `otherwise` if it fails.
pub(crate) fn value<F: Face, T>(
    name: Name,
    otherwise: T,
    body: impl FnOnce(&mut State, &Call<'_>) -> Result<T, Fault>,
) -> T {
    attempt::<F, T>(name, body).unwrap_or(otherwise)
}

fn attempt<F: Face, T>(
    name: Name,
    body: impl FnOnce(&mut State, &Call<'_>) -> Result<T, Fault>,
) -> Result<T, i32> {
    call::enter(name.of::<F>(), |state, call| {
        if !F::ON_CHIP {
            state.require_context()?;
        }
        body(state, call).map_err(|fault| name.module.translate(fault))
    })
}
