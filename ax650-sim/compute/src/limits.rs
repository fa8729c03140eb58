//! What the software card computes. Layer files beyond these limits are refused when they are loaded; who writes layer
//! files checks against the same numbers before.

/// Largest hidden size, intermediate size, number of heads, channels of all query heads together, and rows of a cache.
/// Keeps every product of two sizes far from overflow.
pub const MAX_SIZE: usize = 1 << 20;
/// Head sizes are multiples of this.
pub const HEAD_DIM_STEP: usize = 16;
/// Largest head size.
pub const MAX_HEAD_DIM: usize = 768;
/// Rows of a chunk above this are refused: scratch memory grows with them.
pub const MAX_CHUNK: usize = 1024;
/// Largest vocabulary.
pub const MAX_VOCAB: usize = 1 << 24;
/// Smallest base of the rope frequencies.
pub const MIN_ROPE_THETA: f64 = 1.0;
/// The epsilon of the norms is at least 0 and below this.
pub const RMS_EPS_BOUND: f32 = 1.0;
