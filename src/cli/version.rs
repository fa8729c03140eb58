//! `ax650 version`.

use std::process::ExitCode;

use clap::Args;

use super::{
    LONG_VERSION, connect,
    terminal::{Output, note},
};

/// Print the version of this program and of the running server
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ax650 version\n  ax650 -v")]
pub(super) struct Arguments {}

pub(super) fn execute() -> anyhow::Result<ExitCode> {
    Output::open().line(&format!("ax650 version is {LONG_VERSION}"))?;
    let client = connect::remote()?;
    super::runtime()?.block_on(async {
        match client.is_alive().await {
            Ok(true) => {}
            Ok(false) => {
                note(&format!("Warning: no server runs at {}", client.address()));
                return Ok(ExitCode::SUCCESS);
            }
            Err(error) => {
                note(&format!("Warning: {error}"));
                return Ok(ExitCode::SUCCESS);
            }
        }
        let answer = client.get("/api/version").await?;
        let level = answer.get("version").and_then(|version| version.as_str()).unwrap_or("unknown");
        note(&format!("the server at {} speaks the protocol of Ollama {level}", client.address()));
        Ok(ExitCode::SUCCESS)
    })
}
