//! Import of GGUF files that the tests write themselves, good and bad, and what must hold of the model directories.

mod broken_directories;
mod broken_files;
mod disk_full;
mod fixture;
mod good_files;
mod real_files;
