//! The program as a user meets it: help, mistakes, and a tiny model from import to removal.
#![expect(clippy::unwrap_used, reason = "a test")]

mod bench;
#[path = "../common/bert.rs"]
mod bert;
mod cards;
mod doctor;
mod doctor_recordings;
mod doctor_verdicts;
mod encoder;
#[path = "../common/gguf.rs"]
mod gguf;
mod help;
mod lifecycle;
mod memory;
mod mistakes;
mod modelfile;
mod program;
mod server;
