//! The line editor, on a thread of its own: it blocks, and the program must still hear a termination signal.

use std::{
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use anyhow::Context;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{DefaultEditor, error::ReadlineError};
use tokio::sync::mpsc as channel;

use crate::cli::terminal::note;

/// What came from the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Text(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line, or the terminal is gone.
    End,
}

/// A request to the editor thread.
enum Request {
    Read(&'static str),
    Remember(bool),
}

/// Handle to the editor thread. The thread ends when this is dropped, or with the process when it is still reading.
pub(super) struct Editor {
    requests: mpsc::Sender<Request>,
    lines: channel::Receiver<Line>,
    // As it was before the editor switched the terminal to raw mode.
    terminal: Option<Termios>,
}

impl Editor {
    /// Starts the editor; typed lines go to the history file unless there is none.
    pub(super) fn start(history: Option<PathBuf>) -> anyhow::Result<Self> {
        let terminal = tcgetattr(io::stdin()).ok();
        let mut editor = DefaultEditor::new().context("set up the line editor")?;
        let (requests, inbox) = mpsc::channel();
        let (outbox, lines) = channel::channel(1);
        thread::Builder::new()
            .name("ax650-editor".to_owned())
            .spawn(move || serve(&mut editor, history.as_deref(), &inbox, &outbox))
            .context("start the line editor")?;
        Ok(Self { requests, lines, terminal })
    }

    /// Reads one line. Dropping the future leaves the editor reading: only do so to end the program.
    pub(super) async fn read(&mut self, prompt: &'static str) -> Line {
        if self.requests.send(Request::Read(prompt)).is_err() {
            return Line::End;
        }
        self.lines.recv().await.unwrap_or(Line::End)
    }

    /// Whether lines go to the history from now on.
    pub(super) fn remember(&self, remember: bool) {
        // A gone editor shows at the next read.
        drop(self.requests.send(Request::Remember(remember)));
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // Ended while reading, the editor could not do this itself and the shell would get a raw terminal.
        if let Some(state) = &self.terminal
            && let Err(error) = tcsetattr(io::stdin(), OptionalActions::Now, state)
        {
            note(&format!("cannot reset the terminal ({error}); `reset` does"));
        }
    }
}

fn serve(
    editor: &mut DefaultEditor,
    history: Option<&Path>,
    inbox: &mpsc::Receiver<Request>,
    outbox: &channel::Sender<Line>,
) {
    if let Some(path) = history
        && let Err(error) = editor.load_history(path)
        && !matches!(&error, ReadlineError::Io(error) if error.kind() == io::ErrorKind::NotFound)
    {
        note(&format!("cannot read the history {}: {error}", path.display()));
    }
    let mut remember = true;
    while let Ok(request) = inbox.recv() {
        let prompt = match request {
            Request::Remember(wish) => {
                remember = wish;
                continue;
            }
            Request::Read(prompt) => prompt,
        };
        let line = match editor.readline(prompt) {
            Ok(text) => {
                if remember {
                    keep(editor, history, &text);
                }
                Line::Text(text)
            }
            Err(ReadlineError::Interrupted) => Line::Interrupted,
            Err(ReadlineError::Eof) => Line::End,
            Err(error) => {
                note(&format!("cannot read from the terminal: {error}"));
                Line::End
            }
        };
        if outbox.blocking_send(line).is_err() {
            return;
        }
    }
}

/// Adds a line to the history and its file. A history that cannot be written is no reason to end a conversation.
fn keep(editor: &mut DefaultEditor, history: Option<&Path>, text: &str) {
    if text.trim().is_empty() || !matches!(editor.add_history_entry(text), Ok(true)) {
        return;
    }
    if let Some(path) = history
        && let Err(error) = editor.append_history(path)
    {
        tracing::warn!(path = %path.display(), %error, "cannot write the history");
    }
}
