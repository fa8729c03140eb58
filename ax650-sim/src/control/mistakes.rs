//! Computes something else on demand: one [`Mistake`] per fast path of the loop. Each leaves a program that does
//! not use the path alone, so that a comparison of both shows it.

use std::collections::{BTreeMap, BTreeSet};

use super::trouble::Mistake;
use crate::call::Call;
use crate::memory::DeviceMemory;
use crate::run::Range;
use crate::signature::{Signature, Tensor};

/// NaN in bf16.
const NAN: [u8; 2] = [0xC0, 0x7F];

/// The mistakes that a card makes, and what it must remember for them.
#[derive(Default)]
pub(crate) struct Mistakes {
    active: BTreeSet<Mistake>,
    /// Hidden states by address: before and after the run that wrote them last.
    hidden: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    /// Masks by address.
    masks: BTreeMap<u64, Mask>,
    /// Positions by model, of decode steps since the last run of a head.
    positions: BTreeMap<u64, Vec<u8>>,
    /// Copies that have not arrived.
    late: Vec<(u64, Vec<u8>)>,
}

/// A mask as the model that used it first has read it.
struct Mask {
    model: u64,
    now: Vec<u8>,
    before: Vec<u8>,
}

impl Mistakes {
    pub(super) fn add(&mut self, mistake: Mistake) {
        self.active.insert(mistake);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.active.contains(&mistake)
    }

    /// Where the results of a run go instead.
    fn redirect(
        &self,
        signature: &Signature,
        group: usize,
        memory: &DeviceMemory,
        inputs: &[Range],
        outputs: &mut [Range],
    ) {
        let decodes = rows(signature, group) == Some(1);
        let mistake = if decodes { Mistake::KvDecodeAtBase } else { Mistake::KvPrefillAtBase };
        if !self.makes(mistake) {
            return;
        }
        for (tensor, output) in signature.outputs.iter().zip(outputs) {
            let cache = if tensor.is(c"K_cache_out") { c"K_cache" } else { c"V_cache" };
            // Rows of a chunk lie behind the part of the cache that its group reads, but in the same allocation.
            for (input, range) in signature.inputs.iter().zip(inputs) {
                let inside = memory.containing(range.address) == memory.containing(output.address);
                if input.is(cache) && inside && !tensor.is(c"output") {
                    output.address = range.address;
                }
            }
        }
    }

    /// What a run reads instead of one of its inputs.
    fn substitute(&mut self, model: u64, tensor: &Tensor, range: &Range, actual: &[u8]) -> Option<Vec<u8>> {
        if tensor.is(c"input") && self.makes(Mistake::StaleHidden) {
            let (before, after) = self.hidden.get(&range.address)?;
            return (after == actual).then(|| before.clone());
        }
        if tensor.is(c"mask") && self.makes(Mistake::StaleMask) {
            let fresh = || Mask { model, now: Vec::new(), before: Vec::new() };
            let mask = self.masks.entry(range.address).or_insert_with(fresh);
            if mask.model == model {
                mask.before = std::mem::replace(&mut mask.now, actual.to_vec());
            } else if mask.before.len() == actual.len() {
                return Some(mask.before.clone());
            }
        }
        if tensor.is(c"indices") && self.makes(Mistake::StalePosition) {
            let step = actual.len() as u64 == tensor.element;
            return self.position(model, actual, step);
        }
        None
    }

    /// The position of the decode step before, if there was one; a chunk has positions of its own.
    fn position(&mut self, model: u64, actual: &[u8], step: bool) -> Option<Vec<u8>> {
        if !step {
            self.positions.remove(&model);
            return None;
        }
        self.positions.insert(model, actual.to_vec())
    }

    /// Memory at an address that was used before is not what it was then.
    fn forget(&mut self, address: u64, len: u64) {
        let new = |at: u64| (address..address.saturating_add(len)).contains(&at);
        self.hidden.retain(|at, _| !new(*at));
        self.masks.retain(|at, _| !new(*at));
    }

    /// Notes what a run is about to write.
    fn remember(&mut self, tensor: &Tensor, range: &Range, before: &[u8], after: &[u8]) {
        if tensor.is(c"output") && self.makes(Mistake::StaleHidden) {
            self.hidden.insert(range.address, (before.to_vec(), after.to_vec()));
        }
    }
}

/// Rows of a group, as the tensor `indices` tells.
fn rows(signature: &Signature, group: usize) -> Option<u64> {
    signature.inputs.iter().find(|tensor| tensor.is(c"indices"))?.elements(group)
}

/// Whether `group` is a decode group with a smaller cache than another one.
fn is_small(signature: &Signature, group: usize) -> bool {
    let Some(cache) = signature.inputs.iter().find(|tensor| tensor.is(c"K_cache")) else { return false };
    let decodes = |group: &usize| rows(signature, *group) == Some(1);
    let largest = (0..signature.groups).filter(decodes).filter_map(|group| cache.size(group)).max();
    decodes(&group) && cache.size(group) < largest
}

/// Where the results of a run go.
pub(crate) fn redirect(
    call: &Call<'_>,
    signature: &Signature,
    group: usize,
    memory: &DeviceMemory,
    inputs: &[Range],
    outputs: &mut [Range],
) {
    call.card.mistakes.lock().redirect(signature, group, memory, inputs, outputs);
}

/// What a run reads instead of its inputs, where that differs.
pub(crate) fn substitute(
    call: &Call<'_>,
    model: u64,
    signature: &Signature,
    inputs: &[Range],
    actual: &[&[u8]],
) -> Vec<Option<Vec<u8>>> {
    let mut mistakes = call.card.mistakes.lock();
    if !signature.inputs.iter().any(|tensor| tensor.is(c"indices")) {
        mistakes.positions.clear();
    }
    let inputs = signature.inputs.iter().zip(inputs).zip(actual);
    inputs.map(|((tensor, range), actual)| mistakes.substitute(model, tensor, range, actual)).collect()
}

/// Spoils the results of a run, and remembers what they replace.
pub(crate) fn spoil(
    call: &Call<'_>,
    signature: &Signature,
    group: usize,
    memory: &DeviceMemory,
    results: &mut [(Range, &mut [u8])],
) {
    let mut mistakes = call.card.mistakes.lock();
    let small = mistakes.makes(Mistake::SmallGroup) && is_small(signature, group);
    let rounds = mistakes.makes(Mistake::DecodeRounds) && rows(signature, group) == Some(1);
    for (tensor, (range, result)) in signature.outputs.iter().zip(results) {
        if rounds {
            result.iter_mut().step_by(2).for_each(|byte| *byte ^= 1);
        }
        if small && tensor.is(c"output") {
            result.iter_mut().step_by(2).for_each(|byte| *byte ^= 0x40);
        }
        if call.card.log.lock().injection.is_nan(&tensor.name.to_string_lossy()) {
            result.as_chunks_mut().0.fill(NAN);
        }
        if let Ok(before) = memory.bytes(range.address, range.len) {
            mistakes.remember(tensor, range, before, result);
        }
    }
}

/// Device memory was allocated where there may have been some before.
pub(crate) fn forget(call: &Call<'_>, address: u64, len: u64) {
    call.card.mistakes.lock().forget(address, len);
}

/// Whether a copy from pinned memory is to be late; then [`delay`] takes its bytes.
pub(crate) fn is_late(call: &Call<'_>) -> bool {
    call.card.mistakes.lock().makes(Mistake::PinnedLate)
}

/// Keeps a copy until the next run is over.
pub(crate) fn delay(call: &Call<'_>, to: u64, bytes: Vec<u8>) {
    call.card.mistakes.lock().late.push((to, bytes));
}

/// The copies that are late arrive, unless their target has gone.
pub(crate) fn arrive(call: &Call<'_>, memory: &mut DeviceMemory) {
    for (to, bytes) in std::mem::take(&mut call.card.mistakes.lock().late) {
        if let Ok(target) = memory.bytes_mut(to, bytes.len() as u64) {
            target.copy_from_slice(&bytes);
        }
    }
}

/// Whether queued runs change places.
pub(crate) fn swaps_runs(call: &Call<'_>) -> bool {
    call.card.mistakes.lock().makes(Mistake::AsyncOrder)
}
