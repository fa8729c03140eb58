use std::path::Path;
use std::process::Command;

use super::{LoadError, load_board, load_pcie, private_directories};

/// A library made on the spot from C source.
fn library(directory: &Path, name: &str, source: &str) {
    let file = directory.join("source.c");
    std::fs::write(&file, source).unwrap();
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(compiler)
        .args(["-shared", "-fPIC", "-o"])
        .arg(directory.join(name))
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success());
}

// A library that is linked is there by its name, whatever is looked for.
#[cfg(not(linked_pcie))]
#[test]
fn absence_names_every_place_that_was_tried() {
    let directory = tempfile::tempdir().unwrap();
    let error = load_pcie(Some(directory.path())).unwrap_err();
    let LoadError::NotFound { library, tried } = &error else { panic!("{error}") };
    assert_eq!(*library, "libaxcl_rt.so");
    assert_eq!(tried[0].path, directory.path().join("libaxcl_rt.so"));
    assert!(tried.iter().any(|t| t.path.ends_with("vendor/lib/libaxcl_rt.so")));
    assert!(tried.iter().any(|t| t.path == Path::new("libaxcl_rt.so")));
    assert!(error.to_string().contains("/usr/lib/axcl/libaxcl_rt.so (not there)"), "{error}");
}

#[test]
fn all_missing_functions_are_told_at_once_with_the_version() {
    let directory = tempfile::tempdir().unwrap();
    library(
        directory.path(),
        "libaxcl_rt.so",
        "const char *axclrtGetFullVersion(void) { return \"V0.9\"; } int axclInit(void) { return 0; }",
    );
    let error = load_pcie(Some(directory.path())).unwrap_err();
    let LoadError::Incompatible { version, missing, .. } = &error else { panic!("{error}") };
    assert_eq!(version.as_deref(), Some("V0.9"));
    assert!(!missing.contains(&"axclInit"));
    assert!(missing.contains(&"axclrtMalloc") && missing.contains(&"axclrtEngineExecute"));
    assert!(!missing.contains(&"axclrtEngineExecuteAsync"), "optional functions may be absent");
}

/// C source of functions with these names.
fn functions<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().fold(String::new(), |source, name| source + "int " + name + "(void) { return 0; }\n")
}

macro_rules! names {
    ($($(variadic)? fn $name:ident($($parameter:ident: $type:ty),*) -> $result:ty;)*) => {
        [$(stringify!($name)),*]
    };
}

#[test]
fn what_is_not_required_may_be_absent() {
    let directory = tempfile::tempdir().unwrap();
    library(directory.path(), "libaxcl_rt.so", "");
    let LoadError::Incompatible { missing, .. } = load_pcie(Some(directory.path())).unwrap_err() else {
        panic!("an empty library")
    };
    let directory = tempfile::tempdir().unwrap();
    library(directory.path(), "libaxcl_rt.so", &functions(missing));
    let loaded = load_pcie(Some(directory.path())).unwrap();
    assert!(loaded.table.axclrtEngineExecute.is_some() && loaded.version.is_none());
    assert!(loaded.table.axclrtEngineExecuteAsync.is_none() && loaded.table.axclrtGetDeviceBusInfo.is_none());
}

/// V1.40 of the board's SDK has no shape groups (reference: its 21 exports), but everything else.
#[test]
fn an_old_engine_loads_without_shape_groups() {
    const LATER: [&str; 4] = [
        "AX_ENGINE_GetGroupIOInfoCount",
        "AX_ENGINE_GetGroupIOInfo",
        "AX_ENGINE_RunGroupIOSync",
        "AX_ENGINE_GetHandleModelType",
    ];
    let directory = tempfile::tempdir().unwrap();
    let (engine, system): (Vec<_>, Vec<_>) =
        crate::board_functions!(names).into_iter().partition(|name| name.starts_with("AX_ENGINE_"));
    let engine = engine.into_iter().filter(|name| !LATER.contains(name) && *name != "AX_ENGINE_GetVersion");
    library(directory.path(), "libax_engine.so", &functions(engine));
    library(directory.path(), "libax_sys.so", &functions(system));
    let table = load_board(Some(directory.path())).unwrap().table;
    assert!(table.AX_ENGINE_GetGroupIOInfoCount.is_none() && table.AX_ENGINE_GetGroupIOInfo.is_none());
    assert!(table.AX_ENGINE_RunGroupIOSync.is_none() && table.AX_ENGINE_GetHandleModelType.is_none());
    assert!(table.AX_ENGINE_RunSync.is_some() && table.AX_POOL_GetBlock.is_some());
}

#[cfg(not(linked_pcie))]
#[test]
fn a_file_that_is_no_library_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libaxcl_rt.so"), "not a library").unwrap();
    let error = load_pcie(Some(directory.path())).unwrap_err();
    let LoadError::NotFound { tried, .. } = &error else { panic!("{error}") };
    assert_ne!(tried[0].reason, "not there");
}

#[test]
fn board_functions_may_be_in_either_library() {
    let directory = tempfile::tempdir().unwrap();
    library(directory.path(), "libax_sys.so", "int AX_SYS_Init(void) { return 0; }");
    library(directory.path(), "libax_engine.so", "int AX_ENGINE_Init(void *a) { return a != 0; }");
    let error = load_board(Some(directory.path())).unwrap_err();
    let LoadError::Incompatible { missing, path, .. } = &error else { panic!("{error}") };
    assert!(path.ends_with("libax_engine.so"));
    assert!(!missing.contains(&"AX_SYS_Init") && !missing.contains(&"AX_ENGINE_Init"));
    assert!(missing.contains(&"AX_SYS_MemAlloc"));
}

#[cfg(not(linked_pcie))]
#[test]
fn nothing_is_opened_from_the_working_directory() {
    let here = std::env::current_dir().unwrap();
    let LoadError::NotFound { tried, .. } = load_pcie(Some(Path::new("/nowhere"))).unwrap_err() else {
        panic!("a library where none should be")
    };
    for attempt in tried {
        let in_system_path = attempt.path.components().count() == 1;
        assert!(in_system_path || attempt.path.is_absolute(), "{attempt:?}");
        assert!(!attempt.path.starts_with(&here), "{attempt:?}");
    }
}

#[test]
fn libraries_kept_with_the_program_are_found() {
    let of = |program: &str| private_directories(Path::new(program));
    assert_eq!(of("/opt/ax650/ax650"), [Path::new("/opt/ax650/vendor/lib")]);
    // Not `/tmp/vendor/lib`: anyone could have made it.
    for program in ["/tmp/a/ax650", "/tmp/target/ax650"] {
        assert_eq!(of(program), [Path::new(program).with_file_name("vendor/lib")]);
    }
    for program in ["/src/ax650/target/release/ax650", "/src/ax650/target/debug/deps/engine-1f"] {
        assert!(of(program).contains(&"/src/ax650/vendor/lib".into()), "{program}");
    }
}

#[cfg(linked_pcie)]
#[test]
fn a_linked_library_needs_no_search_and_gives_way_to_a_named_one() {
    let loaded = load_pcie(None).unwrap();
    assert_eq!(loaded.path, Path::new("libaxcl_rt.so"));
    assert!(loaded.version.is_some_and(|version| !version.is_empty()));
    assert!(loaded.table.axclrtEngineExecute.is_some() && loaded.table.axclrtEngineExecuteAsync.is_some());
    let mut version = [0; 3];
    let [major, minor, patch] = &mut version;
    // SAFETY: three places for an integer each; the function needs no initialisation.
    let code = unsafe { loaded.table.axclrtGetVersion.unwrap()(major, minor, patch) };
    assert!(code == 0 && version[0] > 0, "{version:?}");

    let directory = tempfile::tempdir().unwrap();
    library(directory.path(), "libaxcl_rt.so", "");
    assert!(matches!(load_pcie(Some(directory.path())), Err(LoadError::Incompatible { .. })));
}

#[cfg(linked_board)]
#[test]
fn the_boards_libraries_can_be_linked_too() {
    let loaded = load_board(None).unwrap();
    assert_eq!(loaded.path, Path::new("libax_engine.so"));
    assert!(loaded.version.is_some_and(|version| !version.is_empty()));
    assert!(loaded.table.AX_SYS_MemAlloc.is_some() && loaded.table.AX_ENGINE_RunGroupIOSync.is_some());
}
