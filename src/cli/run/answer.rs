//! Shows one streamed answer as it is made.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::interrupt::{Interrupt, Interrupts};
use crate::cli::{
    client::Client,
    format,
    terminal::{Output, note},
};

/// What to show beside the answer itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    /// Durations and rates.
    pub(super) verbose: bool,
    /// The thinking of a thinking model.
    pub(super) thinking: bool,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The model finished.
    Complete,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// A whole answer, already shown.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) ended: Ended,
}

/// Sends `body` to `path` and shows the records as they come. Ctrl-C drops the connection, which stops the card.
/// An answer without its last record is an error, also if all that came of it looks whole.
pub(super) async fn stream(
    client: &Client,
    path: &str,
    body: &Value,
    output: &Output,
    show: Show,
    interrupts: &mut Interrupts,
) -> anyhow::Result<Answer> {
    let mut printer = Printer::new(output, show);
    let mut answer = Answer { text: String::new(), ended: Ended::Complete };
    let mut records = tokio::select! {
        records = client.stream(path, body) => records?,
        interrupt = interrupts.next() => {
            answer.ended = ended_by(interrupt);
            return Ok(answer);
        }
    };
    loop {
        let record = tokio::select! {
            record = records.next() => record,
            interrupt = interrupts.next() => {
                answer.ended = ended_by(interrupt);
                break;
            }
        };
        let Some(record) = record else {
            printer.stop_waiting();
            if !answer.text.is_empty() {
                output.text("\n")?;
            }
            bail!("the answer ended in the middle: {} closed the connection", client.address());
        };
        let record = record?;
        let message = record.get("message").unwrap_or(&record);
        let part = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        printer.thinking(part("thinking"))?;
        let text = if path.ends_with("/chat") { part("content") } else { part("response") };
        printer.text(text)?;
        answer.text.push_str(text);
        if record.get("done").and_then(Value::as_bool) == Some(true) {
            printer.finish(&record)?;
            break;
        }
    }
    Ok(answer)
}

fn ended_by(interrupt: Interrupt) -> Ended {
    match interrupt {
        Interrupt::Stop => Ended::Interrupted,
        Interrupt::Terminate => Ended::Terminated,
    }
}

/// Writes the parts of an answer in order, and a spinner while there is nothing to write yet.
struct Printer<'a> {
    output: &'a Output,
    show: Show,
    waiting: Option<ProgressBar>,
    in_thinking: bool,
}

impl<'a> Printer<'a> {
    fn new(output: &'a Output, show: Show) -> Self {
        let waiting = (output.is_terminal() && io::stderr().is_terminal()).then(|| {
            let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(Duration::from_millis(80));
            spinner
        });
        Self { output, show, waiting, in_thinking: false }
    }

    fn thinking(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() || !self.show.thinking {
            return Ok(());
        }
        self.stop_waiting();
        if !self.in_thinking {
            self.in_thinking = true;
            self.output.text("Thinking...\n")?;
        }
        self.output.text(text)
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.stop_waiting();
        if std::mem::take(&mut self.in_thinking) {
            self.output.text("\n...done thinking.\n\n")?;
        }
        self.output.text(text)
    }

    fn finish(&mut self, record: &Value) -> io::Result<()> {
        self.stop_waiting();
        if self.show.verbose {
            self.output.text("\n")?;
            note(&metrics(record));
        }
        Ok(())
    }

    fn stop_waiting(&mut self) {
        if let Some(spinner) = self.waiting.take() {
            spinner.finish_and_clear();
        }
    }
}

impl Drop for Printer<'_> {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

/// Durations and rates of a last record, a line each.
fn metrics(record: &Value) -> String {
    let number = |key: &str| record.get(key).and_then(Value::as_u64).unwrap_or_default();
    let time = |key: &str| Duration::from_nanos(number(key));
    let mut lines = vec![
        format!("total duration:       {}", format::duration(time("total_duration"))),
        format!("load duration:        {}", format::duration(time("load_duration"))),
    ];
    for (name, count, duration) in [
        ("prompt eval", number("prompt_eval_count"), time("prompt_eval_duration")),
        ("eval", number("eval_count"), time("eval_duration")),
    ] {
        let seconds = duration.as_secs_f64();
        let rate = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        lines.push(format!("{:<22}{count} token(s)", format!("{name} count:")));
        lines.push(format!("{:<22}{}", format!("{name} duration:"), format::duration(duration)));
        lines.push(format!("{:<22}{rate:.2} tokens/s", format!("{name} rate:")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::post};
    use serde_json::json;

    use super::*;

    async fn answer_of(body: &'static str) -> anyhow::Result<Answer> {
        let client = Client::in_process(Router::new().route("/api/chat", post(move || async move { body })));
        let show = Show { verbose: false, thinking: true };
        let mut interrupts = Interrupts::install().unwrap();
        stream(&client, "/api/chat", &json!({}), &Output::open(), show, &mut interrupts).await
    }

    #[tokio::test]
    async fn an_answer_without_its_end_is_an_error() {
        let part = "{\"message\":{\"content\":\"half\"},\"done\":false}\n";
        let error = answer_of(part).await.unwrap_err().to_string();
        assert!(error.contains("the answer ended in the middle"), "{error}");
        let whole = "{\"message\":{\"content\":\"all\"}}\n{\"message\":{\"content\":\"\"},\"done\":true}\n";
        let answer = answer_of(whole).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.ended), ("all", Ended::Complete));
    }

    #[test]
    fn metrics_have_counts_durations_and_rates() {
        let record = json!({
            "total_duration": 2_500_000_000_u64, "load_duration": 1_000_000, "prompt_eval_count": 26,
            "prompt_eval_duration": 130_000_000, "eval_count": 100, "eval_duration": 2_000_000_000_u64,
        });
        assert_eq!(
            metrics(&record),
            "total duration:       2.500s\nload duration:        1.0ms\nprompt eval count:    26 token(s)\n\
             prompt eval duration: 130.0ms\nprompt eval rate:     200.00 tokens/s\neval count:           100 token(s)\n\
             eval duration:        2.000s\neval rate:            50.00 tokens/s"
        );
    }
}
