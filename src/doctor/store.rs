//! The model store: broken models, room on the disk; and the vendor's log directory.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{CardProbe, Root, Surroundings, verdicts};
use crate::models::store::Store;

/// Below this a model can hardly be created (our choice).
const LITTLE_ROOM: u64 = 2 << 30;

/// Where the vendor's host library writes its log unless told otherwise (`doc_guide_faq`).
const VENDOR_LOG: &str = "/tmp/axcl";

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(place) = &around.models {
        let store = Store::open(around.root.path(place));
        let (about, names) = models(around, place, &store);
        findings.extend(about);
        findings.extend(room(&around.root, place));
        findings.extend(verdicts::findings(&around.card, place, store.folder(), &names));
    }
    if evidence.card_matters(around) {
        findings.extend(vendor_log(around));
    }
    findings
}

/// Findings about models, and names of those that are whole by their digests.
fn models(around: &Surroundings, place: &Path, store: &Store) -> (Vec<Finding>, BTreeMap<String, String>) {
    let folder = place.join("ax650");
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
                findings.extend(too_big(&around.card, &entry.name.to_string(), model.device_bytes_peak()));
                whole.push(entry.name.to_string());
                names.insert(model.weights.clone(), entry.name.to_string());
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

/// Whether a model takes more than what the card has free, at its peak: `size` bytes.
fn too_big(card: &CardProbe, name: &str, size: u64) -> Option<Finding> {
    let CardProbe::Opened(facts) = card else { return None };
    // A library that does not tell says 0 of both; a card that is full has a total.
    if facts.total_memory == 0 || size <= facts.free_memory {
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

fn room(root: &Root, place: &Path) -> Option<Finding> {
    let wanted = root.path(place);
    let there = wanted.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let finding = |level, text: String| {
        Finding::new("models.room", Group::Models, level, text)
            .seen(place.display(), format!("{} MiB free", free >> 20))
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
    let user = around.user.as_ref()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::CardFacts;

    #[test]
    fn a_model_is_compared_with_what_is_free_even_if_that_is_nothing() {
        let with = |total, free| {
            CardProbe::Opened(CardFacts { total_memory: total, free_memory: free, ..CardFacts::default() })
        };
        let level = |total, free| too_big(&with(total, free), "m", 500).map(|finding| finding.level);
        assert_eq!(level(1000, 500), None);
        assert_eq!(level(1000, 499), Some(Level::Note), "others hold the rest");
        assert_eq!(level(1000, 0), Some(Level::Note), "a full card");
        assert_eq!(level(400, 400), Some(Level::Warning));
        assert_eq!(level(0, 0), None, "the library does not tell");
    }
}
