//! Where breaches of the vendor's contract are written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use ax650_sim::violations::Violation;
use parking_lot::Mutex;

/// `None` inside is standard error.
static TARGET: OnceLock<Option<Mutex<File>>> = OnceLock::new();

/// Adds them to a file from now on.
pub(crate) fn to_file(path: &Path) -> std::io::Result<()> {
    let file = File::options().append(true).create(true).open(path)?;
    TARGET.set(Some(Mutex::new(file))).ok();
    Ok(())
}

/// Writes one line to standard error.
pub(crate) fn say(line: &str) {
    // A closed standard error is the program's wish.
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Takes a violation when it happens.
pub(crate) fn write(violation: &Violation) {
    let line = format!("violation: {violation}");
    match TARGET.get_or_init(|| None) {
        None => say(&line),
        Some(file) => {
            if let Err(e) = writeln!(file.lock(), "{line}") {
                say(&format!("{line} (which could not be written to the file: {e})"));
            }
        }
    }
}
