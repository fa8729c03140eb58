//! Device nodes and whether the user may open them.

use std::os::unix::fs::MetadataExt;

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings, User};

/// A node that a driver makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    path: &'static str,
    needed: bool,
}

const fn needed(path: &'static str) -> Node {
    Node { path, needed: true }
}

const fn optional(path: &'static str) -> Node {
    Node { path, needed: false }
}

/// Of the host's driver for cards (driver sources; the package gives all of them mode 0666).
pub(super) const CARD: &[Node] =
    &[needed("/dev/axcl_host"), needed("/dev/msg_userdev"), needed("/dev/ax_mmb_dev"), optional("/dev/p2p")];

/// Of the vendor's own Linux (what `libax_sys` and `libax_interpreter` open).
pub(super) const BOARD: &[Node] = &[
    needed("/dev/ax_cmm"),
    needed("/dev/ax_sys"),
    needed("/dev/npu"),
    optional("/dev/ax_pool"),
    optional("/dev/ax_hrtimer"),
    optional("/dev/axlog"),
];

/// A node that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundNode {
    node: Node,
    mode: u32,
    owner: u32,
    group: u32,
}

/// Those of `nodes` that are there. `/dev/npu` alone says nothing: other makers have NPUs too.
pub(super) fn find(root: &Root, nodes: &[Node]) -> Vec<FoundNode> {
    let found: Vec<FoundNode> = nodes
        .iter()
        .filter_map(|&node| {
            let data = root.metadata(node.path)?;
            Some(FoundNode { node, mode: data.mode() & 0o777, owner: data.uid(), group: data.gid() })
        })
        .collect();
    if found.iter().any(|found| found.node.path.contains("/ax") || found.node.path.contains("msg_userdev")) {
        found
    } else {
        Vec::new()
    }
}

impl FoundNode {
    /// Whether `user` may read and write it.
    fn is_open_to(&self, user: &User) -> bool {
        let shift = if user.id == 0 {
            return true;
        } else if user.id == self.owner {
            6
        } else if user.groups.contains(&self.group) {
            3
        } else {
            0
        };
        (self.mode >> shift) & 0o6 == 0o6
    }

    fn value(&self) -> String {
        format!("mode {:04o}, owner {}, group {}", self.mode, self.owner, self.group)
    }
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Without its modules the host has no nodes: one finding is enough.
    if evidence.card_matters(around) && !evidence.modules.is_empty() {
        findings.extend(judge(around, "driver.nodes", CARD, &evidence.nodes));
    }
    if evidence.is_board() {
        findings.extend(judge(around, "driver.board_nodes", BOARD, &evidence.board_nodes));
    }
    findings
}

fn judge(around: &Surroundings, id: &str, wanted: &[Node], found: &[FoundNode]) -> Vec<Finding> {
    let is_there = |node: &Node| found.iter().any(|found| found.node == *node);
    let missing: Vec<&str> =
        wanted.iter().filter(|node| node.needed && !is_there(node)).map(|node| node.path).collect();
    let is_closed = |found: &&FoundNode| around.user.as_ref().is_some_and(|user| !found.is_open_to(user));
    let closed: Vec<&FoundNode> = found.iter().filter(is_closed).collect();
    let mut findings = Vec::new();
    if !missing.is_empty() {
        let text = format!("device nodes are missing: {}", missing.join(", "));
        let mut finding = Finding::new(id, Group::Driver, Level::Problem, text)
            .advice("the driver is only partly loaded: load it again");
        for path in missing {
            finding = finding.seen(path, "not there");
        }
        findings.push(if wanted == CARD {
            finding.command("sudo modprobe -r axcl_host && sudo modprobe axcl_host")
        } else {
            finding.command("sudo dmesg | grep -iE 'ax_|npu'")
        });
    }
    if !closed.is_empty() {
        findings.push(closed_nodes(&around.root, id, &closed));
    }
    if findings.is_empty() {
        let paths: Vec<&str> = found.iter().map(|found| found.node.path).collect();
        let mut finding =
            Finding::new(id, Group::Driver, Level::Ok, format!("device nodes: {}", paths.join(", ")));
        for node in found {
            finding = finding.seen(node.node.path, node.value());
        }
        findings.push(finding);
    }
    findings
}

fn closed_nodes(root: &Root, id: &str, closed: &[&FoundNode]) -> Finding {
    let paths: Vec<&str> = closed.iter().map(|found| found.node.path).collect();
    let text = format!("this user may not open {}", paths.join(", "));
    let mut finding = Finding::new(&format!("{id}.permission"), Group::Driver, Level::Problem, text);
    for node in closed {
        finding = finding.seen(node.node.path, node.value());
    }
    let group = closed.first().map(|node| node.group).unwrap_or_default();
    let by_group =
        group != 0 && closed.iter().all(|node| node.group == group && (node.mode >> 3) & 0o6 == 0o6);
    if by_group {
        let name = group_name(root, group).unwrap_or_else(|| group.to_string());
        return finding
            .advice(format!("join the group {name}, then log in again"))
            .command(format!("sudo usermod -aG {name} \"$USER\""));
    }
    let names: Vec<&str> = paths.iter().map(|path| path.trim_start_matches("/dev/")).collect();
    finding
        .advice("let udev open them, as the vendor's package does")
        .command(format!(
            "echo 'KERNEL==\"{}\", MODE=\"0666\"' | sudo tee /etc/udev/rules.d/99-axera.rules",
            names.join("|")
        ))
        .command("sudo udevadm control --reload && sudo udevadm trigger")
        .command(format!("sudo chmod 0666 {}", paths.join(" ")))
}

fn group_name(root: &Root, id: u32) -> Option<String> {
    let groups = root.text("/etc/group")?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let node = |mode| FoundNode { node: CARD[0], mode, owner: 10, group: 20 };
        let user = |id, groups: &[u32]| User { id, groups: groups.to_vec() };
        assert!(node(0o660).is_open_to(&user(5, &[20])));
        assert!(!node(0o660).is_open_to(&user(5, &[])));
        assert!(!node(0o066).is_open_to(&user(10, &[20])), "the owner's bits decide for the owner");
        assert!(node(0o666).is_open_to(&user(5, &[])));
        assert!(node(0o000).is_open_to(&user(0, &[])));
        assert!(!node(0o444).is_open_to(&user(5, &[])), "reading is not enough");
    }
}
