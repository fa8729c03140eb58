//! Raw declarations of the Axera runtime interfaces, their loader, and the generation loop in C.
//!
//! - [`vendor`]: types, constants and the two function tables, [`vendor::ax_pcie_table`] and
//!   [`vendor::ax_board_table`]. Entries are nullable; vendor integers are never Rust enums.
//!
//! No policy and no logging live here: the safe wrapper is `ax650::device`.

mod bindings;
mod layout;

pub use bindings::vendor;
