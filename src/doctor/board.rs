//! The chip's own Linux: its media memory (CMM), who holds it, and how warm it is.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

/// What the memory manager tells (layout: vendor document `doc_guide_axcl_smi`).
const CMM: &str = "/proc/ax_proc/mem_cmm_info";
const TEMPERATURE: &str = "/sys/class/thermal/thermal_zone0/temp";
const VERSION: &str = "/proc/ax_proc/version";
const CHIP: &str = "/proc/ax_proc/chip_type";

/// The chip resets at 120 degrees (`doc_guide_faq`); worth a word from here on (our choice).
pub(super) const WARM_DEGREES: u64 = 95;

/// Too little for the smallest models that people run (our choice).
const LITTLE_KIB: u64 = 512 << 10;

/// Media memory of the chip.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cmm {
    /// Total and free, in KiB.
    totals: Option<(u64, u64)>,
    /// Process ids that blocks are named after, with the KiB of each.
    owners: Vec<(u32, u64)>,
}

impl Cmm {
    fn parse(text: &str) -> Self {
        let mut cmm = Self::default();
        for line in text.lines() {
            if line.contains("total size=") {
                cmm.totals = number_after(line, "total size=").zip(number_after(line, "remain="));
            } else if let Some((id, kib)) = owner(line) {
                match cmm.owners.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, sum)) => *sum = sum.saturating_add(kib),
                    None => cmm.owners.push((id, kib)),
                }
            }
        }
        cmm
    }
}

/// The process that a block of the engine is named after (`npu_*_pid<pid>*`: what axcl-smi looks for) and its KiB.
fn owner(line: &str) -> Option<(u32, u64)> {
    let name = line.split_once("name=\"")?.1.split('"').next()?;
    let id = name.strip_prefix("npu_")?.split_once("_pid")?.1;
    let digits = id.find(|c: char| !c.is_ascii_digit()).unwrap_or(id.len());
    Some((id.get(..digits)?.parse().ok()?, number_after(line, "length=")?))
}

fn number_after(line: &str, key: &str) -> Option<u64> {
    let rest = line.split_once(key)?.1;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.board_matters(around) {
        return Vec::new();
    }
    if !evidence.is_board() {
        return vec![no_board()];
    }
    let root = &around.root;
    let mut findings = vec![chip(root)];
    match root.text(CMM).map(|text| Cmm::parse(&text)) {
        Some(cmm) => {
            findings.extend(free(&cmm));
            findings.extend(stale(root, &cmm));
        }
        None => findings.push(
            Finding::new(
                "memory.cmm",
                Group::Memory,
                Level::Warning,
                "the chip's memory manager tells nothing",
            )
            .seen(CMM, if root.is_denied(CMM) { "not readable for this user" } else { "not there" })
            .advice("load the board's drivers; see the kernel's log")
            .command("sudo dmesg | grep -i ax_cmm"),
        ),
    }
    findings.extend(temperature(root));
    findings
}

/// Somebody asked for the board on a machine that is none, or whose drivers are not loaded.
fn no_board() -> Finding {
    let text = "this is no AX650N system, or none of its drivers is loaded";
    Finding::new("host.board", Group::Host, Level::Problem, text)
        .seen("/dev/ax_cmm, /dev/ax_sys, /dev/npu", "not there")
        .advice(
            "for a card in a PCIe slot use --device pcie; on an AX650N board load its drivers, as its maker describes",
        )
}

fn chip(root: &Root) -> Finding {
    let read = |path| root.text(path).filter(|text| !text.is_empty());
    let chip = read(CHIP).unwrap_or_else(|| "Axera chip".to_owned());
    let version = read(VERSION).unwrap_or_else(|| "unknown".to_owned());
    Finding::new("host.board", Group::Host, Level::Ok, format!("board: the model runs on this {chip}"))
        .seen(CHIP, &chip)
        .seen(VERSION, version)
}

fn free(cmm: &Cmm) -> Option<Finding> {
    let (total, free) = cmm.totals?;
    let text = format!("{} MiB of {} MiB of the chip's memory (CMM) are free", free >> 10, total >> 10);
    let level = if free < LITTLE_KIB { Level::Warning } else { Level::Ok };
    let finding = Finding::new("memory.cmm", Group::Memory, level, text)
        .seen(CMM, format!("total size={total}KB, remain={free}KB"));
    Some(if level == Level::Ok {
        finding
    } else {
        finding
            .advice("end other programs that use the NPU or video, or give CMM more of the memory at boot")
            .command(format!("grep -E 'npu_|total size' {CMM}"))
    })
}

/// Memory of processes that are gone: a program killed in mid-load leaves it behind.
fn stale(root: &Root, cmm: &Cmm) -> Option<Finding> {
    let gone: Vec<_> = cmm.owners.iter().filter(|(id, _)| !root.exists(format!("/proc/{id}"))).collect();
    if gone.is_empty() {
        return None;
    }
    let sum: u64 = gone.iter().map(|(_, kib)| *kib).fold(0, u64::saturating_add);
    let ids: Vec<String> = gone.iter().map(|(id, _)| id.to_string()).collect();
    let text = format!(
        "{} MiB of the chip's memory belong to processes that are gone ({})",
        sum >> 10,
        ids.join(", ")
    );
    Some(
        Finding::new("memory.stale_owner", Group::Memory, Level::Warning, text)
            .seen(CMM, format!("blocks npu_*_pid{}", ids.join(", npu_*_pid")))
            .advice(
                "the system frees it when the last helper of those programs ends; if it stays, restart the board. End \
                 programs with SIGTERM, never with SIGKILL, while they load or run",
            )
            .command("sudo reboot"),
    )
}

fn temperature(root: &Root) -> Option<Finding> {
    let degrees = root.number(TEMPERATURE)? / 1000;
    Some(warmth("the chip", degrees).seen(TEMPERATURE, format!("{degrees} degrees C")))
}

/// A finding about a temperature, without its evidence.
pub(super) fn warmth(what: &str, degrees: u64) -> Finding {
    let level = if degrees >= WARM_DEGREES { Level::Warning } else { Level::Ok };
    let finding =
        Finding::new("speed.temperature", Group::Speed, level, format!("{what} has {degrees} degrees C"));
    if level == Level::Ok {
        finding
    } else {
        finding.advice("cool it better: it resets itself at 120 degrees, and programs lose the card")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &str = r#"
+---PARTITION: Phys(0x180000000, 0x23FFFFFFF), Size=3145728KB(3072MB),    NAME="anonymous"
   |-Block: phys(0x180000000, 0x180013FFF), cache =non-cacheable, length=80KB(0MB),    name="TDP_DEV"
   |-Block: phys(0x180014000, 0x180014FFF), cache =non-cacheable, length=4096KB(4MB),    name="npu_cmm_pid812"
   |-Block: phys(0x180015000, 0x180015FFF), cache =non-cacheable, length=1024KB(1MB),    name="npu_wbt_pid812_0"
---CMM_USE_INFO:
 total size=3145728KB(3072MB),used=18876KB(18MB + 444KB),remain=3126852KB(3053MB + 580KB),partition_number=1,block_number=23
"#;

    #[test]
    fn totals_and_owners_are_read() {
        let cmm = Cmm::parse(SAMPLE);
        assert_eq!(cmm.totals, Some((3_145_728, 3_126_852)));
        assert_eq!(cmm.owners, [(812, 5120)]);
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..800, text in ".{0,8}") {
            let mut sample = SAMPLE.to_owned();
            let at = (0..=at.min(sample.len())).rev().find(|&i| sample.is_char_boundary(i)).unwrap_or(0);
            sample.insert_str(at, &text);
            Cmm::parse(&sample);
            Cmm::parse(&text);
        }
    }
}
