//! What is there, what is wrong, and what to do about it.
//!
//! [`examine`] looks at a machine through [`Surroundings`]: a file tree, an environment, a user, and what came of
//! opening the card. It runs nothing, opens no card and changes nothing, so a test (or an owner's copy of `/proc` and
//! `/sys`) can stand in for a machine. Opening the card, which may hang inside the vendor's library, is done elsewhere,
//! in a process of its own; its outcome comes in as a [`CardProbe`].
//!
//! Each probe is a file of this room and a function from surroundings to [`Finding`]s. Probes of hardware that nothing
//! hints at say nothing: a laptop is not told that it lacks device nodes.
//!
//! Facts about drivers, cards and machines are those of the vendor's documents (`doc_guide_faq`, `doc_guide_setup`,
//! `doc_guide_axcl_smi` of axcl-docs), of its driver sources, and of people who measured (W-GGML, VVK, GREGM in the
//! comments); thresholds that are ours are marked so.

mod board;
pub mod card;
mod cma;
mod elf;
mod evidence;
pub mod finding;
mod firmware;
mod interrupts;
mod kernel_log;
mod libraries;
mod modules;
mod nodes;
mod pci;
mod pi;
pub mod recording;
pub mod root;
mod server;
mod software;
mod store;
#[cfg(test)]
mod tests;
mod verdicts;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use card::{CardFacts, CardProbe};
use evidence::Evidence;
pub use finding::{Finding, Group, Level, Seen};
pub use root::Root;

use crate::device::DeviceChoice;

/// A machine, as far as the doctor looks at it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Its file tree.
    pub root: Root,
    /// Environment variables of the user; empty where there is none.
    pub environment: BTreeMap<String, String>,
    /// Path of the program, on the examined machine: libraries may lie beside it.
    pub program: Option<PathBuf>,
    /// `--device`.
    pub device: DeviceChoice,
    /// `--driver-path`.
    pub driver_path: Option<PathBuf>,
    /// Root of the model store, on the examined machine; `None` if it is not known, as with copied files.
    pub models: Option<PathBuf>,
    /// The user of the examined machine who asks; `None` if it is somebody with a copy of its files.
    pub user: Option<User>,
    /// What came of opening the card.
    pub card: CardProbe,
}

/// A user, for questions of permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User id; 0 may do everything.
    pub id: u32,
    /// Ids of the groups.
    pub groups: Vec<u32>,
}

/// All findings, by group, worst last within each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of ax650 that made it.
    pub version: String,
    /// The worst level of all findings.
    pub verdict: Level,
    /// One line: what will compute.
    pub summary: String,
    /// What came of opening the card.
    pub card: CardProbe,
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Findings of one level.
    pub fn of_level(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.level == level)
    }

    /// The finding of that name, if there is one.
    pub fn get(&self, id: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.id == id)
    }
}

/// Looks at everything.
pub fn examine(around: &Surroundings) -> Report {
    let evidence = Evidence::gather(around);
    let probes: [fn(&Surroundings, &Evidence) -> Vec<Finding>; 14] = [
        pi::probe,
        pci::probe,
        modules::probe,
        nodes::probe,
        libraries::probe,
        firmware::probe,
        kernel_log::probe,
        card::probe,
        cma::probe,
        board::probe,
        interrupts::probe,
        software::probe,
        store::probe,
        server::probe,
    ];
    let mut findings: Vec<Finding> = probes.iter().flat_map(|probe| probe(around, &evidence)).collect();
    findings.sort_by_key(|finding| (finding.group, finding.level));
    Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok),
        summary: card::summary(around, &evidence),
        card: around.card.clone(),
        findings,
    }
}
