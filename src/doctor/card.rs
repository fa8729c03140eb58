//! What came of opening the card, and what the card then said.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::board::warmth;
use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Surroundings, pi};
use crate::device::DeviceChoice;

/// What came of opening the card, in a process of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CardProbe {
    /// Nobody tried: these are the files of another machine.
    #[default]
    Skipped,
    /// It answered.
    Opened(CardFacts),
    /// There is no library of the vendor that could be opened, or it lacks functions.
    NoLibrary {
        /// The loader's account.
        reason: String,
    },
    /// A function of the vendor failed.
    Failed {
        /// The function.
        call: String,
        /// Its code, `0x8030010B`.
        code: String,
        /// What kind of failure that is.
        class: FailureClass,
        /// The code in words.
        reason: String,
    },
    /// The vendor's library did not return in time.
    TimedOut {
        /// How long it was given.
        seconds: u64,
        /// The function that was running; empty if none had begun.
        call: String,
    },
    /// The vendor's library brought its process down.
    Crashed {
        /// Signal or exit code.
        how: String,
        /// The function that was running; empty if none had begun.
        call: String,
        /// The last of what the library printed.
        output: String,
    },
}

/// Kinds of failure that a person treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The library could not open the kernel driver (measured: 0x8030010B without it).
    NoDriver,
    /// Driver and library are there, no card answers (0x80300181 and its kin).
    NoCard,
    /// Anything else.
    Other,
}

/// What an opened card says of itself. No serial numbers: reports are shown to others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFacts {
    /// `pcie`, `board` or `software`.
    pub kind: String,
    /// The vendor's interface that was spoken: `pcie` or `board`.
    pub interface: String,
    /// The library that was opened; none for the software card.
    pub library: Option<PathBuf>,
    /// The library's version; empty where it does not tell.
    pub version: String,
    /// The chip's name; empty where the library does not tell.
    pub soc: String,
    /// Version of the card's system; empty where the library does not tell.
    pub firmware: String,
    /// Cards that the library lists.
    pub cards: u32,
    /// Which of them this is.
    pub index: u32,
    /// Memory of the chip for models, in bytes; 0 where the library does not tell.
    pub total_memory: u64,
    /// How much of it is free.
    pub free_memory: u64,
    /// As the library gives it; most likely thousandths of a degree Celsius.
    pub temperature: Option<i64>,
    /// Load of the NPU in percent.
    pub npu_load: Option<u32>,
    /// Load of the card's own processors in percent.
    pub cpu_load: Option<u32>,
    /// Optional functions that the library lacks.
    pub absent: Vec<String>,
}

/// One line: what will compute.
pub(super) fn summary(around: &Surroundings, evidence: &Evidence) -> String {
    match (&around.card, &around.device) {
        (CardProbe::Opened(_) | CardProbe::Skipped, DeviceChoice::Software(_)) => {
            "the software card computes, as asked for".to_owned()
        }
        (CardProbe::Opened(facts), _) => {
            format!(
                "the {} card computes: {}, {} MiB free",
                facts.kind,
                or_unknown(&facts.soc),
                facts.free_memory >> 20
            )
        }
        (CardProbe::Skipped, _) => {
            "the card was not opened: these are the files of another machine".to_owned()
        }
        (_, DeviceChoice::Auto) if evidence.hints_at_card() || evidence.is_board() => {
            "the card does not work yet; until then the software card (the CPU) computes".to_owned()
        }
        (_, DeviceChoice::Auto) => "no card here: the software card (the CPU) computes".to_owned(),
        _ => format!("nothing computes: {} was asked for and does not work", around.device),
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown chip" } else { text }
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let asked_for = matches!(around.device, DeviceChoice::Pcie(_) | DeviceChoice::Board);
    let expected = asked_for || evidence.hints_at_card() || evidence.is_board();
    if let CardProbe::Opened(facts) = &around.card {
        return opened(facts);
    }
    if matches!(around.card, CardProbe::Skipped) {
        return Vec::new();
    }
    if matches!(around.device, DeviceChoice::Software(_)) {
        return vec![software_failed(around)];
    }
    if !expected {
        return vec![none_here(around, evidence)];
    }
    vec![failed(&around.card)]
}

/// A machine without any sign of a card.
fn none_here(around: &Surroundings, evidence: &Evidence) -> Finding {
    let finding = Finding::new(
        "card.none",
        Group::Card,
        Level::Note,
        "there is no sign of a card: the software card will be used, at the speed of the CPU",
    )
    .seen("/sys/bus/pci/devices", "no device of Axera (1f4b)")
    .seen("libaxcl_rt.so, libax_engine.so", "not there");
    let advice = "with a card (M5Stack LLM-8850, Radxa AX-M1, an AX650N board): power off, put it in, install the \
                  maker's host package (axclhost), restart, run `ax650 doctor` again";
    if evidence.pi5.is_some() {
        finding
            .advice(format!("{advice}; on a Raspberry Pi 5 turn the PCIe socket on first"))
            .command(pi::turn_on(&around.root))
    } else {
        finding.advice(advice)
    }
}

/// Nothing but its profile can keep a software card from working.
fn software_failed(around: &Surroundings) -> Finding {
    let text = format!("{} cannot be made", around.device);
    match &around.card {
        CardProbe::NoLibrary { reason } => Finding::new("card.software", Group::Card, Level::Problem, text)
            .seen("--device", reason)
            .advice("name a profile that exists, or none: --device software"),
        other => failed(other),
    }
}

fn failed(outcome: &CardProbe) -> Finding {
    let finding = |id: &str, text: String| Finding::new(id, Group::Card, Level::Problem, text);
    match outcome {
        CardProbe::Failed { call, code, class: FailureClass::NoDriver, reason } => finding(
            "card.no_driver",
            "the library is there, but cannot open the kernel driver".to_owned(),
        )
        .seen(call, format!("{code}: {reason}"))
        .advice("load the driver's modules and open its device nodes (see Driver)")
        .command("sudo modprobe axcl_host"),
        CardProbe::Failed { call, code, class: FailureClass::NoCard, reason } => {
            finding("card.no_card", "library and driver are there, but no card answers".to_owned())
                .seen(call, format!("{code}: {reason}"))
                .advice(
                    "see PCIe and Machine; if the card is on the bus, wait a minute after start (its firmware is being sent), \
                     then power off and on: a restart does not reset the card",
                )
                .command("sudo dmesg | grep -iE 'axcl|ax_pcie|dead'")
        }
        CardProbe::Failed { call, code, class: FailureClass::Other, reason } => {
            finding("card.failed", format!("the card cannot be opened: {call} failed"))
                .seen(call, format!("{code}: {reason}"))
                .advice("see the findings about driver and firmware; else power off and on")
        }
        CardProbe::TimedOut { seconds, call } => {
            let during = if call.is_empty() { "opening the library" } else { call };
            finding("card.hangs", format!("the vendor's library hangs in {during}"))
                .seen(during, format!("no return within {seconds} s"))
                .advice(
                    "a program killed while it loaded can leave the card so: end all programs that use it, load the driver \
                     again, else power off and on (a restart does not reset the card)",
                )
                .command("sudo modprobe -r axcl_host && sudo modprobe axcl_host")
        }
        CardProbe::Crashed { how, call, output } => {
            let during = if call.is_empty() { "while it was opened" } else { call };
            finding("card.crashes", format!("the vendor's library crashes ({how}) in {during}"))
                .seen(during, how)
                .seen("its last words", output)
                .advice("driver, library and firmware may not belong together: install one version of all three")
        }
        CardProbe::NoLibrary { reason } => {
            finding("card.no_library", "the card cannot be opened without the vendor's library".to_owned())
                .seen("dlopen", reason)
                .advice("see Driver")
        }
        CardProbe::Skipped | CardProbe::Opened(_) => finding("card.unknown", "not examined".to_owned()),
    }
}

fn opened(facts: &CardFacts) -> Vec<Finding> {
    let mut text = format!("{} card opens: {}", facts.kind, or_unknown(&facts.soc));
    if !facts.firmware.is_empty() {
        text = format!("{text}, system {}", facts.firmware);
    }
    if facts.cards > 1 {
        text = format!("{text}, number {} of {} (choose with --device pcie:N)", facts.index, facts.cards);
    }
    let library =
        facts.library.as_ref().map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
    let version = if facts.version.is_empty() { "unknown" } else { &facts.version };
    let mut findings = vec![
        Finding::new("card.opens", Group::Card, Level::Ok, text)
            .seen(library, format!("version {version}"))
            .seen("cards", facts.cards),
    ];
    if facts.total_memory > 0 {
        findings.push(memory(facts));
    }
    if facts.kind != "software" {
        findings.extend(facts.temperature.and_then(heat));
        findings.extend(load(facts));
    }
    findings
}

fn memory(facts: &CardFacts) -> Finding {
    let (free, total) = (facts.free_memory >> 20, facts.total_memory >> 20);
    let held = facts.total_memory.saturating_sub(facts.free_memory);
    // A card's own drivers hold some 20 MiB; what a model leaves behind is a multiple of that.
    let level = if held > facts.total_memory / 4 { Level::Note } else { Level::Ok };
    let finding = Finding::new(
        "card.memory",
        Group::Card,
        level,
        format!("{free} MiB of {total} MiB of the card's memory are free"),
    )
    .seen("memory of the card", format!("{free} of {total} MiB free"));
    if level == Level::Ok {
        finding
    } else {
        finding
            .advice("other programs (or a server of ax650) hold the rest; if none runs, a killed one left it: power off and on")
            .command("axcl-smi")
    }
}

/// The unit is not documented for the library; `axcl-smi` prints thousandths of a degree from the same source.
fn heat(raw: i64) -> Option<Finding> {
    let raw = u64::try_from(raw).ok().filter(|&value| value > 0)?;
    let degrees = if raw >= 1000 { raw / 1000 } else { raw };
    Some(warmth("the card", degrees).seen(
        "axclrtGetDeviceProperties (temperature)",
        format!("{raw}; unit not documented, read as 1/1000 degree"),
    ))
}

fn load(facts: &CardFacts) -> Option<Finding> {
    let npu = facts.npu_load.filter(|&percent| percent <= 100)?;
    let busy = npu > 5;
    let text = format!("the NPU is {npu} % busy{}", if busy { " with the work of others" } else { "" });
    Some(
        Finding::new("speed.npu_load", Group::Speed, if busy { Level::Note } else { Level::Ok }, text)
            .seen("axclrtGetDeviceProperties (npuLoading)", format!("{npu} %")),
    )
}
