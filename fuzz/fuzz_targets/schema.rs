//! Any JSON as the schema of an answer: an error or a grammar, in bounded time, and what the grammar lets through is
//! JSON.
//!
//! What follows the schema in the input decides which tokens are chosen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::schema::{END, begin};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let mut values = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
    let Some(Ok(schema)) = values.next() else { return };
    let choices = &data[values.byte_offset()..];
    let Some(mut constraint) = begin(schema) else { return };
    let mut text = Vec::new();
    let mut complete = false;
    for &choice in choices {
        let Ok(mask) = constraint.mask() else { return };
        // The next allowed token from the chosen one on.
        let token = (0..=END).map(|step| (u32::from(choice) + step) % (END + 1)).find(|&token| mask.allows(token));
        let token = token.expect("a mask without any token");
        if token == END {
            complete = true;
            break;
        }
        text.push(u8::try_from(token).expect("a byte"));
        match constraint.accept(token) {
            Ok(false) => {}
            Ok(true) => {
                complete = true;
                break;
            }
            Err(_) => return,
        }
    }
    if complete && let Err(error) = serde_json::from_slice::<Value>(&text) {
        // JSON has no limits of size; this reader has.
        let text = String::from_utf8_lossy(&text);
        assert!(error.to_string().contains("out of range") || error.to_string().contains("recursion"), "{error}: {text}");
    }
});
