//! A conversation at the terminal.

use std::{path::PathBuf, process::ExitCode};

use serde_json::{Value, json};

use super::{
    INTERRUPTED, Settings,
    answer::{self, Ended},
    command::{self, Command, Section, Setting},
    editor::{Editor, Line},
    interrupt::{Interrupt, Interrupts},
    parameter,
};
use crate::cli::{
    connect::Session,
    show,
    terminal::{Output, note},
};

/// Marks the beginning and the end of a message of several lines.
const FENCE: &str = "\"\"\"";

/// Talks until `/bye`, Ctrl-D or a termination signal.
pub(super) async fn talk(session: &Session, settings: Settings) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::install()?;
    let output = Output::open();
    // Loads the model while the user types nothing yet: the first answer then starts at once.
    let load = Value::Object(settings.request());
    let loaded =
        answer::stream(session.client(), "/api/generate", &load, &output, settings.show, &mut interrupts)
            .await?;
    if loaded.ended != Ended::Complete {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let editor = Editor::start(history_file())?;
    Conversation { session, settings, messages: Vec::new(), editor, interrupts, output }.run().await
}

/// Typed lines outlive the program, unless `OLLAMA_NOHISTORY` is set.
fn history_file() -> Option<PathBuf> {
    let off =
        std::env::var("OLLAMA_NOHISTORY").is_ok_and(|value| !matches!(value.trim(), "" | "0" | "false"));
    let directory = std::env::home_dir()?.join(".ollama");
    if off || std::fs::create_dir_all(&directory).is_err() {
        return None;
    }
    Some(directory.join("ax650-history"))
}

struct Conversation<'a> {
    session: &'a Session,
    settings: Settings,
    messages: Vec<Value>,
    editor: Editor,
    interrupts: Interrupts,
    output: Output,
}

/// What the user wants next.
enum Wish {
    Message(String),
    Again,
    Leave(ExitCode),
}

impl Conversation<'_> {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        loop {
            let message = match self.next_wish().await {
                Wish::Message(message) => message,
                Wish::Again => continue,
                Wish::Leave(code) => return Ok(code),
            };
            match command::parse(&message) {
                None => {
                    if self.turn(message).await? == Ended::Terminated {
                        return Ok(ExitCode::from(INTERRUPTED));
                    }
                }
                Some(Command::Bye) => return Ok(ExitCode::SUCCESS),
                Some(Command::Clear) => {
                    self.messages.clear();
                    self.output.line("Forgot the conversation")?;
                }
                Some(Command::Show(section)) => self.show(section).await?,
                Some(Command::Set(setting)) => self.set(&setting)?,
                Some(Command::Help(topic)) => self.output.line(&topic.text())?,
                Some(Command::Unknown(reason)) => self.output.line(&reason)?,
            }
        }
    }

    /// Reads a message, over several lines between `"""` marks.
    async fn next_wish(&mut self) -> Wish {
        let mut fenced: Option<String> = None;
        loop {
            let prompt = if fenced.is_some() { "... " } else { ">>> " };
            let mut read = std::pin::pin!(self.editor.read(prompt));
            let line = loop {
                tokio::select! {
                    line = &mut read => break line,
                    interrupt = self.interrupts.next() => match interrupt {
                        Interrupt::Terminate => return Wish::Leave(ExitCode::from(INTERRUPTED)),
                        Interrupt::Stop => {}
                    },
                }
            };
            match (line, fenced.take()) {
                (Line::End, _) => return Wish::Leave(ExitCode::SUCCESS),
                (Line::Interrupted, Some(_)) => return Wish::Again,
                (Line::Interrupted, None) => {
                    note("Ctrl-D or /bye leaves");
                    return Wish::Again;
                }
                (Line::Text(text), None) => match open_fence(&text) {
                    Fence::None if text.trim().is_empty() => return Wish::Again,
                    Fence::None => return Wish::Message(text),
                    Fence::Closed(message) => return Wish::Message(message),
                    Fence::Open(start) => fenced = Some(start),
                },
                (Line::Text(text), Some(mut message)) => {
                    if let Some(last) = text.strip_suffix(FENCE) {
                        message.push_str(last);
                        return Wish::Message(message);
                    }
                    message.push_str(&text);
                    message.push('\n');
                    fenced = Some(message);
                }
            }
        }
    }

    /// One question and its answer. Both are remembered, also an answer that was stopped; after an error neither is.
    async fn turn(&mut self, message: String) -> anyhow::Result<Ended> {
        self.messages.push(json!({"role": "user", "content": message}));
        let system = self.settings.system.as_ref().map(|text| json!({"role": "system", "content": text}));
        let messages: Vec<&Value> = system.iter().chain(&self.messages).collect();
        let mut request = self.settings.request();
        request.insert("messages".into(), json!(messages));
        let answer = answer::stream(
            self.session.client(),
            "/api/chat",
            &Value::Object(request),
            &self.output,
            self.settings.show,
            &mut self.interrupts,
        )
        .await;
        match answer {
            Ok(answer) => {
                self.output.text("\n\n")?;
                self.messages.push(json!({"role": "assistant", "content": answer.text}));
                Ok(answer.ended)
            }
            Err(error) => {
                self.messages.pop();
                self.output.line(&format!("Error: {error:#}"))?;
                Ok(Ended::Complete)
            }
        }
    }

    async fn show(&self, section: Section) -> anyhow::Result<()> {
        let answer =
            match self.session.client().post("/api/show", &json!({"model": self.settings.model})).await {
                Ok(answer) => answer,
                Err(error) => return Ok(self.output.line(&format!("Error: {error}"))?),
            };
        let field = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let text = match section {
            Section::Info => show::describe(&answer),
            Section::License => field("license"),
            Section::Modelfile => field("modelfile"),
            Section::System => self.settings.system.clone().unwrap_or_else(|| field("system")),
            Section::Template => field("template"),
            Section::Parameters => {
                let mut text = field("parameters");
                for (name, value) in &self.settings.options {
                    let line_end = if text.is_empty() { "" } else { "\n" };
                    text.extend([line_end, &format!("{name:<30} {value}")]);
                }
                text
            }
        };
        let text = if text.trim().is_empty() { "The model has none".to_owned() } else { text };
        Ok(self.output.line(text.trim_end())?)
    }

    fn set(&mut self, setting: &Setting<'_>) -> anyhow::Result<()> {
        let told = match setting {
            Setting::Parameter(words) => {
                parameter::set(&mut self.settings.options, words).unwrap_or_else(|mistake| mistake)
            }
            Setting::System(text) => {
                self.settings.system = (!text.is_empty()).then(|| text.trim_matches('"').to_owned());
                "Set system message".to_owned()
            }
            Setting::History(on) => {
                self.editor.remember(*on);
                format!("Typed lines are {}", if *on { "remembered" } else { "not remembered" })
            }
            Setting::Verbose(on) => {
                self.settings.show.verbose = *on;
                format!("Durations and rates are {}", if *on { "shown" } else { "not shown" })
            }
            Setting::Think(on) => {
                self.settings.think = Some(json!(on));
                format!("Thinking is {}", if *on { "on" } else { "off" })
            }
        };
        Ok(self.output.line(&told)?)
    }
}

/// What the first line of a message says about `"""`.
#[derive(Debug, PartialEq, Eq)]
enum Fence {
    None,
    Closed(String),
    Open(String),
}

fn open_fence(line: &str) -> Fence {
    let Some(rest) = line.trim_start().strip_prefix(FENCE) else {
        return Fence::None;
    };
    match rest.strip_suffix(FENCE) {
        Some(message) => Fence::Closed(message.to_owned()),
        None if rest.is_empty() => Fence::Open(String::new()),
        None => Fence::Open(format!("{rest}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_open_and_close() {
        assert_eq!(open_fence("hello"), Fence::None);
        assert_eq!(open_fence("\"\"\""), Fence::Open(String::new()));
        assert_eq!(open_fence("\"\"\"first"), Fence::Open("first\n".to_owned()));
        assert_eq!(open_fence("\"\"\"all\"\"\""), Fence::Closed("all".to_owned()));
    }
}
