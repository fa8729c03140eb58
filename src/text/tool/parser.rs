//! Takes calls out of an answer as it comes.
//!
//! One reader serves all formats. A call begins at a mark of the format, or with `{` or `[` where nothing but white
//! space stands before it; what follows tells its form. The rules are Ollama's, where it has any:
//!
//! - text before and after calls is content; marks never are, nor is white space that only separates calls;
//! - what begins like a call and turns out to be none is content, without its mark;
//! - a call without a mark counts only if it names a tool of the request, because any JSON looks like one;
//! - a marked call that the answer's end cuts off is dropped; an unmarked one is content if there was no call before.
//!
//! Every byte is looked at once, so the parts do not depend on how the text was cut, and work is in proportion to its
//! length. What cannot be decided yet is held back: white space up to a bound, the beginning of a mark, and a call that
//! is under way, up to [`MAX_CALL_BYTES`].

mod body;
mod elements;
mod json;

use std::sync::Arc;

use self::body::{Body, Outcome, Source};
use super::{Tool, ToolCall, ToolFormat};

/// Longest text of a call; a longer one is content.
const MAX_CALL_BYTES: usize = 1 << 20;
/// White space that is held back in case that a call follows.
const MAX_SPACE_BYTES: usize = 256;

/// Reads the calls of one answer.
#[derive(Debug, Clone)]
pub struct ToolParser {
    format: &'static ToolFormat,
    /// The request's tools, one of each name.
    tools: Arc<[Tool]>,
    /// Text that came; what lies before `at` is dealt with, except while a call is under way.
    held: String,
    /// The first byte that was not looked at.
    at: usize,
    /// White space at the end of the text so far.
    space: String,
    place: Place,
    /// Whether there was content, white space aside.
    spoken: bool,
    /// Whether there was a call.
    called: bool,
}

/// What a piece of an answer brings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolParts {
    /// Text for the reader.
    pub content: String,
    /// Calls that became complete.
    pub calls: Vec<ToolCall>,
}

/// Where in an answer.
#[derive(Debug, Clone)]
enum Place {
    /// In the text; `after_call` while nothing but what separates calls came since the last one.
    Text { after_call: bool },
    /// In what may be a call. Should it be none, its text from `from` on is content.
    Call { from: usize, marked: bool, body: Body },
}

/// What stands at a place of the text.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// The beginning of a call. Its first `skip` bytes are no part of its body; if it turns out to be no call, its
    /// first `hidden` bytes are no content.
    Open {
        skip: usize,
        hidden: usize,
        marked: bool,
    },
    /// A mark around calls, this many bytes long.
    Close(usize),
    /// What may become a mark when more text comes.
    Maybe,
    Nothing,
}

/// How a text begins, compared with a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Full,
    /// The text is the beginning of the mark.
    Partial,
    No,
}

impl Match {
    fn of(text: &str, mark: &str) -> Self {
        if text.starts_with(mark) {
            Self::Full
        } else if mark.starts_with(text) {
            Self::Partial
        } else {
            Self::No
        }
    }
}

impl ToolParser {
    /// Returns a parser for the answer to a request that offers `tools`.
    pub fn new(format: &'static ToolFormat, tools: &[Tool]) -> Self {
        Self {
            format,
            tools: Tool::distinct(tools).cloned().collect(),
            held: String::new(),
            at: 0,
            space: String::new(),
            place: Place::Text { after_call: false },
            spoken: false,
            called: false,
        }
    }

    /// Takes the next piece and returns what of all text so far is decided.
    pub fn push(&mut self, piece: &str) -> ToolParts {
        self.held.push_str(piece);
        let mut parts = ToolParts::default();
        while self.step(&mut parts, false) {}
        if matches!(self.place, Place::Text { .. }) {
            self.held.drain(..self.at);
            self.at = 0;
        }
        parts
    }

    /// Returns what was held back, once the answer is over.
    pub fn finish(&mut self) -> ToolParts {
        let mut parts = ToolParts::default();
        while self.step(&mut parts, true) {}
        if let Place::Call { from, marked: false, .. } = self.place
            && !self.called
        {
            self.say_range(from, self.held.len(), &mut parts);
        }
        if !self.called {
            parts.content.push_str(&self.space);
        }
        parts
    }

    /// Moves to the next place if the text reaches it; `false` when more text is needed, or there is no more.
    fn step(&mut self, parts: &mut ToolParts, over: bool) -> bool {
        let (from, marked, mut body) = match &mut self.place {
            Place::Text { after_call } => {
                let after_call = *after_call;
                return self.read_text(after_call, parts, over);
            }
            Place::Call { from, marked, body } => (*from, *marked, std::mem::replace(body, Body::Lead)),
        };
        let limit = self.held.floor_char_boundary(from.saturating_add(MAX_CALL_BYTES));
        let text = &self.held[..limit];
        let source = Source { text, over, marked, format: self.format, tools: &self.tools };
        match body.advance(&source, &mut self.at) {
            Outcome::More if limit == self.held.len() => {
                self.place = Place::Call { from, marked, body };
                return false;
            }
            Outcome::Calls(calls) => {
                self.called |= !calls.is_empty();
                if !self.spoken {
                    self.space.clear();
                }
                parts.calls.extend(calls);
                self.place = Place::Text { after_call: true };
            }
            outcome => {
                if matches!(outcome, Outcome::More) {
                    self.at = limit;
                }
                self.say_range(from, self.at, parts);
                self.place = Place::Text { after_call: false };
            }
        }
        true
    }

    /// Reads text up to the next call; `true` at its beginning.
    fn read_text(&mut self, mut after_call: bool, parts: &mut ToolParts, over: bool) -> bool {
        while let Some(character) = self.held[self.at..].chars().next() {
            match self.look(after_call) {
                Found::Open { skip, hidden, marked } => {
                    self.place = Place::Call { from: self.at + hidden, marked, body: Body::Lead };
                    self.at += skip;
                    return true;
                }
                Found::Close(len) => self.at += len,
                Found::Maybe if !over => break,
                Found::Maybe | Found::Nothing => {
                    self.at += character.len_utf8();
                    // What models put between calls, and a bracket too many at the end of one.
                    let separates =
                        character.is_whitespace() || matches!(character, '}' | ']' | ';' | ',' | '`');
                    after_call &= separates;
                    if !after_call {
                        self.say(character, parts);
                    }
                }
            }
        }
        self.place = Place::Text { after_call };
        false
    }

    /// What stands at the first byte that was not looked at; there must be one.
    fn look(&self, after_call: bool) -> Found {
        let rest = &self.held[self.at..];
        let unmarked = after_call || !self.spoken;
        if unmarked && rest.starts_with(['{', '[']) && !self.begins_mark(rest) {
            return Found::Open { skip: 0, hidden: 0, marked: false };
        }
        let mut found = Found::Nothing;
        let mut compare = |marks: &[&str], full: fn(usize) -> Found| {
            for mark in marks {
                match Match::of(rest, mark) {
                    Match::Full => found = full(mark.len()),
                    Match::Partial => found = Found::Maybe,
                    Match::No => {}
                }
            }
        };
        compare(self.format.opens, |len| Found::Open { skip: len, hidden: len, marked: true });
        compare(self.format.elements, |_| Found::Open { skip: 0, hidden: 0, marked: true });
        compare(self.format.closes, Found::Close);
        if unmarked {
            compare(self.format.words, |len| Found::Open { skip: len, hidden: 0, marked: false });
        }
        found
    }

    /// Whether a text that begins with a bracket is, or may become, a mark of the format.
    fn begins_mark(&self, rest: &str) -> bool {
        self.format.opens.iter().any(|mark| Match::of(rest, mark) != Match::No)
    }

    fn say_range(&mut self, from: usize, to: usize, parts: &mut ToolParts) {
        let text = self.held[from..to].to_owned();
        for character in text.chars() {
            self.say(character, parts);
        }
    }

    /// Adds a character to the content; white space waits for what follows it.
    fn say(&mut self, character: char, parts: &mut ToolParts) {
        self.space.push(character);
        let is_space = character.is_whitespace();
        if !is_space || self.space.len() > MAX_SPACE_BYTES {
            parts.content.push_str(&self.space);
            self.space.clear();
        }
        self.spoken |= !is_space;
    }
}

#[cfg(test)]
mod tests;
