//! The software card: the Axera runtime interface implemented on the CPU.
//!
//! [`pcie_table`] and [`board_table`] fill the vendor's function tables with Rust functions of the vendor's signatures,
//! so that everything above a table is the same code that drives a real card; [`native_table`] adds what other programs
//! call. The tables name every function that the vendor documents, so a library that exports them needs no other list
//! but [`UNDOCUMENTED`]: the macros [`ax650_sys::pcie_functions`], [`ax650_sys::board_functions`] and
//! [`ax650_sys::native_functions`] give the name and signature of each entry to a macro of the library's. An entry
//! marked `variadic` there is a C function of `shim/log.c`, because Rust cannot define one. The card computes real
//! models ([`compute`]), keeps an address space of its own ([`memory`]), and is stricter than the hardware: a breach
//! of the vendor's contract gets the vendor's code and is written down ([`violations`]).
//!
//! Which card a call reaches, when one process has several, is explained in the module `card`: a table
//! attaches a card to the thread that fills it, and the product makes all its calls from that thread.
//!
//! After a failed call [`last_error`] tells the reason, which the vendor's code alone does not.
//!
//! ```
//! let table = ax650_sim::pcie_table(ax650_sim::CardOptions::default());
//! let init = table.axclInit.unwrap();
//! // SAFETY: the function takes a null configuration.
//! assert_eq!(unsafe { init(std::ptr::null()) }, 0);
//! ```

mod axcl;
mod block;
mod board;
mod call;
mod card;
pub mod clock;
mod context;
#[cfg(any(test, feature = "testing"))]
pub mod control;
mod engine;
mod fault;
mod host;
mod io;
mod lent;
mod log;
pub mod memory;
mod options;
pub mod process;
pub mod profile;
mod run;
mod signature;
mod status;
mod stream;
mod transfer;
mod twin;
pub mod violations;

pub use ax650_compute as compute;
#[cfg(any(test, feature = "testing"))]
pub use ax650_compute::testing;
pub use axcl::{TABLE as PCIE, pcie_table};
pub use board::{TABLE as BOARD, UNDOCUMENTED, Undocumented, board_table, cmm_info};
pub use context::DEVICE_ID;
pub use fault::{CardError, clear_last_error, last_error};
pub use log::{LogLine, LogSink, LogSource, WITH_VA_LIST, WithVaList, set_log_sink};
pub use options::{CardOptions, Compute, Pace};
pub use twin::{TABLE as NATIVE, native_table};
