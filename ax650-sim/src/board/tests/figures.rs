//! How full the memory is.

use ax650_sys::vendor::{AX_CMM_PARTITION_INFO_T, AX_CMM_STATUS_T};

use super::*;
use crate::cmm_info;
use crate::profile::Interface;

/// The number between `before` and `after` in the totals, as programs cut it out.
fn figure(text: &str, before: &str, after: &str) -> u64 {
    let line = text.lines().find(|line| line.contains("total size")).expect("the totals");
    let from = line.split_once(before).expect("the figure").1;
    from.split_once(after).expect("its unit").0.parse().expect("a number")
}

#[test]
fn the_proc_file_reads_as_programs_expect_it() {
    let (files, _dir) = model(&TinySpec::default());
    let client = Client::new();
    let block = client.allocate(3 << 20, true);
    client.allocate(100, false);
    client.load(&files.head);
    let text = cmm_info(Interface::Board);
    let used = client.card.memory_in_use();
    assert_eq!(figure(&text, " total size=", "KB("), 64 << 10);
    assert_eq!(figure(&text, "used=", "KB("), used / 1024);
    // The form that ax-llm's expression takes apart: remain=<KB>KB(<MB>MB + <KB>KB).
    let remain = ((64 << 20) - used) / 1024;
    let expected = format!(
        "remain={remain}KB({}MB + {}KB),partition_number=1,block_number=3",
        remain / 1024,
        remain % 1024
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains(
        "+---PARTITION: Phys(0x148000000, 0x14BFFFFFF), Size=65536KB(64MB),    NAME=\"anonymous\""
    ));
    let line = format!(
        "   |-Block: phys(0x{:X}, 0x{:X}), cache =cacheable, length=3072KB(3MB),    name=\"npu\"",
        block.phy,
        block.phy + (3 << 20) - 1
    );
    assert!(text.contains(&line), "{text}");
    // What axcl-smi adds up for a process.
    let engine = format!("name=\"npu_m_pid{}\"", std::process::id());
    assert_eq!(text.matches(&engine).count(), 1);
    assert!(client.broken().is_empty());
}

#[test]
fn structures_tell_the_same_in_kib() {
    let client = Client::new();
    client.allocate(1 << 20, false);
    let mut status = AX_CMM_STATUS_T::default();
    assert_eq!(ax!(client.table, AX_SYS_MemQueryStatus(&raw mut status)), 0);
    assert_eq!((status.TotalSize, status.RemainSize, status.BlockCnt), (64 << 10, 63 << 10, 1));
    let mut info = AX_CMM_PARTITION_INFO_T::default();
    assert_eq!(ax!(client.table, AX_SYS_MemGetPartitionInfo(&raw mut info)), 0);
    let first = info.PartitionInfo[0];
    assert_eq!((info.PartitionCnt, first.PhysAddr, first.SizeKB), (1, 0x1_4800_0000, 64 << 10));
    assert_eq!(first.Name[..4], [b'a', b'n', b'o', b'n'].map(u8::cast_signed));
    assert_eq!(hex(ax!(client.table, AX_SYS_MemQueryStatus(ptr::null_mut()))), 0x800B_000B);
}
