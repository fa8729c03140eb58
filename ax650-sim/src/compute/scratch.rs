//! Working memory of one run, kept between runs.

/// Working memory for [`super::Engine::run`]: grows to what the largest group needs and is then reused.
#[derive(Debug, Default)]
pub struct Scratch {}
