//! Where encoders are read to, and how much of it there is.

use std::sync::Arc;

use crate::encoder::{Encoder, EncoderError};
use crate::models::model::Model;
use crate::text::TokenId;

/// Where Linux says how much memory could be had without swapping.
const MEMINFO: &str = "/proc/meminfo";

/// An encoder in memory.
pub(super) trait Encode: Send + Sync {
    /// The vector of a text; ends early once `stop` says so.
    fn encode(&self, tokens: &[TokenId], stop: &dyn Fn() -> bool) -> Result<Vec<f32>, EncoderError>;

    /// Bytes it takes.
    fn memory_bytes(&self) -> u64;
}

/// The memory for encoders.
pub(super) trait Memory: Send {
    /// Reads a model's weights; ends early once `stop` says so.
    fn open(&self, model: &Model, stop: &dyn Fn() -> bool) -> Result<Arc<dyn Encode>, EncoderError>;

    /// Bytes that a model would take.
    fn needed_bytes(&self, model: &Model) -> u64;

    /// Bytes that are free; `None` where nobody says.
    fn free_bytes(&self) -> Option<u64>;
}

/// That of this machine.
pub(super) struct HostMemory;

impl Encode for Encoder {
    fn encode(&self, tokens: &[TokenId], stop: &dyn Fn() -> bool) -> Result<Vec<f32>, EncoderError> {
        Encoder::encode(self, tokens, stop)
    }

    fn memory_bytes(&self) -> u64 {
        Encoder::memory_bytes(self)
    }
}

impl Memory for HostMemory {
    fn open(&self, model: &Model, stop: &dyn Fn() -> bool) -> Result<Arc<dyn Encode>, EncoderError> {
        Ok(Arc::new(Encoder::open(model, stop)?))
    }

    fn needed_bytes(&self, model: &Model) -> u64 {
        model.encoder().map_or(0, |parts| parts.config.memory_bytes())
    }

    fn free_bytes(&self) -> Option<u64> {
        available(&std::fs::read_to_string(MEMINFO).ok()?)
    }
}

/// Bytes available, as `/proc/meminfo` tells it.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_available_is_read() {
        let text = "MemTotal:       8052456 kB\nMemFree:  1 kB\nMemAvailable:    6032100 kB\nBuffers: 2 kB\n";
        assert_eq!(available(text), Some(6_032_100 * 1024));
        for text in ["", "MemFree: 1 kB\n", "MemAvailable: many kB\n", "MemAvailable: 1\n"] {
            assert_eq!(available(text), None, "{text}");
        }
        assert!(HostMemory.free_bytes().is_some_and(|bytes| bytes > 0));
    }
}
