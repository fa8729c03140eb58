//! NEON: four registers are one vector.

#[allow(clippy::wildcard_imports, reason = "every second name of this file is an intrinsic")]
use std::arch::aarch64::*;

use super::{Kernel, Simd, intrinsic};

/// Proof that the processor has NEON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

#[inline(never)]
#[target_feature(enable = "neon")]
fn enter<K: Kernel>(simd: Neon, kernel: K) -> K::Output {
    kernel.run(simd)
}

type V = [float32x4_t; 4];

/// 2 to the power of integers.
#[inline(always)]
fn power(a: float32x4_t) -> float32x4_t {
    let integers = intrinsic!(vcvtnq_s32_f32(a));
    let bias = intrinsic!(vdupq_n_s32(127));
    let offset = intrinsic!(vaddq_s32(integers, bias));
    let shifted = intrinsic!(vshlq_n_s32::<23>(offset));
    intrinsic!(vreinterpretq_f32_s32(shifted))
}

/// Four bytes, already widened once, as floats.
#[inline(always)]
fn floats(quarter: int16x4_t) -> float32x4_t {
    let wide = intrinsic!(vmovl_s16(quarter));
    intrinsic!(vcvtq_f32_s32(wide))
}

/// Four bf16 values as floats.
#[inline(always)]
fn widened(quarter: uint16x4_t) -> float32x4_t {
    let wide = intrinsic!(vshll_n_u16::<16>(quarter));
    intrinsic!(vreinterpretq_f32_u32(wide))
}

/// One intrinsic for each quarter of one, two or three vectors.
macro_rules! quarters {
    ($name:ident, $($vector:ident),+) => {
        [
            intrinsic!($name($($vector[0]),+)),
            intrinsic!($name($($vector[1]),+)),
            intrinsic!($name($($vector[2]),+)),
            intrinsic!($name($($vector[3]),+)),
        ]
    };
}

impl Simd for Neon {
    type V = V;
    const WIDE: bool = false;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` exists only if the feature was detected.
        unsafe { enter(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        [intrinsic!(vdupq_n_f32(value)); 4]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> V {
        // SAFETY: 16 readable floats are the caller's promise.
        let lanes = unsafe { from.cast::<[f32; 16]>().read_unaligned() };
        bytemuck::must_cast(lanes)
    }
    #[inline(always)]
    unsafe fn store(self, value: V, to: *mut f32) {
        // SAFETY: 16 writable floats are the caller's promise.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(bytemuck::must_cast(value)) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> V {
        // SAFETY: 16 readable bytes are the caller's promise.
        let bytes = unsafe { vld1q_s8(from) };
        let low = intrinsic!(vget_low_s8(bytes));
        let high = intrinsic!(vget_high_s8(bytes));
        let low = intrinsic!(vmovl_s8(low));
        let high = intrinsic!(vmovl_s8(high));
        let quarters = [
            intrinsic!(vget_low_s16(low)),
            intrinsic!(vget_high_s16(low)),
            intrinsic!(vget_low_s16(high)),
            intrinsic!(vget_high_s16(high)),
        ];
        [floats(quarters[0]), floats(quarters[1]), floats(quarters[2]), floats(quarters[3])]
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> V {
        // SAFETY: 16 readable values are the caller's promise.
        let values = unsafe { from.cast::<[uint16x4_t; 4]>().read_unaligned() };
        [widened(values[0]), widened(values[1]), widened(values[2]), widened(values[3])]
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        quarters!(vaddq_f32, a, b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        quarters!(vsubq_f32, a, b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        quarters!(vmulq_f32, a, b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        quarters!(vdivq_f32, a, b)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        quarters!(vfmaq_f32, c, a, b)
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        quarters!(vmaxq_f32, a, b)
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        quarters!(vminq_f32, a, b)
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        quarters!(vrndnq_f32, a)
    }
    #[inline(always)]
    fn exp2i(self, a: V) -> V {
        [power(a[0]), power(a[1]), power(a[2]), power(a[3])]
    }
    #[inline(always)]
    fn swap_pairs(self, a: V) -> V {
        quarters!(vrev64q_f32, a)
    }
    #[inline(always)]
    fn zip_lo(self, a: V, b: V) -> V {
        [
            intrinsic!(vzip1q_f32(a[0], b[0])),
            intrinsic!(vzip2q_f32(a[0], b[0])),
            intrinsic!(vzip1q_f32(a[1], b[1])),
            intrinsic!(vzip2q_f32(a[1], b[1])),
        ]
    }
    #[inline(always)]
    fn zip_hi(self, a: V, b: V) -> V {
        [
            intrinsic!(vzip1q_f32(a[2], b[2])),
            intrinsic!(vzip2q_f32(a[2], b[2])),
            intrinsic!(vzip1q_f32(a[3], b[3])),
            intrinsic!(vzip2q_f32(a[3], b[3])),
        ]
    }
}
