//! The one microkernel: `y[row][out] (+)= sum over k of x[row][k] * w[k][out]`.
//!
//! Each output of each row is one chain of fused multiply-adds with k ascending. Tiles of several rows and
//! vectors run many chains side by side, which never changes the order within one. A weight is converted to f32 in
//! registers once and feeds all rows of the tile; for more rows than a tile has, the caller converts a panel first.

use super::simd::{Kernel, LANES, Simd};

/// Outputs of one weight block.
pub(super) const BLOCK: usize = 32;

/// How a stored weight becomes a float.
pub(super) trait Weight: Copy + Send + Sync + 'static {
    /// # Safety
    /// `from` is valid for reading 16 elements.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::V;
}

impl Weight for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load(from) }
    }
}

impl Weight for i8 {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_i8(from) }
    }
}

/// bf16 bits.
impl Weight for u16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::V {
        // SAFETY: the caller's promise.
        unsafe { simd.load_bf16(from) }
    }
}

/// Weights of consecutive output blocks: `w[k][out]` stands at `(out / 32) * block + k * stride + out % 32`.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a, T> {
    pub(super) data: &'a [T],
    pub(super) stride: usize,
    pub(super) block: usize,
}

/// Inputs: `x[row][k]` stands at `row * stride + k`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

/// Results: `y[row][out]` stands at `row * stride + out`.
pub(super) struct Sums<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) stride: usize,
}

/// Size of a product.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) rows: usize,
    /// Vectors of 16 outputs.
    pub(super) vectors: usize,
    pub(super) k: usize,
}

/// Computes the product; adds to `y` if `add`, else starts from zero.
///
/// # Panics
/// If a slice is too short for the size.
#[inline(always)]
pub(super) fn product<S: Simd, T: Weight>(
    simd: S,
    size: Size,
    x: Rows<'_>,
    w: Weights<'_, T>,
    y: &mut Sums<'_>,
    add: bool,
) {
    simd.call(Product { size, x, w, y, add });
}

/// [`product`] as a function of its own: inlined into a larger kernel its tiles would run short of registers.
struct Product<'a, 'b, T> {
    size: Size,
    x: Rows<'a>,
    w: Weights<'a, T>,
    y: &'a mut Sums<'b>,
    add: bool,
}

impl<T: Weight> Kernel for Product<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { size, x, w, y, add } = self;
        let Size { rows, vectors, k } = size;
        if rows == 0 || vectors == 0 {
            return;
        }
        assert!(y.data.len() >= (rows - 1) * y.stride + vectors * LANES, "results do not fit");
        assert!(x.data.len() >= (rows - 1) * x.stride + k, "inputs are too short");
        if k > 0 {
            let last = vectors - 1;
            let needed = (last / 2) * w.block + (k - 1) * w.stride + (last % 2 + 1) * LANES;
            assert!(w.data.len() >= needed, "weights are too short");
        }
        let mut row = 0;
        while row < rows {
            let (take, width) = shape::<S>(rows - row);
            let mut vector = 0;
            while vector < vectors {
                let wide = width.min(vectors - vector);
                let place = Place { row, vector };
                // SAFETY: the assertions above cover rows below `rows` and vectors below `vectors`, and a tile
                // covers `take` rows from `row` and at most `wide` vectors from `vector`, which is even for blocks.
                vector += unsafe { dispatch(simd, (take, wide), place, k, x, w, y, add) };
            }
            row += take;
        }
    }
}

#[derive(Clone, Copy)]
struct Place {
    row: usize,
    vector: usize,
}

/// Rows of the next tile and the most vectors it can have.
#[inline(always)]
fn shape<S: Simd>(rows: usize) -> (usize, usize) {
    if S::WIDE {
        match rows {
            1 => (1, 8),
            2 | 3 => (rows, 4),
            4..=12 => (rows, 2),
            13..=23 => (rows.div_ceil(2), 2),
            _ => (12, 2),
        }
    } else {
        match rows {
            1 => (1, 4),
            2..=6 => (rows, 1),
            7..=11 => (rows.div_ceil(2), 1),
            _ => (6, 1),
        }
    }
}

/// Enters the tile of the given shape; returns the number of vectors done.
///
/// # Safety
/// The tile at `place` lies within the slices.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one internal call; a struct would only rename the arguments")]
unsafe fn dispatch<S: Simd, T: Weight>(
    simd: S,
    tile_shape: (usize, usize),
    place: Place,
    k: usize,
    x: Rows<'_>,
    w: Weights<'_, T>,
    y: &mut Sums<'_>,
    add: bool,
) -> usize {
    macro_rules! tiles {
        ($($rows:literal x $vectors:literal),*) => {
            match tile_shape {
                $(($rows, width) if width >= $vectors => {
                    // SAFETY: the caller's promise; the shape is at most the one asked for.
                    unsafe { tile::<S, T, $rows, $vectors>(simd, place, k, x, w, y, add) };
                    $vectors
                })*
                // Every row count that `shape` gives has a tile of one vector.
                _ => unreachable!("no tile of {tile_shape:?}"),
            }
        };
    }
    if S::WIDE {
        tiles!(1 x 8, 1 x 6, 1 x 4, 1 x 2, 1 x 1, 2 x 4, 2 x 2, 2 x 1, 3 x 4, 3 x 2, 3 x 1,
            4 x 2, 4 x 1, 5 x 2, 5 x 1, 6 x 2, 6 x 1, 7 x 2, 7 x 1, 8 x 2, 8 x 1, 9 x 2, 9 x 1,
            10 x 2, 10 x 1, 11 x 2, 11 x 1, 12 x 2, 12 x 1)
    } else {
        tiles!(1 x 4, 1 x 2, 1 x 1, 2 x 1, 3 x 1, 4 x 1, 5 x 1, 6 x 1)
    }
}

/// One tile of `R` rows by `N` vectors.
///
/// # Safety
/// `R` rows from `place.row` and `N` vectors from `place.vector` lie within `x`, `w` and `y`.
/// If `N` is above 1 the first vector is even, so that pairs share a block.
#[inline(always)]
unsafe fn tile<S: Simd, T: Weight, const R: usize, const N: usize>(
    simd: S,
    place: Place,
    k: usize,
    x: Rows<'_>,
    w: Weights<'_, T>,
    y: &mut Sums<'_>,
    add: bool,
) {
    let x_base = x.data.as_ptr().wrapping_add(place.row * x.stride);
    let w_base = w.data.as_ptr().wrapping_add((place.vector / 2) * w.block + (place.vector % 2) * LANES);
    let y_base = y.data.as_mut_ptr().wrapping_add(place.row * y.stride + place.vector * LANES);
    let mut sums = [[simd.splat(0.0); N]; R];
    if add {
        for (r, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                // SAFETY: row and vector of the tile, which lies within `y`.
                *sum = unsafe { simd.load(y_base.wrapping_add(r * y.stride + v * LANES)) };
            }
        }
    }
    for i in 0..k {
        let mut weights = [simd.splat(0.0); N];
        for (v, weight) in weights.iter_mut().enumerate() {
            let at = w_base.wrapping_add((v / 2) * w.block + i * w.stride + (v % 2) * LANES);
            // SAFETY: k index and vector of the tile, which lies within `w`.
            *weight = unsafe { T::load(simd, at) };
        }
        for (r, row) in sums.iter_mut().enumerate() {
            // SAFETY: row of the tile and k index, which lie within `x`.
            let value = simd.splat(unsafe { *x_base.wrapping_add(r * x.stride + i) });
            for (sum, weight) in row.iter_mut().zip(weights) {
                *sum = simd.fma(value, weight, *sum);
            }
        }
    }
    for (r, row) in sums.iter().enumerate() {
        for (v, sum) in row.iter().enumerate() {
            // SAFETY: row and vector of the tile, which lies within `y`.
            unsafe { simd.store(*sum, y_base.wrapping_add(r * y.stride + v * LANES)) };
        }
    }
}
