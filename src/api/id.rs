//! Identifiers that answers are given: unique enough to tell one from another, and nobody's secret.

use crate::engine::sampler::SplitMix64;

/// `prefix_` and 24 random hexadecimal digits.
pub(crate) fn hex(prefix: &str) -> String {
    let mut random = SplitMix64::from_entropy();
    format!("{prefix}_{:016x}{:08x}", random.next_u64(), random.next_u64() >> 32)
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
    }
}
