//! Any text as a Modelfile: no panic, no work without end, and values that the checks of requests accept, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::{modelfile::Modelfile, parameters};

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Modelfile::parse(&String::from_utf8_lossy(data)) else { return };
    assert!(!read.from.is_empty());
    for (name, value) in &read.changes.parameters {
        assert_eq!(parameters::check(name, value.clone()).as_ref(), Ok(value));
    }
    for message in &read.changes.messages {
        assert!(message["content"].is_string());
    }
});
