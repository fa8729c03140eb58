//! What a software card is given: threads and memory.

use std::fs;
use std::num::NonZero;
use std::thread;

const GIB: u64 = 1 << 30;

/// Options of a software card. `Default` gives it every core and nearly all memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardOptions {
    /// Threads that compute. `None`: all cores that the process may use.
    pub threads: Option<usize>,
    /// Device memory in bytes, for weights and buffers together. `None`: the memory of the host less
    /// 1 GiB, but at least half of it; 16 GiB where the host does not tell. Nothing is taken in advance.
    pub memory_bytes: Option<u64>,
}

impl CardOptions {
    pub(crate) fn thread_count(&self) -> usize {
        let available = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.unwrap_or_else(available).max(1)
    }

    pub(crate) fn memory_limit(&self) -> u64 {
        self.memory_bytes.unwrap_or_else(|| {
            host_memory_bytes().map_or(16 * GIB, |total| (total / 2).max(total.saturating_sub(GIB)))
        })
    }
}

fn host_memory_bytes() -> Option<u64> {
    memory_total(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_total_is_read_in_bytes() {
        assert_eq!(memory_total("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
        assert_eq!(memory_total("MemTotal: many\n"), None);
    }

    #[test]
    fn a_card_has_at_least_one_thread() {
        assert_eq!(CardOptions { threads: Some(0), ..CardOptions::default() }.thread_count(), 1);
        assert!(CardOptions::default().thread_count() >= 1);
        assert!(CardOptions::default().memory_limit() > 0);
    }
}
