//! Plain Rust, for processors without any of the other sets: right everywhere, fast nowhere.

use super::{Kernel, LANES, Simd};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

type V = [f32; LANES];

#[inline(always)]
fn map2(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type V = V;
    const WIDE: bool = false;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> V {
        // SAFETY: 16 readable floats are the caller's promise; an array of floats read unaligned.
        unsafe { from.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, value: V, to: *mut f32) {
        // SAFETY: 16 writable floats are the caller's promise; an array of floats written unaligned.
        unsafe { to.cast::<V>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn load_i8(self, from: *const i8) -> V {
        // SAFETY: 16 readable bytes are the caller's promise.
        let bytes = unsafe { from.cast::<[i8; LANES]>().read_unaligned() };
        bytes.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u16) -> V {
        // SAFETY: 16 readable values are the caller's promise.
        let values = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        values.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        map2(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        map2(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn round(self, a: V) -> V {
        a.map(f32::round_ties_even)
    }
    #[inline(always)]
    fn exp2i(self, a: V) -> V {
        #[expect(clippy::cast_possible_truncation, reason = "integers within -126 and 127 by contract")]
        let power = |value: f32| f32::from_bits(((value as i32 + 127) << 23).cast_unsigned());
        a.map(power)
    }
    #[inline(always)]
    fn swap_pairs(self, a: V) -> V {
        std::array::from_fn(|i| a[i ^ 1])
    }
    #[inline(always)]
    fn zip_lo(self, a: V, b: V) -> V {
        std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] })
    }
    #[inline(always)]
    fn zip_hi(self, a: V, b: V) -> V {
        std::array::from_fn(|i| if i % 2 == 0 { a[8 + i / 2] } else { b[8 + i / 2] })
    }
}
