//! The vendor's own Linux on its chip.

use super::*;

const CMM: &str = "+---PARTITION: Phys(0x180000000, 0x23FFFFFFF), Size=3145728KB(3072MB),    NAME=\"anonymous\"\n   \
    |-Block: phys(0x1, 0x2), cache =cacheable, length=4096KB(4MB),    name=\"npu_cmm_pid812\"\n   \
    |-Block: phys(0x3, 0x4), cache =cacheable, length=2097152KB(2048MB),    name=\"npu_wbt_pid99\"\n\
    ---CMM_USE_INFO:\n total size=3145728KB(3072MB),used=18876KB(18MB + 444KB),remain=1044480KB(1020MB + 0KB),\
    partition_number=1,block_number=2\n";

/// The engine's library without some functions.
fn engine(lacking: &[&str]) -> Vec<u8> {
    let all = table::BOARD.required.iter().chain(table::BOARD.optional).copied();
    let there: Vec<&str> =
        all.filter(|name| name.starts_with("AX_ENGINE_") && !lacking.contains(name)).collect();
    library(AARCH64, &there)
}

fn board() -> Machine {
    let names = |names: &[&'static str], prefix: &str| -> Vec<&'static str> {
        names.iter().copied().filter(|name| name.starts_with(prefix)).collect()
    };
    let mut machine = Machine::new()
        .file("/proc/ax_proc/version", "Ax_Version V1.45.0_P39\n")
        .file("/proc/ax_proc/chip_type", "AX650N_CHIP\n")
        .file("/proc/ax_proc/mem_cmm_info", CMM)
        .file("/proc/812/comm", "ax650\n")
        .file("/proc/99/comm", "other\n")
        .file("/sys/class/thermal/thermal_zone0/temp", "61000\n")
        .file("/usr/lib/libax_engine.so", engine(&[]))
        .file("/usr/lib/libax_sys.so", library(AARCH64, &names(table::BOARD.required, "AX_SYS_")))
        .device("board")
        .card(CardProbe::Skipped);
    for node in ["/dev/ax_cmm", "/dev/ax_sys", "/dev/npu"] {
        machine = machine.file(node, "").mode(node, 0o666);
    }
    machine
}

#[test]
fn a_board_is_fine_and_hears_nothing_of_pcie() {
    let machine = board();
    let report = machine.examine();
    assert!(machine.complaints().is_empty(), "{:#?}", report.findings);
    assert!(machine.finding("host.board").seen[1].value.contains("V1.45.0_P39"));
    assert!(machine.finding("memory.cmm").text.starts_with("1020 MiB of 3072 MiB"));
    assert!(machine.finding("speed.temperature").text.contains("61 degrees"));
    assert!(report.findings.iter().all(|finding| finding.group != Group::Bus));
}

#[test]
fn memory_of_the_dead_is_found() {
    let machine = board().without("/proc/99");
    assert_eq!(machine.complaints(), ["memory.stale_owner warning"]);
    let finding = machine.finding("memory.stale_owner");
    assert!(finding.text.starts_with("2048 MiB") && finding.text.contains("(99)"), "{finding:?}");
}

#[test]
fn missing_parts_of_the_board_are_named() {
    let machine = board().without("/usr/lib/libax_sys.so");
    assert!(machine.finding("driver.board_system_library").text.contains("libax_sys.so"));
    let machine = board().without("/dev/npu");
    assert!(machine.finding("driver.board_nodes").text.contains("/dev/npu"));
    let old = library(AARCH64, &["AX_ENGINE_Init"]);
    let machine = board().file("/usr/lib/libax_engine.so", old);
    assert!(machine.finding("driver.board_library.symbols").text.contains("AX_ENGINE_CreateHandle"));
    let machine = board().file("/usr/lib/libax_engine.so", engine(&["AX_ENGINE_RunGroupIOSync"]));
    let groups = machine.finding("driver.board_library.groups");
    assert!(groups.level == Level::Problem && groups.advice.contains("V1.45.0_P38"), "{groups:?}");
    let machine = board().file("/proc/ax_proc/mem_cmm_info", CMM.replace("1044480", "20480"));
    assert_eq!(machine.finding("memory.cmm").level, Level::Warning);
}

#[test]
fn a_machine_that_is_no_board_is_told_so_once() {
    let machine = Machine::new().device("board");
    let finding = machine.finding("host.board");
    assert!(finding.level == Level::Problem && finding.advice.contains("--device pcie"), "{finding:?}");
    assert!(machine.examine().get("driver.board_nodes").is_none(), "no node can be missing there");
}

#[test]
fn a_board_that_hosts_a_card_is_examined_as_auto_opens_it() {
    let both = || board().with_card().with_driver().device("auto");
    assert!(both().examine().get("driver.library").is_some(), "the card goes first");
    let without_host = both().without("/dev/axcl_host");
    assert!(without_host.examine().get("driver.library").is_none(), "the board goes first");
}
