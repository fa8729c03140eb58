//! Formats of strings.
//!
//! The standard leaves it to the reader whether formats are checked, and says nothing about unknown ones: those are
//! left out. Those that readers do check are enforced such that a strict reader is content: no 30 February, no leap
//! seconds.

use serde_json::{Value, json};

/// Formats that the compiler enforces by itself, and how long their texts may be.
const BUILT_IN: &[(&str, u64)] =
    &[("duration", 64), ("hostname", 253), ("ipv4", 15), ("ipv6", 45), ("uuid", 36), ("uri", 2000)];

/// What a string of this format has to be; `None` if it may be any.
pub(super) fn schema(name: &str) -> Option<Value> {
    if let Some(pattern) = pattern(name) {
        return Some(json!({ "pattern": format!("^(?:{pattern})$") }));
    }
    let (_, longest) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(json!({ "format": name, "maxLength": longest }))
}

fn pattern(name: &str) -> Option<String> {
    match name {
        "date" => Some(date()),
        "time" => Some(time().to_owned()),
        "date-time" => Some(format!("{}T{}", date(), time())),
        "email" => Some(email()),
        _ => None,
    }
}

/// A day that exists, from the year 1 on.
fn date() -> String {
    let year = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])";
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
    let days = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])";
    format!("(?:{year}-(?:{days})|{leap}-02-29)")
}

fn time() -> &'static str {
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
}

/// An address without quotes and address literals; local part and labels are not too long.
fn email() -> String {
    let word = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,20}";
    let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
    format!(r"{word}(?:\.{word}){{0,2}}@{label}(?:\.{label}){{1,2}}")
}
