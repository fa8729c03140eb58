//! What self-tests have shown, from the files that the device keeps of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::finding::{Finding, Group, Level};
use super::{CardProbe, Root};
use crate::device::{KeptVerdicts, Verdicts};

/// Of what is no longer used, bad news is no warning.
const GONE: &str = "nothing need be done: it is about the past";

const SLOWER: &str = "answers are right, but slower; a newer driver may do better";

/// What self-tests have shown on cards of this machine.
pub(super) fn findings(
    card: &CardProbe,
    models: &Path,
    folder: &Path,
    names: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let place = |name: &str| models.join("ax650").join(KeptVerdicts::FOLDER).join(name).display().to_string();
    let root = Root::new(folder.join(KeptVerdicts::FOLDER));
    let mut findings = Vec::new();
    let mut useless = Vec::new();
    let is_verdict = |name: &String| Path::new(name).extension().is_some_and(|end| end == "json");
    for name in root.names("/").into_iter().filter(is_verdict) {
        match KeptVerdicts::read(&root.bytes(&name).unwrap_or_default()) {
            Ok(kept) if kept.is_current() => {
                let model = names.get(&kept.verdicts.model_digest).map(String::as_str);
                let mut finding = verdict(&kept.verdicts, model);
                if finding.level > Level::Note && (model.is_none() || is_replaced(&kept.verdicts, card)) {
                    finding = Finding { level: Level::Note, ..finding }.advice(GONE);
                }
                findings.push(finding.seen(place(&name), told(&kept.verdicts)));
            }
            Ok(kept) => {
                useless.push((place(&name), format!("of ax650 {}, test {}", kept.program, kept.test)));
            }
            Err(error) => useless.push((place(&name), format!("not readable: {error}"))),
        }
    }
    findings.extend(not_believed(useless));
    findings
}

/// Files of verdicts that the next load will not go by.
fn not_believed(files: Vec<(String, String)>) -> Option<Finding> {
    if files.is_empty() {
        return None;
    }
    let text = match files.len() {
        1 => "a kept self-test is broken or of another version".to_owned(),
        count => format!("{count} kept self-tests are broken or of another version"),
    };
    let finding = Finding::new("card.verdicts.old", Group::Card, Level::Note, text)
        .advice("nothing need be done: it is not used, and the next load tests again");
    Some(files.into_iter().fold(finding, |finding, (place, what)| finding.seen(place, what)))
}

/// Whether the card that these are about has another driver now.
fn is_replaced(verdicts: &Verdicts, card: &CardProbe) -> bool {
    let CardProbe::Opened(facts) = card else { return false };
    let is_same_card = verdicts.kind == facts.kind
        || verdicts
            .kind
            .strip_prefix("software-")
            .is_some_and(|interface| facts.kind == "software" && facts.interface == interface);
    is_same_card && !facts.version.is_empty() && facts.version != verdicts.driver_version
}

/// `model` is its name, if it is still in the store.
fn verdict(verdicts: &Verdicts, model: Option<&str>) -> Finding {
    let digest: String = verdicts.model_digest.chars().take(12).collect();
    let model = model.map_or_else(|| format!("a model that is gone ({digest})"), str::to_owned);
    let whom =
        format!("{model} on the {} card, driver {}", verdicts.kind, or_unknown(&verdicts.driver_version));
    let finding = |level, text| Finding::new("card.verdicts", Group::Card, level, text);
    if verdicts.together.is_bad() {
        return finding(
            Level::Warning,
            format!(
                "self-test of {whom}: the fast paths do not work together ({}); none is used",
                verdicts.together
            ),
        )
        .advice(SLOWER);
    }
    let bad: Vec<String> = verdicts.bad().map(|(path, verdict)| format!("{path} ({verdict})")).collect();
    if bad.is_empty() {
        return finding(Level::Ok, format!("self-test of {whom}: all fast paths that exist are right"));
    }
    finding(
        Level::Warning,
        format!("self-test of {whom}: off because the card gets them wrong: {}", bad.join(", ")),
    )
    .advice(SLOWER)
}

fn told(verdicts: &Verdicts) -> String {
    let words: Vec<String> =
        verdicts.paths.iter().map(|(path, verdict)| format!("{path}: {verdict}")).collect();
    words.join("; ")
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
