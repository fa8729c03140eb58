//! How full the memory is: structures for C, and the text of the driver's proc file.

use std::fmt::Write;

use ax650_sys::vendor::{AX_CMM_PARTITION_INFO_T, AX_CMM_STATUS_T, AX_PARTITION_INFO_T};

use super::cmm::{CMM_BASE, PAGE, PARTITION, pages};
use super::face::{Face, call, sys};
use crate::axcl::Out;
use crate::card::{self, State};
use crate::memory::{DeviceMemory, is_device_address};
use crate::profile::Interface;
use crate::status::Part;

const KIB: u64 = 1024;

pub(crate) unsafe extern "C" fn partitions<F: Face>(info: *mut AX_CMM_PARTITION_INFO_T) -> i32 {
    call::<F>(sys!(MemGetPartitionInfo), |state, _| {
        state.board.require_sys()?;
        // SAFETY: the caller passes null or a place for the structure.
        unsafe { Out::new(Part::Memory, info) }?.set(partition_info(&state.memory));
        Ok(())
    })
}

/// Sizes in KiB: the vendor does not say, and bytes would not fit.
pub(crate) unsafe extern "C" fn status<F: Face>(status: *mut AX_CMM_STATUS_T) -> i32 {
    call::<F>(sys!(MemQueryStatus), |state, _| {
        state.board.require_sys()?;
        // SAFETY: the caller passes null or a place for the structure.
        let out = unsafe { Out::new(Part::Memory, status) }?;
        let (total, used) = (state.memory.limit(), state.memory.used());
        out.set(AX_CMM_STATUS_T {
            TotalSize: kib(total),
            RemainSize: kib(total.saturating_sub(used)),
            BlockCnt: u32::try_from(lines(state).len()).unwrap_or(u32::MAX),
            Partition: partition_info(&state.memory),
        });
        Ok(())
    })
}

fn partition_info(memory: &DeviceMemory) -> AX_CMM_PARTITION_INFO_T {
    let mut name = [0; 32];
    for (place, byte) in name.iter_mut().zip(PARTITION.bytes()) {
        *place = byte.cast_signed();
    }
    let unused = AX_PARTITION_INFO_T { PhysAddr: 0, SizeKB: 0, Name: [0; 32] };
    let mut info = AX_CMM_PARTITION_INFO_T { PartitionCnt: 1, PartitionInfo: [unused; 16] };
    info.PartitionInfo[0] =
        AX_PARTITION_INFO_T { PhysAddr: CMM_BASE, SizeKB: kib(memory.limit()), Name: name };
    info
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes / KIB).unwrap_or(u32::MAX)
}

/// One block as the proc file lists it.
struct Line {
    start: u64,
    len: u64,
    cached: bool,
    name: String,
}

/// The text of `/proc/ax_proc/mem_cmm_info`, for programs on `interface`: the partition, one line for each block, and
/// the totals that programs parse. Over PCIe that of the device of the calling thread's context, the first one if it
/// has none. Any thread.
///
/// Blocks of `AX_SYS` are listed where they are. What has no physical address here (the engine's memory, and what AXCL
/// allocated) is listed from the end of the partition downwards. Engine blocks are named as the vendor's `axcl-smi`
/// looks for them, `npu_m_pid` and the process id.
pub fn cmm_info(interface: Interface) -> String {
    let card = card::reached(asking(interface));
    let mut state = card.state.lock();
    state.select_of_thread();
    render(&state)
}

/// A function that asks the same of the card which programs on `interface` use.
fn asking(interface: Interface) -> &'static str {
    match interface {
        Interface::Pcie => "axclrtGetDeviceProperties",
        Interface::Board => "AX_SYS_MemQueryStatus",
    }
}

fn render(state: &State) -> String {
    let lines = lines(state);
    let (total, used) = (state.memory.limit(), state.memory.used());
    let remain = total.saturating_sub(used);
    let end = CMM_BASE + total.max(1) - 1;
    let size = format!("{}KB({}MB)", total / KIB, total / KIB / KIB);
    let mut text = String::from("--------------------SDK VERSION-------------------\n");
    text.push_str("[Axera version]: ax_cmm software card\n");
    let none = "0B(0KB,0MB)";
    // Writing to a string cannot fail.
    writeln!(
        text,
        "+---PARTITION: Phys(0x{CMM_BASE:X}, 0x{end:X}), Size={size},    NAME=\"{PARTITION}\"\n \
         nBlock(Max=0, Cur={count}, New=0, Free=0)  nbytes(Max={none}, Cur={used}B({}KB,{}MB), New={none}, \
         Free={none})  Block(Max={none}, Min={none}, Avg={none})",
        used / KIB,
        used / KIB / KIB,
        count = lines.len(),
    )
    .ok();
    for Line { start, len, cached, name } in &lines {
        let cache = if *cached { "cacheable" } else { "non-cacheable" };
        let (last, kib, mib) = (start + len - 1, len / KIB, len / KIB / KIB);
        writeln!(
            text,
            "   |-Block: phys(0x{start:X}, 0x{last:X}), cache ={cache}, length={kib}KB({mib}MB),    name=\"{name}\""
        )
        .ok();
    }
    let split = |bytes: u64| format!("{}KB({}MB + {}KB)", bytes / KIB, bytes / KIB / KIB, bytes / KIB % KIB);
    writeln!(
        text,
        "\n---CMM_USE_INFO:\n total size={size},used={},remain={},partition_number=1,block_number={}",
        split(used),
        split(remain),
        lines.len(),
    )
    .ok();
    text
}

/// All blocks by address.
fn lines(state: &State) -> Vec<Line> {
    let mut top = CMM_BASE + state.memory.limit() / PAGE * PAGE;
    let mut below = |bytes: u64| {
        let len = pages(bytes);
        top = top.saturating_sub(len);
        (top, len)
    };
    let mut lines = Vec::new();
    for (base, block) in state.memory.blocks() {
        let place = state.memory.cmm.get(base);
        let (start, len) = match place {
            Some(place) if !is_device_address(base) => (base, place.len),
            _ => below(block.len()),
        };
        let (name, cached) =
            place.map_or_else(|| ("axclrt".to_owned(), false), |place| (place.name.clone(), place.cached));
        lines.push(Line { start, len, cached, name });
    }
    let process = std::process::id();
    for model in state.engines.models.values() {
        let (start, len) = below(model.bytes);
        lines.push(Line { start, len, cached: false, name: format!("npu_m_pid{process}") });
    }
    lines.sort_by_key(|line| line.start);
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::process;

    #[test]
    fn programs_are_told_of_the_card_that_they_use() {
        let shows =
            |interface, function| Arc::ptr_eq(&process::card(asking(interface)), &process::card(function));
        assert!(shows(Interface::Pcie, "axclrtMalloc") && !shows(Interface::Pcie, "AX_SYS_MemAlloc"));
        assert!(shows(Interface::Board, "AX_SYS_MemAlloc") && !shows(Interface::Board, "axclrtMalloc"));
    }
}
