//! Timing each kind of call on a card, and the shapes of one layer file and one head file.
//!
//! Unlike a survey this loads models, so nobody else should use the card meanwhile.

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::pcie::{self, Session};
use super::{Opened, Survey, SurveyError, board_engine};
use crate::device::{CancelFlag, DeviceChoice, DriverOptions};

/// Runs of each kind; the first ones warm the card up and do not count.
const WARM_UP: usize = 2;
const COUNTED: usize = 9;

/// Bytes of a small copy: a row and a mask have some kilobytes.
pub(super) const SMALL: usize = 4 << 10;
/// Bytes of a large copy: enough that its rate is that of the link.
pub(super) const LARGE: usize = 4 << 20;

/// A compiled file whose shapes and runs are wanted.
#[derive(Debug, Clone)]
pub struct FileToMeasure {
    /// `layer` or `head`.
    pub role: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Bytes of weights that a run reads; the file's length where nobody knows better.
    pub weight_bytes: u64,
}

/// How long calls of one kind took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The function, or what was done with it: `axclrtMemcpy to-device pinned`.
    pub call: String,
    /// Bytes that it was about; 0 where that means nothing.
    pub bytes: u64,
    /// Calls that were timed.
    pub count: u32,
    /// The fastest, in nanoseconds.
    pub least_ns: u64,
    /// The one in the middle, in nanoseconds.
    pub median_ns: u64,
    /// The code that it ended with instead, if it failed: `0x80300704`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A tensor of a compiled file, as the library tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The library's number of its type; `None` where it does not tell.
    pub dtype: Option<u32>,
    /// Its dimensions.
    pub dims: Vec<i32>,
    /// Its bytes.
    pub bytes: u64,
}

/// One shape group of a compiled file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupShape {
    /// Inputs in the library's order.
    pub inputs: Vec<Tensor>,
    /// Outputs in the library's order.
    pub outputs: Vec<Tensor>,
    /// Runs of the group with zeroed inputs, waited for one by one.
    pub run: Timing,
    /// The same queued on a stream and waited for; `None` where the library has no such functions, or the run fails.
    pub queued_run: Option<Timing>,
}

/// A compiled file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileShape {
    /// `layer` or `head`.
    pub role: String,
    /// Length of the file.
    pub file_bytes: u64,
    /// Bytes of weights that a run reads, as far as known.
    pub weight_bytes: u64,
    /// Loading it.
    pub load: Timing,
    /// Its shape groups in order.
    pub groups: Vec<GroupShape>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// What the card says of itself.
    pub survey: Survey,
    /// Calls that involve no model.
    pub timings: Vec<Timing>,
    /// The files that were asked for.
    pub files: Vec<FileShape>,
}

/// Measures the card of the choice. `watch` hears each call before it is made; `cancel` is read before each file and
/// each shape group, never in the middle of a load.
///
/// # Errors
///
/// Those of a survey; a run that fails does not fail the measurement but is written down with its code. A wait for a
/// run that fails ends it: then nothing is given back.
pub fn measure(
    choice: &DeviceChoice,
    options: &DriverOptions,
    files: &[FileToMeasure],
    cancel: &CancelFlag,
    watch: &mut dyn FnMut(&str),
) -> Result<Measurement, SurveyError> {
    let (subject, index) = match Opened::open(choice, options, watch)? {
        Opened::Pcie(subject, index) => (subject, index),
        Opened::Board(subject) => {
            let measured = board_engine::measure(&subject.table, files, cancel, watch)?;
            return Ok(Measurement { survey: subject.describe(measured.survey), ..measured });
        }
    };
    let survey = subject.describe(pcie::survey(&subject.table, index, watch)?);
    let mut session = Session::new(&subject.table, watch);
    session.initialise()?;
    let measured = session.take(index).and_then(|(device, _)| {
        let measured = with_engine(&mut session, files, cancel);
        let released = session.release(device);
        let measured = measured?;
        released?;
        Ok(measured)
    });
    let ended = session.finalise();
    let (timings, files) = measured?;
    ended?;
    Ok(Measurement { survey, timings, files })
}

type Measured = (Vec<Timing>, Vec<FileShape>);

fn with_engine(
    session: &mut Session<'_>,
    files: &[FileToMeasure],
    cancel: &CancelFlag,
) -> Result<Measured, SurveyError> {
    let mut engine = Engine::open(session)?;
    let measured = copies(&mut engine).and_then(|timings| {
        let shapes = files.iter().map(|file| file_shape(&mut engine, file, cancel));
        Ok((timings, shapes.collect::<Result<_, _>>()?))
    });
    let closed = engine.close();
    let measured = measured?;
    closed?;
    Ok(measured)
}

/// An error once somebody wants the measurement to end.
pub(super) fn go_on(cancel: &CancelFlag) -> Result<(), SurveyError> {
    if cancel.is_cancelled() { Err(SurveyError::Cancelled) } else { Ok(()) }
}

fn copies(engine: &mut Engine<'_, '_>) -> Result<Vec<Timing>, SurveyError> {
    let mut timings = Vec::new();
    let mark = engine.mark();
    let (one, other) = (engine.allocate(LARGE)?, engine.allocate(LARGE)?);
    let mut unpinned = vec![0_u8; LARGE];
    let pinned = engine.allocate_pinned(LARGE)?;
    for bytes in [SMALL, LARGE] {
        let unpinned = unpinned.as_mut_ptr().cast();
        for (kind, host) in [("unpinned", Some(unpinned)), ("pinned", pinned)] {
            let Some(host) = host else { continue };
            timings.push(time(
                &format!("axclrtMemcpy to-device {kind}"),
                bytes,
                || (),
                || engine.upload(one, host, bytes),
            ));
            timings.push(time(
                &format!("axclrtMemcpy from-device {kind}"),
                bytes,
                || (),
                || engine.download(host, one, bytes),
            ));
        }
        timings.push(time("axclrtMemcpy on-device", bytes, || (), || engine.duplicate(other, one, bytes)));
        timings.push(time("axclrtMemset", bytes, || (), || engine.zero(one, bytes)));
    }
    engine.give_back_to(mark)?;
    Ok(timings)
}

fn file_shape(
    engine: &mut Engine<'_, '_>,
    file: &FileToMeasure,
    cancel: &CancelFlag,
) -> Result<FileShape, SurveyError> {
    go_on(cancel)?;
    let mark = engine.mark();
    let (model, load) = file.time_load("axclrtEngineLoadFromFile", || engine.load(&file.path))?;
    let mut groups = Vec::new();
    for group in 0..model.groups {
        go_on(cancel)?;
        let mark = engine.mark();
        let (inputs, outputs) = engine.tensors(&model, group)?;
        let io = engine.bind(&model, &inputs, &outputs)?;
        let run = time("axclrtEngineExecute", 0, || (), || engine.execute(&model, group, io));
        // A run that fails when it is queued fails the wait, after which nothing is known: it is not tried.
        let stream = if run.error.is_none() { engine.stream()? } else { None };
        let queued_run = stream.map(|stream| {
            time("axclrtEngineExecuteAsync", 0, || (), || engine.execute_queued(&model, group, io, stream))
        });
        engine.give_back_to(mark)?;
        groups.push(GroupShape { inputs, outputs, run, queued_run });
    }
    engine.give_back_to(mark)?;
    Ok(file.shape(load, groups))
}

impl FileToMeasure {
    fn file_bytes(&self) -> u64 {
        self.path.metadata().map_or(0, |data| data.len())
    }

    /// Loads the file, once: a load takes long.
    pub(super) fn time_load<T>(
        &self,
        call: &str,
        load: impl FnOnce() -> Result<T, SurveyError>,
    ) -> Result<(T, Timing), SurveyError> {
        let start = now();
        let loaded = load()?;
        let ns = now().saturating_sub(start);
        let timing = Timing {
            call: call.to_owned(),
            // A synthetic file stands for a longer one.
            bytes: self.file_bytes().max(self.weight_bytes),
            count: 1,
            least_ns: ns,
            median_ns: ns,
            error: None,
        };
        Ok((loaded, timing))
    }

    pub(super) fn shape(&self, load: Timing, groups: Vec<GroupShape>) -> FileShape {
        let (role, file_bytes) = (self.role.to_owned(), self.file_bytes());
        FileShape { role, file_bytes, weight_bytes: self.weight_bytes, load, groups }
    }
}

/// Times a call some times, each after `prepare`, which does not count; the first failure ends it and is what is told.
pub(super) fn time(
    call: &str,
    bytes: usize,
    mut prepare: impl FnMut(),
    mut run: impl FnMut() -> Result<(), SurveyError>,
) -> Timing {
    let mut spans = Vec::with_capacity(COUNTED);
    let mut error = None;
    for round in 0..WARM_UP + COUNTED {
        prepare();
        let start = now();
        if let Err(failed) = run() {
            error = Some(match failed {
                SurveyError::Call { code, .. } => format!("{:#010X}", code.bits()),
                other => other.to_string(),
            });
            break;
        }
        if round >= WARM_UP {
            spans.push(now().saturating_sub(start));
        }
    }
    spans.sort_unstable();
    Timing {
        call: call.to_owned(),
        bytes: bytes as u64,
        count: u32::try_from(spans.len()).unwrap_or(u32::MAX),
        least_ns: spans.first().copied().unwrap_or(0),
        median_ns: spans.get(spans.len() / 2).copied().unwrap_or(0),
        error,
    }
}

/// The card's own time where it has one (a software card with a profile), else the host's.
fn now() -> u64 {
    ax650_sim::clock::clock().map_or_else(host_now, |reading| reading.now_ns)
}

fn host_now() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ax650_sim::CardOptions;
    use ax650_sim::control::SoftwareCard;
    use ax650_sim::testing::{TinySpec, write_tiny_model};

    use super::*;

    /// Measures one layer of a tiny model on a card of its own; what came of it, and the calls that were made.
    fn measured(
        cancel: &CancelFlag,
        prepare: impl FnOnce(&SoftwareCard),
        mut watch: impl FnMut(&str),
    ) -> (Result<Measurement, SurveyError>, Vec<String>, SoftwareCard) {
        let directory = tempfile::tempdir().unwrap();
        let model = write_tiny_model(directory.path(), &TinySpec::default()).unwrap();
        let path = model.layers[0].clone();
        let files = [FileToMeasure { role: "layer", path, weight_bytes: 1 }];
        let control = SoftwareCard::new(CardOptions { threads: Some(1), ..CardOptions::default() });
        let _attached = control.attach();
        prepare(&control);
        let mut calls = Vec::new();
        let outcome =
            measure(&DeviceChoice::SOFTWARE, &DriverOptions::default(), &files, cancel, &mut |call| {
                watch(call);
                calls.push(call.to_owned());
            });
        (outcome, calls, control)
    }

    #[test]
    fn everything_is_given_back() {
        let (outcome, _, control) = measured(&CancelFlag::new(), |_| (), |_| ());
        assert!(outcome.unwrap().files[0].groups.iter().all(|group| group.queued_run.is_some()));
        assert_eq!(control.leaks(), Vec::<String>::new());
    }

    #[test]
    fn after_a_wait_that_failed_no_call_is_made() {
        let failing =
            |card: &SoftwareCard| card.fail_call("axclrtSynchronizeStream", 3, 0x8030_0704_u32.cast_signed());
        let (outcome, calls, control) = measured(&CancelFlag::new(), failing, |_| ());
        let Err(SurveyError::Call { call, .. }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(call, "axclrtSynchronizeStream");
        assert_eq!(calls.last().map(String::as_str), Some("axclrtSynchronizeStream"));
        assert_eq!(control.models(), 1, "what the run uses is still there");
    }

    #[test]
    fn a_card_whose_engine_does_not_start_is_released() {
        let failing =
            |card: &SoftwareCard| card.fail_call("axclrtEngineInit", 1, 0x8030_0702_u32.cast_signed());
        let (outcome, calls, _) = measured(&CancelFlag::new(), failing, |_| ());
        assert!(matches!(outcome, Err(SurveyError::Call { call: "axclrtEngineInit", .. })), "{outcome:?}");
        assert!(calls.ends_with(&["axclrtResetDevice".to_owned(), "axclFinalize".to_owned()]), "{calls:?}");
    }

    #[test]
    fn a_measurement_that_is_cancelled_finishes_its_load_and_gives_everything_back() {
        let cancel = CancelFlag::new();
        let at_load = |call: &str| {
            if call == "axclrtEngineLoadFromFile" {
                cancel.cancel();
            }
        };
        let (outcome, calls, control) = measured(&cancel, |_| (), at_load);
        assert!(matches!(outcome, Err(SurveyError::Cancelled)), "{outcome:?}");
        assert!(calls.contains(&"axclrtEngineUnload".to_owned()) && control.leaks().is_empty(), "{calls:?}");
        assert!(!calls.contains(&"axclrtEngineExecute".to_owned()), "{calls:?}");
    }
}
