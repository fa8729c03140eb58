//! Computes something else on demand: one [`Mistake`] per fast path of the loop. Each leaves a program that does
//! not use the path alone, so that a comparison of both shows it. A mistake may be that of one shape group.

use std::collections::{BTreeMap, BTreeSet};

use super::trouble::Mistake;
use crate::call::Call;
use crate::card::{Device, State};
use crate::memory::DeviceMemory;
use crate::run::Range;
use crate::signature::{Signature, Tensor};

/// NaN in bf16.
const NAN: [u8; 2] = [0xC0, 0x7F];

/// The mistakes that a card makes, and what it must remember for them.
#[derive(Default)]
pub(crate) struct Mistakes {
    /// Each with the group that makes it, or for all groups.
    active: BTreeSet<(Mistake, Option<usize>)>,
    /// Hidden states by address: before and after the run that wrote them last.
    hidden: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    /// The run that begins reads its hidden states where another run has written them.
    in_place: bool,
    /// Masks by address.
    masks: BTreeMap<u64, Mask>,
    /// Positions by model, of decode steps since the last run of a head.
    positions: BTreeMap<u64, Vec<u8>>,
    /// Copies from pinned memory since the last run: where to, and what was there before.
    copied: Vec<(u64, Vec<u8>)>,
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
    pub(super) fn add(&mut self, mistake: Mistake, group: Option<usize>) {
        self.active.insert((mistake, group));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether it is made in any group.
    fn knows(&self, mistake: Mistake) -> bool {
        self.active.iter().any(|(of, _)| *of == mistake)
    }

    /// Whether it is made in this group of a model with this signature.
    fn makes(&self, mistake: Mistake, signature: &Signature, group: usize) -> bool {
        self.active.contains(&(mistake, None)) || self.is_limited(mistake, signature, group)
    }

    /// Whether it is made in this group because it is this one.
    fn is_limited(&self, mistake: Mistake, signature: &Signature, group: usize) -> bool {
        is_layer(signature) && self.active.contains(&(mistake, Some(group)))
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
        if !self.makes(mistake, signature, group) {
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
    fn substitute(
        &mut self,
        (model, group): (u64, usize),
        signature: &Signature,
        tensor: &Tensor,
        range: &Range,
        actual: &[u8],
    ) -> Option<Vec<u8>> {
        if tensor.is(c"input") {
            let before = self.hidden.get(&range.address).filter(|(_, after)| after == actual);
            self.in_place = before.is_some();
            return before
                .filter(|_| self.makes(Mistake::StaleHidden, signature, group))
                .map(|(before, _)| before.clone());
        }
        if tensor.is(c"mask") && self.makes(Mistake::StaleMask, signature, group) {
            let fresh = || Mask { model, now: Vec::new(), before: Vec::new() };
            let mask = self.masks.entry(range.address).or_insert_with(fresh);
            if mask.model == model {
                mask.before = std::mem::replace(&mut mask.now, actual.to_vec());
            } else if mask.before.len() == actual.len() {
                return Some(mask.before.clone());
            }
        }
        if tensor.is(c"indices") && self.knows(Mistake::StalePosition) {
            let step = actual.len() as u64 == tensor.element;
            let position = self.position(model, actual, step);
            return position.filter(|_| self.makes(Mistake::StalePosition, signature, group));
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
        if tensor.is(c"output") && (self.knows(Mistake::StaleHidden) || self.knows(Mistake::FirstRow)) {
            self.hidden.insert(range.address, (before.to_vec(), after.to_vec()));
        }
    }
}

/// Whether a model is a layer; a head has no groups.
pub(crate) fn is_layer(signature: &Signature) -> bool {
    signature.inputs.iter().any(|tensor| tensor.is(c"indices"))
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
    run: (u64, usize),
    signature: &Signature,
    inputs: &[Range],
    actual: &[&[u8]],
) -> Vec<Option<Vec<u8>>> {
    let mut mistakes = call.card.mistakes.lock();
    if !is_layer(signature) {
        mistakes.positions.clear();
    }
    let inputs = signature.inputs.iter().zip(inputs).zip(actual);
    inputs
        .map(|((tensor, range), actual)| mistakes.substitute(run, signature, tensor, range, actual))
        .collect()
}

/// Spoils the results of a run, and remembers what they replace. `is_last` tells the layer that was loaded last.
pub(crate) fn spoil(
    call: &Call<'_>,
    signature: &Signature,
    (group, is_last): (usize, bool),
    memory: &DeviceMemory,
    results: &mut [(Range, &mut [u8])],
) {
    let mut mistakes = call.card.mistakes.lock();
    let small = mistakes.makes(Mistake::SmallGroup, signature, group) && is_small(signature, group);
    let rows = rows(signature, group).unwrap_or(1);
    let decodes = rows == 1;
    let first_row =
        is_last && !decodes && mistakes.in_place && mistakes.makes(Mistake::FirstRow, signature, group);
    let rounds = mistakes.makes(Mistake::DecodeRounds, signature, group)
        && (decodes || mistakes.is_limited(Mistake::DecodeRounds, signature, group));
    for (tensor, (range, result)) in signature.outputs.iter().zip(results) {
        if rounds {
            result.iter_mut().step_by(2).for_each(|byte| *byte ^= 1);
        }
        if small && tensor.is(c"output") {
            result.iter_mut().step_by(2).for_each(|byte| *byte ^= 0x40);
        }
        if first_row && tensor.is(c"output") {
            let row = result.len() / usize::try_from(rows).unwrap_or(1);
            result.iter_mut().take(row).step_by(2).for_each(|byte| *byte ^= 0x40);
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

/// Something is about to be copied from pinned memory over `before`.
pub(crate) fn may_be_late(call: &Call<'_>, to: u64, before: &[u8]) {
    let mut mistakes = call.card.mistakes.lock();
    if mistakes.knows(Mistake::PinnedLate) {
        mistakes.copied.push((to, before.to_vec()));
    }
}

/// A run is about to begin: what was copied since the last one is not there yet, if it is late.
pub(crate) fn hold_back(call: &Call<'_>, signature: &Signature, group: usize, memory: &mut DeviceMemory) {
    let mut mistakes = call.card.mistakes.lock();
    let copied = std::mem::take(&mut mistakes.copied);
    if !mistakes.makes(Mistake::PinnedLate, signature, group) {
        return;
    }
    // The last one first, so that what is left is what was there before the first.
    for (to, before) in copied.into_iter().rev() {
        if let Ok(target) = memory.bytes_mut(to, before.len() as u64) {
            mistakes.late.push((to, target.to_vec()));
            target.copy_from_slice(&before);
        }
    }
}

/// The copies that are late arrive, unless their target has gone.
pub(crate) fn arrive(call: &Call<'_>, memory: &mut DeviceMemory) {
    for (to, bytes) in std::mem::take(&mut call.card.mistakes.lock().late).into_iter().rev() {
        if let Ok(target) = memory.bytes_mut(to, bytes.len() as u64) {
            target.copy_from_slice(&bytes);
        }
    }
}

/// Queued runs change places, if the card makes that mistake.
pub(crate) fn swap_runs(call: &Call<'_>, state: &mut State) {
    let mistakes = call.card.mistakes.lock();
    if !mistakes.knows(Mistake::AsyncOrder) {
        return;
    }
    let Device { engines, streams, .. } = &mut **state;
    streams.swap_runs(|run| {
        let (model, group) = run.group();
        engines
            .models
            .get(&model)
            .is_some_and(|model| mistakes.makes(Mistake::AsyncOrder, &model.signature, group))
    });
}
