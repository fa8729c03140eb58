//! Runs. All of them block; the IO structures are read anew every time and never beyond what the shortest client
//! passes.

use std::ffi::c_void;
use std::sync::Arc;

use ax650_sys::vendor::{AX_ENGINE_IO_BUFFER_T, AX_ENGINE_IO_T};

use super::code;
use super::face::{Face, Name, call, npu};
use super::handle::of;
use super::memory::check_pair;
use crate::axcl::address;
use crate::call::{Call, Running};
use crate::card::{self, State};
use crate::fault::Fault;
use crate::io::Binding;
use crate::run::{self, Run};
use crate::signature::{Signature, Tensor};
use crate::violations::Rule;

/// In the handle's own context. It serves also when only the other kind was made (the vendor's LLM runner does that
/// with models of one group), or none (the vendor's tests of the native interface).
pub(crate) unsafe extern "C" fn sync<F: Face>(handle: *mut c_void, io: *mut AX_ENGINE_IO_T) -> i32 {
    // SAFETY: the caller passes null or an IO with its buffers.
    unsafe { run_in::<F>(npu!(RunSync), handle, Context::Own, 0, io) }
}

pub(crate) unsafe extern "C" fn sync_v2<F: Face>(
    handle: *mut c_void,
    context: *mut c_void,
    io: *mut AX_ENGINE_IO_T,
) -> i32 {
    // SAFETY: the caller passes null or an IO with its buffers.
    unsafe { run_in::<F>(npu!(RunSyncV2), handle, Context::Explicit(address(context)), 0, io) }
}

pub(crate) unsafe extern "C" fn group<F: Face>(
    handle: *mut c_void,
    context: *mut c_void,
    group: u32,
    io: *mut AX_ENGINE_IO_T,
) -> i32 {
    // SAFETY: the caller passes null or an IO with its buffers.
    unsafe { run_in::<F>(npu!(RunGroupIOSync), handle, Context::Explicit(address(context)), group, io) }
}

/// In which context to run.
#[derive(Clone, Copy)]
enum Context {
    /// The handle's own.
    Own,
    Explicit(u64),
}

/// # Safety
///
/// `io` is null or points to an IO (of which [`IoHead`] is read) whose arrays have as many buffers as it says.
unsafe fn run_in<F: Face>(
    name: Name,
    handle: *mut c_void,
    context: Context,
    group: u32,
    io: *mut AX_ENGINE_IO_T,
) -> i32 {
    let card = card::reached(name.of::<F>());
    let _running = Running::start(&card.running);
    call::<F>(name, |state, call| {
        let (signature, orders) = select(state, handle, context, group)?;
        if io.is_null() {
            return Err(Fault::plain(code::NPU_PARAM_INVALID, "the IO is null"));
        }
        // SAFETY: not null, and at least as long as its head by the caller's promise; C need not align it.
        let head = unsafe { io.cast::<IoHead>().read_unaligned() };
        // SAFETY: the caller promises this many buffers.
        let inputs = unsafe { buffers("inputs", head.inputs, head.input_count, &orders.0) }?;
        // SAFETY: the caller promises this many buffers.
        let outputs = unsafe { buffers("outputs", head.outputs, head.output_count, &orders.1) }?;
        for buffer in inputs.iter().chain(&outputs) {
            if let Err(fault) = check_pair(state, buffer.phy, buffer.vir, code::NPU_PARAM_INVALID) {
                // The NPU goes by the physical address, so a card runs all the same.
                call.warn(Rule::AddressPair, fault.reason)?;
            }
        }
        let (inputs, outputs) = (bindings(&inputs), bindings(&outputs));
        check_flushed(state, call, &signature, &inputs, group)?;
        let id = address(handle);
        let run = Run::on_chip((id, state.engines.model(id)?), group, inputs, outputs);
        run::execute(state, call, &run)
    })
}

type Orders = (Vec<usize>, Vec<usize>);

/// Checks what a run names; returns the model's tensors and their order in the group.
fn select(
    state: &mut State,
    handle: *mut c_void,
    context: Context,
    group: u32,
) -> Result<(Arc<Signature>, Orders), Fault> {
    let handle = of(state, handle)?;
    if let Context::Explicit(context) = context
        && !handle.contexts.contains(&context)
    {
        let reason = format!("the handle has no context {context:#x}");
        return Err(Fault::breach(code::NPU_TASK_INVALID, Rule::UnknownHandle, reason));
    }
    let info = usize::try_from(group).ok().and_then(|group| handle.infos.get(group));
    let info = info.ok_or_else(|| {
        let reason = format!("shape group {group} of {}", handle.infos.len());
        Fault::plain(code::NPU_PARAM_INVALID, reason)
    })?;
    Ok((handle.signature.clone(), (info.inputs.clone(), info.outputs.clone())))
}

/// The part of an IO that every client fills; what follows is reserved, and shorter in the vendor's Python client.
#[derive(Clone, Copy)]
#[repr(C)]
struct IoHead {
    inputs: *mut AX_ENGINE_IO_BUFFER_T,
    input_count: u32,
    outputs: *mut AX_ENGINE_IO_BUFFER_T,
    output_count: u32,
}

const _: () = {
    assert!(std::mem::offset_of!(IoHead, outputs) == std::mem::offset_of!(AX_ENGINE_IO_T, pOutputs));
    assert!(std::mem::offset_of!(IoHead, output_count) == std::mem::offset_of!(AX_ENGINE_IO_T, nOutputSize));
};

/// What a run needs of a buffer.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    phy: u64,
    vir: u64,
    size: u32,
}

/// The buffers of one side, brought into the model's order. Strides and batches are not looked at: tensors are dense.
///
/// # Safety
///
/// `first` is null or points to `count` buffers.
unsafe fn buffers(
    side: &str,
    first: *mut AX_ENGINE_IO_BUFFER_T,
    count: u32,
    order: &[usize],
) -> Result<Vec<Buffer>, Fault> {
    let invalid = |reason| Fault::plain(code::NPU_PARAM_INVALID, reason);
    if usize::try_from(count) != Ok(order.len()) {
        return Err(invalid(format!("{count} {side}, the model has {}", order.len())));
    }
    if first.is_null() {
        return Err(invalid(format!("the array of {side} is null")));
    }
    let mut buffers = vec![Buffer { phy: 0, vir: 0, size: 0 }; order.len()];
    for (position, &tensor) in order.iter().enumerate() {
        let at = first.wrapping_add(position);
        // SAFETY: one of the `count` buffers that the caller promises; C need not align them.
        let buffer = unsafe { at.read_unaligned() };
        if let Some(place) = buffers.get_mut(tensor) {
            *place = Buffer { phy: buffer.phyAddr, vir: address(buffer.pVirAddr), size: buffer.nSize };
        }
    }
    Ok(buffers)
}

fn bindings(buffers: &[Buffer]) -> Vec<Binding> {
    buffers.iter().map(|buffer| Binding { address: buffer.phy, size: u64::from(buffer.size) }).collect()
}

/// What the CPU wrote to a cached input has been flushed. If not, the NPU reads what was there before.
fn check_flushed(
    state: &State,
    call: &Call<'_>,
    signature: &Signature,
    inputs: &[Binding],
    group: u32,
) -> Result<(), Fault> {
    let group = usize::try_from(group).unwrap_or(usize::MAX);
    for (tensor, binding) in signature.inputs.iter().zip(inputs) {
        if let Some(at) = first_dirty(state, tensor, *binding, group) {
            let tensor = tensor.name.to_string_lossy();
            let detail = format!("tensor {tensor} was written at {at:#x} and not flushed");
            call.warn(Rule::NotFlushed, detail)?;
        }
    }
    Ok(())
}

/// Physical address of the first line of an input that was not flushed.
fn first_dirty(state: &State, tensor: &Tensor, binding: Binding, group: usize) -> Option<u64> {
    let (block, start) = state.memory.block(binding.address)?;
    let len = usize::try_from(tensor.size(group)?).ok()?;
    let end = start.checked_add(len)?.min(usize::try_from(block.len()).ok()?);
    let dirty = block.first_dirty(start..end)?;
    Some(binding.address - start as u64 + dirty as u64)
}
