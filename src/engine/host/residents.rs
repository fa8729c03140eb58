//! Encoders in the host's memory: which are there, since when they idle, which has to go.
//!
//! Whoever computes with one holds it, so it is in use while anybody but this list does. One in use never goes: a
//! request for another model waits until there is room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::error::EngineError;
use super::super::keep_alive::KeepAlive;
use super::super::resident::{goes_with, same_model};
use super::memory::{Encode, Memory};
use super::thread::{LEAST, refuse};
use crate::models::model::Model;

/// Encoders in memory at a time; they have tens to hundreds of megabytes.
pub(super) const MOST_MODELS: usize = 3;
/// Bytes that stay free beside a model: for the states of a text, and for other programs.
const SPARE_BYTES: u64 = 64 << 20;

/// One of them.
pub(super) struct Resident {
    /// As it was named by the request that came last.
    pub(super) model: Arc<Model>,
    pub(super) encoder: Arc<dyn Encode>,
    pub(super) keep_alive: KeepAlive,
    last_used: Instant,
}

/// A model in memory, or not yet.
pub(super) enum Placed {
    /// There it is; reading it took so long, or no time.
    There(Arc<dyn Encode>, Duration),
    /// Not before a running request has ended.
    Later,
}

/// All of them.
pub(super) struct Residents {
    list: Vec<Resident>,
    memory: Box<dyn Memory>,
    /// For models of which no request says how long they stay.
    keep_alive: KeepAlive,
}

impl Resident {
    fn is_busy(&self) -> bool {
        Arc::strong_count(&self.encoder) > 1
    }

    /// When it has to go; `None` while it is in use, or if it stays forever.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        match self.keep_alive {
            KeepAlive::For(duration) if !self.is_busy() => self.last_used.checked_add(duration),
            _ => None,
        }
    }
}

impl Residents {
    pub(super) fn new(memory: Box<dyn Memory>, keep_alive: KeepAlive) -> Self {
        Self { list: Vec::new(), memory, keep_alive }
    }

    /// Those that are to be seen: one whose time is up is as good as gone.
    pub(super) fn staying(&self, now: Instant) -> impl Iterator<Item = &Resident> {
        self.list.iter().filter(move |resident| resident.expires_at().is_none_or(|end| end > now))
    }

    pub(super) fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    pub(super) fn has(&self, model: &Model) -> bool {
        self.list.iter().any(|resident| same_model(&resident.model, model))
    }

    /// The keep-alive of a model begins anew, and may be another one.
    pub(super) fn touch(&mut self, model: &Model, keep_alive: Option<KeepAlive>) {
        for resident in self.list.iter_mut().filter(|resident| same_model(&resident.model, model)) {
            resident.last_used = Instant::now();
            resident.keep_alive = keep_alive.unwrap_or(resident.keep_alive);
        }
    }

    /// Has a model go as soon as nobody uses it, and what bore its name before. False if there is none.
    pub(super) fn let_go(&mut self, model: &Model) -> bool {
        let mut found = false;
        for resident in self.list.iter_mut().filter(|resident| goes_with(&resident.model, model)) {
            resident.keep_alive = KeepAlive::NOW;
            found = true;
        }
        found
    }

    /// Sees to it that a model is in memory. `announce` is called before it is read.
    ///
    /// # Errors
    /// [`EngineError::OutOfMemory`] if there is not enough for it even without the others, and what reading it says.
    pub(super) fn place(
        &mut self,
        model: &Arc<Model>,
        announce: &dyn Fn(),
        stop: &dyn Fn() -> bool,
    ) -> Result<Placed, EngineError> {
        if let Some(known) = self.list.iter_mut().find(|resident| same_model(&resident.model, model)) {
            known.model = Arc::clone(model);
            return Ok(Placed::There(Arc::clone(&known.encoder), Duration::ZERO));
        }
        // One that was made anew takes the place of what it was; requests under way end with what they began with.
        self.let_go(model);
        self.expire(Instant::now());
        while self.list.len() >= MOST_MODELS {
            if !self.evict_idle(model) {
                return Ok(Placed::Later);
            }
        }
        if !self.make_room(model)? {
            return Ok(Placed::Later);
        }
        announce();
        let began = Instant::now();
        let encoder = self.memory.open(model, stop).map_err(|error| refuse(error, model))?;
        let load = began.elapsed().max(LEAST);
        tracing::info!(model = %model.name, seconds = load.as_secs_f64(), "loaded an encoder");
        self.list.push(Resident {
            model: Arc::clone(model),
            encoder: Arc::clone(&encoder),
            keep_alive: self.keep_alive,
            last_used: Instant::now(),
        });
        Ok(Placed::There(encoder, load))
    }

    /// Lets idle models go until a new one fits into what memory is free. False if those in use have to end first.
    fn make_room(&mut self, model: &Model) -> Result<bool, EngineError> {
        let needed = self.memory.needed_bytes(model).saturating_add(SPARE_BYTES);
        while let Some(free) = self.memory.free_bytes()
            && free < needed
        {
            let idle = self.list.iter().filter(|resident| !resident.is_busy());
            let idle: u64 = idle.map(|resident| resident.encoder.memory_bytes()).sum();
            if free.saturating_add(idle) >= needed && self.evict_idle(model) {
                continue;
            }
            if self.list.iter().any(Resident::is_busy) {
                return Ok(false);
            }
            let reason = format!(
                "it needs {} MiB of the host's memory and {} MiB are available",
                needed >> 20,
                (free + idle) >> 20
            );
            return Err(EngineError::OutOfMemory { model: model.name.to_string(), reason });
        }
        Ok(true)
    }

    /// Lets the model go that idles longest. False if all are in use.
    fn evict_idle(&mut self, wanted: &Model) -> bool {
        let idle = self.list.iter().enumerate().filter(|(_, resident)| !resident.is_busy());
        let Some((index, _)) = idle.min_by_key(|(_, resident)| resident.last_used) else { return false };
        let gone = self.list.swap_remove(index);
        tracing::info!(model = %gone.model.name, wanted = %wanted.name, "unloading an encoder");
        true
    }

    /// Lets models go whose keep-alive has run out.
    pub(super) fn expire(&mut self, now: Instant) {
        self.list.retain(|resident| {
            let stays = resident.expires_at().is_none_or(|end| end > now);
            if !stays {
                tracing::info!(model = %resident.model.name, "unloading an encoder whose keep-alive has run out");
            }
            stays
        });
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.list.iter().filter_map(Resident::expires_at).min()
    }

    /// Lets all go.
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}
