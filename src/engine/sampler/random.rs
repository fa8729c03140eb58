//! Random numbers that are the same on every machine and in every version.

use std::time::SystemTime;

use rand::{TryRng as _, rngs::SysRng};

/// The generator `SplitMix64` (Steele, Lea and Flood, 2014): a counter whose value is mixed.
///
/// Its sequence is fixed by the paper, where general-purpose generators of libraries may change between versions; a
/// seed in an old conversation must keep its meaning. One number per token is all that is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Returns the generator of a seed.
    pub fn new(seed: i64) -> Self {
        Self { state: seed.cast_unsigned() }
    }

    /// Returns a generator that nobody can foretell.
    pub fn from_entropy() -> Self {
        let state = SysRng.try_next_u64().unwrap_or_else(|_| {
            // No random numbers from the system: the clock is good enough to vary answers.
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::from(now.subsec_nanos()) << 32 ^ now.as_secs()
        });
        Self { state }
    }

    /// Returns the next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns the next number in [0, 1), a multiple of 2^-53.
    pub fn next_unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = SplitMix64::new(0);
        let first = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(first, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn units_are_spread_over_the_interval() {
        let mut random = SplitMix64::new(42);
        let units: Vec<f64> = (0..10_000).map(|_| random.next_unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn entropy_differs_each_time() {
        assert_ne!(SplitMix64::from_entropy(), SplitMix64::from_entropy());
    }
}
