//! Embeds the git revision, so that `ax650 version` names the exact source a binary was built from.

use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

/// What a binary is made of. Changes elsewhere make no other binary, and are not watched.
const SOURCES: [&str; 6] = ["build.rs", "Cargo.toml", "Cargo.lock", "src", "ax650-sim", "ax650-sys"];

fn main() {
    find_sdk();
    for path in SOURCES {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-env-changed=AX650_REVISION");
    // The reflog changes with every commit and checkout, HEAD itself only with checkouts.
    for file in ["logs/HEAD", "HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    // Packagers who build from an archive have no repository and may name the revision themselves.
    let revision = env::var("AX650_REVISION")
        .ok()
        .filter(|text| !text.is_empty())
        .or_else(revision_of_repository)
        .unwrap_or_else(|| "no revision".to_owned());
    println!("cargo:rustc-env=AX650_REVISION={revision}");
}

/// Lets the program find the vendor's libraries that it was linked with (`ax650-sys/build.rs`) where they were then. On
/// other machines the system's search path counts too.
fn find_sdk() {
    println!("cargo::rerun-if-env-changed=AX650_SDK_DIR");
    let Some(directory) = env::var_os("AX650_SDK_DIR").filter(|directory| !directory.is_empty()) else {
        return;
    };
    for place in [directory.clone().into(), Path::new(&directory).join("lib")] {
        if let Ok(place) = fs::canonicalize::<PathBuf>(place) {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", place.display());
        }
    }
}

/// The commit that is checked out, marked if the sources differ from it.
fn revision_of_repository() -> Option<String> {
    // Unpacked inside of another project's repository, that project's revision says nothing.
    let root = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if root != fs::canonicalize(env::var_os("CARGO_MANIFEST_DIR")?).ok()? {
        return None;
    }
    let revision = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(&[&["--no-optional-locks", "status", "--porcelain", "--"], &SOURCES[..]].concat());
    Some(if changes.is_some() { revision + "-dirty" } else { revision })
}

/// First line of what git prints, or nothing without git or without a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
