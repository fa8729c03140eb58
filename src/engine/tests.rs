//! The engine on a card whose every answer and failure the test decides.

mod answers;
mod embedding;
mod failures;
pub(crate) mod grammars;
mod residency;
mod sharing;
