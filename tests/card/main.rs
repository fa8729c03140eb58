//! Conformance of a card: through `ax650::device`, and through the engine above it.
//!
//! What is computed here is a tiny model with random weights. Its answers mean nothing, which makes them sensitive:
//! any row computed differently, any key or value in the wrong place changes the tokens. The card is the software
//! card, whose arithmetic does not depend on how work is cut, so that "the same" means the same bits. Every test
//! claims the card of the process, and fails if the card has noted a breach of the vendor's contract.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what went wrong by panicking; the lint's own exception covers test functions only"
)]

mod engine;
mod recovery;
mod sequence;
mod support;
