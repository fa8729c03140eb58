//! What the doctor says: one finding per fact that matters, with what was seen and what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding matters. Ordered: the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Works, but slower, or not for long.
    Warning,
    /// Keeps something from working.
    Problem,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// What a finding is about; reports are grouped by it, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The machine itself.
    Host,
    /// The card on its bus.
    Bus,
    /// Kernel modules, device nodes, libraries, firmware.
    Driver,
    /// What the card says when it is opened.
    Card,
    /// Memory of the host and of the card.
    Memory,
    /// Interrupts, clock frequencies, heat: what makes a card slow.
    Speed,
    /// The card computed on the CPU.
    Software,
    /// The model store.
    Models,
    /// The server and its settings.
    Server,
}

impl Group {
    /// Heading for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Host => "Machine",
            Self::Bus => "PCIe",
            Self::Driver => "Driver",
            Self::Card => "Card",
            Self::Memory => "Memory",
            Self::Speed => "Speed",
            Self::Software => "Software card",
            Self::Models => "Models",
            Self::Server => "Server",
        }
    }
}

/// A place that was looked at and what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// A file, a variable, a call.
    pub place: String,
    /// What it holds; short.
    pub value: String,
}

/// One fact, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name, `group.fact`; what scripts match on.
    pub id: String,
    /// What it is about.
    pub group: Group,
    /// How much it matters.
    pub level: Level,
    /// One sentence.
    pub text: String,
    /// What it rests on.
    pub seen: Vec<Seen>,
    /// What to do, in words; empty if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// Commands that do it, in order; they may need adapting and are never run by the doctor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

impl Finding {
    /// A finding without evidence or advice yet.
    pub fn new(id: &str, group: Group, level: Level, text: impl Into<String>) -> Self {
        Self {
            id: id.to_owned(),
            group,
            level,
            text: text.into(),
            seen: Vec::new(),
            advice: String::new(),
            commands: Vec::new(),
        }
    }

    /// Adds what it rests on. Values are cut: they come from files of any length.
    #[must_use]
    pub fn seen(mut self, place: impl fmt::Display, value: impl fmt::Display) -> Self {
        let mut value = value.to_string();
        if let Some((cut, _)) = value.char_indices().nth(LONGEST_VALUE) {
            value.truncate(cut);
            value.push_str(" ...");
        }
        self.seen.push(Seen { place: place.to_string(), value });
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Adds a command that does it.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

/// Characters of evidence that are kept; the rest is in the file.
const LONGEST_VALUE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_evidence_is_cut_between_characters() {
        let finding = Finding::new("a.b", Group::Host, Level::Note, "x").seen("/proc/x", "ü".repeat(1000));
        assert_eq!(finding.seen[0].value.chars().count(), LONGEST_VALUE + 4);
    }

    #[test]
    fn the_worst_is_the_greatest() {
        assert_eq!([Level::Note, Level::Problem, Level::Ok].into_iter().max(), Some(Level::Problem));
    }
}
