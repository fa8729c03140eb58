//! Opening the card in a process of its own, with a time limit.
//!
//! The child writes one JSON object per line to a file: each call before it makes it, then the outcome. Its standard
//! output and error belong to the vendor's library, which prints what it likes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::super::CardArguments;
use crate::device::DeviceChoice;
use crate::device::survey::{Survey, SurveyError, survey};
use crate::doctor::card::{CardFacts, CardProbe, FailureClass};

/// How often a child is looked at.
const STEP: Duration = Duration::from_millis(10);

/// How long a child that was asked to end may take.
const GRACE: Duration = Duration::from_secs(2);

/// Only the vendor's own Linux on its chip has it.
const BOARD_NODE: &str = "/dev/ax_cmm";

/// What is kept of a child's output.
const OUTPUT_LIMIT: usize = 64 << 10;

/// A line of the child's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Call(String),
    Outcome(CardProbe),
}

/// Opens the card in a child; whatever happens to it is an answer.
///
/// # Errors
///
/// Only if no child can be started.
pub(super) fn open(card: &CardArguments, patience: Duration) -> anyhow::Result<CardProbe> {
    let file = tempfile::NamedTempFile::new().context("make a file for the probe of the card")?;
    let mut command = Command::new(std::env::current_exe().context("find this program")?);
    command.args(["doctor", "--probe-card"]).arg(file.path()).arg("--device").arg(card.device.to_string());
    if let Some(path) = &card.driver_path {
        command.arg("--driver-path").arg(path);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("start the probe of the card")?;
    // A full pipe would stop the child.
    let output = child.stdout.take().map(collect);
    let errors = child.stderr.take().map(collect);
    let ended = wait(&mut child, patience);
    let (call, outcome) = read(file.path());
    if let Some(outcome) = outcome {
        // Libraries are known to hang or crash in their exit handlers: what came before counts.
        return Ok(outcome);
    }
    let Some(status) = ended else {
        return Ok(CardProbe::TimedOut { seconds: patience.as_secs(), call });
    };
    let words: Vec<String> =
        [output, errors].into_iter().flatten().filter_map(|reader| reader.join().ok()).collect();
    Ok(CardProbe::Crashed { how: how(status), call, output: last_line(&words.concat()) })
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
    // It has loaded and run nothing, so stopping it cannot hurt the card. One that is stuck in the kernel is left behind.
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

/// The last call and the outcome, as far as the child came.
fn read(file: &Path) -> (String, Option<CardProbe>) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut last = String::new();
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match line {
            Line::Call(call) => last = call,
            Line::Outcome(outcome) => return (last, Some(outcome)),
        }
    }
    (last, None)
}

/// The child: opens the card and tells the file.
pub(super) fn child(file: &Path, card: &CardArguments) -> anyhow::Result<ExitCode> {
    let mut file = File::options().append(true).open(file).context("open the probe's file")?;
    let mut tell = |line: &Line| -> anyhow::Result<()> {
        writeln!(file, "{}", serde_json::to_string(line)?)?;
        Ok(())
    };
    let mut watch = |call: &str| drop(tell(&Line::Call(call.to_owned())));
    let choice = match &card.device {
        // The software card is always there; of interest is whether a real one is.
        DeviceChoice::Auto if Path::new(BOARD_NODE).exists() => DeviceChoice::Board,
        DeviceChoice::Auto => DeviceChoice::Pcie(0),
        choice => choice.clone(),
    };
    let outcome = match survey(&choice, &card.driver_options(), &mut watch) {
        Ok(found) => CardProbe::Opened(facts(found)),
        Err(error) => failure(&error),
    };
    tell(&Line::Outcome(outcome))?;
    Ok(ExitCode::SUCCESS)
}

fn facts(found: Survey) -> CardFacts {
    CardFacts {
        kind: found.kind.to_owned(),
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
