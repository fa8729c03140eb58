//! The card computed on the CPU: what it will compute with.

use super::cma::meminfo;
use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

const CPUINFO: &str = "/proc/cpuinfo";

/// What the kernels are compiled for, best first, and the words in `/proc/cpuinfo` that all must be there.
const SETS: [(&str, &[&str]); 3] = [
    ("AVX-512", &["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"]),
    ("AVX2", &["avx2", "fma"]),
    ("NEON", &["asimd"]),
];

/// The instruction set that the kernels would take on a processor with these features.
fn instruction_set(cpuinfo: &str) -> &'static str {
    let features: Vec<&str> = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"))
        .map(|line| line.split_whitespace().collect())
        .unwrap_or_default();
    SETS.iter()
        .find(|(_, words)| words.iter().all(|word| features.contains(word)))
        .map_or("no vector instructions", |(name, _)| name)
}

fn cores(root: &Root, cpuinfo: &str) -> usize {
    let listed = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    if listed > 0 {
        listed
    } else {
        root.names("/sys/devices/system/cpu").iter().filter(|n| is_cpu(n)).count()
    }
}

fn is_cpu(name: &str) -> bool {
    name.strip_prefix("cpu").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn probe(around: &Surroundings, _: &Evidence) -> Vec<Finding> {
    let Some(cpuinfo) = around.root.text(CPUINFO) else { return Vec::new() };
    let set = instruction_set(&cpuinfo);
    let all = cores(&around.root, &cpuinfo);
    let wanted = around.environment.get("AX650_THREADS").and_then(|text| text.trim().parse::<usize>().ok());
    let threads = wanted.filter(|&n| n > 0).unwrap_or(all);
    let portable = !SETS.iter().any(|(name, _)| *name == set);
    let level = if portable { Level::Note } else { Level::Ok };
    let text = format!("without a card the CPU computes: {set}, {threads} of {all} cores");
    let mut finding = Finding::new("software.cpu", Group::Software, level, text)
        .seen(CPUINFO, format!("{set}, {all} processors"));
    if portable {
        finding = finding.advice("it works, but slowly");
    }
    let memory = around.root.text("/proc/meminfo").and_then(|text| meminfo(&text, "MemAvailable"));
    if let Some(kib) = memory {
        finding = finding.seen("/proc/meminfo", format!("{} MiB available", kib >> 10));
    }
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_set_that_is_whole_is_taken() {
        assert_eq!(instruction_set("flags\t\t: fpu fma avx2 avx512f avx512bw avx512dq avx512vl"), "AVX-512");
        assert_eq!(instruction_set("flags : fma avx2 avx512f"), "AVX2");
        assert_eq!(instruction_set("Features\t: fp asimd evtstrm"), "NEON");
        assert_eq!(instruction_set(""), "no vector instructions");
    }
}
