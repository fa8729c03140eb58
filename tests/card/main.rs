//! Conformance of a card: through `ax650::device`, and through the engine above it.
//!
//! What is computed here is a tiny model with random weights. Its answers mean nothing, which makes them sensitive:
//! any row computed differently, any key or value in the wrong place changes the tokens. The card is the software
//! card, whose arithmetic does not depend on how work is cut, so that "the same" means the same bits. Every test
//! claims the card of the process, and fails if the card has noted a breach of the vendor's contract.
//!
//! The card may also be one behind the vendor's shared libraries, named by `AX650_TEST_DRIVER_PATH` (see `support`).
//! With `AX650_TEST_RECORDING` the built-in card has the memory and the speed of a recorded one; what `replay` tests of
//! every recording in `tests/recordings` needs no variable.
//! The tests of `faults` and `recovery` have no use for that: what they do to their card goes past the vendor's
//! interface.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what went wrong by panicking; the lint's own exception covers test functions only"
)]

mod engine;
mod faults;
mod hidden;
mod loaded;
mod paths;
mod recovery;
mod replay;
mod sequence;
mod support;
