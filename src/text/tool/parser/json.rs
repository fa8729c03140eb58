//! Calls as JSON: where a value ends, and which calls it is.

use serde_json::{Map, Value};

use crate::text::tool::number;
use crate::text::{Tool, ToolCall};

/// Brackets that may be open at once; arguments that deep are no arguments.
const MAX_DEPTH: usize = 100;
/// Fields of a call. An object that begins with another one is none.
const FIELDS: [&str; 9] =
    ["name", "function", "tool_name", "arguments", "parameters", "type", "id", "index", "tool_call_id"];

/// Finds the end of a JSON object or list, without making a value of it.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// What closes the brackets that are open.
    closers: Vec<u8>,
    /// Where the string begins that is open, after its quote.
    string: Option<usize>,
    /// Whether the byte before was a backslash that escapes.
    escaped: bool,
    /// Whether the first key is still to come, and must be a field of a call.
    wary: bool,
}

/// How far a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    More,
    /// It ends before the byte not looked at.
    Complete,
    /// The byte not looked at cannot be part of it.
    Broken,
}

impl Scan {
    /// A scan that has seen nothing. A `wary` one gives up at the first key that no call has.
    pub(super) fn new(wary: bool) -> Self {
        Self { closers: Vec::new(), string: None, escaped: false, wary }
    }

    /// Reads on in `text`, from byte `at`.
    pub(super) fn advance(&mut self, text: &str, at: &mut usize) -> Step {
        while let Some(&byte) = text.as_bytes().get(*at) {
            if let Some(from) = self.string {
                if self.escaped {
                    self.escaped = false;
                } else if byte == b'\\' {
                    self.escaped = true;
                } else if byte == b'"' {
                    self.string = None;
                    if std::mem::take(&mut self.wary) && !FIELDS.contains(&&text[from..*at]) {
                        return Step::Broken;
                    }
                }
            } else if !self.structure(byte, *at) {
                return Step::Broken;
            }
            *at += 1;
            if self.closers.is_empty() {
                return Step::Complete;
            }
        }
        Step::More
    }

    /// Takes a byte outside of strings; `false` if it cannot stand there.
    fn structure(&mut self, byte: u8, at: usize) -> bool {
        let depth = self.closers.len();
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return true,
            // Up to its first key, a call is an object or in a list.
            b'[' if self.wary && depth > 0 => return false,
            b'{' if self.wary && self.closers.contains(&b'}') => return false,
            b'"' if self.wary && self.closers.last() != Some(&b'}') => return false,
            b'{' | b'[' if depth >= MAX_DEPTH => return false,
            b'{' => self.closers.push(b'}'),
            b'[' => self.closers.push(b']'),
            b'"' => self.string = Some(at + 1),
            _ if self.wary => return false,
            b'}' | b']' => return self.closers.pop() == Some(byte),
            b',' | b':' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {}
            _ => return false,
        }
        true
    }

    /// What closes the brackets that are open.
    pub(super) fn missing(&self) -> String {
        self.closers.iter().rev().map(|&byte| char::from(byte)).collect()
    }
}

/// The calls that a JSON text is: one object or a list of them. `None` if it is anything else. Without a mark before
/// it, each must name one of `tools` and have no other fields than calls have.
pub(super) fn calls(json: &str, tools: &[Tool], marked: bool) -> Option<Vec<ToolCall>> {
    let list = match number::parse(json)? {
        Value::Array(list) if marked || !list.is_empty() => list,
        object @ Value::Object(_) => vec![object],
        _ => return None,
    };
    let check = |(call, plain): (ToolCall, bool)| {
        let known = || tools.iter().any(|tool| tool.name == call.name);
        (marked || (plain && known())).then_some(call)
    };
    list.into_iter().map(|value| call(value).and_then(check)).collect()
}

/// The call that an object is, and whether it has no fields but those of a call.
fn call(value: Value) -> Option<(ToolCall, bool)> {
    let Value::Object(mut fields) = value else { return None };
    let plain = fields.keys().all(|key| FIELDS.contains(&key.as_str()));
    if let Some(inner @ Value::Object(_)) = fields.get_mut("function") {
        return call(inner.take()).map(|(call, inner)| (call, inner && plain));
    }
    let name =
        ["name", "function", "tool_name"].iter().find_map(|key| fields.get(*key)?.as_str())?.to_owned();
    let arguments = ["arguments", "parameters"].iter().find_map(|key| fields.shift_remove(*key));
    if arguments.is_none() && !plain {
        // What else it has may well be the arguments, but under which name?
        return None;
    }
    let arguments = match arguments.unwrap_or_default() {
        Value::Null => Map::new(),
        Value::Object(arguments) => arguments,
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => match number::parse(&text)? {
            Value::Object(arguments) => arguments,
            _ => return None,
        },
        _ => return None,
    };
    (!name.is_empty()).then_some((ToolCall { name, arguments }, plain))
}
