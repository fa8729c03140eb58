//! AVX2 with FMA: two registers are one vector.

#[allow(clippy::wildcard_imports, reason = "every second name of this file is an intrinsic")]
use std::arch::x86_64::*;

use super::{Kernel, Simd, intrinsic};

/// Proof that the processor and the system have AVX2 and FMA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn enter<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
    kernel.run(simd)
}

type V = [__m256; 2];

/// 2 to the power of integers.
#[inline(always)]
fn power(a: __m256) -> __m256 {
    let integers = intrinsic!(_mm256_cvtps_epi32(a));
    let bias = intrinsic!(_mm256_set1_epi32(127));
    let offset = intrinsic!(_mm256_add_epi32(integers, bias));
    let shifted = intrinsic!(_mm256_slli_epi32::<23>(offset));
    intrinsic!(_mm256_castsi256_ps(shifted))
}

/// Interleaves two registers: `a0 b0 .. a3 b3` and `a4 b4 .. a7 b7`.
#[inline(always)]
fn zip(a: __m256, b: __m256) -> V {
    let low = intrinsic!(_mm256_unpacklo_ps(a, b));
    let high = intrinsic!(_mm256_unpackhi_ps(a, b));
    [
        intrinsic!(_mm256_permute2f128_ps::<0x20>(low, high)),
        intrinsic!(_mm256_permute2f128_ps::<0x31>(low, high)),
    ]
}

impl Simd for Avx2 {
    type V = V;
    const WIDE: bool = false;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` exists only if both features were detected.
        unsafe { enter(self, kernel) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const u16) {
        // SAFETY: SSE is part of the architecture, and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> V {
        [intrinsic!(_mm256_set1_ps(value)); 2]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> V {
        // SAFETY: 16 readable floats are the caller's promise; the unaligned load of the first 8.
        let low = unsafe { _mm256_loadu_ps(from) };
        // SAFETY: the second 8 of the 16 floats.
        let second = unsafe { from.add(8) };
        // SAFETY: as the first load.
        let high = unsafe { _mm256_loadu_ps(second) };
        [low, high]
    }
    #[inline(always)]
    unsafe fn store(self, value: V, to: *mut f32) {
        // SAFETY: 16 writable floats are the caller's promise; the unaligned store of the first 8.
        unsafe { _mm256_storeu_ps(to, value[0]) };
        // SAFETY: the second 8 of the 16 floats.
        let second = unsafe { to.add(8) };
        // SAFETY: as the first store.
        unsafe { _mm256_storeu_ps(second, value[1]) };
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> V {
        // SAFETY: 16 readable bytes are the caller's promise; the unaligned load.
        let bytes = unsafe { _mm_loadu_si128(from.cast()) };
        let second = intrinsic!(_mm_unpackhi_epi64(bytes, bytes));
        let wide = [intrinsic!(_mm256_cvtepi8_epi32(bytes)), intrinsic!(_mm256_cvtepi8_epi32(second))];
        [intrinsic!(_mm256_cvtepi32_ps(wide[0])), intrinsic!(_mm256_cvtepi32_ps(wide[1]))]
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> V {
        // SAFETY: 16 readable values are the caller's promise; the unaligned load.
        let values = unsafe { _mm256_loadu_si256(from.cast()) };
        let low = intrinsic!(_mm256_castsi256_si128(values));
        let high = intrinsic!(_mm256_extracti128_si256::<1>(values));
        let wide = [intrinsic!(_mm256_cvtepu16_epi32(low)), intrinsic!(_mm256_cvtepu16_epi32(high))];
        let low = intrinsic!(_mm256_slli_epi32::<16>(wide[0]));
        let high = intrinsic!(_mm256_slli_epi32::<16>(wide[1]));
        [intrinsic!(_mm256_castsi256_ps(low)), intrinsic!(_mm256_castsi256_ps(high))]
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_add_ps(a[0], b[0])), intrinsic!(_mm256_add_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_sub_ps(a[0], b[0])), intrinsic!(_mm256_sub_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_mul_ps(a[0], b[0])), intrinsic!(_mm256_mul_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_div_ps(a[0], b[0])), intrinsic!(_mm256_div_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        [intrinsic!(_mm256_fmadd_ps(a[0], b[0], c[0])), intrinsic!(_mm256_fmadd_ps(a[1], b[1], c[1]))]
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_max_ps(a[0], b[0])), intrinsic!(_mm256_max_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        [intrinsic!(_mm256_min_ps(a[0], b[0])), intrinsic!(_mm256_min_ps(a[1], b[1]))]
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        [intrinsic!(_mm256_round_ps::<0x08>(a[0])), intrinsic!(_mm256_round_ps::<0x08>(a[1]))]
    }
    #[inline(always)]
    fn exp2i(self, a: V) -> V {
        [power(a[0]), power(a[1])]
    }
    #[inline(always)]
    fn swap_pairs(self, a: V) -> V {
        [
            intrinsic!(_mm256_permute_ps::<0b10_11_00_01>(a[0])),
            intrinsic!(_mm256_permute_ps::<0b10_11_00_01>(a[1])),
        ]
    }
    #[inline(always)]
    fn zip_lo(self, a: V, b: V) -> V {
        zip(a[0], b[0])
    }
    #[inline(always)]
    fn zip_hi(self, a: V, b: V) -> V {
        zip(a[1], b[1])
    }
}
