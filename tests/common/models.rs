//! Real models for tests: those that the golden outputs were made from.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Path of the model of `tests/golden/NAME.json`, a GGUF file or an encoder's directory; fetched if it is not there
/// yet.
///
/// # Panics
///
/// If it cannot be fetched: a test that needs a model fails without it.
pub(crate) fn fetch(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/models.sh");
    let output = Command::new(&script)
        .arg(name)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
    assert!(
        output.status.success(),
        "this test needs the model {name}, and `{} {name}` cannot fetch it: {}",
        script.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
