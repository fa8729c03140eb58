//! Embeds the git revision, so that `ax650 version` names the exact source a binary was built from.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
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
        .or_else(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "no revision".to_owned());
    println!("cargo:rustc-env=AX650_REVISION={revision}");
}

/// First line of what git prints, or nothing without git or without a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
