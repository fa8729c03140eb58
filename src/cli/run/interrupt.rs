//! Ctrl-C and termination while something runs.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the user, or the system, asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// Ctrl-C: end this answer.
    Stop,
    /// SIGTERM: end the program, in order. A card must not be left in the middle of a load.
    Terminate,
}

/// Takes both signals over from the default action, which would end the process in the middle of a vendor call.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn install() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("take over the interrupt signals");
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::Stop,
            _ = self.terminate.recv() => Interrupt::Terminate,
        }
    }
}
