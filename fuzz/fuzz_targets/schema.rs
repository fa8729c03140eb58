//! Any JSON as the schema of an answer: an error or a grammar, in bounded time, and what the grammar lets through is
//! JSON that the schema accepts.
//!
//! What follows the schema in the input says whether it is strict, and decides which tokens are chosen.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::schema::{END, begin, judge};
use serde_json::Value;

/// Most tokens of an answer: no reader gives up at as many brackets.
const MOST: usize = 120;

fuzz_target!(|data: &[u8]| {
    let mut values = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
    let Some(Ok(schema)) = values.next() else { return };
    let [leniency, choices @ ..] = &data[values.byte_offset()..] else { return };
    let strict = *leniency != b'~';
    let Some(mut constraint) = begin(&schema, strict) else { return };
    let mut text = Vec::new();
    let mut complete = false;
    for &choice in choices.iter().take(MOST) {
        let Ok(mask) = constraint.mask() else { return };
        // The next allowed token from the chosen one on.
        let token =
            (0..=END).map(|step| (u32::from(choice) + step) % (END + 1)).find(|&token| mask.allows(token));
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
    if !complete {
        return;
    }
    let value: Value = serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
    // Otherwise some of the schema is left to the model.
    if strict && let Err(reason) = judge(&schema, &value) {
        panic!("{reason}: {value} for {schema}");
    }
});
