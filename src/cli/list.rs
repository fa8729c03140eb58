//! `ax650 list`.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Args;
use serde_json::Value;

use super::{
    connect, format,
    terminal::{Output, note},
};
use crate::models::{layer_file::SYNTHETIC, store::Store};

/// List the models in the store
#[derive(Debug, Args)]
#[command(
    visible_alias = "ls",
    after_help = "Examples:\n  ax650 list\n  ax650 ls qwen    only names that begin with qwen"
)]
pub(super) struct Arguments {
    /// Only names that begin like this
    prefix: Option<String>,
}

struct Row {
    name: String,
    digest: String,
    size: u64,
    modified: SystemTime,
    /// What a person should know about it; mostly empty.
    note: &'static str,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        let client = connect::remote()?;
        let rows = super::runtime()?.block_on(async {
            if client.is_alive().await? {
                let answer = client.get("/api/tags").await?;
                let models = answer.get("models").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                return Ok::<_, anyhow::Error>(models.iter().map(from_answer).collect());
            }
            from_store(&Store::from_env())
        })?;
        let prefix = self.prefix.as_deref().unwrap_or_default().to_lowercase();
        let now = SystemTime::now();
        let shown: Vec<&Row> =
            rows.iter().filter(|row| row.name.to_lowercase().starts_with(&prefix)).collect();
        let noted = shown.iter().any(|row| !row.note.is_empty());
        let head = ["NAME", "ID", "SIZE", "MODIFIED", if noted { "NOTE" } else { "" }];
        let head = head.map(str::to_owned).to_vec();
        let table: Vec<_> = std::iter::once(head).chain(shown.iter().map(|row| row.cells(now))).collect();
        Output::open().text(&format::table(&table))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Row {
    fn cells(&self, now: SystemTime) -> Vec<String> {
        let age = now.duration_since(self.modified).unwrap_or(Duration::ZERO);
        vec![
            self.name.clone(),
            self.digest.chars().take(12).collect(),
            format::bytes(self.size),
            format!("{} ago", format::span(age)),
            self.note.to_owned(),
        ]
    }
}

fn from_answer(model: &Value) -> Row {
    let text = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let modified = chrono::DateTime::parse_from_rfc3339(&text("modified_at"));
    Row {
        name: text("name"),
        digest: text("digest"),
        size: model.get("size").and_then(Value::as_u64).unwrap_or_default(),
        note: note_of(model.pointer("/details/format").and_then(Value::as_str).unwrap_or_default()),
        modified: modified.map_or(SystemTime::UNIX_EPOCH, SystemTime::from),
    }
}

/// By the format of the layers.
fn note_of(layers: &str) -> &'static str {
    if layers == SYNTHETIC { "synthetic: no weights" } else { "" }
}

/// The same from the files. A broken model is named on standard error and hides no other.
fn from_store(store: &Store) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in store.list()? {
        match entry.model {
            Ok(model) => rows.push(Row {
                name: entry.name.to_string(),
                digest: model.digest.clone(),
                size: model.size,
                note: note_of(&model.manifest.format),
                modified: entry.modified,
            }),
            Err(error) => note(&format!("{}: {error}", entry.name)),
        }
    }
    Ok(rows)
}
