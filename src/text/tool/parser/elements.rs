//! Calls in elements: `<function=NAME>`, `<parameter=KEY>` with a value on lines of its own, their ends.
//!
//! How values stand there, and so what they are, follows from the tool's schema.

use serde_json::{Map, Value};

use super::Match;
use super::body::{Outcome, Source, skip_space};
use crate::text::tool::argument::{self, Writing};
use crate::text::tool::format::MAX_NAME_BYTES;
use crate::text::{Tool, ToolCall, ToolFormat};

const FUNCTION_END: &str = "</function>";
const PARAMETER: &str = "<parameter=";
const PARAMETER_END: &str = "</parameter>";

/// A call under way.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    name: String,
    arguments: Map<String, Value>,
    place: Place,
}

/// Where in the call; places are bytes of its text.
#[derive(Debug, Clone)]
enum Place {
    /// In the name that begins here.
    Name(usize),
    /// Between elements.
    Between,
    /// In the key that begins here.
    Key(usize),
    /// In the value of `key` that begins at `from`; `quotes` if it is JSON.
    Value { key: String, from: usize, quotes: Option<Quotes> },
}

/// The strings of a JSON value: what stands in them does not end it.
#[derive(Debug, Clone, Copy, Default)]
struct Quotes {
    /// Whether the value has begun, and with what strings can stand in.
    begun: bool,
    open: bool,
    escaped: bool,
    /// Where the value ends if the string that is open is none: the first end that stands in it.
    end: Option<usize>,
}

impl Elements {
    /// A call whose name begins at byte `from`.
    pub(super) fn new(from: usize) -> Self {
        Self { name: String::new(), arguments: Map::new(), place: Place::Name(from) }
    }

    /// Reads on from byte `at`.
    pub(super) fn advance(&mut self, source: &Source<'_>, at: &mut usize) -> Outcome {
        let &Source { text, over, format, tools, .. } = source;
        loop {
            let tool = || tools.iter().find(|tool| tool.name == self.name);
            let step = match &mut self.place {
                Place::Name(from) => name(text, at, *from).map(|name| {
                    name.clone_into(&mut self.name);
                    Place::Between
                }),
                Place::Key(from) => name(text, at, *from).map(|key| {
                    let is_json = writing(key, tool()) == Writing::Json;
                    Place::Value { key: key.to_owned(), from: *at, quotes: is_json.then(Quotes::default) }
                }),
                Place::Between => match between(text, at, format) {
                    Ok(place) => Ok(place),
                    Err(Outcome::Calls(_)) => return Outcome::Calls(vec![self.take()]),
                    Err(outcome) => Err(outcome),
                },
                Place::Value { key, from, quotes } => value(text, at, quotes, over).map(|end| {
                    let text = bare(&text[*from..end]);
                    let value = match tool().filter(|_| writing(key, tool()) == Writing::Json) {
                        Some(tool) => argument::read(text, schema(key, tool), &tool.parameters),
                        None => Value::from(text),
                    };
                    self.arguments.insert(std::mem::take(key), value);
                    Place::Between
                }),
            };
            match step {
                Ok(place) => self.place = place,
                Err(outcome) => return outcome,
            }
        }
    }

    fn take(&mut self) -> ToolCall {
        ToolCall { name: std::mem::take(&mut self.name), arguments: std::mem::take(&mut self.arguments) }
    }
}

impl Quotes {
    /// Takes the next byte; `false` if it cannot stand there.
    fn take(&mut self, byte: u8) -> bool {
        match (self.open, byte) {
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (true, b'"') => *self = Self { begun: true, ..Self::default() },
            // No string of JSON goes on in another line.
            (true, b'\n') => return false,
            (false, b'"') => *self = Self { begun: true, open: true, ..Self::default() },
            (false, b'[' | b'{' | b' ' | b'\t' | b'\r' | b'\n') => self.begun |= matches!(byte, b'[' | b'{'),
            (false, _) => return self.begun,
            (true, _) => {}
        }
        true
    }
}

/// Finds the next element, or the end of the call.
fn between(text: &str, at: &mut usize, format: &ToolFormat) -> Result<Place, Outcome> {
    *at = skip_space(text, *at);
    let rest = &text[*at..];
    let ended = || Err(Outcome::Calls(Vec::new()));
    match (Match::of(rest, PARAMETER), Match::of(rest, FUNCTION_END)) {
        (Match::Full, _) => {
            *at += PARAMETER.len();
            return Ok(Place::Key(*at));
        }
        (_, Match::Full) => {
            *at += FUNCTION_END.len();
            return ended();
        }
        (Match::Partial, _) | (_, Match::Partial) => return Err(Outcome::More),
        (Match::No, Match::No) => {}
    }
    // The mark after the call ends it, too.
    let closes = format.closes.iter().map(|mark| Match::of(rest, mark));
    match closes
        .min_by_key(|found| [Match::Full, Match::Partial, Match::No].iter().position(|other| other == found))
    {
        Some(Match::Full) => ended(),
        Some(Match::Partial) => Err(Outcome::More),
        Some(Match::No) | None => Err(Outcome::Nothing),
    }
}

/// Reads a name up to the bracket that ends its tag.
fn name<'a>(text: &'a str, at: &mut usize, from: usize) -> Result<&'a str, Outcome> {
    while let Some(character) = text[*at..].chars().next() {
        if character == '>' {
            let name = text[from..*at].trim();
            if name.is_empty() {
                break;
            }
            *at += 1;
            return Ok(name);
        }
        if character == '\n' || *at - from >= MAX_NAME_BYTES {
            return Err(Outcome::Nothing);
        }
        *at += character.len_utf8();
    }
    Err(if *at < text.len() { Outcome::Nothing } else { Outcome::More })
}

/// The schema of an argument.
fn schema<'a>(key: &str, tool: &'a Tool) -> &'a Value {
    argument::schema_of(key, &tool.parameters)
}

/// How the value of an argument is written.
fn writing(key: &str, tool: Option<&Tool>) -> Writing {
    tool.map_or(Writing::Text, |tool| Writing::of(schema(key, tool), &tool.parameters, tool.strict))
}

/// Reads up to the end of a value, and returns where it ends.
fn value(text: &str, at: &mut usize, quotes: &mut Option<Quotes>, over: bool) -> Result<usize, Outcome> {
    while let Some(&byte) = text.as_bytes().get(*at) {
        let inside = quotes.as_mut().filter(|quotes| quotes.open);
        if byte == b'<' {
            match (Match::of(&text[*at..], PARAMETER_END), inside) {
                (Match::Partial, _) => break,
                (Match::Full, None) => return Ok(past(at, *at)),
                (found, Some(inside)) => {
                    inside.escaped = false;
                    inside.end = inside.end.or((found == Match::Full).then_some(*at));
                }
                (Match::No, None) => match ends_function(text, *at) {
                    Match::Full => return Ok(*at),
                    Match::Partial => break,
                    Match::No => {}
                },
            }
        } else if !quotes.as_mut().is_none_or(|quotes| quotes.take(byte)) {
            // It is no JSON after all.
            if let Some(Quotes { end: Some(end), .. }) = quotes.take() {
                return Ok(past(at, end));
            }
        }
        *at += 1;
    }
    match quotes {
        Some(Quotes { end: Some(end), .. }) if over => Ok(past(at, *end)),
        _ => Err(Outcome::More),
    }
}

/// The place `end` where a value ends; reading goes on after its tag.
fn past(at: &mut usize, end: usize) -> usize {
    *at = end + PARAMETER_END.len();
    end
}

/// Whether a function ends at `at`, before its last parameter does: models forget that.
fn ends_function(text: &str, at: usize) -> Match {
    if text[..at].ends_with('\n') { Match::of(&text[at..], FUNCTION_END) } else { Match::No }
}

/// A value without the line ends that only set it apart.
fn bare(text: &str) -> &str {
    let (text, line_end) = match text.strip_prefix("\r\n") {
        Some(rest) => (rest, "\r\n"),
        None => (text.strip_prefix('\n').unwrap_or(text), "\n"),
    };
    text.strip_suffix(line_end).unwrap_or(text)
}
