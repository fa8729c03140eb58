//! Import of GGUF files that the tests write themselves, good and bad, and what must hold of the model directories.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what went wrong by panicking"
)]

mod broken_directories;
mod broken_files;
mod broken_packages;
mod derive;
mod disk_full;
mod fixture;
mod good_files;
#[path = "../common/models.rs"]
mod models;
mod real_files;
mod synthetic;
mod vendor;
mod vendor_fixture;
