//! Recordings of cards, replayed: the same findings, and a software card of the same size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ax650::device::{DeviceChoice, DriverOptions, KeptVerdicts, Paths, Verdict, Verdicts, survey};
use ax650::doctor::recording::{Recording, RecordingError, profile::profile};
use ax650::doctor::{self, Level, Root, Surroundings, User};
use ax650_sim::profile::{Interface, Profile};

use crate::program::Program;

fn recordings() -> Vec<(PathBuf, Recording)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| (path.clone(), Recording::read(&path).unwrap()))
        .collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn the_same_card_gives_the_same_findings() {
    for (path, recording) in recordings() {
        let empty = tempfile::tempdir().unwrap();
        let report = doctor::examine(&surroundings(empty.path(), &recording));
        for recorded in recording.findings.iter().filter(|finding| finding.id.starts_with("card.")) {
            if recorded.id == "card.verdicts" {
                continue; // They lie in the store, not in the card.
            }
            let level = report.get(&recorded.id).map(|finding| finding.level);
            assert_eq!(level, Some(recorded.level), "{}: {}", path.display(), recorded.id);
        }
    }
}

/// What was recorded of the software card gives back the figures that it was given.
#[test]
fn a_profile_comes_out_of_a_recording_as_it_went_in() {
    let mut faces = Vec::new();
    for (path, recording) in recordings().into_iter().filter(|(_, found)| found.card.kind == "software") {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), profile(&recording).unwrap()).unwrap();
        let made = Profile::read(file.path()).unwrap();
        let name = if made.interface() == Interface::Board { "board-ax650n" } else { "pi5-llm8850" };
        let known = Profile::named(name).unwrap();
        for ((figure, made), (_, known)) in made.figures().into_iter().zip(known.figures()) {
            // A call costs the host some microseconds, which belong to no figure of the card.
            let (wanted, allowed) = if figure.ends_with("_us") {
                (known.value, known.value * 0.01 + 15.0)
            } else {
                (known.value, known.value * 0.01)
            };
            let same = made.value.to_bits() == wanted.to_bits() || (made.value - wanted).abs() <= allowed;
            assert!(same, "{}: {figure} is {} for {wanted}", path.display(), made.value);
        }
        faces.push(recording.card.interface);
    }
    faces.sort();
    assert_eq!(faces, ["board", "pcie"]);
}

/// Recorded verdicts, kept as the device keeps them, and what a machine with them is told.
#[test]
fn recorded_verdicts_are_shown_by_the_doctor() {
    for (path, recording) in recordings() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("models/ax650").join(KeptVerdicts::FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        let recorded: Vec<&Verdicts> =
            recording.models.iter().filter_map(|model| model.verdicts.as_ref()).collect();
        assert!(!recorded.is_empty(), "{}: no model was tested", path.display());
        for (index, verdicts) in recorded.iter().enumerate() {
            assert!(recording.models.iter().any(|model| model.digest == verdicts.model_digest));
            let kept = KeptVerdicts::new(Paths::ALL, Verdicts::clone(verdicts));
            std::fs::write(folder.join(format!("{index}.json")), serde_json::to_string(&kept).unwrap())
                .unwrap();
        }
        let report = doctor::examine(&surroundings(root.path(), &recording));
        let shown: Vec<_> = report.findings.iter().filter(|finding| finding.id == "card.verdicts").collect();
        assert_eq!(shown.len(), recorded.len());
        for (finding, verdicts) in shown.iter().zip(recorded) {
            let good = verdicts.bad().next().is_none() && !verdicts.together.is_bad();
            assert_eq!(finding.level == Level::Ok, good, "{}: {finding:?}", path.display());
        }
    }
}

fn surroundings(root: &Path, recording: &Recording) -> Surroundings {
    Surroundings {
        root: Root::new(root),
        environment: BTreeMap::new(),
        program: None,
        device: DeviceChoice::SOFTWARE,
        driver_path: None,
        models: Some("/models".into()),
        user: Some(User::default()),
        card: recording.probe(),
    }
}

#[test]
fn the_software_card_can_be_made_like_it() {
    for (path, recording) in recordings() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), profile(&recording).unwrap()).unwrap();
        let choice: DeviceChoice = format!("software:{}", file.path().display()).parse().unwrap();
        let found = survey::survey(&choice, &DriverOptions::default(), &mut |_| ()).unwrap();
        assert_eq!(found.total_memory, recording.card.total_memory, "{}", path.display());
    }
}

#[test]
fn shapes_are_those_that_the_loop_runs() {
    for (path, recording) in recordings() {
        for model in &recording.models {
            let place = path.display();
            let (layer, head) = (model.file("layer").unwrap(), model.file("head").unwrap());
            let bytes = |tensors: &[survey::Tensor], name: &str| {
                tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.bytes)
            };
            let row = u64::try_from(model.hidden).unwrap() * 2;
            for group in &layer.groups {
                let rows = bytes(&group.inputs, "indices").unwrap() / 4;
                assert_eq!(bytes(&group.inputs, "input"), Some(rows * row), "{place}");
                assert_eq!(bytes(&group.outputs, "output"), Some(rows * row), "{place}");
                assert_eq!(group.run.error, None, "{place}");
                assert!(group.run.count > 0 && group.run.least_ns <= group.run.median_ns, "{place}");
            }
            let logits = head.groups[0].outputs.iter().map(|tensor| tensor.bytes).max();
            assert_eq!(logits, Some(u64::try_from(model.vocab).unwrap() * 2), "{place}");
        }
    }
}

#[test]
fn a_recording_is_made_without_anything_personal_and_makes_a_profile() {
    for device in ["software", "software:board-ax650n"] {
        record(device);
    }
}

fn record(device: &str) {
    let program = Program::new();
    program.create("my-secret-model");
    program.run(&["create", "shapes", "--synthetic", "qwen3-0.6b"]).success();
    let (json, toml) = (program.path("card.json"), program.path("card.toml"));
    let (json_name, toml_name) = (json.to_str().unwrap(), toml.to_str().unwrap());
    let arguments = [
        "doctor",
        "--device",
        device,
        "--model",
        "my-secret-model",
        "--model",
        "shapes",
        "--record",
        json_name,
        "--profile",
        toml_name,
    ];
    program.run(&arguments).success();
    let text = std::fs::read_to_string(&json).unwrap();
    let home = program.path("");
    for personal in ["my-secret-model", home.to_str().unwrap(), "uid", "serial", "host_name"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    let recording = Recording::read(&json).unwrap();
    assert_eq!(recording.card.kind, "software");
    let call = if recording.card.interface == "board" {
        "AX_SYS_MflushCache"
    } else {
        "axclrtMemcpy to-device pinned"
    };
    assert!(recording.call(call, 4096).is_some(), "{text}");
    assert!(recording.files("layer").all(|layer| layer.groups.len() > 1), "{text}");
    let (real, synthetic) = (&recording.models[0], &recording.models[1]);
    let verdicts = real.verdicts.as_ref().unwrap();
    assert_eq!((&verdicts.together, &verdicts.model_digest), (&Verdict::Passed, &real.digest), "{text}");
    assert_eq!(synthetic.verdicts, None, "nothing was computed, so nothing was compared");
    assert!(Profile::read(&toml).is_ok());

    // The profile comes from the file as well, without any card.
    let again = program.path("again.toml");
    program.run(&["doctor", "--recording", json_name, "--profile", again.to_str().unwrap()]).success();
    assert_eq!(std::fs::read_to_string(again).unwrap(), std::fs::read_to_string(&toml).unwrap());
}

#[test]
fn other_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.json");
    assert!(matches!(Recording::read(&path), Err(RecordingError::Read { .. })));
    std::fs::write(&path, "{\"format\": 1}").unwrap();
    assert!(matches!(Recording::read(&path), Err(RecordingError::Syntax { .. })));
    let (_, recording) = recordings().remove(0);
    std::fs::write(&path, serde_json::to_string(&Recording { format: 2, ..recording }).unwrap()).unwrap();
    let error = Recording::read(&path).unwrap_err().to_string();
    assert!(error.contains("x.json") && error.contains("format 2"), "{error}");
}
