//! Float helpers whose results are the same on every machine.

/// Returns the float of a raw bf16 value.
pub(super) fn float_of(raw: u16) -> f32 {
    f32::from_bits(u32::from(raw) << 16)
}

/// Returns e to the power of `x`, for `x` up to 0; relative error below 3e-7, 0 for `x` below -87.
///
/// The library function differs between platforms in the last bit, and compilers cannot vectorise it. This one is
/// multiplications and additions only: 2^n by the exponent bits, the rest by a polynomial.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "n is a whole number from -126 to 0"
)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.max(-87.0);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let scale = f32::from_bits(((n as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { p * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_one() {
        assert_eq!(exp(0.0).to_bits(), 1.0_f32.to_bits());
        assert_eq!(exp(f32::NEG_INFINITY).to_bits(), 0);
        assert_eq!(exp(-1000.0).to_bits(), 0);
        let worst = (0..87_000)
            .map(|i| -f64::from(i) / 1000.0)
            .map(|x| {
                #[expect(clippy::cast_possible_truncation, reason = "the input is rounded on purpose")]
                let x = x as f32;
                let exact = f64::from(x).exp();
                ((f64::from(exp(x)) - exact) / exact).abs()
            })
            .fold(0.0, f64::max);
        assert!(worst < 3e-7, "{worst}");
    }

    #[test]
    fn bf16_is_the_upper_half_of_a_float() {
        assert_eq!(float_of(0x3f80).to_bits(), 1.0_f32.to_bits());
        assert_eq!(float_of(0xc000).to_bits(), (-2.0_f32).to_bits());
    }
}
