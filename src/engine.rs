//! The card thread and what runs on it.

pub mod sampler;
