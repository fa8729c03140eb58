//! AVX-512 (F, BW, DQ, VL): one register is one vector.

#[allow(clippy::wildcard_imports, reason = "every second name of this file is an intrinsic")]
use std::arch::x86_64::*;

use super::{Kernel, Simd, intrinsic};

/// Proof that the processor and the system have AVX-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn enter<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
    kernel.run(simd)
}

type V = __m512;

impl Simd for Avx512 {
    type V = V;
    const WIDE: bool = true;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` exists only if all the features were detected.
        unsafe { enter(self, kernel) }
    }

    #[inline(always)]
    fn prefetch(self, at: *const u16) {
        // SAFETY: SSE is part of the architecture, and a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> V {
        intrinsic!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> V {
        // SAFETY: 16 readable floats are the caller's promise; the unaligned load.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, value: V, to: *mut f32) {
        // SAFETY: 16 writable floats are the caller's promise; the unaligned store.
        unsafe { _mm512_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> V {
        // SAFETY: 16 readable bytes are the caller's promise; the unaligned load.
        let bytes = unsafe { _mm_loadu_si128(from.cast()) };
        let wide = intrinsic!(_mm512_cvtepi8_epi32(bytes));
        intrinsic!(_mm512_cvtepi32_ps(wide))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> V {
        // SAFETY: 16 readable values are the caller's promise; the unaligned load.
        let values = unsafe { _mm256_loadu_si256(from.cast()) };
        let wide = intrinsic!(_mm512_cvtepu16_epi32(values));
        let shifted = intrinsic!(_mm512_slli_epi32::<16>(wide));
        intrinsic!(_mm512_castsi512_ps(shifted))
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        intrinsic!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        intrinsic!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        intrinsic!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        intrinsic!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        intrinsic!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        intrinsic!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        intrinsic!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        intrinsic!(_mm512_roundscale_ps::<0x08>(a))
    }
    #[inline(always)]
    fn exp2i(self, a: V) -> V {
        let integers = intrinsic!(_mm512_cvtps_epi32(a));
        let bias = intrinsic!(_mm512_set1_epi32(127));
        let offset = intrinsic!(_mm512_add_epi32(integers, bias));
        let shifted = intrinsic!(_mm512_slli_epi32::<23>(offset));
        intrinsic!(_mm512_castsi512_ps(shifted))
    }
    #[inline(always)]
    fn swap_pairs(self, a: V) -> V {
        intrinsic!(_mm512_permute_ps::<0b10_11_00_01>(a))
    }
    #[inline(always)]
    fn zip_lo(self, a: V, b: V) -> V {
        let order = index([0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]);
        intrinsic!(_mm512_permutex2var_ps(a, order, b))
    }
    #[inline(always)]
    fn zip_hi(self, a: V, b: V) -> V {
        let order = index([8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]);
        intrinsic!(_mm512_permutex2var_ps(a, order, b))
    }
}

#[inline(always)]
fn index(lanes: [i32; 16]) -> __m512i {
    bytemuck::must_cast(lanes)
}
