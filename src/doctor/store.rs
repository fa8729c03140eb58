//! The model store: broken models, room on the disk, what self-tests have shown; and the vendor's log directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{CardProbe, Root, Surroundings};
use crate::device::Verdicts;
use crate::models::store::Store;

/// Below this a model can hardly be created (our choice).
const LITTLE_ROOM: u64 = 2 << 30;

/// Directory of the store that keeps what self-tests have shown.
const VERDICTS: &str = ".verdicts";

/// Where the vendor's host library writes its log unless told otherwise (`doc_guide_faq`).
const VENDOR_LOG: &str = "/tmp/axcl";

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let root = &around.root;
    let store = Store::open(root.path(&around.models));
    let mut findings = models(around, &store);
    findings.extend(room(around));
    findings.extend(verdicts(&around.models, store.folder()));
    if evidence.card_matters(around) {
        findings.extend(vendor_log(around));
    }
    findings
}

fn models(around: &Surroundings, store: &Store) -> Vec<Finding> {
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
            return vec![finding.seen(folder.display(), error)];
        }
    };
    let mut findings = Vec::new();
    let mut whole = Vec::new();
    for entry in entries {
        match entry.model {
            Ok(model) => {
                findings.extend(too_big(around, &entry.name.to_string(), model.size));
                whole.push(entry.name.to_string());
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
    findings
}

/// Whether a model is larger than what the card has free. Its files are what is sent there, and a little more.
fn too_big(around: &Surroundings, name: &str, size: u64) -> Option<Finding> {
    let CardProbe::Opened(facts) = &around.card else { return None };
    if facts.free_memory == 0 || size <= facts.free_memory {
        return None;
    }
    let text = format!(
        "model {name} ({} MiB) does not fit into the card's free memory ({} MiB of {} MiB)",
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

/// What self-tests have shown on cards of this machine.
fn verdicts(models: &Path, folder: &Path) -> Vec<Finding> {
    let place = |name: &str| models.join("ax650").join(VERDICTS).join(name);
    let root = Root::new(folder.join(VERDICTS));
    let mut findings = Vec::new();
    let is_verdict = |name: &String| Path::new(name).extension().is_some_and(|end| end == "json");
    for name in root.names("/").into_iter().filter(is_verdict) {
        let text = root.text(&name).unwrap_or_default();
        match serde_json::from_str::<Verdicts>(&text) {
            Ok(verdicts) => findings.push(verdict(&verdicts).seen(place(&name).display(), told(&verdicts))),
            Err(error) => findings.push(
                Finding::new(
                    "card.verdicts",
                    Group::Card,
                    Level::Note,
                    "a kept self-test is not readable; the next load tests again",
                )
                .seen(place(&name).display(), error)
                .command(format!("rm {}", place(&name).display())),
            ),
        }
    }
    findings
}

fn verdict(verdicts: &Verdicts) -> Finding {
    let digest: String = verdicts.model_digest.chars().take(12).collect();
    let whom =
        format!("{} card, driver {}, model {digest}", verdicts.kind, or_unknown(&verdicts.driver_version));
    let bad: Vec<String> = verdicts.bad().map(|(path, verdict)| format!("{path} ({verdict})")).collect();
    let finding = |level, text| Finding::new("card.verdicts", Group::Card, level, text);
    if verdicts.together.is_bad() {
        return finding(
            Level::Warning,
            format!(
                "self-test ({whom}): the fast paths do not work together ({}); none is used",
                verdicts.together
            ),
        )
        .advice("answers are right, but slower; a newer driver may do better");
    }
    if bad.is_empty() {
        return finding(Level::Ok, format!("self-test ({whom}): all fast paths that exist are right"));
    }
    finding(
        Level::Warning,
        format!("self-test ({whom}): off because the card gets them wrong: {}", bad.join(", ")),
    )
    .advice("answers are right, but slower; a newer driver may do better")
}

fn told(verdicts: &Verdicts) -> String {
    let words: Vec<String> =
        verdicts.paths.iter().map(|(path, verdict)| format!("{path}: {verdict}")).collect();
    words.join("; ")
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
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
