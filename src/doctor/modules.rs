//! Kernel modules of the card's driver.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

/// Without these no card answers; in the order of their dependence (driver sources, `drv/pcie/driver`).
const NEEDED: [&str; 4] = ["ax_pcie_host_dev", "ax_pcie_msg", "ax_pcie_mmb", "axcl_host"];

/// Copies between cards; not in all versions.
const OPTIONAL: &str = "ax_pcie_p2p_rc";

/// The driver's modules that are loaded.
pub(super) fn loaded(root: &Root) -> Vec<String> {
    let text = root.text("/proc/modules").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| NEEDED.contains(name) || *name == OPTIONAL).map(str::to_owned).collect()
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.card_matters(around) {
        return Vec::new();
    }
    let missing: Vec<&str> =
        NEEDED.into_iter().filter(|name| !evidence.modules.iter().any(|loaded| loaded == name)).collect();
    let place = "/proc/modules";
    if missing.is_empty() {
        let text = format!("kernel modules loaded: {}", evidence.modules.join(", "));
        return vec![Finding::new("driver.modules", Group::Driver, Level::Ok, text).seen(place, "all there")];
    }
    let text = if evidence.modules.is_empty() {
        "the card's kernel modules are not loaded".to_owned()
    } else {
        format!("kernel modules are missing: {}", missing.join(", "))
    };
    let value = if evidence.modules.is_empty() { "none".to_owned() } else { evidence.modules.join(", ") };
    let finding = Finding::new("driver.modules", Group::Driver, Level::Problem, text).seen(place, value);
    vec![remedy(&around.root, finding)]
}

/// What to do depends on whether the running kernel has the modules at all.
fn remedy(root: &Root, finding: Finding) -> Finding {
    let release = root.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let index = format!("/lib/modules/{release}/modules.dep");
    let known = root.text(&index).map(|text| text.contains("axcl_host.ko"));
    match known {
        Some(true) => finding
            .seen(index, "has axcl_host.ko")
            .advice("load them; if that fails, the kernel's log says why")
            .command("sudo modprobe axcl_host")
            .command("sudo dmesg | grep -iE 'axcl|ax_pcie'"),
        Some(false) => finding
            .seen(&index, "no axcl_host.ko")
            .advice(format!(
                "the driver is not built for the running kernel ({release}); install its headers and the vendor's package (again: \
                 a kernel update needs it)"
            ))
            .command(format!("sudo apt install linux-headers-{release}"))
            .command("sudo apt install --reinstall axclhost"),
        None => finding
            .advice("install the card maker's host package (axclhost), which builds and loads them")
            .command("sudo modprobe axcl_host"),
    }
}
