//! The text of one call, from its beginning to its last byte.

use serde_json::Value;

use super::elements::Elements;
use super::json::{self, Scan, Step};
use super::{Match, ToolFormat};
use crate::text::tool::format::MAX_NAME_BYTES;
use crate::text::tool::number;
use crate::text::{Tool, ToolCall};

/// Beginning of a call in elements.
pub(super) const FUNCTION: &str = "<function=";

/// How far a call is read. Places are bytes of the text that [`Body::advance`] gets.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// Before anything that tells its form.
    Lead,
    /// In an object that is a call, or a list of them, that begins at `from`.
    Json { from: usize, scan: Scan },
    /// In the name of a function, and what stands around it, that begin at `from`.
    Head { from: usize },
    /// In the arguments after a name.
    Arguments { name: String, from: usize, scan: Scan },
    /// In a call of elements.
    Elements(Elements),
}

/// What a call is read from.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    /// Whether no more text comes.
    pub(super) over: bool,
    /// Whether a mark stood before the call.
    pub(super) marked: bool,
    pub(super) format: &'static ToolFormat,
    pub(super) tools: &'a [Tool],
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// More text is needed.
    More,
    /// It is complete, up to the first byte not looked at. A list may hold several calls, or none.
    Calls(Vec<ToolCall>),
    /// It is no call; the first byte not looked at is the first that cannot belong to it.
    Nothing,
}

impl Body {
    /// Reads on from byte `at`.
    pub(super) fn advance(&mut self, source: &Source<'_>, at: &mut usize) -> Outcome {
        let &Source { text, marked, format, tools, .. } = source;
        loop {
            let next = match self {
                Self::Lead => match lead(text, at, marked, format) {
                    Ok(next) => next,
                    Err(outcome) => return outcome,
                },
                Self::Head { from } => match head(text, at, *from, format) {
                    Ok(next) => next,
                    Err(outcome) => return outcome,
                },
                Self::Json { from, scan } => {
                    let found = |json: &str| json::calls(json, tools, marked);
                    return complete(text, at, *from, scan, marked, found);
                }
                Self::Arguments { name, from, scan } => {
                    let found = |json: &str| match number::parse(json)? {
                        Value::Object(arguments) => Some(vec![ToolCall { name: name.clone(), arguments }]),
                        _ => None,
                    };
                    return complete(text, at, *from, scan, marked, found);
                }
                Self::Elements(elements) => return elements.advance(source, at),
            };
            *self = next;
        }
    }
}

/// Finds out which form a call has.
fn lead(text: &str, at: &mut usize, marked: bool, format: &ToolFormat) -> Result<Body, Outcome> {
    *at = skip_space(text, *at);
    let rest = &text[*at..];
    match rest.chars().next() {
        None => Err(Outcome::More),
        Some('{' | '[') => Ok(Body::Json { from: *at, scan: Scan::new(!marked) }),
        Some('<') if marked => match Match::of(rest, FUNCTION) {
            Match::Full => {
                *at += FUNCTION.len();
                Ok(Body::Elements(Elements::new(*at)))
            }
            Match::Partial => Err(Outcome::More),
            Match::No => Err(Outcome::Nothing),
        },
        Some(_) if marked && !format.separators.is_empty() => Ok(Body::Head { from: *at }),
        Some(_) => Err(Outcome::Nothing),
    }
}

/// Reads up to the object of arguments.
fn head(text: &str, at: &mut usize, from: usize, format: &ToolFormat) -> Result<Body, Outcome> {
    while let Some(character) = text[*at..].chars().next() {
        let rest = &text[*at..];
        if character == '{' {
            let name = function_name(&text[from..*at], format.separators).ok_or(Outcome::Nothing)?;
            return Ok(Body::Arguments { name, from: *at, scan: Scan::new(false) });
        }
        let around = || format.opens.iter().chain(format.closes);
        if around().any(|mark| rest.starts_with(mark)) || *at - from >= MAX_NAME_BYTES {
            return Err(Outcome::Nothing);
        }
        if around().any(|mark| mark.starts_with(rest)) {
            break;
        }
        *at += character.len_utf8();
    }
    Err(Outcome::More)
}

/// The name in what stands before the arguments: `NAME`, `NAME SEPARATOR`, `NAME SEPARATOR ID SEPARATOR` or
/// `function SEPARATOR NAME`, where a fence may follow.
fn function_name(head: &str, separators: &[&str]) -> Option<String> {
    let separator = separators.first()?;
    let head = separators.iter().fold(head.to_owned(), |head, other| head.replace(other, separator));
    let mut pieces = head
        .split(separator)
        .map(|piece| piece.trim().trim_end_matches("```json").trim_end())
        .filter(|piece| !piece.is_empty());
    let first = pieces.next()?;
    let name = if first == "function" { pieces.next().unwrap_or(first) } else { first };
    Some(name.to_owned())
}

/// Reads on in a JSON value; `found` makes calls of it once it is complete.
fn complete(
    text: &str,
    at: &mut usize,
    from: usize,
    scan: &mut Scan,
    marked: bool,
    found: impl Fn(&str) -> Option<Vec<ToolCall>>,
) -> Outcome {
    let calls = match scan.advance(text, at) {
        Step::More => return Outcome::More,
        Step::Complete => found(&text[from..*at]),
        // Small models lose a bracket before the mark that ends the call.
        Step::Broken if marked && text[*at..].starts_with('<') => {
            found(&format!("{}{}", &text[from..*at], scan.missing()))
        }
        Step::Broken => None,
    };
    calls.map_or(Outcome::Nothing, Outcome::Calls)
}

/// The first byte from `at` on that is no white space.
pub(super) fn skip_space(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start().len()
}
