//! Runs language models compiled for the Axera AX650N / AX8850 NPU inside the process and answers Ollama clients.
//!
//! The rooms, top to bottom; arrows point down only:
//!
//! - [`cli`], [`api`]: commands and HTTP. They know [`engine`] and [`models`], never a device.
//! - [`doctor`]: looks at a machine and says what is wrong; reads files only.
//! - [`engine`]: owns the card thread, schedules steps, samples.
//! - [`encoder`]: turns texts into vectors on the host. Pure, like the rooms below it.
//! - [`models`], [`text`]: files, tokenizer, templates. Pure; they run without any card.
//! - [`device`]: safe wrapper over `ax650-sys`; the only unsafe code of this crate.
#![deny(unsafe_code)]

pub mod api;
pub mod cli;
#[allow(unsafe_code, reason = "the one room that calls the vendor's interface")]
pub mod device;
pub mod doctor;
pub mod encoder;
pub mod engine;
pub mod models;
pub mod text;
