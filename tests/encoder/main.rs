//! Text encoders: what they compute, against a real model's reference and against plain arithmetic, and what is
//! refused.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests say what went wrong by panicking")]

#[path = "../common/bert.rs"]
mod bert;
mod broken;
mod golden;
#[path = "../common/models.rs"]
mod models;
mod reference;

use std::{path::Path, sync::Arc};

use ax650::{
    encoder::Encoder,
    models::{changes::Changes, import::Registered, model::Model, store::Store},
};
use tempfile::TempDir;

/// A store with what was imported from `source`.
fn import(source: &Path) -> (TempDir, Registered) {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path().to_owned());
    let registered = store.import_encoder(&"m".parse().unwrap(), source, &Changes::default()).unwrap();
    (root, registered)
}

/// Tokens and vector of a text, as a request would get them without normalising.
fn embed(model: &Arc<Model>, encoder: &Encoder, text: &str) -> (Vec<u32>, Vec<f32>) {
    let tokenizer = model.encoder().unwrap().text().unwrap();
    let tokens = tokenizer.encode_within(text, model.context_len()).unwrap().ids;
    let vector = encoder.encode(&tokens, &|| false).unwrap();
    (tokens, vector)
}
