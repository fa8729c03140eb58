//! Raw declarations of the Axera runtime interfaces, their loader, and the generation loop in C.
//!
//! - [`vendor`]: types, constants and the two function tables, [`vendor::ax_pcie_table`] and
//!   [`vendor::ax_board_table`]. Entries are nullable; vendor integers are never Rust enums.
//! - [`loader`]: fills a table from the vendor's shared libraries, opened at run time or linked when this was built.
//! - [`axloop`]: the loop in C, compiled from `loop/`; its header says who owns what and on which thread.
//! - [`table`]: which functions ax650 needs and which it merely uses.
//! - [`code`]: what the vendor's error codes mean.
//!
//! No policy and no logging live here: the safe wrapper is `ax650::device`.

mod bindings;
pub mod code;
mod layout;
#[cfg(any(linked_pcie, linked_board))]
mod linked;
pub mod loader;
pub mod table;

pub use bindings::{axloop, vendor};
