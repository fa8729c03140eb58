//! The server's address, who has it, and the settings that a server would take from the environment.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};
use crate::api::host;

/// Settings that ax650 reads.
const KNOWN: [&str; 12] = [
    "OLLAMA_HOST",
    "OLLAMA_MODELS",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_ORIGINS",
    "OLLAMA_DEBUG",
    "AX650_DEVICE",
    "AX650_DRIVER_PATH",
    "AX650_THREADS",
];

/// Of these, those that must be whole numbers.
const NUMBERS: [&str; 5] = [
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_MAX_LOADED_MODELS",
    "AX650_THREADS",
];

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// State of a listening socket in those tables.
const LISTENING: &str = "0A";

pub(super) fn probe(around: &Surroundings, _: &Evidence) -> Vec<Finding> {
    let mut findings: Vec<Finding> = port(around).into_iter().collect();
    findings.extend(settings(around));
    findings
}

fn port(around: &Surroundings) -> Option<Finding> {
    let address = host::parse(around.environment.get("OLLAMA_HOST").map_or("", String::as_str));
    let tables: Vec<(&str, String)> =
        TABLES.iter().filter_map(|path| Some((*path, around.root.text(path)?))).collect();
    if tables.is_empty() {
        return None;
    }
    let listener =
        tables.iter().find_map(|(path, text)| listening(text, address.port).map(|inode| (*path, inode)));
    let port = address.port;
    let Some((table, inode)) = listener else {
        let text = format!("port {port} is free for `ax650 serve`");
        return Some(
            Finding::new("server.port", Group::Server, Level::Ok, text).seen(TABLES[0], "nobody listens"),
        );
    };
    let owner = owner(&around.root, inode);
    let seen = match &owner {
        Some((id, name)) => format!("{name}, process {id}"),
        None => "a process of another user".to_owned(),
    };
    let finding = |level, text: String| {
        Finding::new("server.port", Group::Server, level, text).seen(format!("{table}, port {port}"), &seen)
    };
    let other_port = format!("OLLAMA_HOST=127.0.0.1:{} ax650 serve", port.wrapping_add(1));
    Some(match owner.as_ref().map(|(_, name)| name.as_str()) {
        Some("ax650") => finding(Level::Ok, format!("a server of ax650 listens on port {port}")),
        Some("ollama") => {
            finding(Level::Warning, format!("Ollama itself listens on port {port}: `ax650 serve` cannot"))
                .advice("stop it, or give one of the two another port")
                .command("sudo systemctl disable --now ollama")
                .command(other_port)
        }
        Some(name) => finding(
            Level::Warning,
            format!("the program {name} listens on port {port}: `ax650 serve` cannot"),
        )
        .advice("end it, or take another port")
        .command(other_port),
        None => finding(Level::Note, format!("somebody listens on port {port}; it may be a server of ax650"))
            .command(format!("sudo ss -ltnp 'sport = :{port}'")),
    })
}

/// Inode of the socket that listens on `port`.
fn listening(table: &str, port: u16) -> Option<u64> {
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (local, state) = (fields.nth(1)?, fields.nth(1)?);
        let number = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        if number != port || state != LISTENING {
            return None;
        }
        fields.nth(5)?.parse().ok()
    })
}

/// Process id and name of the program that holds a socket.
fn owner(root: &Root, inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    let processes = root.names("/proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    processes.into_iter().find_map(|id| {
        let files = root.names(format!("/proc/{id}/fd"));
        let holds = files
            .iter()
            .any(|file| root.link_name(format!("/proc/{id}/fd/{file}")).as_deref() == Some(&wanted));
        holds.then(|| (id, root.text(format!("/proc/{id}/comm")).unwrap_or_default()))
    })
}

fn settings(around: &Surroundings) -> Vec<Finding> {
    let mut used = Finding::new("server.settings", Group::Server, Level::Ok, "settings are the defaults");
    let mut ignored = Vec::new();
    let mut findings = Vec::new();
    for (name, value) in &around.environment {
        if KNOWN.contains(&name.as_str()) {
            used = used.seen(name, value);
            findings.extend(wrong(name, value));
        } else if name.starts_with("OLLAMA_") {
            ignored.push(name.as_str());
        }
    }
    if !used.seen.is_empty() {
        "settings from the environment".clone_into(&mut used.text);
    }
    findings.push(used);
    if !ignored.is_empty() {
        // Values stay out: one of these may be a key.
        let text = format!("settings of Ollama that mean nothing here: {}", ignored.join(", "));
        findings.push(Finding::new("server.ignored", Group::Server, Level::Note, text));
    }
    findings
}

fn wrong(name: &str, value: &str) -> Option<Finding> {
    let trimmed = value.trim().trim_matches(['"', '\'']).trim();
    let reason = if NUMBERS.contains(&name) && !trimmed.is_empty() && trimmed.parse::<u32>().is_err() {
        "is no whole number; the default is used".to_owned()
    } else if name == "OLLAMA_HOST" {
        let bad = host::parse(value).bad_port?;
        format!("names no valid port ({bad}); the default is used")
    } else {
        return None;
    };
    let text = format!("{name} {reason}");
    Some(Finding::new("server.wrong_setting", Group::Server, Level::Warning, text).seen(name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:2CAA 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 11 1\n   \
            1: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n";
        assert_eq!(listening(table, 11434), Some(4711));
        assert_eq!(listening(table, 80), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text: String, name in "OLLAMA_[A-Z]{4}", value: String) {
            listening(&text, 11434);
            wrong(&name, &value);
            wrong("OLLAMA_HOST", &value);
        }
    }
}
