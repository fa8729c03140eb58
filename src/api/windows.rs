//! The windows that requests ask for.
//!
//! Upstream loads a model anew for another `num_ctx`, so `/api/ps` tells there what the last request got. Here the
//! window is compiled and a request narrows it for itself; clients that look at the listing find the same figure all
//! the same.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::engine::LoadedInfo;
use crate::models::model::Model;

/// More models than any store has. Beyond that all are forgotten, and are listed with their own windows.
const MOST: usize = 1024;

/// The window that the last request to each model asked for, in tokens, by the digest of the model. Requests that ask
/// for none are not in it.
#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<HashMap<String, usize>>);

impl Windows {
    /// Remembers what a request asks for, or that it asks for nothing.
    pub(crate) fn note(&self, model: &Model, asked: Option<usize>) {
        let mut windows = self.0.lock();
        if let Some(tokens) = asked {
            if windows.len() >= MOST {
                windows.clear();
            }
            windows.insert(model.digest.clone(), tokens);
        } else {
            windows.remove(&model.digest);
        }
    }

    /// The window that the last request to a loaded model got.
    pub(crate) fn of(&self, info: &LoadedInfo) -> usize {
        let asked = self.0.lock().get(&info.model.digest).copied();
        asked.map_or(info.context_len, |asked| asked.min(info.context_len))
    }
}
