//! The server's address, who has it, and the settings that a server would take from the environment.

use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};
use crate::api::host;
use crate::api::settings::{Settings, trimmed};
use crate::device::{DeviceChoice, PathsWish, SOFTWARE_THREADS};
use crate::engine::KeepAlive;

/// What is wrong with a value, if anything, and how much that matters.
type Check = fn(&str) -> Option<(Level, String)>;

/// The settings that ax650 reads, each with what its readers make of a value: the server and its clients take the
/// default for most that make no sense, and end at once for those of the command line.
const SETTINGS: [(&str, Check); 14] = [
    ("OLLAMA_HOST", host),
    ("OLLAMA_MODELS", anything),
    ("OLLAMA_KEEP_ALIVE", keep_alive),
    ("OLLAMA_CONTEXT_LENGTH", number),
    ("OLLAMA_MAX_QUEUE", number),
    ("OLLAMA_NUM_PARALLEL", number),
    ("OLLAMA_MAX_LOADED_MODELS", number),
    ("OLLAMA_ORIGINS", origins),
    ("OLLAMA_DEBUG", anything),
    ("OLLAMA_NOHISTORY", anything),
    ("AX650_DEVICE", device),
    ("AX650_DRIVER_PATH", driver_path),
    ("AX650_THREADS", threads),
    ("AX650_PATHS", paths),
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
    // Copied files do not tell what a user of that machine has set.
    if around.user.is_none() {
        return Vec::new();
    }
    let mut used = Finding::new("server.settings", Group::Server, Level::Ok, "settings are the defaults");
    let mut ignored = Vec::new();
    let mut findings = Vec::new();
    for (name, value) in &around.environment {
        if let Some((_, check)) = SETTINGS.iter().find(|(known, _)| known == name) {
            used = used.seen(name, value);
            findings.extend(check(value).map(|(level, reason)| wrong(name, value, level, &reason)));
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

fn wrong(name: &str, value: &str, level: Level, reason: &str) -> Finding {
    let finding = Finding::new("server.wrong_setting", Group::Server, level, format!("{name} {reason}"));
    finding.seen(name, value).advice("correct it where it is set, or take it away")
}

fn anything(_: &str) -> Option<(Level, String)> {
    None
}

fn number(value: &str) -> Option<(Level, String)> {
    let value = trimmed(value);
    let is_number = value.is_empty() || value.parse::<usize>().is_ok();
    (!is_number).then(|| (Level::Warning, "is no whole number; the default is used".to_owned()))
}

fn host(value: &str) -> Option<(Level, String)> {
    let bad = host::parse(value).bad_port?;
    Some((Level::Warning, format!("names no valid port ({bad}); the default is used")))
}

fn keep_alive(value: &str) -> Option<(Level, String)> {
    let value = trimmed(value);
    let error = KeepAlive::parse_setting(value).err().filter(|_| !value.is_empty())?;
    Some((Level::Warning, format!("makes no sense ({error}); the default is used")))
}

fn origins(value: &str) -> Option<(Level, String)> {
    let only_this = |name: &str| (name == "OLLAMA_ORIGINS").then(|| value.to_owned());
    let error = Settings::from_lookup(only_this).err()?;
    Some((Level::Problem, format!("keeps the server from starting: {error}")))
}

/// Variables that stand for options of the command line are read as those are.
fn option<E: std::fmt::Display>(parsed: Result<(), E>) -> Option<(Level, String)> {
    let error = parsed.err()?;
    Some((Level::Problem, format!("ends every command that uses a card at once: {error}")))
}

fn device(value: &str) -> Option<(Level, String)> {
    option(value.parse::<DeviceChoice>().map(drop))
}

fn paths(value: &str) -> Option<(Level, String)> {
    option(value.parse::<PathsWish>().map(drop))
}

fn driver_path(value: &str) -> Option<(Level, String)> {
    option(if value.is_empty() { Err("it is empty") } else { Ok(()) })
}

fn threads(value: &str) -> Option<(Level, String)> {
    let (least, most) = (SOFTWARE_THREADS.start(), SOFTWARE_THREADS.end());
    let is_allowed = value.parse().is_ok_and(|number: i64| SOFTWARE_THREADS.contains(&number));
    option(if is_allowed { Ok(()) } else { Err(format!("it is no number from {least} to {most}")) })
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
        fn any_text_is_read(text: String, value: String) {
            listening(&text, 11434);
            for (_, check) in SETTINGS {
                check(&value);
            }
        }
    }
}
