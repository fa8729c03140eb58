//! `ax650 serve`.

use std::{future::Future, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{CardArguments, connect, terminal::note};
use crate::api::{self, settings::Settings};

/// Answer Ollama clients
///
/// Listens until Ctrl-C or SIGTERM. Answers that are being made end then, but never in the middle of a call into the
/// card.
#[derive(Debug, Args)]
#[command(
    visible_alias = "start",
    after_help = "Examples:\n  \
        ax650 serve                                a real card if one answers, else the CPU\n  \
        ax650 serve --device software --threads 2  always the CPU, with two threads\n  \
        ax650 serve --device pcie:1                the second PCIe card\n  \
        OLLAMA_HOST=0.0.0.0 ax650 serve            reachable from other machines\n  \
        OLLAMA_KEEP_ALIVE=-1 ax650 serve           never unload an idle model\n\n\
        Environment: OLLAMA_HOST (127.0.0.1:11434), OLLAMA_MODELS, OLLAMA_KEEP_ALIVE, OLLAMA_CONTEXT_LENGTH, OLLAMA_MAX_QUEUE, \
        OLLAMA_NUM_PARALLEL, OLLAMA_MAX_LOADED_MODELS, \
        OLLAMA_ORIGINS, OLLAMA_DEBUG"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    card: CardArguments,
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        // A note of ours names the card that was taken; the log need not say it again.
        super::start_logging("info,ax650::device=warn");
        let settings = Settings::from_env()?;
        super::runtime()?.block_on(async {
            // The address first: it costs nothing, and a second server must not open the card of the first.
            let listener = api::bind(&settings.host).await?;
            let address = listener.local_addr().context("read the address of the server")?;
            let shutdown = shutdown_signal()?;
            let engine = connect::start_engine(&self.card, &settings)?;
            note(&format!("card: {}", engine.device().summary));
            note(&format!("ax650 {} listens on http://{address}", super::LONG_VERSION));
            let (died, death) = oneshot::channel();
            let card = engine.clone();
            let end = async move {
                tokio::select! {
                    () = shutdown => {}
                    // Whoever supervises this process starts it again; alive it could only refuse requests.
                    reason = card.until_ended() => drop(died.send(reason)),
                }
            };
            api::serve(listener, connect::state(&engine, settings), end).await?;
            engine.shutdown().await;
            match death.await {
                Ok(reason) => bail!("the thread that drives the card ended: {reason}"),
                Err(_) => Ok(ExitCode::SUCCESS),
            }
        })
    }
}

/// Ends at the first SIGINT or SIGTERM. Further ones change nothing: a card interrupted in a load may hang until it
/// loses power.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt()).context("take over SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("take over SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                note("still waiting for the card to finish its current call");
            }
        });
    })
}
