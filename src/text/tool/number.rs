//! JSON with numbers that are too large.
//!
//! JSON bounds no number, but what reads it does. A call is not to be lost for a number that is larger than any float:
//! it becomes the largest.

use serde_json::Value;

/// Reads JSON; `None` of anything else, and where more than 127 brackets are open at once.
pub(super) fn parse(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok().or_else(|| serde_json::from_str(&bounded(json)?).ok())
}

/// The text with numbers that floats can hold; `None` if all of them are.
fn bounded(json: &str) -> Option<String> {
    let mut text = String::with_capacity(json.len());
    let (mut rest, mut changed) = (json, false);
    while let Some(at) = rest.find(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let is_text = rest.starts_with('"');
        let (token, after) = rest.split_at(if is_text { string_len(rest) } else { number_len(rest) });
        rest = after;
        match token.parse::<f64>() {
            Ok(number) if !is_text && number.is_infinite() => {
                changed = true;
                text.push_str(&Value::from(f64::MAX.copysign(number)).to_string());
            }
            _ => text.push_str(token),
        }
    }
    text.push_str(rest);
    changed.then_some(text)
}

/// Bytes of the string that a text begins with, up to its end if it has none.
fn string_len(text: &str) -> usize {
    let mut escaped = true;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        // The quote that begins it counts as escaped.
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 1)
}

/// Bytes of the number that a text begins with.
fn number_len(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_beyond_all_floats_become_the_largest() {
        let digits = "9".repeat(400);
        let text =
            format!(r#"{{"1e999": [-1E+999, {digits}, 1.5, "1e999\"2e999", -{digits}.5e3], "é": 1e-999}}"#);
        let read = json!({"1e999": [f64::MIN, f64::MAX, 1.5, "1e999\"2e999", f64::MIN], "é": 0.0});
        assert_eq!(parse(&text), Some(read));
        assert_eq!(parse("[1]"), Some(json!([1])));
        for broken in ["[1e999", "\"1e999", "1e999e", "--1e999", "1e999\\", ""] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
