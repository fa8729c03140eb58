//! What a shared library exports, read from its file: nothing of it is run.
//!
//! The doctor looks at libraries of other machines and at ones that may hang when opened, so it reads the dynamic
//! symbol table itself. Only what that takes of the ELF format is known here: 64 bit, little-endian.

use std::collections::BTreeSet;

/// A library file, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    /// `e_machine`.
    machine: u16,
    /// Names of the functions and objects that it defines for others.
    pub(super) exports: BTreeSet<String>,
}

/// Machine numbers of the ELF format.
const MACHINES: [(u16, &str); 4] = [(62, "x86_64"), (183, "aarch64"), (40, "arm"), (243, "riscv64")];

const SECTION_DYNSYM: u32 = 11;
const SYMBOL_BYTES: usize = 24;

impl Library {
    /// Reads the file's content; `None` if it is no library of the kind, or a broken one.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let magic = file.get(..6)?;
        if magic != [0x7F, b'E', b'L', b'F', 2, 1] {
            return None;
        }
        let machine = u16_at(file, 18)?;
        let sections = usize::try_from(u64_at(file, 40)?).ok()?;
        let size = usize::from(u16_at(file, 58)?);
        let count = usize::from(u16_at(file, 60)?);
        let section = |index: usize| {
            let start = sections.checked_add(index.checked_mul(size)?)?;
            file.get(start..start.checked_add(64)?)
        };
        let symbols = (0..count).filter_map(section).find(|s| u32_at(s, 4) == Some(SECTION_DYNSYM))?;
        let names = content(file, section(usize::try_from(u32_at(symbols, 40)?).ok()?)?)?;
        let exports = content(file, symbols)?
            .chunks_exact(SYMBOL_BYTES)
            .filter(|symbol| u16_at(symbol, 6) != Some(0)) // Section 0: taken from elsewhere.
            .filter_map(|symbol| name(names, u32_at(symbol, 0)?))
            .collect();
        Some(Self { machine, exports })
    }

    /// Name of the processor architecture, as Rust calls it.
    pub(super) fn architecture(&self) -> &'static str {
        MACHINES
            .iter()
            .find(|(number, _)| *number == self.machine)
            .map_or("an unknown architecture", |(_, name)| name)
    }
}

/// The bytes that a section header describes.
fn content<'a>(file: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(u64_at(header, 24)?).ok()?;
    let length = usize::try_from(u64_at(header, 32)?).ok()?;
    file.get(start..start.checked_add(length)?)
}

fn name(names: &[u8], offset: u32) -> Option<String> {
    let rest = names.get(usize::try_from(offset).ok()?..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A minimal library for `machine` that exports `names`.
    pub(in crate::doctor) fn library(machine: u16, names: &[&str]) -> Vec<u8> {
        let mut strings = vec![0];
        let mut symbols = vec![0; SYMBOL_BYTES];
        for name in names {
            let mut symbol = [0; SYMBOL_BYTES];
            symbol[..4].copy_from_slice(&u32::try_from(strings.len()).unwrap().to_le_bytes());
            symbol[6] = 1;
            symbols.extend(symbol);
            strings.extend(name.bytes().chain([0]));
        }
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1]);
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        let symbols_at = file.len();
        file.extend(&symbols);
        let strings_at = file.len();
        file.extend(&strings);
        let sections = file.len();
        let header = |kind: u32, at: usize, bytes: usize, link: u32| {
            let mut header = [0; 64];
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            header
        };
        file.extend(header(SECTION_DYNSYM, symbols_at, symbols.len(), 1));
        file.extend(header(3, strings_at, strings.len(), 0));
        file[40..48].copy_from_slice(&(sections as u64).to_le_bytes());
        file[58..60].copy_from_slice(&64_u16.to_le_bytes());
        file[60..62].copy_from_slice(&2_u16.to_le_bytes());
        file
    }

    #[test]
    fn exports_and_architecture_are_read() {
        let read = Library::parse(&library(183, &["axclInit", "axclFinalize"])).unwrap();
        assert_eq!(read.architecture(), "aarch64");
        assert_eq!(read.exports.iter().collect::<Vec<_>>(), ["axclFinalize", "axclInit"]);
    }

    #[test]
    fn a_library_of_this_system_is_read() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let Some(path) =
            maps.lines().filter_map(|l| l.split_whitespace().nth(5)).find(|p| p.contains("libc.so"))
        else {
            return;
        };
        let read = Library::parse(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read.architecture(), std::env::consts::ARCH);
        assert!(read.exports.contains("malloc"));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, byte: u8, cut in 0usize..400) {
            let mut file = library(62, &["axclInit", "axclrtMalloc"]);
            let length = file.len();
            file[at % length] = byte;
            file.truncate(length - cut % length);
            drop(Library::parse(&file));
        }

        #[test]
        fn noise_never_panics(mut noise: Vec<u8>) {
            drop(Library::parse(&noise));
            noise.splice(0..0, [0x7F, b'E', b'L', b'F', 2, 1]);
            drop(Library::parse(&noise));
        }
    }
}
