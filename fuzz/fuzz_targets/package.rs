//! Any bytes as the settings of a vendor's package: as `config.json`, as a run script, as `post_config.json`, and as
//! the front of a compiled layer file. No panic, no work without end, and only values that can be true.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use readers::vendor::{axmodel::AxmodelHead, sampling, script, settings};
use serde_json::{Map, Value};

fn read(keys: &Map<String, Value>) {
    settings::check_supported(keys).ok();
    if let Ok(settings) = settings::Settings::read(keys) {
        assert!(settings.layer_count > 0 && settings.vocab > 0 && settings.hidden > 0);
        let (first, second) = (settings.layers.file_name(0), settings.layers.file_name(1));
        assert_ne!(first, second);
        assert!(!settings.head.contains('\0') && !settings.embedding.contains('\0'));
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(Value::Object(keys)) = serde_json::from_slice(data) {
        read(&keys);
    }
    if let Some(script) = script::parse(&String::from_utf8_lossy(data)) {
        let flags = script.flags.into_iter().filter(|(_, word)| word.unknown.is_none());
        read(&flags.map(|(flag, word)| (flag, Value::from(word.text))).collect());
    }
    if let Ok(options) = sampling::parameters(data) {
        assert!(options.values().all(Value::is_number));
    }
    if let Some(head) = AxmodelHead::read(&mut Cursor::new(data), data.len() as u64) {
        head.cache_shape();
    }
});
