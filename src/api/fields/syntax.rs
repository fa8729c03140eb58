//! What Go's decoder says of text that is no JSON.

use serde_json::Error;

/// What serde calls an error, and where the decoder says that the character stood.
const PLACES: [(&str, &str); 8] = [
    ("expected value", "looking for beginning of value"),
    ("key must be a string", "looking for beginning of object key string"),
    ("expected `:`", "after object key"),
    ("expected `,` or `}`", "after object key:value pair"),
    ("expected `,` or `]`", "after array element"),
    ("control character", "in string literal"),
    ("invalid escape", "in string escape code"),
    ("invalid number", "in numeric literal"),
];

/// The decoder's words for an error in `text`. Where it has none, because it takes what is refused here, serde's.
pub(super) fn message(text: &str, error: &Error) -> String {
    if error.is_eof() {
        return "unexpected EOF".to_owned();
    }
    let said = error.to_string();
    let found = offset(text, error).and_then(|at| {
        let byte = *text.as_bytes().get(at)?;
        Some((byte, place(&said, text.as_bytes(), at)?))
    });
    match found {
        Some((byte, place)) => format!("invalid character {} {place}", quoted(byte)),
        None => format!("invalid JSON: {error}"),
    }
}

/// Where the byte stands that cannot follow those before it.
fn offset(text: &str, error: &Error) -> Option<usize> {
    let mut line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
    let line = match error.line().checked_sub(2) {
        None => 0,
        Some(earlier) => line_ends.nth(earlier)? + 1,
    };
    // A line end has the column 0 of the line that it begins.
    (line + error.column()).checked_sub(1)
}

fn place(said: &str, text: &[u8], at: usize) -> Option<String> {
    if said.starts_with("trailing comma") {
        let is_object = text[at] == b'}';
        return Some(PLACES[usize::from(is_object)].1.to_owned());
    }
    if said.starts_with("expected ident") {
        let begun = text[..at].iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let literal = match text[at - begun..].first()? {
            b't' => "true",
            b'f' => "false",
            _ => "null",
        };
        let expected = literal.chars().nth(begun)?;
        return Some(format!("in literal {literal} (expecting '{expected}')"));
    }
    let known = PLACES.iter().find(|(start, _)| said.starts_with(start))?;
    Some(known.1.to_owned())
}

/// A byte between quotes, as Go writes a character.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b' ' | 0x21..=0x7e | 0xa1..=0xff => format!("'{}'", char::from(byte)),
        other => format!(r"'\x{other:02x}'"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn said(text: &str) -> String {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        message(text, &values.next().unwrap().unwrap_err())
    }

    #[test]
    fn characters_that_cannot_stand_there() {
        for (text, expected) in [
            ("xyz", "'x' looking for beginning of value"),
            (" {\n \"a\": é}", "'Ã' looking for beginning of value"),
            ("{model}", "'m' looking for beginning of object key string"),
            ("{'model':1}", r"'\'' looking for beginning of object key string"),
            ("{\"a\" 1}", "'1' after object key"),
            ("{\"a\":1 \"b\"", "'\"' after object key:value pair"),
            ("{\"a\":[1 2]}", "'2' after array element"),
            ("{\"a\":1,}", "'}' looking for beginning of object key string"),
            ("{\"a\":[1,]}", "']' looking for beginning of value"),
            ("{\"a\":\"b\nc\"}", r"'\n' in string literal"),
            ("{\"a\":\"b\u{1}c\"}", r"'\x01' in string literal"),
            (r#"{"a":"\x"}"#, "'x' in string escape code"),
            ("{\"a\":-x}", "'x' in numeric literal"),
            ("{\"a\":nulx}", "'x' in literal null (expecting 'l')"),
            ("{\"a\":truE}", "'E' in literal true (expecting 'e')"),
        ] {
            assert_eq!(said(text), format!("invalid character {expected}"), "{text}");
        }
    }

    #[test]
    fn what_the_decoder_has_no_such_words_for() {
        assert_eq!(said("{\"a\":"), "unexpected EOF");
        assert!(said(&"[".repeat(1000)).starts_with("invalid JSON: recursion limit"));
        assert!(said("{\"a\":1e999}").starts_with("invalid JSON: number out of range"));
    }
}
