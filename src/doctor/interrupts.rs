//! Where the card's interrupts are served and how fast the cores run: twofold in tokens per second on hosts with big
//! and little cores (VVK, RK3588: 5 to 7.5 against 11 to 12.6 tokens/s).

use std::collections::BTreeSet;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::pci::PciCard;
use super::{Root, Surroundings};

const CPUS: &str = "/sys/devices/system/cpu";
const INTERRUPTS: &str = "/proc/interrupts";

/// A core of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Core {
    number: usize,
    /// Whether it is one of the fast ones.
    big: bool,
    governor: Option<String>,
}

/// All cores. Fast are those of the greatest capacity, or of the highest clock where the kernel tells no capacity.
fn cores(root: &Root) -> Vec<Core> {
    let names = root.names(CPUS);
    let numbers = names.iter().filter_map(|name| name.strip_prefix("cpu")?.parse::<usize>().ok());
    let measured: Vec<(usize, u64)> = numbers
        .map(|number| {
            let cpu = format!("{CPUS}/cpu{number}");
            let clock = || root.number(format!("{cpu}/cpufreq/cpuinfo_max_freq"));
            (number, root.number(format!("{cpu}/cpu_capacity")).or_else(clock).unwrap_or(0))
        })
        .collect();
    let best = measured.iter().map(|(_, strength)| *strength).max().unwrap_or(0);
    let mut cores: Vec<Core> = measured
        .into_iter()
        .map(|(number, strength)| Core {
            number,
            // Clusters of one kind of core differ by some percent (RK3588: 1024 and 1024 or so); little ones by half.
            big: strength.saturating_mul(10) >= best.saturating_mul(8),
            governor: root.text(format!("{CPUS}/cpu{number}/cpufreq/scaling_governor")),
        })
        .collect();
    cores.sort_by_key(|core| core.number);
    cores
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.card_matters(around) {
        return Vec::new();
    }
    let cores = cores(&around.root);
    let mixed = cores.iter().any(|core| core.big) && cores.iter().any(|core| !core.big);
    let mut findings = Vec::new();
    if mixed {
        findings.extend(evidence.cards.iter().filter_map(|card| placement(&around.root, card, &cores)));
    }
    findings.extend(governor(&cores, mixed));
    findings
}

/// Whether the card's interrupt goes to a fast core.
fn placement(root: &Root, card: &PciCard, cores: &[Core]) -> Option<Finding> {
    let table = root.text(INTERRUPTS).unwrap_or_default();
    let interrupt = card.interrupts.first().copied().or_else(|| number_of(&table, &card.address))?;
    let file = |name: &str| root.text(format!("/proc/irq/{interrupt}/{name}"));
    let allowed = file("smp_affinity_list").unwrap_or_default();
    // Where it really goes; older kernels tell only where it may go, and then the first core gets it.
    let target = file("effective_affinity_list")
        .and_then(|list| cpu_list(&list).first().copied())
        .or_else(|| busiest(&table, interrupt))
        .or_else(|| cpu_list(&allowed).first().copied())?;
    let core = cores.iter().find(|core| core.number == target)?;
    let big = cores.iter().rfind(|core| core.big)?;
    let seen = |finding: Finding| {
        finding
            .seen(format!("/proc/irq/{interrupt}/smp_affinity_list"), &allowed)
            .seen(INTERRUPTS, format!("interrupt {interrupt} of {} on cpu {target}", card.address))
    };
    Some(if core.big {
        let text = format!("the card's interrupt is served by a fast core (cpu {target})");
        seen(Finding::new("speed.interrupt", Group::Speed, Level::Ok, text))
    } else {
        let text = format!(
            "the card's interrupt is served by a slow core (cpu {target}): up to half of the speed is lost"
        );
        seen(Finding::new("speed.interrupt", Group::Speed, Level::Warning, text))
            .advice(format!(
                "move it to a fast core such as cpu {}; irqbalance, if it runs, moves it back",
                big.number
            ))
            .command(format!("echo {} | sudo tee /proc/irq/{interrupt}/smp_affinity_list", big.number))
    })
}

fn governor(cores: &[Core], mixed: bool) -> Option<Finding> {
    let fast: Vec<&Core> = cores.iter().filter(|core| core.big && core.governor.is_some()).collect();
    let first = fast.first()?;
    let slow: Vec<&&Core> =
        fast.iter().filter(|core| core.governor.as_deref() != Some("performance")).collect();
    let place =
        format!("{CPUS}/cpu{}/cpufreq/scaling_governor", slow.first().map_or(first.number, |c| c.number));
    let Some(example) = slow.first().and_then(|core| core.governor.as_deref()) else {
        let text = "the fast cores keep their highest clock";
        return Some(
            Finding::new("speed.governor", Group::Speed, Level::Ok, text).seen(place, "performance"),
        );
    };
    let numbers: BTreeSet<usize> = slow.iter().map(|core| core.number).collect();
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let text = format!(
        "cores {} slow down between the card's calls (governor {example}); answers come slower and unevenly",
        list.join(", ")
    );
    // Measured on big.LITTLE; elsewhere it is likely, but less.
    let level = if mixed { Level::Warning } else { Level::Note };
    let files: Vec<String> =
        list.iter().map(|number| format!("{CPUS}/cpu{number}/cpufreq/scaling_governor")).collect();
    Some(
        Finding::new("speed.governor", Group::Speed, level, text)
            .seen(place, example)
            .advice("let them keep their highest clock (until the next restart)")
            .command(format!("echo performance | sudo tee {}", files.join(" "))),
    )
}

/// The interrupt whose line in `/proc/interrupts` names the device, with the most counts.
fn number_of(table: &str, address: &str) -> Option<u64> {
    let lines = table.lines().filter(|line| line.contains(address));
    let numbered = lines.filter_map(|line| {
        let number: u64 = line.split(':').next()?.trim().parse().ok()?;
        Some((counts(line).iter().copied().fold(0, u64::saturating_add), number))
    });
    numbered.max_by_key(|(count, _)| *count).map(|(_, number)| number)
}

/// The core that has served an interrupt most often.
fn busiest(table: &str, interrupt: u64) -> Option<usize> {
    let line = table
        .lines()
        .find(|line| line.split(':').next().is_some_and(|number| number.trim().parse() == Ok(interrupt)))?;
    let numbers = columns(table);
    let counts = counts(line);
    let (column, count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    if *count == 0 { None } else { numbers.get(column).copied() }
}

/// Numbers of the cores that the columns of `/proc/interrupts` stand for.
fn columns(table: &str) -> Vec<usize> {
    let head = table.lines().next().unwrap_or_default();
    head.split_whitespace().filter_map(|word| word.strip_prefix("CPU")?.parse().ok()).collect()
}

fn counts(line: &str) -> Vec<u64> {
    let rest = line.split_once(':').map_or("", |(_, rest)| rest);
    rest.split_whitespace().map_while(|word| word.parse().ok()).collect()
}

/// Core numbers of a list like `0-3,6`. Ranges are cut at 1024 cores.
fn cpu_list(text: &str) -> Vec<usize> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
            cpus.extend((first..=last).take(1024));
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "           CPU0       CPU1       CPU4\n \
        143:          0         75          0  IR-PCI-MSI-0000:03:00.0    0-edge      0000:03:00.0\n \
        144:          5          0        900  IR-PCI-MSI-0000:04:00.0    0-edge      0000:04:00.0\n";

    #[test]
    fn the_table_of_interrupts_is_read() {
        assert_eq!(number_of(TABLE, "0000:04:00.0"), Some(144));
        assert_eq!((busiest(TABLE, 144), busiest(TABLE, 143), busiest(TABLE, 1)), (Some(4), Some(1), None));
        assert_eq!(cpu_list("0-2,6\n"), [0, 1, 2, 6]);
        assert!(cpu_list("x,3-1,-").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            number_of(&text, "0");
            busiest(&text, 0);
            cpu_list(&text);
        }

        #[test]
        fn huge_ranges_are_cut(first: usize, last: usize) {
            assert!(cpu_list(&format!("{first}-{last}")).len() <= 1024);
        }
    }
}
