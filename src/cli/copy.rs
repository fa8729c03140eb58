//! `ax650 cp`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{connect, terminal::Output};
use crate::models::{
    import::ImportError,
    store::{Store, StoreError},
};

/// Give a model a second name
///
/// From then on there are two models, which share their files and need not each other. A model that has the second name
/// already is replaced.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ax650 cp smollm2 assistant\n  ax650 cp smollm2 gpt-4o-mini   for clients that insist on a name"
)]
pub(super) struct Arguments {
    /// Name of the model
    source: String,

    /// The name that it is to have as well
    destination: String,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        let client = connect::remote()?;
        let Self { source, destination } = self;
        let (from, to) = (connect::name(source)?, connect::name(destination)?);
        let by_server = super::runtime()?.block_on(async {
            if !client.is_alive().await? {
                return Ok::<_, anyhow::Error>(false);
            }
            client.tell("/api/copy", &json!({"source": source, "destination": destination})).await?;
            Ok(true)
        })?;
        if !by_server {
            match Store::from_env().copy(&from, &to) {
                Ok(()) => {}
                Err(ImportError::Store(StoreError::NotFound(_))) => bail!("model '{source}' not found"),
                Err(error) => return Err(error.into()),
            }
        }
        Output::open().line(&format!("copied '{source}' to '{destination}'"))?;
        Ok(ExitCode::SUCCESS)
    }
}
