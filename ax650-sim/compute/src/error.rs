//! What can be wrong with a layer file, and with one call.

use std::path::PathBuf;

/// Why a file cannot be loaded onto the software card. Nothing is left allocated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// File that was being read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A model compiled by the vendor's Pulsar2: machine code of the NPU, which no CPU can run.
    #[error(
        "{} is compiled for the NPU by Pulsar2 and cannot run on the software card; \
         use a real card, or import the model from its GGUF file with `ax650 create`", path.display()
    )]
    VendorAxmodel {
        /// The compiled file.
        path: PathBuf,
    },
    /// The small text file that Git leaves in place of a large one.
    #[error("{} is a Git LFS pointer, not the weights; run `git lfs pull` where it came from", path.display())]
    GitLfsPointer {
        /// The pointer file.
        path: PathBuf,
    },
    /// Neither a layer file nor anything else that is known.
    #[error("{} is not a layer file of the software card: {reason}; create the model again", path.display())]
    NotSafetensors {
        /// File that was being read.
        path: PathBuf,
        /// What the header lacks.
        reason: String,
    },
    /// The file ends before the tensors that its header lists, or has bytes after them.
    #[error(
        "{} has {found} bytes where its header asks for {expected}; it was cut off or damaged, \
         create the model again", path.display()
    )]
    Truncated {
        /// File that was being read.
        path: PathBuf,
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A hyper-parameter is missing, unreadable or impossible.
    #[error("metadata `{key}` of {}: {reason}; create the model again", path.display())]
    Metadata {
        /// File that was being read.
        path: PathBuf,
        /// Name of the entry.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor is missing or does not fit the hyper-parameters.
    #[error("tensor `{tensor}` of {}: expected {expected}, found {found}; create the model again", path.display())]
    Shape {
        /// File that was being read.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Kind and shape that the metadata imply.
        expected: String,
        /// Kind and shape in the file, or `nothing`.
        found: String,
    },
}

/// Why a group cannot run on the given buffers. The outputs are then undefined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The engine has fewer groups.
    #[error("group {group} asked for, the engine has {groups}")]
    NoSuchGroup {
        /// Group asked for.
        group: usize,
        /// Groups of the engine.
        groups: usize,
    },
    /// The wrong number of buffers.
    #[error("{found} {side} given, the engine has {expected}")]
    Count {
        /// `inputs` or `outputs`.
        side: &'static str,
        /// Tensors of the engine on that side.
        expected: usize,
        /// Buffers given.
        found: usize,
    },
    /// A buffer is not exactly as large as its tensor.
    #[error("tensor `{tensor}` takes {expected} bytes, {found} given")]
    Size {
        /// Name of the tensor.
        tensor: &'static str,
        /// Bytes of the tensor in this group.
        expected: usize,
        /// Bytes of the buffer.
        found: usize,
    },
    /// A buffer does not start at a multiple of its element size.
    #[error("the buffer of tensor `{tensor}` is not aligned to its elements")]
    Alignment {
        /// Name of the tensor.
        tensor: &'static str,
    },
}
