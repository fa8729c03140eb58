//! `ax650 doctor`: what is there, what is wrong, what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CardArguments, terminal::Output};
use crate::doctor::{self, CardProbe, Level, Root, Surroundings, User};

mod print;
mod probe;

/// Look at this machine: card, driver, memory, models; say what is wrong and what to do
///
/// Looks only: nothing is changed and no command that it names is run. The card is opened in a process of its own, so a
/// vendor's library that hangs or crashes is a finding and not the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 doctor\n  \
    ax650 doctor --device pcie --verbose\n  \
    ax650 doctor --json | jq '.findings[] | select(.level == \"problem\")'\n  \
    sudo ax650 doctor    also reads what ordinary users may not: kernel log, PCIe registers\n\n\
    Exit code: 0 when ax650 can be used (on the software card, if there is no sign of another), 1 when something keeps it \
    from working.")]
pub(super) struct Arguments {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,

    /// Show what every finding rests on
    #[arg(long)]
    verbose: bool,

    /// Examine a copy of another machine's files (its /proc, /sys, /dev, /etc ...); opens no card
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Seconds that the vendor's library is given
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,

    /// Open the card in this process and write what comes of it to FILE
    #[arg(long, value_name = "FILE", hide = true)]
    probe_card: Option<PathBuf>,

    #[command(flatten)]
    card: CardArguments,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &self.probe_card {
            return probe::child(file, &self.card);
        }
        let report = doctor::examine(&self.surroundings()?);
        let output = Output::open();
        if self.json {
            output.line(&serde_json::to_string_pretty(&report)?)?;
        } else {
            output.text(&print::text(&report, self.verbose))?;
        }
        Ok(if report.verdict == Level::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn surroundings(&self) -> anyhow::Result<Surroundings> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let here = self.root.is_none();
        let card = if here {
            probe::open(&self.card, Duration::from_secs(self.patience))?
        } else {
            CardProbe::Skipped
        };
        Ok(Surroundings {
            root: self.root.as_ref().map_or_else(Root::default, Root::new),
            models: models(&environment),
            program: std::env::current_exe().ok().filter(|_| here),
            device: self.card.device.clone(),
            driver_path: self.card.driver_path.clone(),
            user: user(),
            card,
            environment,
        })
    }
}

/// Root of the model store, as the server finds it.
fn models(environment: &BTreeMap<String, String>) -> PathBuf {
    let set = environment.get("OLLAMA_MODELS").map_or("", String::as_str);
    let set = set.trim().trim_matches(['"', '\'']).trim();
    if !set.is_empty() {
        return std::path::absolute(set).unwrap_or_else(|_| PathBuf::from(set));
    }
    let home = std::env::home_dir().unwrap_or_else(|| Path::new("/").to_owned());
    home.join(".ollama/models")
}

fn user() -> User {
    let mut groups: Vec<u32> =
        rustix::process::getgroups().unwrap_or_default().iter().map(|group| group.as_raw()).collect();
    groups.push(rustix::process::getegid().as_raw());
    User { id: rustix::process::geteuid().as_raw(), groups }
}
