//! Grammars in the dialect of Lark that llguidance reads.

use std::fmt::Write as _;

use serde_json::Value;

use super::Thoughts;

/// Returns the grammar of JSON, after the thoughts if there may be any.
pub(super) fn json_after(schema: &Value, thoughts: Option<Thoughts<'_>>) -> String {
    let body = format!("body: %json {schema}\n");
    let Some(Thoughts { open, close, begun }) = thoughts else { return format!("start: body\n{body}") };
    let open = Value::from(open);
    let start = if begun { "thoughts".to_owned() } else { format!("({open} thoughts)?") };
    let close = regex_of(close);
    // Lazy: the first closing tag ends the thoughts.
    format!("start: {start} BLANK? body\nthoughts[lazy]: /(?s:.*){close}/\nBLANK: /[ \\n]{{1,2}}/\n{body}")
}

/// Returns a regular expression, for use between slashes, that matches just this text.
fn regex_of(text: &str) -> String {
    let mut regex = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            regex.push(character);
        } else {
            // Writing to a string cannot fail.
            write!(regex, "\\x{{{:x}}}", u32::from(character)).ok();
        }
    }
    regex
}
