//! `ax650 serve`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::{CardArguments, connect, terminal::note};
use crate::{
    api::{
        self,
        settings::{Settings, VARIABLES, Variable},
    },
    engine::Engine,
    models::store::Store,
};

/// Answer Ollama clients
///
/// Listens until Ctrl-C or SIGTERM. Answers that are being made end then, but never in the middle of a call into the
/// card.
#[derive(Debug, Args)]
#[command(
    visible_alias = "start",
    after_help = after_help()
)]
pub(super) struct Arguments {
    #[command(flatten)]
    card: CardArguments,
}

const EXAMPLES: &str = "Examples:\n  \
        ax650 serve                                a real card if one answers, else the CPU\n  \
        ax650 serve --device software --threads 2  always the CPU, with two threads\n  \
        ax650 serve --device pcie:1                the second PCIe card\n  \
        ax650 serve --paths=-async                 every way to save work but one\n  \
        OLLAMA_HOST=0.0.0.0 ax650 serve            reachable from other machines\n  \
        OLLAMA_KEEP_ALIVE=-1 ax650 serve           never unload an idle model";

/// Examples, and the variables with what holds without them.
fn after_help() -> String {
    let line = |Variable { name, meaning, default }| format!("  {name:<25} {meaning} [{default}]");
    let variables = VARIABLES.map(line).join("\n");
    format!(
        "{EXAMPLES}\n\nEnvironment, besides that of the options above:\n{variables}\n\
         Other variables of Ollama are about GPUs and its cloud; they mean nothing here and do no harm."
    )
}

impl Arguments {
    pub(super) fn execute(&self) -> anyhow::Result<ExitCode> {
        // A note of ours names the card that was taken; the log need not say it again.
        super::start_logging("info,ax650::device=warn");
        let settings = Settings::from_env()?;
        if settings.prunes {
            Store::from_env().blobs().prune();
        }
        super::runtime()?.block_on(async {
            // The address first: it costs nothing, and a second server must not open the card of the first.
            let listener = api::bind(&settings.host).await?;
            let address = listener.local_addr().context("read the address of the server")?;
            let mut signals = Signals::take()?;
            let engine = connect::start_engine(&self.card, &settings)?;
            note(&format!("card: {}", engine.device().summary));
            note(&format!("ax650 {} listens on http://{address}", super::LONG_VERSION));
            let (died, death) = oneshot::channel();
            let card = engine.clone();
            let end = async move {
                tokio::select! {
                    () = signals.next() => drop(tokio::spawn(signals.explain(card))),
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

/// SIGINT and SIGTERM. The first one ends the server in order; further ones only say what it waits for, because a card
/// interrupted in a load may hang until it loses power.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn take() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("take over SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("take over SIGTERM")?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Says at each signal what is waited for, until the process ends.
    async fn explain(mut self, engine: Engine) {
        loop {
            self.next().await;
            let call = engine.current_call().unwrap_or_else(|| "its work".to_owned());
            note(&format!(
                "waiting for the card to finish {call}; a card killed in the middle of a call may hang until it loses power"
            ));
        }
    }
}
