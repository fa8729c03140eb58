//! What a load writes of its self-test is what the doctor reads.

use ax650::device::{CancelFlag, DeviceChoice, Driver, DriverOptions, KeptVerdicts, ModelSpec};
use ax650::models::store::Store;
use serde_json::Value;

use crate::program::{Program, stdout};

fn findings(program: &Program) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&stdout(&program.run(&["doctor", "--json"]))).unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let about = report["findings"].as_array().unwrap().iter().filter(|finding| {
        let id = finding["id"].as_str().unwrap();
        id.starts_with("card.verdicts")
    });
    about.map(|finding| (text(finding, "id"), text(finding, "level"), text(finding, "text"))).collect()
}

#[test]
fn verdicts_that_a_load_keeps_are_shown_under_the_name_of_the_model() {
    let program = Program::new();
    program.create("tiny");
    let store = Store::open(program.models());
    let model = store.resolve(&"tiny".parse().unwrap()).unwrap();
    let folder = store.folder().join(KeptVerdicts::FOLDER);
    assert_eq!(findings(&program), []);

    let options = DriverOptions {
        software_threads: Some(1),
        verdicts: Some(folder.clone()),
        ..DriverOptions::default()
    };
    let spec = ModelSpec {
        layers: model.card_parts().unwrap().files.layers.clone(),
        head: model.card_parts().unwrap().files.head.clone(),
        hidden: model.hidden(),
        vocab: model.vocab(),
        sequence_bytes: model.sequence_bytes(),
        digest: model.check_contents().unwrap(),
    };
    let driver = Driver::open(&DeviceChoice::SOFTWARE, &options).unwrap();
    let loaded = driver.load(&spec, &CancelFlag::new(), &mut |_| ()).unwrap();
    assert!(loaded.verdicts().is_some());

    let [(id, level, text)] = &findings(&program)[..] else { panic!("{:?}", findings(&program)) };
    assert_eq!((id.as_str(), level.as_str()), ("card.verdicts", "ok"));
    assert!(text.contains("tiny") && text.contains("software-pcie"), "{text}");

    // The card gets a path wrong: seen at the next look, without a load.
    let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let kept = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, kept.replacen("\"passed\"", "{\"differs\": \"3 logits\"}", 1)).unwrap();
    let [(id, level, text)] = &findings(&program)[..] else { panic!("{:?}", findings(&program)) };
    assert_eq!((id.as_str(), level.as_str()), ("card.verdicts", "warning"));
    assert!(text.contains("3 logits"), "{text}");
}
