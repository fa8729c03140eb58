//! Identifiers that answers are given: unique enough to tell one from another, and nobody's secret.

use crate::engine::sampler::SplitMix64;

/// `prefix_` and 24 random hexadecimal digits.
pub(crate) fn hex(prefix: &str) -> String {
    let mut random = SplitMix64::from_entropy();
    format!("{prefix}_{:016x}{:08x}", random.next_u64(), random.next_u64() >> 32)
}

/// `call_` and eight random small letters and digits.
pub(crate) fn call() -> String {
    let mut random = SplitMix64::from_entropy().next_u64();
    let mut id = "call_".to_owned();
    for _ in 0..8 {
        // Below 36, so always a digit.
        id.extend(char::from_digit(u32::try_from(random % 36).unwrap_or_default(), 36));
        random /= 36;
    }
    id
}

/// A random number below `limit`, which is not 0.
pub(crate) fn number(limit: u64) -> u64 {
    SplitMix64::from_entropy().next_u64() % limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let id = hex("msg");
        let digits = id.strip_prefix("msg_").unwrap();
        assert!(digits.len() == 24 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(id, hex("msg"));
        let id = call();
        let characters = id.strip_prefix("call_").unwrap().as_bytes();
        let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        assert!(characters.len() == 8 && characters.iter().all(fits), "{id}");
        assert_ne!(id, call());
        assert!((0..100).all(|_| number(3) < 3));
    }
}
