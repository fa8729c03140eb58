//! The card thread and what runs on it.
//!
//! [`Engine`] is a handle for any thread. Behind it, one named OS thread owns the card, the models on it and their
//! sequences; it takes requests from a bounded queue, cuts them into steps (a chunk of a prompt, a token of an answer)
//! and sends events back. The async side never waits for the card by blocking, and never touches a device.
//!
//! | file | what it owns |
//! |---|---|
//! | `handle` | the public [`Engine`]: start, load, generate, shutdown |
//! | `request` | a request, its events, both ends of its channel |
//! | `mailbox` | how the card thread is told things and woken up; the bound of the queue |
//! | `card_thread` | the loop; what a failure takes with it; `admission`: which request begins when |
//! | `scheduler` | whose step is next |
//! | `generation` | one answer: prompt steps, token steps, text, when it ends |
//! | `guide` | grammars: which tokens may come next, computed beside the card |
//! | `resident` | models on the card, keep-alive, reuse of sequences |
//! | `card`, `adapter` | what is needed of a card, and the real one behind it |
//! | `embed`, `pooled`, `host` | texts to vectors; the thread that computes encoders, which need no card |
//! | `watchdog` | a vendor call that does not return |
//! | `status` | what may be read without asking the card thread |
//!
//! What holds for every request: it ends in exactly one [`Event::Done`] or [`Event::Error`], whatever happens, unless
//! its client has left; and its tokens do not depend on what else runs, nor on what was reused of earlier requests.

mod adapter;
mod card;
mod card_thread;
mod embed;
mod error;
mod generation;
mod guide;
mod handle;
mod host;
mod keep_alive;
mod mailbox;
mod pooled;
mod request;
mod resident;
pub mod sampler;
mod scheduler;
mod status;
pub mod teacher;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watchdog;

pub use embed::{EmbedRequest, Embeddings};
pub use error::EngineError;
pub(crate) use guide::{MaskWorker, Spent};
pub use handle::{CARD_THREAD_NAME, Engine, EngineConfig};
pub use keep_alive::{KeepAlive, KeepAliveError};
pub use request::{
    DoneReason, Event, GenerateOptions, Generation, LoadReport, Request, Summary, TokenLogprob,
};
pub use sampler::SamplingOptions;
pub use status::{Counters, LoadedInfo, LoadedPaths};
pub use watchdog::CallLimits;
