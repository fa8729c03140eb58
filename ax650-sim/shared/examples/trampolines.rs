//! Writes the assembler sources of the vendor-named libraries: one jump per function, through the tables of
//! `libax650_sim.so`. For `build.sh`; the argument is the directory to write to.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use ax650_sys::vendor::{ax_board_table, ax_native_table, ax_pcie_table};

/// Which functions are in which library, by the beginning of their names. The first that fits counts.
const LIBRARIES: [(&str, &str); 7] = [
    ("AX_ENGINE_", "libax_engine"),
    ("AX_SYS_", "libax_sys"),
    ("AX_POOL_", "libax_sys"),
    ("AXCL_ENGINE_", "libaxcl_npu"),
    ("AXCL_SYS_", "libaxcl_sys"),
    ("AXCL_POOL_", "libaxcl_sys"),
    ("axcl", "libaxcl_rt"),
];

/// Both targets have the tables of this machine.
const POINTER_BYTES: usize = size_of::<usize>();

/// One exported function: a jump to what `table` holds `offset` bytes behind its start. Only registers that a call may
/// change between caller and callee are used; on `x86_64` not %rax, which counts vector arguments of variadic calls.
const HEAD: &str = r#"/* Made by trampolines.rs. */
#if defined(__x86_64__)
#define TO(table, offset) movq table@GOTPCREL(%rip), %r11; jmp *offset(%r11)
#define ENTRY endbr64
#elif defined(__aarch64__)
#define TO(table, offset) adrp x16, :got:table; ldr x16, [x16, :got_lo12:table]; ldr x16, [x16, offset]; br x16
#define ENTRY hint 34
#else
#error the vendor has libraries for x86_64 and aarch64
#endif
#define EXPORT(name, table, offset) \
    .globl name; .type name, %function; .p2align 4; name: ENTRY; TO(table, offset); .size name, . - name
    .section .note.GNU-stack, "", %progbits
    .text
"#;

macro_rules! names {
    ($($(variadic)? fn $name:ident($($parameter:ident: $type:ty),*) -> $result:ty;)*) => {
        [$(stringify!($name)),*]
    };
}

// The lists are in the order of the tables, and have all of it.
const PCIE: [&str; size_of::<ax_pcie_table>() / POINTER_BYTES] = ax650_sys::pcie_functions!(names);
const BOARD: [&str; size_of::<ax_board_table>() / POINTER_BYTES] = ax650_sys::board_functions!(names);
const NATIVE: [&str; size_of::<ax_native_table>() / POINTER_BYTES] = ax650_sys::native_functions!(names);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: trampolines DIRECTORY")?;
    write_all(Path::new(&directory))
}

fn write_all(directory: &Path) -> Result<(), Box<dyn Error>> {
    let undocumented: Vec<&str> = ax650_sim::UNDOCUMENTED.iter().map(|(name, _)| *name).collect();
    let with_va_list: Vec<&str> = ax650_sim::WITH_VA_LIST.iter().map(|(name, _)| *name).collect();
    let tables: [(&str, &[&str]); 5] = [
        ("ax650_sim_pcie", &PCIE),
        ("ax650_sim_board", &BOARD),
        ("ax650_sim_native", &NATIVE),
        ("ax650_sim_undocumented", &undocumented),
        ("ax650_sim_with_va_list", &with_va_list),
    ];
    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    for (table, names) in tables {
        for (index, name) in names.iter().enumerate() {
            let found = LIBRARIES.iter().find(|(prefix, _)| name.starts_with(prefix));
            let (_, library) = found.ok_or_else(|| format!("no library for {name}"))?;
            let source = sources.entry(library).or_insert_with(|| HEAD.to_owned());
            writeln!(source, "EXPORT({name}, {table}, {})", index * POINTER_BYTES)?;
        }
    }
    for (library, source) in sources {
        std::fs::write(directory.join(library).with_extension("S"), source)?;
    }
    Ok(())
}
