//! Which fields of an object are asked for: for tests that compare the readers with what is described.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Field with a name under which the object that it stands in is recorded; no route reads it.
pub(crate) const FIELD: &str = "record_as";

static ASKED: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// Notes that a field was asked for.
pub(super) fn note(record: &str, field: &str) {
    ASKED.lock().unwrap().entry(record.to_owned()).or_default().insert(field.to_owned());
}

/// All that were asked for in objects with this name.
pub(crate) fn asked(record: &str) -> BTreeSet<String> {
    ASKED.lock().unwrap().get(record).cloned().unwrap_or_default()
}
