//! `ax650 rm`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{
    client::{Client, ClientError},
    connect,
    terminal::Output,
};
use crate::models::store::{Store, StoreError};

/// Remove models from the store
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ax650 rm smollm2\n  ax650 rm old:v1 old:v2")]
pub(super) struct Arguments {
    /// Names of the models
    #[arg(required = true)]
    models: Vec<String>,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        let client = connect::remote()?;
        let store = Store::from_env();
        let output = Output::open();
        super::runtime()?.block_on(async {
            let server = client.is_alive().await?.then_some(&client);
            for model in &self.models {
                remove(server, &store, model).await?;
                output.line(&format!("deleted '{model}'"))?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A running server does it, after taking the model off its card: files of a loaded model must not vanish under it.
async fn remove(server: Option<&Client>, store: &Store, model: &str) -> anyhow::Result<()> {
    let name = connect::name(model)?;
    if let Some(client) = server {
        let unloaded = client.post("/api/generate", &json!({"model": model, "keep_alive": 0})).await;
        // Any other error is no reason to stop: a broken model cannot be unloaded, and removing it is the way out.
        if let Err(error @ ClientError::Unreachable { .. }) = unloaded {
            return Err(error.into());
        }
        return Ok(client.delete("/api/delete", &json!({"model": model})).await?);
    }
    match store.remove(&name) {
        Ok(()) => Ok(()),
        Err(StoreError::NotFound(_)) => bail!("model '{model}' not found"),
        Err(error) => Err(error.into()),
    }
}
