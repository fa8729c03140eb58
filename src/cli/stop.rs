//! `ax650 stop`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::connect;

/// Take a model off the card
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ax650 stop smollm2\n\nRequests that are running finish first.")]
pub(super) struct Arguments {
    /// Name of the model
    model: String,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        let client = connect::remote()?;
        super::runtime()?.block_on(async {
            if !client.is_alive().await? {
                bail!("{}", connect::no_server(&client));
            }
            match client.post("/api/generate", &json!({"model": self.model, "keep_alive": 0})).await {
                Ok(_) => Ok(ExitCode::SUCCESS),
                Err(error) if error.is_not_found() => bail!("couldn't find model \"{}\" to stop", self.model),
                Err(error) => Err(error.into()),
            }
        })
    }
}
