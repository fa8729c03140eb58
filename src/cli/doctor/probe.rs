//! Opening and measuring the card in a process of its own.
//!
//! The child writes one JSON object per line to a file: each call before it makes it, then the outcome. Its standard
//! output and error belong to the vendor's library, which prints what it likes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::super::{
    CardArguments,
    signals::{INTERRUPTED, Patience},
    terminal::note,
};
use crate::device::survey::{self, FileShape, FileToMeasure, Survey, SurveyError, Timing};
use crate::device::{CancelFlag, DeviceChoice, Driver, DriverOptions, ModelSpec, Verdicts};
use crate::doctor::card::{CardFacts, CardProbe, FailureClass};
use crate::models::layer_file::{FileHead, read_head};
use crate::models::model::Model;

/// How a child tells on its standard error why the self-test is missing.
const NO_SELF_TEST: &str = "no self-test is recorded";

const CANNOT_START: &str = "start a process for the card";

/// How often a child is looked at.
const STEP: Duration = Duration::from_millis(10);

/// How long a child that was asked to end may take.
const GRACE: Duration = Duration::from_secs(2);

/// What is kept of a child's output.
const OUTPUT_LIMIT: usize = 64 << 10;

/// A line of the child's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Call(String),
    Outcome(CardProbe),
    Measured(Box<Measured>),
}

/// What a child measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) card: CardFacts,
    pub(super) calls: Vec<Timing>,
    /// In the order in which they were asked for.
    pub(super) models: Vec<MeasuredModel>,
}

/// What was measured of a model.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MeasuredModel {
    pub(super) files: Vec<FileShape>,
    pub(super) verdicts: Option<Verdicts>,
}

/// Opens the card in a child; whatever happens to it is an answer.
///
/// # Errors
///
/// Only if no child can be started.
pub(super) fn open(card: &CardArguments, patience: Duration) -> anyhow::Result<CardProbe> {
    let file = tempfile::NamedTempFile::new().context("make a file for the probe of the card")?;
    let mut child = command(card, file.path(), &[])?.spawn().context(CANNOT_START)?;
    // A full pipe would stop the child.
    let output = child.stdout.take().map(collect);
    let errors = child.stderr.take().map(collect);
    let ended = wait(&mut child, patience);
    let told = read(file.path());
    if let Some(outcome) = told.outcome {
        // Libraries are known to hang or crash in their exit handlers: what came before counts.
        return Ok(outcome);
    }
    let Some(status) = ended else {
        return Ok(CardProbe::TimedOut { seconds: patience.as_secs(), call: told.call });
    };
    let words: Vec<String> =
        [output, errors].into_iter().flatten().filter_map(|reader| reader.join().ok()).collect();
    Ok(CardProbe::Crashed { how: how(status), call: told.call, output: last_line(&words.concat()) })
}

/// Measures the card in a child that is given all the time it wants: a card whose load is broken off may need its power
/// turned off and on. After `patience` without a new call it is said which one is waited for. A signal ends it when the
/// call under way returns: then nothing was measured.
///
/// # Errors
///
/// What the child met, or that it crashed.
pub(super) fn measure(
    card: &CardArguments,
    models: &[String],
    patience: Duration,
) -> anyhow::Result<Option<Measured>> {
    let file = tempfile::NamedTempFile::new().context("make a file for the measurement")?;
    let arguments: Vec<&str> = models.iter().flat_map(|model| ["--model", model]).collect();
    let cancel = CancelFlag::new();
    let signals = Patience::install(&cancel)?;
    let mut command = command(card, file.path(), &[&["--measure"], &arguments[..]].concat())?;
    // In a group of its own: Ctrl-C in a terminal goes to whole groups.
    let mut child = command.process_group(0).spawn().context(CANNOT_START)?;
    let output = child.stdout.take().map(collect);
    let errors = child.stderr.take().map(collect);
    let status = attend(&mut child, file.path(), patience, &cancel).context("wait for the measurement")?;
    drop(signals);
    let told = read(file.path());
    drop(output);
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let words = errors.and_then(|reader| reader.join().ok()).unwrap_or_default();
    if let Some(measured) = told.measured {
        for line in words.lines().filter(|line| line.starts_with(NO_SELF_TEST)) {
            note(line);
        }
        return Ok(Some(*measured));
    }
    let last = last_line(&words);
    anyhow::bail!("the measurement ended with {} in {}: {last}", how(status), or_opening(&told.call))
}

fn or_opening(call: &str) -> &str {
    if call.is_empty() { "opening the card" } else { call }
}

/// Waits for a child that measures. A signal is passed on, once.
fn attend(
    child: &mut Child,
    file: &Path,
    patience: Duration,
    cancel: &CancelFlag,
) -> std::io::Result<ExitStatus> {
    let mut passed_on = false;
    let mut length = 0;
    let mut since = Instant::now();
    let mut said = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if cancel.is_cancelled() && !passed_on {
            let id = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
            passed_on = true;
        }
        // It grows with each call.
        let now = file.metadata().map_or(0, |data| data.len());
        if now != length {
            (length, since, said) = (now, Instant::now(), 0);
        } else if since.elapsed() >= patience * (said + 1) {
            said += 1;
            let seconds = (patience * said).as_secs();
            note(&format!("waiting for {seconds} s in {}", or_opening(&read(file).call)));
        }
        thread::sleep(STEP);
    }
}

fn command(card: &CardArguments, file: &Path, more: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command
        .args(["doctor", "--probe-card"])
        .arg(file)
        .arg("--device")
        .arg(card.device.to_string())
        .arg(format!("--paths={}", card.paths))
        .args(more);
    if let Some(path) = &card.driver_path {
        command.arg("--driver-path").arg(path);
    }
    if let Some(threads) = card.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// The child's exit status, or `None` if it had to be stopped.
fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let ended_within = |child: &mut Child, limit: Duration| {
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            thread::sleep(STEP);
        }
    };
    if let Some(status) = ended_within(child, patience) {
        return Some(status);
    }
    // It has loaded and run nothing, so stopping it cannot hurt the card. One that is stuck in the kernel is left
    // behind.
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).ok();
    if ended_within(child, GRACE).is_none() {
        child.kill().ok();
        ended_within(child, GRACE);
    }
    None
}

/// Reads a pipe to its end on a thread of its own, keeping the last of it.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut piece) {
            kept.extend_from_slice(piece.get(..length).unwrap_or_default());
            let excess = kept.len().saturating_sub(OUTPUT_LIMIT);
            kept.drain(..excess);
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// What a child told, as far as it came.
#[derive(Debug, Default)]
struct Told {
    /// The last call.
    call: String,
    outcome: Option<CardProbe>,
    measured: Option<Box<Measured>>,
}

fn read(file: &Path) -> Told {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut told = Told::default();
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match line {
            Line::Call(call) => told.call = call,
            Line::Outcome(outcome) => told.outcome = Some(outcome),
            Line::Measured(measured) => told.measured = Some(measured),
        }
    }
    told
}

/// The child: opens the card, or measures it, and tells the file.
pub(super) fn child(file: &Path, card: &CardArguments, work: &Work<'_>) -> anyhow::Result<ExitCode> {
    let mut file = File::options().append(true).open(file).context("open the probe's file")?;
    let mut tell = |line: &Line| -> anyhow::Result<()> {
        writeln!(file, "{}", serde_json::to_string(line)?)?;
        Ok(())
    };
    let options = card.driver_options();
    let mut watch = |call: &str| drop(tell(&Line::Call(call.to_owned())));
    let line = match work {
        Work::Open => Line::Outcome(match survey::survey(&card.device, &options, &mut watch) {
            Ok(found) => CardProbe::Opened(facts(found)),
            Err(error) => failure(&error),
        }),
        Work::Measure(models) => {
            let cancel = CancelFlag::new();
            let _signals = Patience::install(&cancel)?;
            let measured = measured(&card.device, &options, models, &cancel, &mut watch);
            if cancel.is_cancelled() {
                return Ok(ExitCode::from(INTERRUPTED));
            }
            Line::Measured(Box::new(measured?))
        }
    };
    tell(&line)?;
    Ok(ExitCode::SUCCESS)
}

/// What a child does.
pub(super) enum Work<'a> {
    /// Asks the card what it is.
    Open,
    /// Times its calls, and the files of models.
    Measure(&'a [Arc<Model>]),
}

fn measured(
    choice: &DeviceChoice,
    options: &DriverOptions,
    models: &[Arc<Model>],
    cancel: &CancelFlag,
    watch: &mut dyn FnMut(&str),
) -> anyhow::Result<Measured> {
    let (choice, _) = survey::find(choice, options, watch)?;
    let wanted: Vec<FileToMeasure> = models.iter().flat_map(|model| files(model)).collect();
    let found = survey::measure(&choice, options, &wanted, cancel, watch)?;
    let mut rest = found.files.into_iter();
    let mut measured = Vec::with_capacity(models.len());
    for model in models {
        if cancel.is_cancelled() {
            return Err(SurveyError::Cancelled.into());
        }
        let files = rest.by_ref().take(files(model).len()).collect();
        // What was measured stands without the test.
        let verdicts = self_test(&choice, options, model, cancel, watch).unwrap_or_else(|error| {
            note(&format!("{NO_SELF_TEST}: {error:#}"));
            None
        });
        measured.push(MeasuredModel { files, verdicts });
    }
    Ok(Measured { card: facts(found.survey), calls: found.timings, models: measured })
}

/// The first layer (all are alike) and the head.
fn files(model: &Model) -> Vec<FileToMeasure> {
    // Encoders have nothing on a card.
    let files = model.card_parts().ok().map(|parts| &parts.files);
    let layer = files.and_then(|files| files.layers.first()).map(|path| ("layer", path));
    let head = files.map(|files| ("head", &files.head));
    layer
        .into_iter()
        .chain(head)
        .map(|(role, path)| FileToMeasure {
            role,
            path: path.clone(),
            weight_bytes: weight_bytes(path).unwrap_or_else(|| path.metadata().map_or(0, |data| data.len())),
        })
        .collect()
}

/// What a synthetic file says that it stands for.
fn weight_bytes(path: &Path) -> Option<u64> {
    match read_head(path).ok()? {
        FileHead::Software(head) if head.is_synthetic() => {
            u64::try_from(head.number("ax650.weight_bytes").ok()?).ok()
        }
        _ => None,
    }
}

fn is_synthetic(path: &Path) -> bool {
    matches!(read_head(path), Ok(FileHead::Software(head)) if head.is_synthetic())
}

/// Loads the whole model, which tests its paths: anew, whatever is known. Where nothing is computed there is nothing to
/// compare.
fn self_test(
    choice: &DeviceChoice,
    options: &DriverOptions,
    model: &Model,
    cancel: &CancelFlag,
    watch: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<Verdicts>> {
    let files = &model.card_parts()?.files;
    if files.layers.first().is_none_or(|layer| is_synthetic(layer)) {
        return Ok(None);
    }
    let options = &DriverOptions { verdicts: None, ..options.clone() };
    let spec = ModelSpec {
        layers: files.layers.clone(),
        head: files.head.clone(),
        hidden: model.hidden(),
        vocab: model.vocab(),
        sequence_bytes: model.sequence_bytes(),
        digest: model.check_contents()?,
    };
    watch("loading the model");
    let driver = Driver::open(choice, options)?;
    let loaded = driver.load(&spec, cancel, &mut |progress| {
        watch(&format!("loading file {} of {}", progress.index, progress.total));
    })?;
    Ok(loaded.verdicts().cloned())
}

fn facts(found: Survey) -> CardFacts {
    CardFacts {
        kind: found.kind.to_owned(),
        interface: found.interface.to_owned(),
        library: found.library,
        version: found.version,
        soc: found.soc,
        firmware: found.firmware,
        cards: found.cards,
        index: found.index,
        total_memory: found.total_memory,
        free_memory: found.free_memory,
        temperature: found.temperature.map(i64::from),
        npu_load: found.npu_load,
        cpu_load: found.cpu_load,
        absent: found.absent.into_iter().map(str::to_owned).collect(),
    }
}

fn failure(error: &SurveyError) -> CardProbe {
    let class = if error.is_no_driver() {
        FailureClass::NoDriver
    } else if error.is_no_card() {
        FailureClass::NoCard
    } else {
        FailureClass::Other
    };
    match error {
        SurveyError::Call { call, code } => CardProbe::Failed {
            call: (*call).to_owned(),
            code: format!("{:#010X}", code.bits()),
            class,
            reason: code.to_string(),
        },
        SurveyError::NoSuchCard { .. } => CardProbe::Failed {
            call: "axclrtGetDeviceList".to_owned(),
            code: "0x00000000".to_owned(),
            class,
            reason: error.to_string(),
        },
        other => CardProbe::NoLibrary { reason: other.to_string() },
    }
}
