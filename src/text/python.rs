//! What chat templates expect of Python: how values print, `tojson`, and string methods that minijinja lacks.
//!
//! Templates are written against Jinja2 in Python, and a prompt must have the very characters the model was trained
//! on. `json.dumps` puts a space after `,` and `:`; `str(True)` is `True`.

use std::fmt::Write as _;

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind},
};

/// Containers nested deeper than this are refused: walking them costs stack.
const MAX_DEPTH: usize = 100;
/// Values that one text may be written from. Lists share their items, so sixty nested lists of two may stand for more
/// values than could ever be written. Each is a token at least, and no context holds as many.
const MAX_NODES: usize = 300_000;
/// Bytes that one text may have.
const MAX_BYTES: usize = 16 << 20;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// As `json.dumps` with `ensure_ascii=False` does.
    Json,
    /// As `str()` and `repr()` do.
    Python,
}

/// The filter `tojson` as Hugging Face defines it: `json.dumps(value, ensure_ascii=False, indent=...)`.
#[expect(clippy::needless_pass_by_value, reason = "filters take their arguments by value")]
pub(crate) fn tojson(value: &Value, kwargs: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    let sort_keys: Option<bool> = kwargs.get("sort_keys")?;
    let ascii: Option<bool> = kwargs.get("ensure_ascii")?;
    let (between_items, after_key) = separators(kwargs.get("separators")?, indent.is_some())?;
    kwargs.assert_all_used()?;
    let mut writer = Writer {
        dialect: Dialect::Json,
        indent,
        sort_keys: sort_keys.unwrap_or(false),
        between_items,
        after_key,
        nodes: 0,
        out: String::new(),
    };
    writer.value(value, 0)?;
    let text = if ascii.unwrap_or(false) { escape_non_ascii(&writer.out) } else { writer.out };
    Ok(Value::from_safe_string(text))
}

/// Writes a value the way `{{ value }}` does in Python.
pub(crate) fn display(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut writer = Writer {
        dialect: Dialect::Python,
        indent: None,
        sort_keys: false,
        between_items: ", ".to_owned(),
        after_key: ": ".to_owned(),
        nodes: 0,
        out: String::new(),
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// The argument `separators` of `json.dumps`: a pair of what goes between items and what between a key and its value.
fn separators(given: Option<Value>, indented: bool) -> Result<(String, String), Error> {
    let Some(given) = given.filter(|given| !given.is_none()) else {
        return Ok((if indented { "," } else { ", " }.to_owned(), ": ".to_owned()));
    };
    let wrong =
        || Error::new(ErrorKind::InvalidOperation, "tojson wants separators=(between_items, after_key)");
    let mut pair = given.try_iter().map_err(|_| wrong())?;
    let (Some(between_items), Some(after_key), None) = (pair.next(), pair.next(), pair.next()) else {
        return Err(wrong());
    };
    match (between_items.as_str(), after_key.as_str()) {
        (Some(between_items), Some(after_key)) => Ok((between_items.to_owned(), after_key.to_owned())),
        _ => Err(wrong()),
    }
}

struct Writer {
    dialect: Dialect,
    indent: Option<usize>,
    sort_keys: bool,
    between_items: String,
    after_key: String,
    /// Values written or collected to be written.
    nodes: usize,
    out: String,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::OutOfFuel, "value is nested too deeply"));
        }
        self.check_bytes()?;
        let json = self.dialect == Dialect::Json;
        match value.kind() {
            ValueKind::None => self.out.push_str(if json { "null" } else { "None" }),
            ValueKind::Bool => self.out.push_str(match (json, value.is_true()) {
                (true, true) => "true",
                (true, false) => "false",
                (false, true) => "True",
                (false, false) => "False",
            }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                let mut items = Vec::new();
                for item in value.try_iter()? {
                    self.count_node()?;
                    items.push(item);
                }
                let brackets = match items.len() {
                    1 if !json && value.is_tuple() => ("(", ",)"),
                    _ if !json && value.is_tuple() => ("(", ")"),
                    _ => ("[", "]"),
                };
                self.items(brackets, &items, depth, |writer, item| writer.value(item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut pairs = Vec::new();
                for key in value.try_iter()? {
                    self.count_node()?;
                    let item = value.get_item(&key)?;
                    pairs.push((key, item));
                }
                if self.sort_keys {
                    pairs.sort_by(|left, right| left.0.cmp(&right.0));
                }
                self.items(("{", "}"), &pairs, depth, |writer, (key, item)| {
                    writer.key(key, depth + 1)?;
                    writer.out.push_str(&writer.after_key);
                    writer.value(item, depth + 1)
                })?;
            }
            kind if json => {
                let message = format!("tojson cannot write a value of type {kind}");
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
            _ => self.out.push_str(&value.to_string()),
        }
        self.check_bytes()
    }

    /// A key of a map. `json.dumps` quotes those that are no strings and refuses containers.
    fn key(&mut self, key: &Value, depth: usize) -> Result<(), Error> {
        match key.kind() {
            _ if self.dialect == Dialect::Python => self.value(key, depth),
            ValueKind::String => self.value(key, depth),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                self.out.push('"');
                self.value(key, depth)?;
                self.out.push('"');
                Ok(())
            }
            kind => {
                let message = format!("tojson cannot write a key of type {kind}");
                Err(Error::new(ErrorKind::InvalidOperation, message))
            }
        }
    }

    /// Counts a value before it is collected: a lazy list may be longer than memory.
    fn count_node(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("value is too large to write: it has more than {MAX_NODES} items");
        Err(Error::new(ErrorKind::OutOfFuel, message))
    }

    fn check_bytes(&self) -> Result<(), Error> {
        if self.out.len() <= MAX_BYTES {
            return Ok(());
        }
        let message = format!("value is too large to write: it takes more than {MAX_BYTES} bytes");
        Err(Error::new(ErrorKind::OutOfFuel, message))
    }

    fn items<T>(
        &mut self,
        (open, close): (&str, &str),
        items: &[T],
        depth: usize,
        mut write: impl FnMut(&mut Self, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push_str(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push_str(&self.between_items);
            }
            self.line_break(depth + 1);
            write(self, item)?;
        }
        if !items.is_empty() {
            self.line_break(depth);
        }
        self.out.push_str(close);
        Ok(())
    }

    fn line_break(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent.min(64) * depth));
        }
    }

    fn number(&mut self, value: &Value) {
        if value.is_integer() {
            self.out.push_str(&value.to_string());
        } else {
            self.out.push_str(&float(f64::try_from(value.clone()).unwrap_or(f64::NAN)));
        }
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        if self.dialect == Dialect::Python {
            python_quote(text, &mut self.out);
            return Ok(());
        }
        let quoted = serde_json::to_string(text)
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
        self.out.push_str(&quoted);
        Ok(())
    }
}

/// A float as Python's `repr` writes it: `1.0`, `1e-07`, `1e+16`.
fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// Quotes as `repr` does: single quotes unless the text contains them and no double ones.
fn python_quote(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// Writes characters beyond ASCII as `\uXXXX`, pairs of surrogates beyond U+FFFF.
fn escape_non_ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                write!(out, "\\u{unit:04x}").ok();
            }
        }
    }
    out
}

/// Methods of Python's `str` that minijinja-contrib does not have; everything else goes there.
pub(crate) fn call_method(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (Some(text), [argument]) = (value.as_str(), args)
        && let Some(pattern) = argument.as_str()
    {
        let partition = |found: Option<(&str, &str)>, missing: [&str; 3]| match found {
            Some((before, after)) => Value::from_iter([before, pattern, after]),
            None => Value::from_iter(missing),
        };
        match method {
            "removeprefix" => return Ok(text.strip_prefix(pattern).unwrap_or(text).into()),
            "removesuffix" => return Ok(text.strip_suffix(pattern).unwrap_or(text).into()),
            "partition" if !pattern.is_empty() => {
                return Ok(partition(text.split_once(pattern), [text, "", ""]));
            }
            "rpartition" if !pattern.is_empty() => {
                return Ok(partition(text.rsplit_once(pattern), ["", "", text]));
            }
            _ => {}
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e-7, "1e-07"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
            (0.0, "0.0"),
        ];
        for (value, expected) in cases {
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn quoting_prefers_single_quotes() {
        let quoted = |text: &str| display(&Value::from(vec![text.to_owned()])).unwrap();
        assert_eq!(quoted("a"), "['a']");
        assert_eq!(quoted("it's"), "[\"it's\"]");
        assert_eq!(quoted("'\"\n\u{1}"), "['\\'\"\\n\\x01']");
    }

    #[test]
    fn non_ascii_escapes_are_utf16() {
        assert_eq!(escape_non_ascii("\"é🙂\""), "\"\\u00e9\\ud83d\\ude42\"");
    }
}
