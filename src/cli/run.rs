//! `ax650 run`: one prompt, or a conversation.

use std::{
    io::{self, IsTerminal, Read},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    CardArguments,
    connect::{self, Session},
    terminal::{Output, note},
};
use crate::models::{layer_file::SYNTHETIC, model::NO_WEIGHTS_WARNING};
use answer::{Ended, Show};

mod answer;
mod command;
mod conversation;
mod editor;
mod interrupt;
mod parameter;

/// Exit code after Ctrl-C or a termination signal, as shells expect it.
const INTERRUPTED: u8 = 130;

/// Ask a model, or talk with it when no PROMPT is given
///
/// Uses the running server if there is one; otherwise the engine starts inside this process and leaves with it.
/// Text piped to standard input is put before PROMPT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ax650 run smollm2 \"Why is the sky blue?\"\n  \
    ax650 run smollm2                          talk; /? lists the commands, /bye leaves\n  \
    ax650 run smollm2 \"Summarise:\" < notes.txt\n  \
    ax650 run smollm2 --verbose \"Hello\"        also print durations and tokens per second\n  \
    ax650 run minilm \"A cat sat.\"             a text encoder: prints the vector as JSON\n  \
    ax650 run smollm2 --device software \"Hi\"   without a server: compute on the CPU")]
pub(super) struct Arguments {
    /// Name of the model
    model: String,

    /// What to ask; words are joined by blanks
    prompt: Vec<String>,

    /// Print durations and rates after each answer
    #[arg(long)]
    verbose: bool,

    /// How long the model stays on the card afterwards: 10s, 5m, 1h, 0 (server default: 5m)
    #[arg(long, value_name = "DURATION")]
    keepalive: Option<String>,

    /// Whether a thinking model thinks, or how hard: true, false, low, medium, high or max
    #[arg(long, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = ["true", "false", "low", "medium", "high", "max"], hide_possible_values = true)]
    think: Option<String>,

    /// Do not show what a model thinks
    #[arg(long)]
    hidethinking: bool,

    #[command(flatten)]
    card: CardArguments,
}

/// What a conversation, or a single question, carries from turn to turn.
#[derive(Debug, Clone)]
struct Settings {
    model: String,
    options: Map<String, Value>,
    system: Option<String>,
    keep_alive: Option<String>,
    /// Boolean or level, as the protocol has it.
    think: Option<Value>,
    show: Show,
}

impl Settings {
    /// The fields every request of this run has in common.
    fn request(&self) -> Map<String, Value> {
        let mut request = Map::new();
        request.insert("model".into(), json!(self.model));
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                request.insert(key.into(), value);
            }
        };
        set("options", (!self.options.is_empty()).then(|| Value::Object(self.options.clone())));
        set("keep_alive", self.keep_alive.as_ref().map(|duration| json!(duration)));
        set("think", self.think.clone());
        request
    }
}

impl Arguments {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        super::start_logging("warn");
        let piped = (!io::stdin().is_terminal()).then(read_stdin).transpose()?;
        let settings = Settings {
            model: self.model,
            options: Map::new(),
            system: None,
            keep_alive: self.keepalive,
            think: self.think.as_deref().map(think_value),
            show: Show { verbose: self.verbose, thinking: !self.hidethinking },
        };
        let question: Vec<&str> =
            piped.as_deref().into_iter().chain(self.prompt.iter().map(String::as_str)).collect();
        let question = question.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        let talk = piped.is_none() && self.prompt.is_empty();
        // An empty PROMPT is a wish: it loads the model and asks nothing.
        if self.prompt.is_empty() && piped.as_deref().is_some_and(|text| text.trim().is_empty()) {
            bail!("no prompt given: standard input is empty and there is no PROMPT");
        }

        super::runtime()?.block_on(async {
            let session = connect::session(&self.card).await?;
            let result = async {
                // Fails early and with the right words for a model that does not exist.
                let shown = session.client().post("/api/show", &json!({"model": settings.model})).await?;
                // An engine of our own says so itself when it loads the model.
                if session.is_remote() && shown.pointer("/details/format") == Some(&json!(SYNTHETIC)) {
                    note(NO_WEIGHTS_WARNING);
                }
                if embeds_only(&shown) {
                    embed(&session, &settings, &question).await
                } else if talk {
                    conversation::talk(&session, settings).await
                } else {
                    ask(&session, &settings, &question).await
                }
            }
            .await;
            session.close().await;
            result
        })
    }
}

/// One question, one answer.
async fn ask(session: &Session, settings: &Settings, question: &str) -> anyhow::Result<ExitCode> {
    let mut request = settings.request();
    request.insert("prompt".into(), json!(question));
    let mut interrupts = interrupt::Interrupts::install()?;
    let output = Output::open();
    let answer = answer::stream(
        session.client(),
        "/api/generate",
        &Value::Object(request),
        &output,
        settings.show,
        &mut interrupts,
    )
    .await?;
    if !answer.text.is_empty() && (output.is_terminal() || !answer.text.ends_with('\n')) {
        output.text("\n")?;
    }
    Ok(match answer.ended {
        Ended::Complete => ExitCode::SUCCESS,
        Ended::Interrupted | Ended::Terminated => ExitCode::from(INTERRUPTED),
    })
}

/// Whether a model gives vectors and nothing else, by what `/api/show` says.
fn embeds_only(shown: &Value) -> bool {
    let capabilities = shown["capabilities"].as_array().map_or(&[][..], Vec::as_slice);
    capabilities.contains(&json!("embedding")) && !capabilities.contains(&json!("completion"))
}

/// The vector of a text, as a JSON array.
async fn embed(session: &Session, settings: &Settings, text: &str) -> anyhow::Result<ExitCode> {
    if text.is_empty() {
        bail!("'{}' turns texts into vectors and does not talk; give it a PROMPT", settings.model);
    }
    let mut request = settings.request();
    request.insert("input".into(), json!(text));
    let answer = session.client().post("/api/embed", &Value::Object(request)).await?;
    let vector = answer.pointer("/embeddings/0").context("the answer has no vector")?;
    Output::open().line(&vector.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// A level stays a text; `true` and `false` are booleans in the protocol.
fn think_value(text: &str) -> Value {
    text.parse::<bool>().map_or_else(|_| json!(text), Value::Bool)
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("read the prompt from standard input")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_only_embed_are_told_by_what_they_can() {
        for (capabilities, wanted) in [
            (json!(["embedding"]), true),
            (json!(["completion", "embedding"]), false),
            (json!(["completion"]), false),
            (Value::Null, false),
        ] {
            assert_eq!(embeds_only(&json!({"capabilities": capabilities})), wanted);
        }
    }

    #[test]
    fn levels_of_thinking_are_booleans_or_texts() {
        assert_eq!(
            [think_value("true"), think_value("false"), think_value("high")],
            [json!(true), json!(false), json!("high")]
        );
    }
}
