//! `ax650 serve`.

use std::{process::ExitCode, time::Duration};

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
    models::{blobs::Blobs, store::Store},
};

/// Time between two looks at uploaded files that nobody asks for any more.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

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
        super::runtime()?.block_on(async {
            if settings.prunes {
                tokio::spawn(prune_uploads(Store::from_env().blobs(), PRUNE_EVERY));
            }
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

/// Removes uploaded files that nobody asks for any more, now and then. Ends with the runtime.
async fn prune_uploads(blobs: Blobs, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        let blobs = blobs.clone();
        match tokio::task::spawn_blocking(move || blobs.prune()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed uploaded files that nobody asked for"),
            Err(error) => tracing::error!(%error, "cannot remove old uploaded files"),
        }
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

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::SystemTime,
    };

    use super::*;

    #[tokio::test]
    async fn old_uploads_go_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().to_owned());
        let folder = store.folder().join(".blobs");
        fs::create_dir_all(&folder).unwrap();
        let pruning = tokio::spawn(prune_uploads(store.blobs(), Duration::from_millis(5)));
        for file in ["sha256-1", "sha256-2"] {
            let path = folder.join(file);
            let old = SystemTime::now() - Duration::from_hours(2);
            File::create(&path).unwrap().set_modified(old).unwrap();
            while path.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        pruning.abort();
    }
}
