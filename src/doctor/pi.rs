//! The Raspberry Pi 5, whose PCIe socket is off until its configuration turns it on.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

const MODEL: &str = "/proc/device-tree/model";

/// Where the firmware's configuration lies; older systems have it one level up.
const CONFIGS: [&str; 2] = ["/boot/firmware/config.txt", "/boot/config.txt"];

/// What the card needs there (vendor document `doc_guide_setup`).
const PARAMETER: &str = "dtparam=pciex1";
const OVERLAY: &str = "dtoverlay=pciex1-compat-pi5,no-mip";

/// What the device tree calls the machine.
pub(super) fn machine(root: &Root) -> Option<String> {
    root.text(MODEL).filter(|model| !model.is_empty())
}

/// The model's name if it is a Pi 5 or a Compute Module 5.
pub(super) fn model(root: &Root) -> Option<String> {
    let model = root.text(MODEL)?;
    ["Raspberry Pi 5", "Raspberry Pi Compute Module 5"]
        .iter()
        .any(|name| model.starts_with(name))
        .then_some(model)
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let Some(model) = &evidence.pi5 else {
        return around
            .root
            .text(MODEL)
            .map(|model| Finding::new("host.model", Group::Host, Level::Ok, model.clone()).seen(MODEL, model))
            .into_iter()
            .collect();
    };
    let machine = Finding::new("host.model", Group::Host, Level::Ok, model.clone()).seen(MODEL, model);
    let mut findings = vec![machine];
    // A Pi without any sign of a card is a Pi like any other.
    if evidence.card_matters(around) {
        findings.push(overlay(&around.root, model, !evidence.cards.is_empty()));
    }
    findings
}

/// A command that adds lines to the firmware's configuration such that they count: the last section may be for another
/// machine, and the last line may have no end.
pub(super) fn append(root: &Root, lines: &[&str]) -> String {
    let path = CONFIGS.into_iter().find(|path| root.exists(path)).unwrap_or(CONFIGS[0]);
    format!("printf '\\n[all]\\n{}\\n' | sudo tee -a {path}", lines.join("\\n"))
}

/// A command that turns the PCIe socket on, on a Pi that never had a card.
pub(super) fn turn_on(root: &Root) -> String {
    append(root, &[PARAMETER, OVERLAY])
}

fn overlay(root: &Root, model: &str, card_seen: bool) -> Finding {
    let Some((path, text)) = CONFIGS.iter().find_map(|path| Some((*path, root.text(path)?))) else {
        return Finding::new(
            "host.pi5_overlay",
            Group::Host,
            Level::Note,
            "the Pi's config.txt is not readable",
        )
        .seen(CONFIGS[0], "not there")
        .advice(format!("see that it holds {PARAMETER} and {OVERLAY}"));
    };
    let settings = Settings::read(&text, model.contains("Compute Module"));
    let mut missing = Vec::new();
    // A Compute Module's PCIe is on from the start.
    if !settings.pcie && !model.contains("Compute Module") {
        missing.push(PARAMETER);
    }
    if !settings.overlay {
        missing.push(OVERLAY);
    }
    if missing.is_empty() {
        return Finding::new(
            "host.pi5_overlay",
            Group::Host,
            Level::Ok,
            "PCIe socket and overlay are set up",
        )
        .seen(path, format!("{PARAMETER}, {OVERLAY}"));
    }
    // Some systems do without (a newer firmware turns the socket on for boards that announce themselves).
    let level = if card_seen { Level::Warning } else { Level::Problem };
    let text = format!("{path} lacks {}: the card is not found or has no interrupts", missing.join(" and "));
    Finding::new("host.pi5_overlay", Group::Host, level, text)
        .seen(path, format!("no {}", missing.join(", no ")))
        .advice("add it under [all], then restart")
        .command(append(root, &missing))
        .command("sudo reboot")
}

/// What `config.txt` says about the PCIe socket.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    pcie: bool,
    overlay: bool,
}

impl Settings {
    /// Reads the file as the firmware does: `[section]` filters apply to the lines after them, the last word counts.
    fn read(text: &str, compute_module: bool) -> Self {
        let mut settings = Self::default();
        let mut applies = true;
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                applies = match section {
                    "all" | "pi5" => true,
                    "cm5" => compute_module,
                    _ => false,
                };
            } else if applies {
                settings.apply(line);
            }
        }
        settings
    }

    fn apply(&mut self, line: &str) {
        let Some((key, value)) = line.split_once('=') else { return };
        match key.trim() {
            "dtparam" => {
                for parameter in value.split(',').map(str::trim) {
                    let (name, set) = parameter.split_once('=').unwrap_or((parameter, "on"));
                    if matches!(name, "pciex1" | "nvme") {
                        self.pcie = !matches!(set, "off" | "0" | "false" | "no");
                    }
                }
            }
            "dtoverlay" => {
                let mut words = value.split(',').map(str::trim);
                if words.next() == Some("pciex1-compat-pi5") {
                    self.overlay = words.any(|word| word == "no-mip");
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (bool, bool) {
        let settings = Settings::read(text, false);
        (settings.pcie, settings.overlay)
    }

    #[test]
    fn lines_count_where_the_firmware_would_count_them() {
        assert_eq!(read("dtparam=pciex1\ndtoverlay=pciex1-compat-pi5,no-mip\n"), (true, true));
        assert_eq!(read("dtparam=audio=on,pciex1=on # note\n"), (true, false));
        assert_eq!(read("#dtparam=pciex1\n# dtoverlay=pciex1-compat-pi5,no-mip"), (false, false));
        assert_eq!(read("[cm5]\ndtparam=pciex1\n[all]\ndtoverlay=pciex1-compat-pi5"), (false, false));
        assert_eq!(read("[pi5]\ndtparam=pciex1\n[none]\ndtparam=pciex1=off"), (true, false));
        assert_eq!(read("dtparam=pciex1\ndtparam=pciex1=off"), (false, false));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            Settings::read(&text, true);
        }
    }
}
