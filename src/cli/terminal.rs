//! What commands write: output that survives a closed pipe, and model text that cannot drive the terminal.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

/// Standard output of a command. Text from models and from model files goes through [`Output::text`].
#[derive(Debug)]
pub(crate) struct Output {
    terminal: bool,
}

impl Output {
    /// Looks once whether standard output is a terminal.
    pub(crate) fn open() -> Self {
        Self { terminal: io::stdout().is_terminal() }
    }

    /// Whether a person reads along.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes text that did not come from us and flushes, so that a stream appears as it is made.
    /// On a terminal its control characters are made visible; in a pipe it is passed on byte by byte.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let shown = if self.terminal { sanitise(text) } else { Cow::Borrowed(text) };
        let mut stdout = io::stdout().lock();
        stdout.write_all(shown.as_bytes())?;
        stdout.flush()
    }

    /// Writes one line; its content is treated like [`Output::text`].
    pub(crate) fn line(&self, line: &str) -> io::Result<()> {
        self.text(line)?;
        self.text("\n")
    }
}

/// Writes one line of ours to standard error. A closed standard error is nobody's fault and no reason to stop.
pub(crate) fn note(line: &str) {
    let mut stderr = io::stderr().lock();
    drop(writeln!(stderr, "{line}"));
}

/// Makes control characters visible, so that text cannot move the cursor, change colours, set the window title or
/// fill the clipboard. Line feeds and tabs stay; carriage returns go (they would overwrite the line).
pub(crate) fn sanitise(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let visible = |c: char| match c {
        '\r' => None,
        // The control pictures of Unicode stand in the order of the control codes.
        '\0'..='\u{1f}' if is_unsafe(c) => char::from_u32(0x2400 + u32::from(c)),
        '\u{7f}' => Some('\u{2421}'),
        c if is_unsafe(c) => Some(char::REPLACEMENT_CHARACTER),
        c => Some(c),
    };
    Cow::Owned(text.chars().filter_map(visible).collect())
}

/// C0 except line feed and tab, DEL, C1, and the marks that reorder text on screen.
fn is_unsafe(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_visible_and_plain_text_is_not_copied() {
        assert!(matches!(sanitise("Grüße,\n\tWelt 👋"), Cow::Borrowed(_)));
        assert_eq!(sanitise("\u{1b}]0;title\u{7}"), "\u{241b}]0;title\u{2407}");
        assert_eq!(sanitise("a\r\nb\u{9b}31m\u{7f}\u{202e}"), "a\nb\u{fffd}31m\u{2421}\u{fffd}");
    }
}
