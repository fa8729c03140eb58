//! Software cards like recorded ones: on the interface, with the memory and the speed of each.

use std::path::{Path, PathBuf};

use ax650::device::{Paths, Verdict};
use ax650::doctor::recording::Recording;
use ax650_sim::clock::clock;
use ax650_sim::profile::Interface;
use ax650_sim::testing::TinySpec;

use crate::loaded::Loaded;
use crate::support::{Face, all_architectures, built_in_like, profile_of, prompt, tiny_model};

fn recordings() -> Vec<(PathBuf, Recording)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = files.map(|file| (file.clone(), Recording::read(&file).unwrap())).collect();
    assert!(found.len() >= 2, "one of each interface at least");
    found
}

/// The logits of a prompt of several chunks and of all tokens up to the last cell.
fn logits(face: Face, spec: &TinySpec, paths: Paths) -> (Loaded, Vec<Vec<u16>>) {
    let loaded = Loaded::built_in(face, &tiny_model(spec, None), paths);
    let all = prompt(31, spec.kv_len);
    let (prompt, rest) = all.split_at(258);
    let logits = loaded.logits_of(prompt, &|_| 128, rest);
    (loaded, logits)
}

#[test]
fn a_card_like_a_recorded_one_computes_the_same_and_passes_the_same_tests() {
    for spec in all_architectures() {
        let expected = {
            let _card = built_in_like(None);
            logits(Face::Pcie, &spec, Paths::PLAIN).1
        };
        for (path, recording) in recordings() {
            let place = path.display();
            let profile = profile_of(&recording);
            let face = if profile.interface() == Interface::Board { Face::Board } else { Face::Pcie };
            let _card = built_in_like(Some(profile));
            for paths in [Paths::PLAIN, Paths::ALL] {
                let (loaded, logits) = logits(face, &spec, paths);
                assert!(logits == expected, "{place}: {}, {paths}", spec.architecture);
                let Some(verdicts) = loaded.model.verdicts() else { continue };
                for recorded in recording.models.iter().filter_map(|model| model.verdicts.as_ref()) {
                    assert_eq!(verdicts.together, recorded.together, "{place}");
                    let passed = |(_, verdict): &&(_, Verdict)| *verdict == Verdict::Passed;
                    let of_recorded = recorded.paths.iter().filter(passed);
                    for (path, _) in of_recorded {
                        assert!(loaded.model.paths().contains(*path), "{place}: {path}");
                    }
                }
                let reading = clock().expect("a card with a profile keeps time");
                assert!(reading.runs > 0 && reading.npu_busy_ns > 0, "{place}: {reading:?}");
            }
        }
    }
}
