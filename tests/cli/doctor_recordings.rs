//! Recordings of cards, replayed: the same findings, and a software card of the same size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ax650::device::{DeviceChoice, DriverOptions, survey};
use ax650::doctor::recording::{Recording, RecordingError, profile::profile};
use ax650::doctor::{self, Root, Surroundings, User};

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
        let report = doctor::examine(&Surroundings {
            root: Root::new(empty.path()),
            environment: BTreeMap::new(),
            program: None,
            device: DeviceChoice::SOFTWARE,
            driver_path: None,
            models: "/models".into(),
            user: User::default(),
            card: recording.probe(),
        });
        for recorded in recording.findings.iter().filter(|finding| finding.id.starts_with("card.")) {
            if recorded.id == "card.verdicts" {
                continue; // They lie in the store, not in the card.
            }
            let level = report.get(&recorded.id).map(|finding| finding.level);
            assert_eq!(level, Some(recorded.level), "{}: {}", path.display(), recorded.id);
        }
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
        let Some(model) = &recording.model else { continue };
        let place = path.display();
        let (layer, head) = (recording.file("layer").unwrap(), recording.file("head").unwrap());
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

#[test]
fn a_recording_is_made_without_anything_personal_and_makes_a_profile() {
    let program = Program::new();
    program.create("my-secret-model");
    let (json, toml) = (program.path("card.json"), program.path("card.toml"));
    let (json_name, toml_name) = (json.to_str().unwrap(), toml.to_str().unwrap());
    let arguments = [
        "doctor",
        "--device",
        "software",
        "--model",
        "my-secret-model",
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
    assert!(recording.call("axclrtMemcpy to-device pinned", 4096).is_some(), "{text}");
    assert!(recording.file("layer").is_some_and(|layer| layer.groups.len() > 1), "{text}");
    assert!(ax650_sim::profile::Profile::read(&toml).is_ok());

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
