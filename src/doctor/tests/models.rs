//! The model store as the doctor sees it.

use super::*;
use crate::device::{KeptVerdicts, Path, Paths, Verdict, Verdicts};

const STORE: &str = "/home/someone/.ollama/models/ax650";

#[test]
fn broken_models_are_named_with_what_is_wrong() {
    let dir = format!("{STORE}/registry.ollama.ai/library/tiny/latest");
    let machine = Machine::new().file(&format!("{dir}/config.json"), "{}");
    let report = machine.examine_anywhere();
    let finding = report.get("models.broken").unwrap();
    assert!(finding.level == Level::Problem && finding.text.contains("tiny"), "{finding:?}");
    assert!(finding.commands[0].starts_with("ax650 rm "), "{finding:?}");
}

#[test]
fn verdicts_of_self_tests_are_shown() {
    let made = |paths: Vec<(Path, Verdict)>, together| Verdicts {
        driver_version: "V3.6.5".into(),
        soc: "AX650N".into(),
        model_digest: "ab".repeat(32),
        kind: "pcie".into(),
        paths,
        together,
        tested_at: 1,
    };
    let with = |verdicts: &Verdicts| {
        let json = serde_json::to_string(&KeptVerdicts::new(Paths::ALL, verdicts.clone())).unwrap();
        Machine::new().file(&format!("{STORE}/.verdicts/a.json"), json)
    };
    let good = with(&made(vec![(Path::Async, Verdict::Passed)], Verdict::Passed));
    assert_eq!(good.finding("card.verdicts").level, Level::Ok);
    let differs = Verdict::Differs("logit 3".into());
    let async_differs = made(vec![(Path::Async, differs.clone())], Verdict::Passed);
    let gone = with(&async_differs).finding("card.verdicts");
    assert!(gone.level == Level::Note && gone.text.contains("async"), "the model is gone: {gone:?}");
    let together = with(&made(vec![(Path::Async, Verdict::Passed)], differs)).finding("card.verdicts");
    assert!(together.text.contains("none is used"), "{together:?}");

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(KeptVerdicts::FOLDER)).unwrap();
    let json = serde_json::to_string(&KeptVerdicts::new(Paths::ALL, async_differs)).unwrap();
    std::fs::write(folder.path().join(KeptVerdicts::FOLDER).join("a.json"), json).unwrap();
    let names = BTreeMap::from([("ab".repeat(32), "tiny".to_owned())]);
    let level = |kind: &str, version: &str| {
        let (kind, version) = (kind.into(), version.into());
        let card = CardProbe::Opened(CardFacts { kind, version, ..CardFacts::default() });
        verdicts::findings(&card, "/models".as_ref(), folder.path(), &names)[0].level
    };
    assert_eq!(level("pcie", "V3.6.5"), Level::Warning);
    assert_eq!(level("pcie", "V3.10.2"), Level::Note, "the driver was replaced");
    assert_eq!(level("pcie", ""), Level::Warning, "the driver does not tell");
    assert_eq!(level("software", "1.0"), Level::Warning, "another card says nothing of this one");

    let kept = KeptVerdicts::new(Paths::ALL, made(vec![], Verdict::Passed));
    let old = serde_json::to_string(&KeptVerdicts { test: 0, ..kept }).unwrap();
    let useless = Machine::new()
        .file(&format!("{STORE}/.verdicts/a.json"), "{")
        .file(&format!("{STORE}/.verdicts/b.json"), old);
    let finding = useless.finding("card.verdicts.old");
    assert!(finding.level == Level::Note && finding.text.starts_with("2 kept"), "{finding:?}");
    assert!(useless.examine().get("card.verdicts").is_none());
}

#[test]
fn a_log_directory_of_somebody_else_is_told() {
    let machine = Machine::new().pi5().with_card().with_driver().file("/tmp/axcl/axcl_logs.txt", "");
    let closed = machine.mode("/tmp/axcl", 0o755);
    assert_eq!(closed.finding("driver.log_directory").level, Level::Warning);
    assert!(closed.mode("/tmp/axcl", 0o777).complaints().is_empty());
}
