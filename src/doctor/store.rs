//! The model store: broken models, room on the disk; and the vendor's log directory.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{CardProbe, Surroundings, verdicts};
use crate::models::store::Store;

/// Below this a model can hardly be created (our choice).
const LITTLE_ROOM: u64 = 2 << 30;

/// Where the vendor's host library writes its log unless told otherwise (`doc_guide_faq`).
const VENDOR_LOG: &str = "/tmp/axcl";

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let root = &around.root;
    let store = Store::open(root.path(&around.models));
    let (mut findings, names) = models(around, &store);
    findings.extend(room(around));
    findings.extend(verdicts::findings(&around.models, store.folder(), &names));
    if evidence.card_matters(around) {
        findings.extend(vendor_log(around));
    }
    findings
}

/// Findings about models, and names of those that are whole by their digests.
fn models(around: &Surroundings, store: &Store) -> (Vec<Finding>, BTreeMap<String, String>) {
    let folder = around.models.join("ax650");
    let entries = match store.list() {
        Ok(entries) => entries,
        Err(error) => {
            let finding = Finding::new(
                "models.store",
                Group::Models,
                Level::Problem,
                "the model store is not readable",
            );
            return (vec![finding.seen(folder.display(), error)], BTreeMap::new());
        }
    };
    let mut findings = Vec::new();
    let mut whole = Vec::new();
    let mut names = BTreeMap::new();
    for entry in entries {
        match entry.model {
            Ok(model) => {
                findings.extend(too_big(around, &entry.name.to_string(), model.device_bytes_peak()));
                whole.push(entry.name.to_string());
                names.insert(model.digest.clone(), entry.name.to_string());
            }
            Err(error) => findings.push(
                Finding::new(
                    "models.broken",
                    Group::Models,
                    Level::Problem,
                    format!("model {} cannot be used: {error}", entry.name),
                )
                .seen(folder.display(), entry.name.to_string())
                .advice("make it again, or remove it")
                .command(format!("ax650 rm {}", entry.name)),
            ),
        }
    }
    let finding = if whole.is_empty() && findings.is_empty() {
        Finding::new("models.store", Group::Models, Level::Note, "no models yet")
            .seen(folder.display(), "empty")
            .advice("make one")
            .command("ax650 create smollm2 --from SmolLM2-135M-Instruct.Q4_1.gguf")
    } else {
        let count =
            if whole.len() == 1 { "1 model is".to_owned() } else { format!("{} models are", whole.len()) };
        Finding::new(
            "models.store",
            Group::Models,
            Level::Ok,
            format!("{count} usable: {}", whole.join(", ")),
        )
        .seen(folder.display(), whole.join(", "))
    };
    findings.push(finding);
    (findings, names)
}

/// Whether a model takes more than what the card has free, at its peak.
fn too_big(around: &Surroundings, name: &str, size: u64) -> Option<Finding> {
    let CardProbe::Opened(facts) = &around.card else { return None };
    if facts.free_memory == 0 || size <= facts.free_memory {
        return None;
    }
    let text = format!(
        "model {name} (takes {} MiB) does not fit into the card's free memory ({} MiB of {} MiB)",
        size >> 20,
        facts.free_memory >> 20,
        facts.total_memory >> 20
    );
    let level = if size > facts.total_memory { Level::Warning } else { Level::Note };
    Some(
        Finding::new("models.too_big", Group::Models, level, text)
            .advice("unload others, or take a smaller model"),
    )
}

fn room(around: &Surroundings) -> Option<Finding> {
    let wanted = around.root.path(&around.models);
    let there = wanted.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let finding = |level, text: String| {
        Finding::new("models.room", Group::Models, level, text)
            .seen(around.models.display(), format!("{} MiB free", free >> 20))
    };
    Some(if free < LITTLE_ROOM {
        finding(Level::Warning, format!("{} MiB of disk are left for models", free >> 20))
            .advice("free some, or set OLLAMA_MODELS to another disk")
    } else {
        finding(Level::Ok, format!("{} GiB of disk are free for models", free >> 30))
    })
}

/// A log directory that another user (often root) made first stops the library of everybody else.
fn vendor_log(around: &Surroundings) -> Option<Finding> {
    let data = around.root.metadata(VENDOR_LOG)?;
    let user = &around.user;
    let shift = match () {
        () if user.id == 0 => return None,
        () if user.id == data.uid() => 6,
        () if user.groups.contains(&data.gid()) => 3,
        () => 0,
    };
    let writable = data.is_dir() && (data.mode() >> shift) & 0o3 == 0o3;
    let value = format!("mode {:04o}, owner {}", data.mode() & 0o7777, data.uid());
    if writable {
        return None;
    }
    Some(
        Finding::new(
            "driver.log_directory",
            Group::Driver,
            Level::Warning,
            format!("the vendor's library cannot write its log to {VENDOR_LOG}; some versions fail for that"),
        )
        .seen(VENDOR_LOG, value)
        .command(format!("sudo chmod -R a+rwX {VENDOR_LOG}")),
    )
}
