//! `ax650 doctor`: what is there, what is wrong, what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::{CardArguments, connect, signals::INTERRUPTED, terminal::Output, terminal::note};
use crate::device::DeviceChoice;
use crate::doctor::recording::{RecordedModel, Recording, profile::profile};
use crate::doctor::{self, CardProbe, Level, Report, Root, Surroundings, User};
use crate::models::model::Model;
use crate::models::store::Store;

mod print;
mod probe;
mod wishes;

/// Look at this machine: card, driver, memory, models; say what is wrong and what to do
///
/// Looks only: nothing is changed and no command that it names is run. The card is opened in a process of its own, so a
/// vendor's library that hangs or crashes is a finding and not the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 doctor\n  \
    ax650 doctor --device pcie --verbose\n  \
    ax650 doctor --device pcie --model qwen3-0.6b --model qwen3-4b --record card.json --profile card.toml\n  \
    ax650 doctor --json | jq '.findings[] | select(.level == \"problem\")'\n  \
    sudo ax650 doctor    also reads what ordinary users may not: kernel log, PCIe registers\n\n\
    Environment: AX650_DEVICE, AX650_DRIVER_PATH, AX650_THREADS and AX650_PATHS, as for other commands; not with --root.\n\n\
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

    /// Seconds that the vendor's library is given; with --record, after which it is said what is being waited for
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,

    /// Also write what the card really does to FILE (JSON, nothing personal): its properties, the time of each kind of
    /// call, and with --model shapes, runs and self-test of models. Nobody else should use the card meanwhile
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Model to measure for --record; with two of different sizes, fixed costs and bandwidth can be told apart
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,

    /// Write a profile of the software card to FILE (.toml), made from --recording, or from what --record records
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    /// Recording to make --profile from; opens no card
    #[arg(long, value_name = "FILE", requires = "profile", conflicts_with = "record")]
    recording: Option<PathBuf>,

    /// Open the card in this process and write what comes of it to FILE
    #[arg(long, value_name = "FILE", hide = true)]
    probe_card: Option<PathBuf>,

    /// With --probe-card: measure it
    #[arg(long, requires = "probe_card", hide = true)]
    measure: bool,

    #[command(flatten)]
    wishes: wishes::Wishes,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        if let Some(file) = &self.probe_card {
            return self.work(file);
        }
        if let Some(file) = &self.recording {
            self.write_profile(&Recording::read(file)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.record.is_none() && (!self.model.is_empty() || self.profile.is_some()) {
            anyhow::bail!(
                "--model and --profile go with --record FILE, --profile also with --recording FILE"
            );
        }
        if self.record.is_some() && self.root.is_some() {
            anyhow::bail!("--root looks at files alone, --record at a card: give one of them");
        }
        if let Some(root) = self.root.as_ref().filter(|root| !root.is_dir()) {
            anyhow::bail!("--root {}: there is no such directory", root.display());
        }
        let around = match &self.root {
            Some(root) => self.copied(root),
            None => self.here()?,
        };
        let report = doctor::examine(&around);
        if let Some(file) = &self.record
            && !self.record(file, &around, &report)?
        {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let output = Output::open();
        if self.json {
            output.line(&serde_json::to_string_pretty(&report)?)?;
        } else {
            output.text(&print::text(&report, self.verbose))?;
        }
        Ok(if report.verdict == Level::Problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// What a child of this command does.
    fn work(&self, file: &Path) -> anyhow::Result<ExitCode> {
        let models = self.measured_models()?;
        let work = if self.measure { probe::Work::Measure(&models) } else { probe::Work::Open };
        probe::child(file, &self.wishes.card(), &work)
    }

    fn measured_models(&self) -> anyhow::Result<Vec<Arc<Model>>> {
        let store = Store::from_env();
        let on_card = |name: &String| {
            let model = store.resolve(&connect::name(name)?)?;
            model.card_parts()?;
            Ok(model)
        };
        self.model.iter().map(on_card).collect()
    }

    /// Whether it was recorded: no if it was interrupted.
    fn record(&self, file: &Path, around: &Surroundings, report: &Report) -> anyhow::Result<bool> {
        let models = self.measured_models()?;
        let Some(measured) = probe::measure(&self.wishes.card(), &self.model, self.patience())? else {
            return Ok(false);
        };
        let recorded = models.iter().zip(measured.models).map(|(model, measured)| RecordedModel {
            digest: model.weights.clone(),
            layers: model.card_parts().map_or(0, |parts| parts.files.layers.len()),
            hidden: model.hidden(),
            vocab: model.vocab(),
            context: model.context_len(),
            files: measured.files,
            verdicts: measured.verdicts,
        });
        let recording = Recording::new(around, report, measured.card, measured.calls, recorded.collect());
        let text = serde_json::to_string_pretty(&recording)? + "\n";
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        note(&format!("recorded in {}", file.display()));
        if self.profile.is_some() {
            self.write_profile(&recording)?;
        }
        Ok(true)
    }

    fn write_profile(&self, recording: &Recording) -> anyhow::Result<()> {
        let Some(file) = &self.profile else { return Ok(()) };
        let text = profile(recording)?;
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))?;
        note(&format!("profile in {0}; try it with --device software:{0}", file.display()));
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// This machine, and what comes of opening its card.
    fn here(&self) -> anyhow::Result<Surroundings> {
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let CardArguments { device, .. } = self.wishes.card();
        Ok(Surroundings {
            root: Root::default(),
            models: Some(models(&environment)),
            program: std::env::current_exe().ok(),
            device,
            driver_path: self.wishes.driver_path.clone(),
            user: Some(user()),
            card: probe::open(&self.wishes.card(), self.patience())?,
            environment,
        })
    }

    /// Another machine by a copy of its files. What is set here, who asks here, and whose models these are says nothing
    /// of it.
    fn copied(&self, root: &Path) -> Surroundings {
        Surroundings {
            root: Root::new(root),
            models: None,
            program: None,
            device: self.wishes.device.clone().unwrap_or(DeviceChoice::Auto),
            driver_path: self.wishes.driver_path.clone(),
            user: None,
            card: CardProbe::Skipped,
            environment: BTreeMap::new(),
        }
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
