//! Copies between host and device, and the execution of queued tasks.

use std::ptr;

use crate::call::Call;
use crate::card::State;
use crate::clock::Work;
#[cfg(any(test, feature = "testing"))]
use crate::control::mistakes;
use crate::fault::Fault;
use crate::host::HostMemory;
use crate::memory::{self, DeviceMemory};
use crate::run;
use crate::status::{self, Common, Part};
use crate::stream::{Queued, Task};
use crate::violations::Rule;

/// Kinds of a copy, numbered as axcl-runtime V3.10.2 `axcl_rt_type.h` does.
pub(crate) const HOST_TO_HOST: u32 = 0;
const HOST_TO_DEVICE: u32 = 1;
const DEVICE_TO_HOST: u32 = 2;
const DEVICE_TO_DEVICE: u32 = 3;
/// Physical host addresses, to and from the device.
const PHYSICAL: std::ops::RangeInclusive<u32> = 4..=5;

/// Copies `len` bytes. Host addresses are exposed ones.
///
/// # Safety
///
/// The host side of a copy of `kind`, if it is not null and not a device address, is valid for `len` bytes:
/// for reads if it is the source, for writes if it is the target.
unsafe fn copy(memory: &mut DeviceMemory, to: u64, from: u64, len: u64, kind: u32) -> Result<(), Fault> {
    let unsupported = status::common(Part::Memory, Common::Unsupported);
    let illegal = status::common(Part::Memory, Common::IllegalParam);
    let bytes = usize::try_from(len).map_err(|_| Fault::plain(illegal, format!("a copy of {len} bytes")))?;
    match kind {
        HOST_TO_HOST => {
            let (to, from) = (host(to)?, host(from)?);
            // SAFETY: both are host addresses, which the caller promised valid for `len` bytes; they may
            // overlap.
            unsafe { ptr::copy(from, to, bytes) };
        }
        HOST_TO_DEVICE => {
            let from = host(from)?;
            let to = memory.bytes_mut(to, len)?;
            // SAFETY: the source is valid for reads of `len` bytes by the caller's promise, the target is a
            // slice of exactly `len` bytes, and backing store of the device is never handed out to the host.
            unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), bytes) };
        }
        DEVICE_TO_HOST => {
            let to = host(to)?;
            let from = memory.bytes(from, len)?;
            // SAFETY: the target is valid for writes of `len` bytes by the promise of the caller, the source is a
            // slice of exactly `len` bytes, and backing store of the device is never handed out to the host.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, bytes) };
        }
        DEVICE_TO_DEVICE => memory.copy(to, from, len)?,
        kind if PHYSICAL.contains(&kind) => {
            let reason = "the software card knows no physical host addresses";
            return Err(Fault::plain(unsupported, reason));
        }
        kind => return Err(Fault::plain(illegal, format!("no kind {kind} of copy"))),
    }
    Ok(())
}

/// Copies `len` bytes for a program that waits for it or has queued it.
///
/// # Safety
///
/// As for [`copy`].
#[cfg_attr(not(any(test, feature = "testing")), expect(unused_variables, reason = "only tests make it late"))]
pub(crate) unsafe fn transfer(
    state: &mut State,
    call: &Call<'_>,
    to: u64,
    from: u64,
    len: u64,
    kind: u32,
) -> Result<(), Fault> {
    #[cfg(any(test, feature = "testing"))]
    if kind == HOST_TO_DEVICE && state.host.contains(from) {
        mistakes::may_be_late(call, to, state.memory.bytes(to, len).unwrap_or_default());
    }
    // SAFETY: the host side is valid for `len` bytes by the promise of the caller, which is the same.
    unsafe { copy(&mut state.memory, to, from, len, kind) }
}

/// What a copy costs. Nothing that can be measured, if no device takes part.
pub(crate) fn work(host: &HostMemory, to: u64, from: u64, bytes: u64, kind: u32) -> Work {
    match kind {
        HOST_TO_DEVICE => Work::ToDevice { bytes, pinned: host.contains(from) },
        DEVICE_TO_HOST => Work::FromDevice { bytes, pinned: host.contains(to) },
        DEVICE_TO_DEVICE => Work::OnDevice { bytes },
        _ => Work::Message,
    }
}

/// Notices a copy that reads what queued work is still to write: it gets what was there before, or a part of the new.
/// And one that writes what queued work is still to use.
pub(crate) fn check_settled(
    state: &State,
    call: &Call<'_>,
    to: u64,
    from: u64,
    len: u64,
    kind: u32,
) -> Result<(), Fault> {
    if call.card.options.strict
        && matches!(kind, DEVICE_TO_HOST | DEVICE_TO_DEVICE)
        && let Some(writer) = state.streams.writer_of(from, len)
    {
        let detail =
            format!("{len} bytes at {from:#x} are read before the {writer} that writes them is over");
        call.warn(Rule::ReadBeforeWait, detail)?;
    }
    if matches!(kind, HOST_TO_DEVICE | DEVICE_TO_DEVICE) {
        check_unused(state, call, to, len)?;
    }
    Ok(())
}

/// Notices a write to memory that queued work is still to read, which then gets the new or a part of it, or to write.
pub(crate) fn check_unused(state: &State, call: &Call<'_>, to: u64, len: u64) -> Result<(), Fault> {
    if call.card.options.strict
        && let Some(user) = state.streams.user_of(to, len)
    {
        let detail = format!("{len} bytes at {to:#x} are written before the {user} that uses them is over");
        call.warn(Rule::WriteBeforeWait, detail)?;
    }
    Ok(())
}

/// Whether a copy of `kind` can be queued: the vendor's library refuses host to host (V3.10.2).
pub(crate) fn check_queueable(kind: u32) -> Result<(), Fault> {
    if kind == HOST_TO_HOST {
        // The bare error, as the vendor's library has it (axcl-runtime, host/runtime/memory/axcl_memory.cpp).
        let code = Common::Unsupported as i32;
        return Err(Fault::plain(code, "a copy from host to host cannot be asynchronous"));
    }
    Ok(())
}

/// A pointer to the host memory at an exposed address.
fn host(address: u64) -> Result<*mut u8, Fault> {
    if memory::is_device_address(address) {
        let code = status::common(Part::Memory, Common::IllegalParam);
        let reason = format!("{address:#x} is a device address where a host address belongs");
        return Err(Fault::breach(code, Rule::MixedAddress, reason));
    }
    match usize::try_from(address) {
        Ok(address) if address != 0 => Ok(ptr::with_exposed_provenance_mut(address)),
        _ => Err(Fault::null(Part::Memory, "a host address")),
    }
}

/// Runs everything that is queued for the selected device and not held back, in the order of submission. Errors
/// are kept for the synchronisation of their stream; what is queued behind one in its stream is dropped.
pub(crate) fn drain(state: &mut State, call: &Call<'_>) {
    #[cfg(any(test, feature = "testing"))]
    mistakes::swap_runs(call, state);
    while let Some(queued) = state.streams.next() {
        let stream = queued.stream;
        release(state, &queued);
        if state.streams.has_failed(stream) {
            state.streams.lose(&queued.task);
            continue;
        }
        let name = queued.call;
        let result = run_task(state, &call.named(name), &queued.task);
        if let Err(fault) = result {
            if let Some(rule) = fault.rule {
                call.card.record(name, rule, fault.reason.clone());
            }
            // Written down under the call that submitted it; the synchronisation only reports it.
            state.streams.fail(stream, Fault { rule: None, ..fault });
        }
    }
}

/// Drops what is left in a stream.
pub(crate) fn drop_tasks(state: &mut State, stream: u64) -> usize {
    let dropped = state.streams.drop_tasks(stream);
    for queued in &dropped {
        release(state, queued);
    }
    dropped.len()
}

/// Drops a stream whose context is gone, and what is left in it.
pub(crate) fn abandon(state: &mut State, stream: u64) -> usize {
    let dropped = state.streams.abandon(stream);
    for queued in &dropped {
        release(state, queued);
    }
    dropped.len()
}

/// The IO of a queued run may be bound anew.
pub(crate) fn release(state: &mut State, queued: &Queued) {
    if let Task::Run(run) = &queued.task
        && let Some(io) = state.engines.ios.get_mut(&run.io)
    {
        io.queued = io.queued.saturating_sub(1);
    }
}

fn run_task(state: &mut State, call: &Call<'_>, task: &Task) -> Result<(), Fault> {
    match *task {
        Task::Run(ref run) => run::perform(state, call, run),
        Task::Fill { address, value, len } => state.memory.fill(address, len, value),
        Task::Copy { to, from, len, kind } => {
            // SAFETY: whoever queued the copy promised the host side valid until the stream is synchronised or
            // destroyed, alone or with its context, device or interface. Each of these runs or drops what is
            // queued, so nothing drains it later.
            unsafe { transfer(state, call, to, from, len, kind) }
        }
        Task::Compare { first, second, len } => compare(&state.memory, first, second, len),
        Task::Record(moment) => {
            state.streams.reach(moment);
            Ok(())
        }
        Task::Wait { moment, .. } => state.streams.end_wait(moment),
    }
}

/// Fails unless two ranges are equal. For a difference the vendor's library returns what the card's `memcmp` gave;
/// ours is the general failure.
pub(crate) fn compare(memory: &DeviceMemory, first: u64, second: u64, len: u64) -> Result<(), Fault> {
    if memory.bytes(first, len)? == memory.bytes(second, len)? {
        return Ok(());
    }
    Err(Fault::plain(status::common(Part::Memory, Common::Fail), "the ranges differ"))
}
