//! Generated from `vendor/include` and `loop/` by `ax650-sys/bindings.sh`; checked in, compared in CI.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated; the names are the vendor's and the headers say what they mean"
)]

pub mod axloop;
mod functions;
pub mod vendor;
