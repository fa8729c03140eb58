//! The server over real sockets: a tiny random model on the software card, and every rule that clients lean on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what went wrong by panicking")]

mod anthropic;
#[path = "../common/bert.rs"]
mod bert;
mod blobs;
mod bodies;
mod cancel;
mod cloud;
mod completions;
mod connections;
mod context;
mod copy;
mod create;
mod embeddings;
mod ending;
mod errors;
mod events;
mod fixture;
mod format;
mod generation;
#[path = "../common/gguf.rs"]
mod gguf;
mod insert;
mod keys;
mod management;
mod network;
mod openai;
mod openapi;
mod responses;
mod routes;
mod shutdown;
mod structured;
mod thinking;
mod tool_choice;
mod tools;
mod transcriptions;
