//! The vendor's libraries: where they are, for which processor, and what they lack.
//!
//! Files are read, not opened as libraries; see the module `elf`. The order of places is that of the loader.

use std::path::{Path, PathBuf};

use ax650_sys::table::{self, Symbols};

use super::elf::Library;
use super::evidence::Evidence;
use super::finding::{Finding, Group, Level};
use super::{Root, Surroundings};

/// AXCL's library for hosts of cards.
pub(super) const CARD: &str = "libaxcl_rt.so";
/// The engine of the chip's own Linux, and the system library that it needs.
pub(super) const BOARD_ENGINE: &str = "libax_engine.so";
const BOARD_SYSTEM: &str = "libax_sys.so";

/// Runs of a model with several shape groups; from `V1.45.0_P38` on (abi.md 6).
const GROUPS: &str = "AX_ENGINE_RunGroupIOSync";

/// Where the vendor's package puts AXCL (its package scripts), and the file that tells the dynamic linker.
const PACKAGE_DIRECTORY: &str = "/usr/lib/axcl";
const LINKER_FILE: &str = "/etc/ld.so.conf.d/axcl.conf";

/// Where the dynamic linker looks without being told.
const SYSTEM_DIRECTORIES: [&str; 7] = [
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/lib64",
    "/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/local/lib",
];

/// Bytes of a library that are read; the largest known has a few megabytes.
const LIBRARY_LIMIT: u64 = 64 << 20;

/// A library file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundLibrary {
    /// Which of the search places it was.
    place: &'static str,
    path: PathBuf,
    /// `None`: no library, or a broken one.
    content: Option<Library>,
    /// The version as a text in the file tells it.
    version: Option<String>,
}

/// All copies of the library `name`, in the order in which the loader tries them.
pub(super) fn find(around: &Surroundings, name: &str) -> Vec<FoundLibrary> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for (place, path) in places(around, name) {
        let real = around.root.followed(&path).unwrap_or_else(|| path.clone());
        if seen.contains(&real) {
            continue;
        }
        let Some(file) = around.root.bytes_up_to(&path, LIBRARY_LIMIT) else { continue };
        seen.push(real);
        found.push(FoundLibrary { place, path, content: Library::parse(&file), version: version(&file) });
    }
    found
}

fn places(around: &Surroundings, name: &str) -> Vec<(&'static str, PathBuf)> {
    let root = &around.root;
    let variable = |key: &str| around.environment.get(key).filter(|value| !value.is_empty());
    let file = |path: &Path| {
        let is_directory = root.metadata(path).is_some_and(|data| data.is_dir());
        if is_directory { path.join(name) } else { path.to_owned() }
    };
    let mut places = Vec::new();
    places.extend(around.driver_path.as_deref().map(|path| ("--driver-path", file(path))));
    places.extend(variable("AX650_DRIVER_PATH").map(|value| ("AX650_DRIVER_PATH", file(Path::new(value)))));
    if let Some(directory) = around.program.as_deref().and_then(Path::parent) {
        let checkout = directory.ancestors().find(|path| path.ends_with("target")).and_then(Path::parent);
        for directory in [Some(directory), checkout].into_iter().flatten() {
            places.push(("vendor/lib", directory.join("vendor/lib").join(name)));
        }
    }
    let listed = variable("LD_LIBRARY_PATH").map(|list| std::env::split_paths(list).collect::<Vec<_>>());
    for directory in listed.into_iter().flatten().filter(|path| path.is_absolute()) {
        places.push(("LD_LIBRARY_PATH", directory.join(name)));
    }
    for directory in linker_directories(root) {
        places.push(("system path", Path::new(&directory).join(name)));
    }
    places.push(("the vendor's package", Path::new(PACKAGE_DIRECTORY).join(name)));
    places
}

/// Directories of the dynamic linker's configuration, then its own.
fn linker_directories(root: &Root) -> Vec<String> {
    let configured = root.names("/etc/ld.so.conf.d");
    let texts = configured.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "conf"));
    let mut directories: Vec<String> = texts
        .filter_map(|name| root.text(format!("/etc/ld.so.conf.d/{name}")))
        .flat_map(|text| {
            text.lines()
                .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
                .filter(|line| line.starts_with('/'))
                .collect::<Vec<_>>()
        })
        .collect();
    directories.extend(SYSTEM_DIRECTORIES.map(str::to_owned));
    directories
}

/// The vendor marks its libraries with a text `[Axera version]: NAME VERSION DATE` (read so by its own programs).
fn version(file: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"[Axera version]:";
    let at = file.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let text = file.get(at..file.len().min(at + 128))?;
    let end = text.iter().position(|byte| !(b' '..=b'~').contains(byte)).unwrap_or(text.len());
    let words = std::str::from_utf8(text.get(..end)?).ok()?;
    words.split_whitespace().find(|word| is_version(word)).map(str::to_owned)
}

fn is_version(word: &str) -> bool {
    word.strip_prefix('V')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('.'))
}

pub(super) fn probe(around: &Surroundings, evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    if evidence.card_matters(around) {
        findings.extend(judge(around, "driver.library", CARD, &table::PCIE, &evidence.card_libraries));
        findings.extend(linker(&around.root));
    }
    if evidence.board_matters(around) {
        let symbols =
            Symbols { required: &part(table::BOARD.required), optional: &part(table::BOARD.optional) };
        findings.extend(judge(
            around,
            "driver.board_library",
            BOARD_ENGINE,
            &symbols,
            &evidence.board_libraries,
        ));
        if find(around, BOARD_SYSTEM).is_empty() {
            findings.push(absent(around, "driver.board_system_library", BOARD_SYSTEM));
        }
    }
    findings
}

/// The functions of the engine; the rest of the board's are in its system library.
fn part(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| name.starts_with("AX_ENGINE_")).collect()
}

fn judge(
    around: &Surroundings,
    id: &str,
    name: &str,
    symbols: &Symbols<'_>,
    found: &[FoundLibrary],
) -> Vec<Finding> {
    let Some(used) = found.iter().find(|library| library.fits(around)).or(found.first()) else {
        return vec![absent(around, id, name)];
    };
    let mut findings = vec![used.finding(around, id, symbols)];
    for other in found.iter().filter(|other| *other != used) {
        let text = format!("another {name} is there and not used ({})", other.place);
        findings.push(
            Finding::new(&format!("{id}.copy"), Group::Driver, Level::Note, text)
                .seen(other.path.display(), other.version.as_deref().unwrap_or("version unknown")),
        );
    }
    findings
}

impl FoundLibrary {
    /// Whether it can be loaded on the examined machine, as far as its file tells.
    fn fits(&self, around: &Surroundings) -> bool {
        self.content.as_ref().is_some_and(|content| {
            !around.root.is_machine() || content.architecture() == std::env::consts::ARCH
        })
    }

    fn finding(&self, around: &Surroundings, id: &str, symbols: &Symbols<'_>) -> Finding {
        let version = self.version.as_deref().unwrap_or("version unknown");
        let finding = |id: &str, level, text: String| {
            Finding::new(id, Group::Driver, level, text)
                .seen(self.path.display(), format!("{version}, found by {}", self.place))
        };
        let reinstall = "install the host package of your card's maker for this processor";
        let Some(content) = &self.content else {
            return finding(id, Level::Problem, format!("{} is no 64-bit library", self.path.display()))
                .advice(reinstall);
        };
        if !self.fits(around) {
            let text = format!("{} is made for {}", self.path.display(), content.architecture());
            return finding(id, Level::Problem, text).advice(reinstall);
        }
        let lacks = |names: &[&'static str]| -> Vec<&'static str> {
            names.iter().copied().filter(|name| !content.exports.contains(*name)).collect()
        };
        let missing = lacks(symbols.required);
        if !missing.is_empty() {
            let text =
                format!("{} lacks functions that ax650 needs: {}", self.path.display(), missing.join(", "));
            return finding(&format!("{id}.symbols"), Level::Problem, text)
                .advice("install a newer host package of your card's maker");
        }
        let optional = lacks(symbols.optional);
        if optional.contains(&GROUPS) {
            let text = format!("{} knows no shape groups, which language models need", self.path.display());
            return finding(&format!("{id}.groups"), Level::Problem, text)
                .seen(GROUPS, "not exported")
                .advice("install the board's system V1.45.0_P38 or newer");
        }
        if optional.is_empty() {
            return finding(id, Level::Ok, format!("{} has all functions", self.path.display()));
        }
        finding(
            id,
            Level::Ok,
            format!(
                "{} has all needed functions; {} optional ones are absent: {}",
                self.path.display(),
                optional.len(),
                some(&optional)
            ),
        )
    }
}

/// The first few names.
fn some(names: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

fn absent(around: &Surroundings, id: &str, name: &str) -> Finding {
    let mut places: Vec<&str> = places(around, name).into_iter().map(|(place, _)| place).collect();
    places.dedup();
    Finding::new(id, Group::Driver, Level::Problem, format!("the vendor's library {name} is not on this machine"))
        .seen(name, format!("not in {}", places.join(", ")))
        .advice("install the host package of your card's maker, or put its libraries into vendor/lib beside the program")
        .command("ax650 serve --driver-path /path/to/libraries")
}

/// Other programs find AXCL only if the dynamic linker knows its directory; ax650 looks there by itself.
fn linker(root: &Root) -> Option<Finding> {
    let known =
        linker_directories(root).iter().any(|directory| directory.trim_end_matches('/') == PACKAGE_DIRECTORY);
    if known || !root.exists(format!("{PACKAGE_DIRECTORY}/{CARD}")) {
        return None;
    }
    Some(
        Finding::new(
            "driver.linker",
            Group::Driver,
            Level::Note,
            format!(
                "the dynamic linker does not know {PACKAGE_DIRECTORY}: ax650 does, other programs may not"
            ),
        )
        .seen(LINKER_FILE, "no such line")
        .command(format!("echo {PACKAGE_DIRECTORY} | sudo tee {LINKER_FILE} && sudo ldconfig")),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mark_tells_the_version() {
        let file = b"\0\x01[Axera version]: libax_sys.so V1.45.0_P39 Aug 1 2024\0rest";
        assert_eq!(version(file).as_deref(), Some("V1.45.0_P39"));
        assert_eq!(version(b"[Axera version]: none"), None);
        assert_eq!(version(b"[Axera version]:"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(mut bytes: Vec<u8>) {
            version(&bytes);
            bytes.splice(0..0, *b"[Axera version]:");
            version(&bytes);
        }
    }
}
