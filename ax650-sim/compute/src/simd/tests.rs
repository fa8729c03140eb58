//! Every instruction set of this machine against plain Rust, bit by bit.

use super::portable::Portable;
use super::{Isa, Kernel, LANES, Simd};

struct AllOperations<'a> {
    a: &'a [f32; LANES],
    b: &'a [f32; LANES],
    c: &'a [f32; LANES],
}

impl Kernel for AllOperations<'_> {
    type Output = Vec<[u32; LANES]>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (a, b, c) = (s.read(self.a), s.read(self.b), s.read(self.c));
        let bytes: [i8; LANES] = [-128, -127, -100, -64, -33, -2, -1, 0, 1, 2, 3, 31, 64, 99, 126, 127];
        let halves: [u16; LANES] = std::array::from_fn(|i| (self.a[i].to_bits() >> 16) as u16);
        // SAFETY: the array has 16 elements.
        let bytes = unsafe { s.load_i8(bytes.as_ptr()) };
        // SAFETY: the array has 16 elements.
        let halves = unsafe { s.load_bf16(halves.as_ptr()) };
        let results = [
            s.add(a, b),
            s.sub(a, b),
            s.mul(a, b),
            s.div(a, b),
            s.fma(a, b, c),
            s.max(a, b),
            s.min(a, b),
            s.round(a),
            s.exp2i(s.round(s.min(s.splat(100.0), s.max(s.splat(-100.0), a)))),
            s.swap_pairs(a),
            s.zip_lo(a, b),
            s.zip_hi(a, b),
            s.exp(a),
            s.splat(s.sum(a)),
            s.splat(s.greatest(a)),
            bytes,
            halves,
        ];
        let mut square = [a; LANES];
        for (i, row) in square.iter_mut().enumerate() {
            *row = s.fma(a, s.splat(i as f32), b);
        }
        let square = s.transpose(square);
        results.into_iter().chain(square).map(|v| s.lanes(v).map(f32::to_bits)).collect()
    }
}

#[test]
fn all_instruction_sets_give_the_same_bits() {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 65_536.0 - 128.0
    };
    for _ in 0..200 {
        let (a, b, c) = (
            std::array::from_fn(|_| next()),
            std::array::from_fn(|_| next()),
            std::array::from_fn(|_| next()),
        );
        let expected = Isa::Portable(Portable).run(AllOperations { a: &a, b: &b, c: &c });
        for isa in Isa::all() {
            assert_eq!(isa.run(AllOperations { a: &a, b: &b, c: &c }), expected, "{isa:?}");
        }
    }
}

#[test]
fn transposing_swaps_rows_and_lanes() {
    struct Transpose;
    impl Kernel for Transpose {
        type Output = ();
        fn run<S: Simd>(self, s: S) {
            let rows: [[f32; LANES]; LANES] =
                std::array::from_fn(|i| std::array::from_fn(|j| (i * LANES + j) as f32));
            let columns = s.transpose(rows.map(|row| s.read(&row))).map(|v| s.lanes(v));
            for (i, row) in rows.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    assert_eq!(columns[j][i].to_bits(), value.to_bits());
                }
            }
        }
    }
    for isa in Isa::all() {
        isa.run(Transpose);
    }
}

#[test]
fn exp_is_close_and_keeps_nan() {
    struct Exp([f32; LANES]);
    impl Kernel for Exp {
        type Output = [f32; LANES];
        fn run<S: Simd>(self, s: S) -> [f32; LANES] {
            s.lanes(s.exp(s.read(&self.0)))
        }
    }
    for isa in Isa::all() {
        for i in -860..870 {
            let x = i as f32 / 10.0;
            let [got, ..] = isa.run(Exp([x; LANES]));
            let expected = f64::from(x).exp();
            assert!((f64::from(got) - expected).abs() <= 2.5e-7 * expected, "exp({x}) = {got}");
        }
        assert!(isa.run(Exp([f32::NAN; LANES]))[3].is_nan());
        assert!(isa.run(Exp([f32::NEG_INFINITY; LANES]))[3] < 1e-37);
    }
}
