//! What a software card is given: threads, memory, cards in the list, a profile, and how exact it shall be.

use std::fs;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use crate::profile::Profile;

const GIB: u64 = 1 << 30;
/// Ids of devices go up to 256 and begin at [`crate::DEVICE_ID`].
const MOST_CARDS: usize = 128;

/// Whether models are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compute {
    /// They are; only synthetic files are not.
    #[default]
    Full,
    /// No model is: a run writes zeros, and a head one peak at [`SYNTHETIC_TOKEN`](crate::compute::SYNTHETIC_TOKEN).
    /// Weights are not read.
    None,
}

/// What the time of a profile does to the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pace {
    /// Calls return as soon as they can; the card's clock counts what they would have taken, and leaves out
    /// what the software card needs itself. For measurements.
    #[default]
    Virtual,
    /// Calls return when they would on the card. For people.
    Real,
}

/// Options of a software card. `Default` gives it every core and nearly all memory, and no sense of time.
#[derive(Debug, Clone, PartialEq)]
pub struct CardOptions {
    /// Threads that compute. `None`: all cores that the process may use.
    pub threads: Option<usize>,
    /// Device memory in bytes, for weights and buffers together. `None`: that of the profile; without one
    /// the memory of the host less 1 GiB, but at least half of it, or 16 GiB where the host does not tell.
    /// Nothing is taken in advance.
    pub memory_bytes: Option<u64>,
    /// Cards in the device list, 1 to 128, each with that memory.
    pub cards: u32,
    /// How long the card takes. `None`: as long as it takes, and there is no clock.
    pub profile: Option<Arc<Profile>>,
    /// Whether models are computed.
    pub compute: Compute,
    /// What the time of the profile does to the caller. Nothing without a profile.
    pub pace: Pace,
    /// Also finds the mistakes whose detection costs time or memory: reading memory that was never written
    /// (fresh memory is full of NaN then), forgotten cache maintenance, reading what is still being computed.
    pub strict: bool,
}

impl Default for CardOptions {
    fn default() -> Self {
        Self {
            threads: None,
            memory_bytes: None,
            cards: 1,
            profile: None,
            compute: Compute::Full,
            pace: Pace::Virtual,
            strict: false,
        }
    }
}

impl CardOptions {
    pub(crate) fn thread_count(&self) -> usize {
        let available = || thread::available_parallelism().map_or(1, NonZero::get);
        self.threads.unwrap_or_else(available).max(1)
    }

    /// Entries of the device list: as many as there are ids for.
    pub(crate) fn card_count(&self) -> usize {
        usize::try_from(self.cards).unwrap_or(usize::MAX).clamp(1, MOST_CARDS)
    }

    pub(crate) fn memory_limit(&self) -> u64 {
        let of_profile = || self.profile.as_ref().map(|profile| profile.device_memory_bytes());
        self.memory_bytes.or_else(of_profile).unwrap_or_else(|| {
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
    fn a_profile_tells_the_memory_unless_it_is_given() {
        let profile = Some(Arc::new(Profile::named("pi5-llm8850").unwrap()));
        let options = CardOptions { profile, ..CardOptions::default() };
        assert_eq!(options.memory_limit(), 7040 << 20);
        assert_eq!(CardOptions { memory_bytes: Some(5), ..options }.memory_limit(), 5);
    }

    #[test]
    fn a_card_has_at_least_one_thread() {
        assert_eq!(CardOptions { threads: Some(0), ..CardOptions::default() }.thread_count(), 1);
        assert!(CardOptions::default().thread_count() >= 1);
        assert!(CardOptions::default().memory_limit() > 0);
    }
}
