//! `ax650 ps`.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;

use super::{connect, format, terminal::Output};

/// List the models on the card
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ax650 ps\n\nA model stays on the card for OLLAMA_KEEP_ALIVE (5m) after its last use; \
    `ax650 stop MODEL` frees it at once."
)]
pub(super) struct Arguments {}

pub(super) fn execute() -> anyhow::Result<ExitCode> {
    let client = connect::remote()?;
    super::runtime()?.block_on(async {
        if !client.is_alive().await? {
            bail!("{}", connect::no_server(&client));
        }
        let answer = client.get("/api/ps").await?;
        let models = answer.get("models").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let now = Utc::now();
        Output::open().text(&format::table(&rows(models, now)))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The table: with a column for what the card gets wrong, if it gets anything wrong.
fn rows(models: &[Value], now: DateTime<Utc>) -> Vec<Vec<String>> {
    let head = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"].map(str::to_owned).to_vec();
    let mut rows: Vec<_> = std::iter::once(head).chain(models.iter().map(|model| row(model, now))).collect();
    let off: Vec<String> = models.iter().map(off).collect();
    if off.iter().any(|off| !off.is_empty()) {
        for (row, cell) in rows.iter_mut().zip(std::iter::once("OFF".to_owned()).chain(off)) {
            row.push(cell);
        }
    }
    rows
}

/// The ways to save work that are off because the card gets them wrong.
fn off(model: &Value) -> String {
    let paths = model.pointer("/ax650/off").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    paths.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}

fn row(model: &Value, now: DateTime<Utc>) -> Vec<String> {
    let text = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |key: &str| model.get(key).and_then(Value::as_u64).unwrap_or_default();
    vec![
        text("name").to_owned(),
        text("digest").chars().take(12).collect(),
        format::bytes(number("size")),
        processor(number("size"), number("size_vram")),
        number("context_length").to_string(),
        until(text("expires_at"), now),
    ]
}

/// How much of the model lies on the card.
fn processor(size: u64, on_card: u64) -> String {
    match on_card {
        0 => "100% CPU".to_owned(),
        on_card if on_card == size => "100% NPU".to_owned(),
        on_card if on_card < size => {
            let share = (on_card as f64 / size as f64 * 100.0).round();
            format!("{:.0}%/{share:.0}% CPU/NPU", 100.0 - share)
        }
        _ => "Unknown".to_owned(),
    }
}

/// Time left. The protocol has no word for forever: it is a date centuries ahead.
fn until(expires_at: &str, now: DateTime<Utc>) -> String {
    let Ok(expires) = DateTime::parse_from_rfc3339(expires_at) else {
        return "Unknown".to_owned();
    };
    match (expires.with_timezone(&Utc) - now).to_std() {
        Err(_) => "Stopping...".to_owned(),
        Ok(left) if left.as_secs() > 20 * 365 * 86_400 => "Forever".to_owned(),
        Ok(left) => format!("{} from now", format::span(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_has_words_for_never_and_now() {
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().with_timezone(&Utc);
        assert_eq!(until("2026-01-01T00:04:59.5+00:00", now), "4 minutes from now");
        assert_eq!(until("2318-04-11T23:47:16Z", now), "Forever");
        assert_eq!(until("2025-12-31T23:59:59Z", now), "Stopping...");
        assert_eq!(until("", now), "Unknown");
    }

    #[test]
    fn what_the_card_gets_wrong_has_a_column_only_if_there_is_any() {
        let model = |off: &[&str]| serde_json::json!({"name": "m", "size": 1, "ax650": {"off": off}});
        let good = rows(&[model(&[]), serde_json::json!({"name": "other server's"})], Utc::now());
        assert!(good.iter().all(|row| row.len() == 6));
        let bad = rows(&[model(&["async", "pinned"]), model(&[])], Utc::now());
        let last: Vec<_> = bad.iter().map(|row| row[6].as_str()).collect();
        assert_eq!(last, ["OFF", "async,pinned", ""]);
    }

    #[test]
    fn shares_of_the_card() {
        assert_eq!(
            [processor(100, 100), processor(100, 25), processor(100, 0)],
            ["100% NPU", "75%/25% CPU/NPU", "100% CPU"]
        );
    }
}
