//! From counters to figures: what happened between two readings, per token. Pure arithmetic.
//!
//! Two clocks are read. Card time decides every speed: with a profile it is the software card's own clock, else the
//! time of this machine. Time of this machine, less what passed inside the vendor's library, is host time.

use std::{fs, time::Duration};

use serde::Serialize;

use crate::device::{Interface, Stats};

/// Counters at one moment. Only differences mean anything.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// Card time.
    pub(super) card: Duration,
    /// Time of this machine.
    pub(super) wall: Duration,
    /// Card time in which the NPU computed; `None` where nobody knows.
    pub(super) npu_busy: Option<Duration>,
    /// Bytes of weights that the card read; `None` where it does not count them.
    pub(super) weight_bytes: Option<u64>,
    /// Time that all threads of this process computed; `None` where the system does not tell.
    pub(super) cpu: Option<Duration>,
    /// What the loop counts.
    pub(super) stats: Stats,
}

/// What is fixed while a model is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Layer files of the model.
    pub(super) layers: usize,
    /// Bytes of one embedding row.
    pub(super) row_bytes: u64,
    /// Bytes of the logits of one token.
    pub(super) logits_bytes: u64,
    /// Bytes that all layers, and the head, read from the card's memory each time they run.
    pub(super) layer_weight_bytes: u64,
    pub(super) head_weight_bytes: u64,
    /// How fast the card's memory can be read; `None` where nobody knows.
    pub(super) memory_bytes_per_second: Option<f64>,
    /// Where bytes go: over a bus to the card, or from buffer to buffer by the CPU (the model runs on this chip).
    pub(super) interface: Interface,
}

/// Figures of one phase under their published names. Shares lie between 0 and 1; `None` is unknown, or has no meaning
/// on this kind of card.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Phase {
    pub(super) tokens: usize,
    pub(super) tokens_per_second: Option<f64>,
    pub(super) npu_busy: Option<f64>,
    pub(super) round_trips_per_token: f64,
    pub(super) driver_calls_per_token: f64,
    pub(super) bytes_to_device_per_token: Option<f64>,
    pub(super) bytes_from_device_per_token: Option<f64>,
    pub(super) extra_bus_bytes_per_token: Option<f64>,
    pub(super) cache_calls_per_token: Option<f64>,
    pub(super) extra_copied_bytes_per_token: Option<f64>,
    pub(super) host_seconds_per_token: f64,
    pub(super) cpu_seconds_per_token: Option<f64>,
    pub(super) weight_bytes_per_token: f64,
    pub(super) memory_wall_share: Option<f64>,
    #[serde(flatten)]
    pub(super) grammar: Grammar,
}

/// What a required form of the answer costs. `None` where answers are not what is measured. The card's part is by the
/// card's clock, the host's by that of this machine: no profile says how fast another host is.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Grammar {
    /// Time for which the card waits because of the grammar.
    #[serde(rename = "grammar_seconds_per_token")]
    pub(super) seconds_per_token: Option<f64>,
    /// That time as a share of the token's.
    #[serde(rename = "grammar_share")]
    pub(super) share: Option<f64>,
    /// Time in which another thread computes, while the card does, which tokens are allowed.
    #[serde(rename = "grammar_mask_seconds_per_token")]
    pub(super) mask_seconds_per_token: Option<f64>,
}

/// What a grammar took while one token was computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuidedToken {
    /// Card time from the token before to this one, without what the grammar took.
    pub(super) card: Duration,
    /// Time of the thread that computes masks.
    pub(super) mask: Duration,
    /// Time of the card thread besides waiting.
    pub(super) applying: Duration,
}

impl Grammar {
    /// Figures of some tokens. The card waits for what a mask takes longer than the token: by the card's clock, which
    /// may be another one than that of the thread that computes masks.
    pub(super) fn of(tokens: &[GuidedToken]) -> Self {
        let count = tokens.len() as f64;
        let sum = |of: fn(&GuidedToken) -> Duration| tokens.iter().map(of).sum::<Duration>().as_secs_f64();
        let waiting = sum(|token| token.applying + token.mask.saturating_sub(token.card));
        Self {
            seconds_per_token: ratio(waiting, count),
            share: ratio(waiting, sum(|token| token.card) + waiting),
            mask_seconds_per_token: ratio(sum(|token| token.mask), count),
        }
    }
}

impl Phase {
    /// Figures of `tokens` tokens computed between two readings, of which `logits` came to the host. `None` of nothing.
    pub(super) fn between(
        before: &Reading,
        after: &Reading,
        tokens: usize,
        logits: usize,
        setting: &Setting,
    ) -> Option<Self> {
        if tokens == 0 {
            return None;
        }
        let per_token = |count: u64| count as f64 / tokens as f64;
        let counted = |of: fn(&Stats) -> u64| of(&after.stats).saturating_sub(of(&before.stats));
        let card = after.card.saturating_sub(before.card);
        let wall = after.wall.saturating_sub(before.wall);
        let to_device = counted(|stats| stats.bytes_to_device);
        let from_device = counted(|stats| stats.bytes_from_device);
        let copied = counted(|stats| stats.bytes_copied);
        let in_driver = Duration::from_nanos(counted(|stats| stats.driver_ns));
        // No loop can do with less than this: a row for each token, and the logits that are asked for.
        let needed = tokens as u64 * setting.row_bytes + logits as u64 * setting.logits_bytes;
        let read = difference(before.weight_bytes, after.weight_bytes)
            .unwrap_or_else(|| setting.weights_read(counted(|stats| stats.runs), logits as u64));
        let bus = |bytes: u64| (setting.interface == Interface::Pcie).then(|| per_token(bytes));
        let shared = |count: u64| (setting.interface == Interface::Board).then(|| per_token(count));
        Some(Self {
            tokens,
            tokens_per_second: ratio(tokens as f64, card.as_secs_f64()),
            npu_busy: difference(before.npu_busy, after.npu_busy)
                .and_then(|busy| ratio(busy.as_secs_f64(), card.as_secs_f64())),
            round_trips_per_token: per_token(counted(|stats| stats.blocking_calls)),
            driver_calls_per_token: per_token(counted(|stats| stats.driver_calls)),
            bytes_to_device_per_token: bus(to_device),
            bytes_from_device_per_token: bus(from_device),
            extra_bus_bytes_per_token: bus((to_device + from_device).saturating_sub(needed)),
            cache_calls_per_token: shared(counted(|stats| stats.cache_calls)),
            extra_copied_bytes_per_token: shared(copied.saturating_sub(needed)),
            host_seconds_per_token: wall.saturating_sub(in_driver).as_secs_f64() / tokens as f64,
            cpu_seconds_per_token: difference(before.cpu, after.cpu)
                .map(|cpu| cpu.as_secs_f64() / tokens as f64),
            weight_bytes_per_token: per_token(read),
            memory_wall_share: setting
                .memory_bytes_per_second
                .and_then(|speed| ratio(read as f64 / speed, card.as_secs_f64())),
            grammar: Grammar::default(),
        })
    }
}

impl Setting {
    /// Bytes of weights read by `runs` runs, `heads` of which were of the head.
    fn weights_read(&self, runs: u64, heads: u64) -> u64 {
        let passes = runs.saturating_sub(heads) as f64 / self.layers.max(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of bytes")]
        let layers = (passes * self.layer_weight_bytes as f64) as u64;
        layers + heads * self.head_weight_bytes
    }
}

/// `None` rather than infinity.
pub(super) fn ratio(of: f64, to: f64) -> Option<f64> {
    (to > 0.0).then(|| of / to)
}

fn difference<T: std::ops::Sub<Output = T> + PartialOrd>(before: Option<T>, after: Option<T>) -> Option<T> {
    let (before, after) = (before?, after?);
    (after >= before).then(|| after - before)
}

/// Time that the threads of this process have computed, by the scheduler's account. Threads that have ended are not in
/// it; the ones that compute here last as long as the process.
pub(super) fn cpu_time() -> Option<Duration> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir("/proc/self/task").ok()? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(interface: Interface) -> Setting {
        Setting {
            layers: 2,
            row_bytes: 100,
            logits_bytes: 1000,
            layer_weight_bytes: 4_000,
            head_weight_bytes: 1_000,
            memory_bytes_per_second: Some(1e6),
            interface,
        }
    }

    /// Ten tokens in 100 ms of card time, 40 ms of this machine's.
    fn ten_tokens() -> (Reading, Reading) {
        let before = Reading {
            card: Duration::from_secs(5),
            npu_busy: Some(Duration::from_secs(2)),
            ..Reading::default()
        };
        let stats = Stats {
            driver_calls: 70,
            blocking_calls: 10,
            runs: 30,
            bytes_to_device: 1_500,
            bytes_from_device: 10_000,
            driver_ns: 30_000_000,
            cache_calls: 20,
            bytes_copied: 11_050,
            ..Stats::default()
        };
        let after = Reading {
            card: before.card + Duration::from_millis(100),
            wall: Duration::from_millis(40),
            npu_busy: Some(Duration::from_millis(2_090)),
            stats,
            ..before
        };
        (before, after)
    }

    #[track_caller]
    fn near(found: impl Into<Option<f64>>, expected: f64) {
        let found: Option<f64> = found.into();
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} is not {expected}");
    }

    #[test]
    fn figures_of_a_known_run_over_a_bus() {
        let (before, after) = ten_tokens();
        let phase = Phase::between(&before, &after, 10, 10, &setting(Interface::Pcie)).unwrap();
        near(phase.tokens_per_second, 100.0);
        near(phase.npu_busy, 0.9);
        near(phase.round_trips_per_token, 1.0);
        near(phase.driver_calls_per_token, 7.0);
        near(phase.bytes_to_device_per_token, 150.0);
        near(phase.extra_bus_bytes_per_token, 50.0);
        near(phase.host_seconds_per_token, 0.001);
        // 30 runs: ten times both layers and the head, 50 000 bytes, 50 ms at 1 MB/s.
        near(phase.memory_wall_share, 0.5);
        assert_eq!((phase.cache_calls_per_token, phase.extra_copied_bytes_per_token), (None, None));
        assert_eq!(phase.cpu_seconds_per_token, None);
    }

    #[test]
    fn figures_of_shared_memory_are_about_the_cpu() {
        let (before, after) = ten_tokens();
        let phase = Phase::between(&before, &after, 10, 10, &setting(Interface::Board)).unwrap();
        near(phase.cache_calls_per_token, 2.0);
        near(phase.extra_copied_bytes_per_token, 5.0);
        assert_eq!((phase.bytes_to_device_per_token, phase.extra_bus_bytes_per_token), (None, None));
    }

    #[test]
    fn what_the_card_counts_goes_before_what_is_computed() {
        let (before, after) = ten_tokens();
        let before = Reading { weight_bytes: Some(1), cpu: Some(Duration::ZERO), ..before };
        let after = Reading { weight_bytes: Some(80_001), cpu: Some(Duration::from_millis(20)), ..after };
        let phase = Phase::between(&before, &after, 10, 1, &setting(Interface::Pcie)).unwrap();
        near(phase.memory_wall_share, 0.8);
        near(phase.cpu_seconds_per_token, 0.002);
        // Logits of one token only: the other nine tokens' worth counts as extra.
        near(phase.extra_bus_bytes_per_token, 950.0);
    }

    #[test]
    fn nothing_and_no_time_give_no_figure() {
        let (before, after) = ten_tokens();
        assert!(Phase::between(&before, &after, 0, 0, &setting(Interface::Pcie)).is_none());
        let timeless = Phase::between(&before, &before, 10, 10, &setting(Interface::Pcie)).unwrap();
        assert_eq!((timeless.tokens_per_second, timeless.npu_busy), (None, None));
        let unknown = Setting { memory_bytes_per_second: None, ..setting(Interface::Pcie) };
        assert_eq!(Phase::between(&before, &after, 10, 10, &unknown).unwrap().memory_wall_share, None);
    }

    #[test]
    fn a_grammar_costs_what_the_card_waits_for() {
        let ms = Duration::from_millis;
        let token = |mask| GuidedToken { card: ms(98), mask: ms(mask), applying: ms(1) };
        // The second mask takes 2 ms longer than the card.
        let grammar = Grammar::of(&[token(50), token(100)]);
        near(grammar.seconds_per_token, 0.002);
        near(grammar.share, 0.02);
        near(grammar.mask_seconds_per_token, 0.075);
        assert_eq!(Grammar::of(&[]).share, None);
    }

    #[test]
    fn computing_takes_time_of_the_processor() {
        let before = cpu_time();
        let sum = (0..20_000_000_u64).fold(0, |sum: u64, i| std::hint::black_box(sum.wrapping_add(i)));
        assert_ne!(sum, 1);
        // A kernel without the scheduler's account is fine; one that goes backwards is not.
        assert!(before <= cpu_time());
    }
}
