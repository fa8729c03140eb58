//! The software card for programs that link with the vendor's libraries: `libax650_sim.so`.
//!
//! It exports the vendor's function tables, filled. The libraries under the vendor's names, which `make sim-libs`
//! builds beside it, hold one jump through a table for each of the vendor's functions; so arguments pass as they are,
//! variable ones too. The cards are those of the process ([`ax650_sim::process`]); the module `settings` says how the
//! environment describes them.

mod report;
mod settings;

use std::ffi::CStr;
use std::io::Write;

use ax650_sim::process::{self, Setup};
use ax650_sim::{LogLine, Undocumented, WithVaList};
use ax650_sys::vendor::{ax_board_table, ax_native_table, ax_pcie_table};

/// AXCL: `libaxcl_rt.so`.
#[unsafe(no_mangle)]
pub static ax650_sim_pcie: ax_pcie_table = ax650_sim::PCIE;

/// `AX_SYS`, `AX_POOL` and `AX_ENGINE`: `libax_sys.so`, `libax_engine.so`.
#[unsafe(no_mangle)]
pub static ax650_sim_board: ax_board_table = ax650_sim::BOARD;

/// Their twins on the host: `libaxcl_sys.so`, `libaxcl_npu.so`.
#[unsafe(no_mangle)]
pub static ax650_sim_native: ax_native_table = ax650_sim::NATIVE;

/// What is in no table, in the order of [`ax650_sim::UNDOCUMENTED`].
#[unsafe(no_mangle)]
pub static ax650_sim_undocumented: [Undocumented; ax650_sim::UNDOCUMENTED.len()] = {
    let mut functions = [ax650_sim::UNDOCUMENTED[0].1; ax650_sim::UNDOCUMENTED.len()];
    let mut i = 0;
    while i < functions.len() {
        functions[i] = ax650_sim::UNDOCUMENTED[i].1;
        i += 1;
    }
    functions
};

/// What takes a `va_list`, in the order of [`ax650_sim::WITH_VA_LIST`].
#[unsafe(no_mangle)]
pub static ax650_sim_with_va_list: [WithVaList; ax650_sim::WITH_VA_LIST.len()] =
    [ax650_sim::WITH_VA_LIST[0].1, ax650_sim::WITH_VA_LIST[1].1];

/// Runs when the library is loaded, before any of its functions can be called.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    process::set_source(describe);
    ax650_sim::set_log_sink(Some(show));
}

/// What the environment says, at the first call of the process.
fn describe() -> Result<Setup, String> {
    let read = settings::of_environment().and_then(settings::Settings::apply);
    if let Err(reason) = &read {
        report::say(&format!("software card: {reason}; every call will fail"));
    }
    read
}

/// A line that the program writes into the vendor's log.
fn show(line: &LogLine<'_>) {
    let tag = line.tag.unwrap_or_default();
    let separator = if tag.is_empty() { "" } else { ": " };
    let text = CStr::to_string_lossy(line.text);
    // A closed standard error is the program's wish.
    writeln!(std::io::stderr(), "{}{separator}{}", tag.to_string_lossy(), text.trim_end()).ok();
}
