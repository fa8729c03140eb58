//! One run of a model: checks every binding against the device memory, computes, writes the results.
//!
//! Results go to a staging buffer first and to the device memory when the run is over. That makes the
//! one legal overlap (a decode step writes its K and V row into the cache it reads) independent of the order
//! in which the arithmetic reads and writes, and needs no aliased borrow.

use std::ffi::CStr;

use crate::block;
use crate::call::Call;
use crate::card::{Device, State};
use crate::clock::Work;
#[cfg(any(test, feature = "testing"))]
use crate::control::{injection, mistakes};
use crate::engine::{Engines, Model, unknown};
use crate::fault::Fault;
use crate::io::Binding;
use crate::memory::{self, ALIGNMENT, DeviceMemory};
use crate::signature::{Signature, Tensor};
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// A run as submitted: the bindings are those of the moment.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    model: u64,
    group: u32,
    pub(crate) io: u64,
    inputs: Vec<Binding>,
    outputs: Vec<Binding>,
    /// What it costs.
    pub(crate) work: Work,
    /// `indices` and `mask` may lie anywhere in an allocation: true on the board, not with AXCL.
    interior: bool,
}

impl Run {
    /// A run of the chip's own interface, which has no IO object.
    pub(crate) fn on_chip(
        model: (u64, &Model),
        group: u32,
        inputs: Vec<Binding>,
        outputs: Vec<Binding>,
    ) -> Self {
        let (id, model) = model;
        let work = model.work(index(group));
        Self { model: id, group, io: 0, inputs, outputs, work, interior: true }
    }

    /// The model, and its shape group.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn group(&self) -> (u64, usize) {
        (self.model, index(self.group))
    }

    /// Whether it reads a range of device memory.
    pub(crate) fn reads(&self, address: u64, len: u64) -> bool {
        self.inputs.iter().any(|input| memory::overlap(input.address, input.size, address, len))
    }

    /// Whether it writes to a range of device memory.
    pub(crate) fn writes(&self, address: u64, len: u64) -> bool {
        self.outputs.iter().any(|output| memory::overlap(output.address, output.size, address, len))
    }
}

/// Checks the handles of a run and takes its bindings.
pub(crate) fn prepare(
    state: &mut State,
    call: &Call<'_>,
    model: u64,
    context: u64,
    group: u32,
    io: u64,
) -> Result<Run, Fault> {
    state.engines.kind()?;
    let loaded = state.engines.model(model)?;
    if !loaded.contexts.contains(&context) {
        return Err(unknown("context of this model", context));
    }
    let signature = loaded.signature.clone();
    let work = loaded.work(index(group));
    if index(group) >= signature.groups {
        let reason = format!("shape group {group} of {}", signature.groups);
        return Err(Fault::plain(status::ENGINE_INVALID_INDEX, reason));
    }
    let bound = state.engines.io(io)?;
    if bound.inputs.len() != signature.inputs.len() || bound.outputs.len() != signature.outputs.len() {
        let code = status::common(Part::Engine, Common::IllegalParam);
        return Err(Fault::breach(code, Rule::UnknownHandle, "the IO belongs to a model with other tensors"));
    }
    if bound.batch > 1 {
        // The card says no more of a refusal than that; which batches it refuses is our choice: shapes are static.
        let code = status::common(Part::Engine, Common::ExecuteFail);
        return Err(Fault::plain(code, format!("a batch of {} with shapes for one", bound.batch)));
    }
    let first = *bound.group.get_or_insert(group);
    let (inputs, outputs) = (bound.inputs.clone(), bound.outputs.clone());
    let run = Run { model, group, io, inputs, outputs, work, interior: false };
    if first != group {
        let detail = format!("the IO of shape group {first} is used for group {group}");
        call.warn(Rule::SharedIo, detail)?;
    }
    Ok(run)
}

/// Runs a prepared run, which the caller waits for.
pub(crate) fn execute(state: &mut State, call: &Call<'_>, run: &Run) -> Result<(), Fault> {
    call.charge(run.work);
    perform(state, call, run)
}

/// Runs a prepared run, whose time was counted when it was submitted.
pub(crate) fn perform(state: &mut State, call: &Call<'_>, run: &Run) -> Result<(), Fault> {
    let Device { engines, memory, .. } = &mut **state;
    let model = engines.models.get(&run.model).ok_or_else(|| unknown("model", run.model))?;
    let signature = &model.signature;

    let inputs = ranges(&signature.inputs, &run.inputs, run, memory, call)?;
    #[cfg_attr(not(any(test, feature = "testing")), expect(unused_mut, reason = "mistakes go elsewhere"))]
    let mut outputs = ranges(&signature.outputs, &run.outputs, run, memory, call)?;
    check_overlaps(signature, &inputs, &outputs)?;
    check_written(signature, &inputs, memory, call)?;
    #[cfg(any(test, feature = "testing"))]
    injection::fail_run(call)?;
    #[cfg(any(test, feature = "testing"))]
    mistakes::redirect(call, signature, index(run.group), memory, &inputs, &mut outputs);
    if engines.pool.is_none() {
        let code = status::common(Part::Engine, Common::ExecuteFail);
        return Err(Fault::plain(code, "the engine is not initialised"));
    }
    compute(engines, memory, call, run, &inputs, &outputs)
}

/// Runs the model on inputs that are as they should be.
#[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables, reason = "mistakes go by the call"))]
fn compute(
    engines: &mut Engines,
    memory: &mut DeviceMemory,
    call: &Call<'_>,
    run: &Run,
    inputs: &[Range],
    outputs: &[Range],
) -> Result<(), Fault> {
    let failed = |reason| Fault::plain(status::common(Part::Engine, Common::ExecuteFail), reason);
    let staged: u64 = outputs.iter().map(|range| range.len.next_multiple_of(ALIGNMENT)).sum();
    if (engines.staging.len() as u64) < staged / ALIGNMENT {
        engines.staging = block::lines(staged).ok_or_else(|| {
            let reason = format!("the host has no {staged} bytes for the results of a run");
            Fault::plain(status::CMM_EXHAUSTED, reason)
        })?;
    }
    let Engines { models, pool, scratch, staging, .. } = engines;
    let (Some(model), Some(pool)) = (models.get(&run.model), pool) else {
        return Err(failed("the model or the engine is gone".to_owned()));
    };
    let group = index(run.group);
    #[cfg(any(test, feature = "testing"))]
    mistakes::hold_back(call, &model.signature, group, memory);
    let mut read = Vec::with_capacity(inputs.len());
    for range in inputs {
        read.push(memory.bytes(range.address, range.len)?);
    }
    #[cfg(any(test, feature = "testing"))]
    let instead = mistakes::substitute(call, (run.model, group), &model.signature, inputs, &read);
    #[cfg(any(test, feature = "testing"))]
    for (input, instead) in read.iter_mut().zip(&instead) {
        *input = instead.as_deref().unwrap_or(input);
    }
    let mut written = stage(bytemuck::cast_slice_mut(staging), outputs);
    model
        .engine
        .run(pool, group, &read, &mut written, scratch)
        .map_err(|error| failed(format!("the run failed: {error}")))?;

    let mut results: Vec<(Range, &mut [u8])> = outputs.iter().copied().zip(written).collect();
    #[cfg(any(test, feature = "testing"))]
    {
        let last = models.iter().rev().find(|(_, model)| mistakes::is_layer(&model.signature));
        let is_last = last.is_some_and(|(id, _)| *id == run.model);
        mistakes::spoil(call, &model.signature, (group, is_last), memory, &mut results);
    }
    for (range, result) in &mut results {
        memory.bytes_mut(range.address, range.len)?.copy_from_slice(result);
    }
    #[cfg(any(test, feature = "testing"))]
    mistakes::arrive(call, memory);
    Ok(())
}

/// The bytes of one tensor in the device memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) address: u64,
    pub(crate) len: u64,
}

/// Resolves the bindings of one side: each bound, large enough, inside one live allocation, aligned.
fn ranges(
    tensors: &[Tensor],
    bindings: &[Binding],
    run: &Run,
    memory: &DeviceMemory,
    call: &Call<'_>,
) -> Result<Vec<Range>, Fault> {
    tensors.iter().zip(bindings).map(|(tensor, binding)| range(tensor, *binding, run, memory, call)).collect()
}

fn range(
    tensor: &Tensor,
    binding: Binding,
    run: &Run,
    memory: &DeviceMemory,
    call: &Call<'_>,
) -> Result<Range, Fault> {
    let name = tensor.name.to_string_lossy();
    let Binding { address, size } = binding;
    let illegal = status::common(Part::Engine, Common::IllegalParam);
    let needed = tensor.size(index(run.group)).unwrap_or_default();
    if address == 0 {
        let code = status::common(Part::Engine, Common::NullPointer);
        return Err(Fault::breach(code, Rule::UnboundTensor, format!("tensor {name} has no buffer")));
    }
    if size < needed {
        let reason = format!("tensor {name} needs {needed} bytes, its buffer has {size}");
        return Err(Fault::breach(illegal, Rule::BufferSize, reason));
    }
    if !address.is_multiple_of(tensor.element) {
        let reason = format!("tensor {name} at {address:#x} is not aligned to {} bytes", tensor.element);
        return Err(Fault::breach(illegal, Rule::Misaligned, reason));
    }
    memory.bytes(address, needed).map_err(|fault| Fault {
        code: status::common(Part::Engine, Common::ExecuteFail),
        reason: format!("tensor {name}: {}", fault.reason),
        ..fault
    })?;
    if let Some((base, len)) = memory.containing(address) {
        if address.saturating_add(size) > base + len {
            let detail = format!("tensor {name}: {size} bytes declared, {} there", base + len - address);
            call.warn(Rule::BufferSize, detail)?;
        }
        if !run.interior && address != base && (tensor.is(c"indices") || tensor.is(c"mask")) {
            let detail = format!("tensor {name} is bound {} bytes inside an allocation", address - base);
            call.warn(Rule::InteriorBinding, detail)?;
        }
    }
    Ok(Range { address, len: needed })
}

/// Every input was written to: what nobody wrote is noise on a card, and poisons a run from under the mask.
fn check_written(
    signature: &Signature,
    inputs: &[Range],
    memory: &DeviceMemory,
    call: &Call<'_>,
) -> Result<(), Fault> {
    for (tensor, range) in signature.inputs.iter().zip(inputs) {
        if memory.is_fresh(range.address, range.len)? {
            let detail =
                format!("tensor {} holds memory that was never written", tensor.name.to_string_lossy());
            call.warn(Rule::NeverWritten, detail)?;
        }
    }
    Ok(())
}

/// No output may share memory with an input or another output. The exception, used by programs on real cards:
/// K or V rows may be written anywhere in the cache that the run reads, for the mask hides them from it.
/// Whether a card really bears that, above all for prefill groups, is for its user to find out.
fn check_overlaps(signature: &Signature, inputs: &[Range], outputs: &[Range]) -> Result<(), Fault> {
    for (position, (output, range)) in signature.outputs.iter().zip(outputs).enumerate() {
        for (input, source) in signature.inputs.iter().zip(inputs) {
            let cache = cache_of(output).is_some_and(|name| input.is(name));
            if !cache && shares(range, source) {
                return Err(overlap(output, input));
            }
        }
        for (other, target) in signature.outputs.iter().zip(outputs).skip(position + 1) {
            if shares(range, target) {
                return Err(overlap(output, other));
            }
        }
    }
    Ok(())
}

/// The input that holds the cache of which `output` is a row.
fn cache_of(output: &Tensor) -> Option<&'static CStr> {
    [(c"K_cache_out", c"K_cache"), (c"V_cache_out", c"V_cache")]
        .into_iter()
        .find_map(|(rows, cache)| output.is(rows).then_some(cache))
}

fn shares(first: &Range, second: &Range) -> bool {
    memory::overlap(first.address, first.len, second.address, second.len)
}

fn overlap(output: &Tensor, other: &Tensor) -> Fault {
    let code = status::common(Part::Engine, Common::IllegalParam);
    let (output, other) = (output.name.to_string_lossy(), other.name.to_string_lossy());
    Fault::breach(code, Rule::Overlap, format!("output {output} shares memory with {other}"))
}

/// Cuts the staging buffer into one aligned slice per output.
fn stage<'a>(mut staging: &'a mut [u8], outputs: &[Range]) -> Vec<&'a mut [u8]> {
    let mut slices = Vec::with_capacity(outputs.len());
    for range in outputs {
        let (slot, rest) = staging.split_at_mut(index64(range.len.next_multiple_of(ALIGNMENT)));
        slices.push(&mut slot[..index64(range.len)]);
        staging = rest;
    }
    slices
}

fn index(group: u32) -> usize {
    usize::try_from(group).unwrap_or(usize::MAX)
}

/// A size that was already found to lie inside host memory.
fn index64(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
