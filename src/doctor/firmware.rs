//! Firmware, host package and driver: they belong together by version.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{CardProbe, Root, Surroundings};

/// What the driver sends to the card at boot (driver sources).
const FIRMWARE: &str = "/lib/firmware/axcl/ax650_card.pac";
const PACKAGES: &str = "/var/lib/dpkg/status";

/// Name of the host package, whoever made it (`doc_guide_setup`).
const PACKAGE: &str = "axclhost";

/// A firmware of 3.6 with a host of 3.10 is known to be unstable (W-GGML: `M5Stack` 3.6.5 with 3.10.2).
const UNSTABLE_FIRMWARE: &str = "3.6.";
const UNSTABLE_HOST: &str = "3.10.";

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.card_matters(around) {
        return Vec::new();
    }
    let mut findings = vec![package(&around.root), image(&around.root)];
    if let CardProbe::Opened(facts) = &around.card
        && facts.kind == "pcie"
    {
        findings.extend(pair(&facts.version, &facts.firmware));
    }
    findings.into_iter().collect()
}

/// The installed host package, as Debian's package manager knows it.
fn package(root: &Root) -> Finding {
    let status = root.text(PACKAGES).unwrap_or_default();
    match version_of(&status, PACKAGE) {
        Some(version) => {
            let text = format!("host package {PACKAGE} {version}");
            Finding::new("driver.package", Group::Driver, Level::Ok, text).seen(PACKAGES, version)
        }
        None => Finding::new(
            "driver.package",
            Group::Driver,
            Level::Note,
            format!("no host package {PACKAGE} is installed; driver and firmware came another way"),
        )
        .seen(PACKAGES, "no such package"),
    }
}

/// Version of an installed package in the text of `/var/lib/dpkg/status`.
fn version_of<'a>(status: &'a str, package: &str) -> Option<&'a str> {
    let field = |paragraph: &'a str, key: &str| {
        paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ").map(str::trim))
    };
    let paragraph = status.split("\n\n").find(|paragraph| field(paragraph, "Package") == Some(package))?;
    field(paragraph, "Status").filter(|status| status.ends_with(" installed"))?;
    field(paragraph, "Version")
}

fn image(root: &Root) -> Finding {
    match root.metadata(FIRMWARE) {
        Some(data) if data.len() > 0 => {
            let text = "firmware for the card is there";
            Finding::new("driver.firmware", Group::Driver, Level::Ok, text)
                .seen(FIRMWARE, format!("{} bytes", data.len()))
        }
        found => Finding::new(
            "driver.firmware",
            Group::Driver,
            Level::Warning,
            "the driver has no firmware to start the card with",
        )
        .seen(FIRMWARE, if found.is_some() { "empty" } else { "not there" })
        .advice("install the card maker's host package again: driver and firmware of one version")
        .command(format!("sudo apt install --reinstall {PACKAGE}")),
    }
}

/// Library of the host against system of the card.
fn pair(host: &str, card: &str) -> Option<Finding> {
    let (host_version, card_version) = (number(host)?, number(card)?);
    let finding = |level, text: String| {
        Finding::new("driver.pair", Group::Driver, level, text)
            .seen("axclrtGetFullVersion", host)
            .seen("axclrtGetDeviceProperties (swVersion)", card)
    };
    if host_version == card_version {
        let text = format!("library and firmware are of one version: {host_version}");
        return Some(finding(Level::Ok, text));
    }
    let known = card_version.starts_with(UNSTABLE_FIRMWARE) && host_version.starts_with(UNSTABLE_HOST);
    let text = format!(
        "library {host_version} and firmware {card_version} are not of one version{}",
        if known { ", a pair that is known to be unstable" } else { "" }
    );
    Some(
        finding(if known { Level::Problem } else { Level::Warning }, text)
            .advice(
                "install one package that has both, from the maker of the card, then power off and on. Do it once: repeated \
                 flashing has broken cards",
            )
            .command(format!("sudo apt install --reinstall {PACKAGE}"))
            .command("sudo poweroff"),
    )
}

/// `3.10.2` of `V3.10.2_20251215`, or of any text with such a number.
fn number(text: &str) -> Option<&str> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let rest = &text[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number = rest[..end].trim_end_matches('.');
    number.contains('.').then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn installed_packages_only() {
        let status = "Package: axcl\nStatus: install ok installed\nVersion: 1\n\nPackage: axclhost\nStatus: install ok \
            installed\nVersion: 3.6.5\n\nPackage: old\nStatus: deinstall ok config-files\nVersion: 2\n";
        assert_eq!(version_of(status, "axclhost"), Some("3.6.5"));
        assert_eq!((version_of(status, "old"), version_of(status, "none")), (None, None));
    }

    #[test]
    fn pairs_are_judged_by_their_numbers() {
        let level = |host, card| pair(host, card).map(|finding| finding.level);
        assert_eq!(level("V3.10.2_20251215", "V3.10.2"), Some(Level::Ok));
        assert_eq!(level("V3.10.2", "V3.6.5_P1"), Some(Level::Problem));
        assert_eq!(level("V3.6.4", "V3.6.5"), Some(Level::Warning));
        assert_eq!((level("V3.6.4", ""), level("unknown", "V3")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String, other: String) {
            version_of(&text, "axclhost");
            pair(&text, &other);
        }
    }
}
