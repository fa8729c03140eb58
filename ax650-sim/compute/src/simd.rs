//! Vectors of 16 floats on every machine, chosen at run time.
//!
//! All kernels are written once, over [`Simd`]. Each implementation does the same operations lane by lane, with fused
//! multiply-add and sums in a fixed order, so the bits of a result do not depend on the instruction set either.
//!
//! A kernel is a struct that implements [`Kernel`]; [`Isa::run`] enters a function compiled for the
//! instruction set and inlines the kernel into it. Everything on the way must be `#[inline(always)]`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use std::sync::OnceLock;

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// Calls one intrinsic. The arguments are evaluated outside of the unsafe block.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! intrinsic {
    ($name:ident $(::<$constant:literal>)? ($($argument:expr),*)) => {{
        let arguments = ($($argument,)*);
        #[allow(unused_unsafe, reason = "which intrinsics are safe differs by their target features")]
        // SAFETY: the token type in whose impl this stands is made only after the processor was found to have
        // the feature; value intrinsics have no other condition.
        let result = unsafe { crate::simd::apply!($name $(::<$constant>)?, arguments; $($argument),*) };
        result
    }};
}

/// Spreads a tuple over a call: as many elements as there were arguments.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! apply {
    ($name:ident $(::<$constant:literal>)?, $tuple:ident; $a:expr) => { $name $(::<$constant>)? ($tuple.0) };
    ($name:ident $(::<$constant:literal>)?, $tuple:ident; $a:expr, $b:expr) => { $name $(::<$constant>)? ($tuple.0, $tuple.1) };
    ($name:ident $(::<$constant:literal>)?, $tuple:ident; $a:expr, $b:expr, $c:expr) => { $name $(::<$constant>)? ($tuple.0, $tuple.1, $tuple.2) };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use {apply, intrinsic};

/// Operations on vectors of [`LANES`] floats. A value of the implementing type proves that the processor has them.
pub(super) trait Simd: Copy + Send + Sync {
    /// Sixteen floats.
    type V: Copy;

    /// Registers are plenty and wide: tiles of 12 rows by 2 vectors; else 6 rows by 1.
    const WIDE: bool;

    /// Runs `kernel` as a function of its own, not inlined into the caller.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;

    /// Asks for the cache line at `at`, which need not be valid. Only a hint.
    #[inline(always)]
    fn prefetch(self, _at: *const u16) {}

    fn splat(self, value: f32) -> Self::V;
    /// # Safety
    /// `from` is valid for reading 16 floats. No alignment is needed.
    unsafe fn load(self, from: *const f32) -> Self::V;
    /// # Safety
    /// `to` is valid for writing 16 floats. No alignment is needed.
    unsafe fn store(self, value: Self::V, to: *mut f32);
    /// # Safety
    /// `from` is valid for reading 16 bytes.
    unsafe fn load_i8(self, from: *const i8) -> Self::V;
    /// # Safety
    /// `from` is valid for reading 16 bf16 values; 2-byte alignment at least.
    unsafe fn load_bf16(self, from: *const u16) -> Self::V;

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The greater one; NaN if `b` is.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lesser one; NaN if `b` is.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// 2 to the power of integers within -126 and 127.
    fn exp2i(self, a: Self::V) -> Self::V;
    /// Exchanges lanes 2i and 2i + 1.
    fn swap_pairs(self, a: Self::V) -> Self::V;
    /// `a0 b0 a1 b1 .. a7 b7`.
    fn zip_lo(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a8 b8 a9 b9 .. a15 b15`.
    fn zip_hi(self, a: Self::V, b: Self::V) -> Self::V;

    /// The lanes as an array.
    #[inline(always)]
    fn lanes(self, a: Self::V) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array has 16 floats.
        unsafe { self.store(a, lanes.as_mut_ptr()) };
        lanes
    }

    /// The first 16 floats of a slice.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::V {
        let from = &from[..LANES];
        // SAFETY: the slice has 16 floats.
        unsafe { self.load(from.as_ptr()) }
    }

    /// Writes the first 16 floats of a slice.
    #[inline(always)]
    fn write(self, value: Self::V, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: the slice has 16 floats.
        unsafe { self.store(value, to.as_mut_ptr()) };
    }

    /// Sum of the lanes, as a tree of halves.
    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        let mut lanes = self.lanes(a);
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }

    /// Greatest lane.
    #[inline(always)]
    fn greatest(self, a: Self::V) -> f32 {
        let mut lanes = self.lanes(a);
        for width in [8, 4, 2, 1] {
            for i in 0..width {
                lanes[i] = if lanes[i] > lanes[i + width] { lanes[i] } else { lanes[i + width] };
            }
        }
        lanes[0]
    }

    /// Transposes 16 vectors of 16 lanes: four rounds of a perfect shuffle.
    #[inline(always)]
    fn transpose(self, mut rows: [Self::V; LANES]) -> [Self::V; LANES] {
        for _ in 0..4 {
            let from = rows;
            for i in 0..8 {
                rows[2 * i] = self.zip_lo(from[i], from[i + 8]);
                rows[2 * i + 1] = self.zip_hi(from[i], from[i + 8]);
            }
        }
        rows
    }

    /// e to the power of `x`, within 2 units in the last place; below -87 the smallest normal number or so, NaN stays
    /// NaN.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let s = |value| self.splat(value);
        let x = self.min(s(88.0), self.max(s(-87.0), x));
        let n = self.round(self.mul(x, s(std::f32::consts::LOG2_E)));
        // ln 2 in two parts, the first short enough for n times it to be exact.
        let r = self.fma(n, s(-0.693_359_4), x);
        let r = self.fma(n, s(2.121_944_4e-4), r);
        // Taylor coefficients: r is within 0.35 of zero, so the next term is below 1e-7 of the sum.
        let mut p = s(1.0 / 5040.0);
        for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = self.fma(p, r, s(coefficient));
        }
        self.mul(p, self.exp2i(n))
    }
}

/// Work that is compiled once for each instruction set.
pub(super) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Instruction set in use. Values other than `Portable` come from detection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(portable::Portable),
}

impl Isa {
    /// The best that this processor has.
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied().unwrap_or(Self::Portable(portable::Portable)))
    }

    /// All that this processor has, best first.
    pub(super) fn all() -> Vec<Self> {
        let found = [
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            neon::Neon::detect().map(Self::Neon),
            Some(Self::Portable(portable::Portable)),
        ];
        found.into_iter().flatten().collect()
    }

    /// Runs `kernel` with the instructions of this set.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.call(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.call(kernel),
            Self::Portable(simd) => simd.call(kernel),
        }
    }
}

#[cfg(test)]
mod tests;
