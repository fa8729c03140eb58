//! Models made of other models: what they share, and what is theirs.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ax650::models::changes::Changes;
use ax650::models::import::{ImportError, ImportOptions, Wishes};
use ax650::models::model::Model;
use ax650::models::name::ModelName;
use ax650::models::store::{Store, StoreError};
use ax650::text::{Message, RenderOptions};

use crate::fixture::{Workshop, tiny};
use crate::vendor_fixture::Publisher;

fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

fn with_system(system: &str) -> Changes {
    Changes { system: Some(system.to_owned()), ..Changes::default() }
}

/// Names of a model's files, each with the number of the data on the disk.
fn data(model: &Model) -> Vec<(String, u64)> {
    let files = model.manifest.files.iter().map(|file| {
        (file.name.clone(), std::fs::symlink_metadata(model.dir.join(&file.name)).unwrap().ino())
    });
    files.collect()
}

#[test]
fn files_are_shared_and_outlive_either_model() {
    let workshop = Workshop::new();
    let base = workshop.create("base", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    let store = &workshop.store;
    let derived = store.derive(&name("derived"), &name("BASE"), &with_system("x")).unwrap();
    store.copy(&name("derived"), &name("copy")).unwrap();
    let copy = store.resolve(&name("copy")).unwrap();
    assert_eq!((data(&derived), data(&copy)), (data(&base), data(&base)));
    assert_eq!((&derived.weights, &copy.weights), (&base.weights, &base.weights));
    assert_ne!(derived.digest, base.digest);
    assert_eq!(derived.digest, copy.digest);
    assert!(Arc::ptr_eq(&base.text().unwrap(), &derived.text().unwrap()), "one tokenizer is enough");
    store.remove(&base.name).unwrap();
    store.remove(&derived.name).unwrap();
    let again = Store::open(workshop.root()).resolve(&name("copy")).unwrap();
    assert_eq!(again.manifest.system.as_deref(), Some("x"));
    again.check_contents().unwrap();
    again.text().unwrap();
}

#[test]
fn a_template_of_its_own_is_in_effect() {
    let workshop = Workshop::new();
    workshop.create("base", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    let template = |text: &str| Changes { template: Some(text.to_owned()), ..Changes::default() };
    let rendered = |model: &Model| {
        model.text().unwrap().render(&[Message::new("user", "a")], &RenderOptions::default()).unwrap()
    };
    let go = workshop.store.derive(&name("go"), &name("base"), &template("<{{ .Prompt }}>")).unwrap();
    assert_eq!(rendered(&go), "<a>");
    let jinja = template("{% for m in messages %}[{{ m.content }}]{% endfor %}");
    let jinja = workshop.store.derive(&name("jinja"), &name("go"), &jinja).unwrap();
    assert_eq!(rendered(&jinja), "[a]");
    let fills =
        workshop.store.derive(&name("fills"), &name("go"), &template("{{ .Suffix }}{{ .Prompt }}")).unwrap();
    assert!(fills.capabilities().contains(&"insert"));
    assert_eq!(rendered(&go), "<a>");
}

#[test]
fn links_of_a_registered_model_stay_links() {
    let publisher = Publisher::new("Qwen3-4B");
    publisher.generation_c(3);
    let base = publisher.register("m").unwrap().model;
    let store = &publisher.workshop.store;
    let derived = store.derive(&name("derived"), &base.name, &with_system("x")).unwrap();
    for layer in &derived.card_parts().unwrap().files.layers {
        assert!(std::fs::read_link(layer).unwrap().starts_with(publisher.dir.canonicalize().unwrap()));
    }
    assert_eq!(derived.manifest.source(), base.manifest.source());
    store.remove(&base.name).unwrap();
    derived.check_contents().unwrap();
}

#[test]
fn a_failure_leaves_what_was_there() {
    let workshop = Workshop::new();
    let base = workshop.create("base", &tiny("llama").bytes(), &ImportOptions::default()).unwrap();
    let before = workshop.left();
    let absent = workshop.store.derive(&name("base"), &name("absent"), &Changes::default()).unwrap_err();
    assert!(matches!(absent, ImportError::Store(StoreError::NotFound(_))), "{absent}");
    assert!(workshop.store.copy(&name("absent"), &name("base")).is_err());
    let wishes = Wishes { cancel: Arc::new(AtomicBool::new(true)), ..Wishes::default() };
    let source = workshop.source(&tiny("qwen3").bytes());
    let cancelled = workshop.store.import_changed(&base.name, &source, &wishes, &mut |_| {}).unwrap_err();
    assert!(matches!(cancelled, ImportError::Cancelled), "{cancelled}");
    assert_eq!(workshop.left(), before);
    assert_eq!(Store::open(workshop.root()).resolve(&base.name).unwrap().digest, base.digest);
}
