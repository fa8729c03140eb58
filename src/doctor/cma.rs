//! Contiguous memory of the host, from which the card's driver takes its transfer buffers.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

const MEMINFO: &str = "/proc/meminfo";
const COMMAND_LINE: &str = "/proc/cmdline";

/// What the vendor recommends at least (`doc_guide_setup`).
const RECOMMENDED_KIB: u64 = 128 << 10;

/// What each process takes: three transfer buffers of 4 MiB (`doc_guide_faq`).
const PER_PROCESS_KIB: u64 = 12 << 10;

/// The value of a line of `/proc/meminfo`, in KiB.
pub(super) fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `cma=` of a kernel command line; the last counts.
fn wanted(command_line: &str) -> Option<&str> {
    command_line.split_whitespace().rev().find_map(|word| word.strip_prefix("cma="))
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.card_matters(around) {
        return Vec::new();
    }
    let root = &around.root;
    let Some(text) = root.text(MEMINFO) else { return Vec::new() };
    let command_line = root.text(COMMAND_LINE).unwrap_or_default();
    let asked = wanted(&command_line).map_or_else(|| "no cma=".to_owned(), |value| format!("cma={value}"));
    let total = meminfo(&text, "CmaTotal");
    let free = meminfo(&text, "CmaFree");
    let finding = |level, text: String| {
        Finding::new("memory.cma", Group::Memory, level, text)
            .seen(MEMINFO, format!("CmaTotal {}, CmaFree {}", kib(total), kib(free)))
            .seen(COMMAND_LINE, &asked)
    };
    vec![match (total, free) {
        // What failed without it were Raspberry Pis (abi.md 6); of other hosts, of which many keep none, nothing is
        // known.
        (None | Some(0), _) if evidence.pi5.is_none() => finding(
            Level::Note,
            "the kernel keeps no contiguous memory (CMA): if transfers fail, this may be why".to_owned(),
        )
        .advice("if they do, add cma=256M to the kernel's command line in the boot loader, and restart"),
        (None | Some(0), _) => enlarge(
            root,
            finding(
                Level::Warning,
                "the kernel keeps no contiguous memory (CMA) for the card's transfers".to_owned(),
            ),
        ),
        (Some(total), _) if total < RECOMMENDED_KIB => enlarge(
            root,
            finding(
                Level::Warning,
                format!(
                    "{} MiB of contiguous memory (CMA): transfers may fail once other devices take theirs",
                    total >> 10
                ),
            ),
        ),
        (Some(total), Some(free)) if free < PER_PROCESS_KIB => finding(
            Level::Warning,
            format!(
                "{} MiB of {} MiB of contiguous memory (CMA) are free; a process that uses the card takes 12 MiB",
                free >> 10,
                total >> 10
            ),
        )
        .advice("end other programs that use the card; the kernel frees what it lent to file caches by itself"),
        (Some(total), _) => {
            finding(Level::Ok, format!("{} MiB of contiguous memory (CMA)", total >> 10))
        }
    }]
}

fn kib(value: Option<u64>) -> String {
    value.map_or_else(|| "not there".to_owned(), |value| format!("{value} kB"))
}

/// How the kernel is told to keep 256 MiB: what the vendor takes for its own cards.
fn enlarge(root: &Root, finding: Finding) -> Finding {
    let finding = finding.advice("give it 256 MiB and restart");
    if root.exists("/boot/firmware/cmdline.txt") {
        finding.command("sudo sed -i '1s/$/ cma=256M/' /boot/firmware/cmdline.txt").command("sudo reboot")
    } else if root.exists("/etc/default/grub") {
        finding
            .command("sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&cma=256M /' /etc/default/grub")
            .command("sudo update-grub && sudo reboot")
    } else {
        finding.advice("add cma=256M to the kernel's command line in the boot loader, and restart")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_are_found_in_their_lines() {
        let text = "MemTotal:  100 kB\nCmaTotal:      65536 kB\nCmaFree:          12 kB";
        assert_eq!((meminfo(text, "CmaTotal"), meminfo(text, "CmaFree")), (Some(65536), Some(12)));
        assert_eq!(meminfo(text, "Cma"), None);
        assert_eq!(wanted("quiet cma=64M x cma=256M"), Some("256M"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            meminfo(&text, "CmaTotal");
            wanted(&text);
        }
    }
}
