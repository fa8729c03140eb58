//! Ctrl-C and SIGTERM for commands that drive a card on their own thread: the card finishes its current call first,
//! because one killed in the middle of a load may hang until it loses power.

use anyhow::Context;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use super::terminal::note;
use crate::device::CancelFlag;

/// Exit code of an interrupted command.
pub(super) const INTERRUPTED: u8 = 130;

/// From here on, and as long as the value lives, signals do nothing but set the flag.
pub(super) struct Patience {
    _runtime: Runtime,
}

impl Patience {
    pub(super) fn install(cancel: &CancelFlag) -> anyhow::Result<Self> {
        let runtime = super::runtime()?;
        let cancel = cancel.clone();
        let guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).context("take over SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("take over SIGTERM")?;
        drop(guard);
        runtime.spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                cancel.cancel();
                note("waiting for the card to finish its current call");
            }
        });
        Ok(Self { _runtime: runtime })
    }
}
