//! Finding and opening the vendor's libraries at run time. A build that is linked with them uses those, unless another
//! place is named.
//!
//! A machine without them is the usual case, so absence is a value like any other: the error lists every
//! place that was tried and what the system said there.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::Library;
use libloading::os::unix::{Library as UnixLibrary, RTLD_LAZY, RTLD_LOCAL};

#[cfg(linked_board)]
use crate::table::linked_board;
#[cfg(linked_pcie)]
use crate::table::linked_pcie;
use crate::table::{resolve_board, resolve_pcie};
use crate::vendor::{ax_board_table, ax_pcie_table};

/// The variable that names the library or its directory.
pub const PATH_VARIABLE: &str = "AX650_DRIVER_PATH";

const PCIE_LIBRARY: &str = "libaxcl_rt.so";
const BOARD_LIBRARIES: [&str; 2] = ["libax_engine.so", "libax_sys.so"];

/// Linux: the code stays mapped after the last close. Threads and exit handlers of the vendor's libraries may
/// outlive their own finalisation.
const RTLD_NODELETE: c_int = 0x1000;

/// Where the packages of card makers put AXCL; not always known to the dynamic linker.
const PACKAGE_DIRECTORY: &str = "/usr/lib/axcl";

/// A function table together with the libraries that its pointers lead into.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The functions; optional ones may be `None`.
    pub table: T,
    /// What was opened, as it was named to the dynamic linker.
    pub path: PathBuf,
    /// What the library says of itself, where it says anything.
    pub version: Option<String>,
    /// Keeps the code behind the table loaded.
    pub libraries: Libraries,
}

/// Libraries that stay loaded as long as this or a clone of it lives.
#[derive(Debug, Clone, Default)]
pub struct Libraries(#[expect(dead_code, reason = "held, not read")] Vec<Arc<Library>>);

/// One place where a library was looked for, and what the system said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The name given to the dynamic linker.
    pub path: PathBuf,
    /// Why it could not be opened.
    pub reason: String,
}

/// Why there is no function table.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum LoadError {
    /// No such library could be opened anywhere.
    #[error("no {library} could be opened: {}", Tried(tried))]
    NotFound {
        /// The library's file name.
        library: &'static str,
        /// All places, in order.
        tried: Vec<Attempt>,
    },
    /// The library lacks functions that ax650 cannot do without.
    #[error(
        "{} (version {}) lacks {}; install a newer driver package, or point --driver-path to one",
        path.display(),
        version.as_deref().unwrap_or("unknown"),
        missing.join(", ")
    )]
    Incompatible {
        /// The library.
        path: PathBuf,
        /// What it says of itself.
        version: Option<String>,
        /// The absent functions, by the vendor's names.
        missing: Vec<&'static str>,
    },
}

struct Tried<'a>(&'a [Attempt]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{} ({})", attempt.path.display(), attempt.reason)?;
        }
        Ok(())
    }
}

/// Opens AXCL, the library of PCIe and M.2 cards. `driver_path` is the library or its directory.
pub fn load_pcie(driver_path: Option<&Path>) -> Result<Loaded<ax_pcie_table>, LoadError> {
    #[cfg(linked_pcie)]
    if named(driver_path).next().is_none() {
        return Ok(linked(PCIE_LIBRARY, c"axclrtGetFullVersion", linked_pcie));
    }
    let (path, libraries) = find(PCIE_LIBRARY, driver_path)?;
    let version = text_from(&libraries, c"axclrtGetFullVersion");
    let table = resolve_pcie(&borrow(&libraries)).map_err(|missing| LoadError::Incompatible {
        path: path.clone(),
        version: version.clone(),
        missing,
    })?;
    Ok(Loaded { table, path, version, libraries: Libraries(libraries) })
}

/// Opens `AX_SYS` and `AX_ENGINE`, the libraries of the chip's own Linux.
pub fn load_board(driver_path: Option<&Path>) -> Result<Loaded<ax_board_table>, LoadError> {
    let [engine, system] = BOARD_LIBRARIES;
    #[cfg(linked_board)]
    if named(driver_path).next().is_none() {
        return Ok(linked(engine, c"AX_ENGINE_GetVersion", linked_board));
    }
    // The engine needs the system library: opened first, its name is known when the engine asks for it.
    let (_, mut libraries) = find(system, driver_path)?;
    let (path, engine) = find(engine, driver_path)?;
    libraries.splice(0..0, engine);
    let version = text_from(&libraries, c"AX_ENGINE_GetVersion");
    let table = resolve_board(&borrow(&libraries)).map_err(|missing| LoadError::Incompatible {
        path: path.clone(),
        version: version.clone(),
        missing,
    })?;
    Ok(Loaded { table, path, version, libraries: Libraries(libraries) })
}

/// The libraries that are in the process anyway.
#[cfg(any(linked_pcie, linked_board))]
fn linked<T>(library: &str, version: &CStr, table: fn(&Library) -> T) -> Loaded<T> {
    let process = Arc::new(UnixLibrary::this().into());
    let table = table(&process);
    let libraries = vec![process];
    let version = text_from(&libraries, version);
    Loaded { table, path: library.into(), version, libraries: Libraries(libraries) }
}

fn borrow(libraries: &[Arc<Library>]) -> Vec<&Library> {
    libraries.iter().map(Arc::as_ref).collect()
}

/// The first of the places that can be opened, companions last.
fn find(name: &'static str, driver_path: Option<&Path>) -> Result<(PathBuf, Vec<Arc<Library>>), LoadError> {
    let mut tried = Vec::new();
    for path in places(name, driver_path) {
        match open(&path) {
            Ok(libraries) => return Ok((path, libraries)),
            Err(reason) => tried.push(Attempt { path, reason }),
        }
    }
    Err(LoadError::NotFound { library: name, tried })
}

/// Where the user wants them looked for.
fn named(driver_path: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    let variable = std::env::var_os(PATH_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    driver_path.map(Path::to_path_buf).into_iter().chain(variable)
}

fn places(name: &str, driver_path: Option<&Path>) -> Vec<PathBuf> {
    let named = named(driver_path);
    let mut places: Vec<PathBuf> =
        named.map(|path| if path.is_dir() { path.join(name) } else { path }).collect();

    let own = std::env::current_exe().map(|program| private_directories(&program)).unwrap_or_default();
    places.extend(own.into_iter().map(|directory| directory.join(name)));
    places.push(PathBuf::from(name));
    places.push(Path::new(PACKAGE_DIRECTORY).join(name));
    places.dedup();
    places
}

/// `vendor/lib` beside the program, and at the top of the checkout whose `target` directory holds it. Whoever can
/// write there can replace the program; the working directory is nobody's in particular and never searched.
fn private_directories(program: &Path) -> Vec<PathBuf> {
    let beside = program.parent();
    let target = program.ancestors().skip(1).find(|directory| directory.ends_with("target"));
    let checkout = target.and_then(Path::parent).filter(|directory| !is_open_to_all(directory));
    beside.into_iter().chain(checkout).map(|directory| directory.join("vendor/lib")).collect()
}

/// As `/tmp` is, should cargo's target directory be put there.
fn is_open_to_all(directory: &Path) -> bool {
    directory.metadata().is_ok_and(|metadata| metadata.mode() & 0o002 != 0)
}

fn open(path: &Path) -> Result<Vec<Arc<Library>>, String> {
    let named_only = path.components().count() == 1;
    if !named_only && !path.exists() {
        return Err("not there".into());
    }
    match open_one(path) {
        Ok(library) => Ok(vec![library]),
        Err(first) if named_only => Err(first),
        Err(first) => {
            let mut libraries = open_companions(path);
            let library = open_one(path).map_err(|_| first)?;
            libraries.insert(0, library);
            Ok(libraries)
        }
    }
}

fn open_one(path: &Path) -> Result<Arc<Library>, String> {
    // SAFETY: opening runs the initialisers of the library: the vendor's, from a place that the user or the
    // system's administrator chose. They have no preconditions of their own.
    let library = unsafe { UnixLibrary::open(Some(path), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) };
    library.map(|library| Arc::new(library.into())).map_err(|e| e.to_string())
}

/// Opens the vendor's other libraries beside `path`: once loaded, the dynamic linker finds them by name, so a
/// plain copy of an SDK works without being in its search path. They need each other, hence the rounds.
fn open_companions(path: &Path) -> Vec<Arc<Library>> {
    let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut pending: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|file| file != path && is_companion(file))
        .collect();
    let mut opened = Vec::new();
    loop {
        let before = pending.len();
        pending.retain(|file| open_one(file).map(|library| opened.push(library)).is_err());
        if pending.is_empty() || pending.len() == before {
            return opened;
        }
    }
}

fn is_companion(file: &Path) -> bool {
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.contains(".so") && ["libaxcl_", "libax_", "libspdlog"].iter().any(|prefix| name.starts_with(prefix))
}

/// The text that a function without parameters gives, if there is such a function.
fn text_from(libraries: &[Arc<Library>], function: &CStr) -> Option<String> {
    type Text = unsafe extern "C" fn() -> *const c_char;
    libraries.iter().find_map(|library| {
        // SAFETY: both functions that this is used for take nothing and return a string, in all versions.
        let function = unsafe { library.get::<Option<Text>>(function.to_bytes_with_nul()) };
        let function = (*function.ok()?)?;
        // SAFETY: the string is a constant of the library; asking needs no initialisation.
        let text = unsafe { function() };
        if text.is_null() {
            return None;
        }
        // SAFETY: not null, NUL-terminated by the vendor's contract, copied at once.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    })
}

#[cfg(test)]
mod tests;
