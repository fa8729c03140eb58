//! A bounds-checked reader of GGUF headers (versions 2 and 3, little-endian).
//!
//! Files come from strangers, so nothing here trusts a number of the file: a count or a length is compared with the
//! bytes that are really there *before* anything is allocated or walked, values are borrowed from the input, and no
//! input makes it panic (a fuzz target says so). Readers that allocate by declared length let a file of 36 bytes end
//! the process; that is why this one is our own.
//!
//! The reader works on a *prefix* of the file and on the file's length. It needs nothing of the tensors' data, so a
//! caller reads a first piece, and a larger one when the answer is [`GgufError::Truncated`] and there is more.
//!
//! The format: magic `GGUF`, u32 version, u64 tensor count, u64 metadata count, the metadata pairs, the tensor
//! descriptions, padding to `general.alignment` (32 if absent), tensor data. Strings are u64 length and bytes.
//! Dimensions are listed innermost first. (Source: the GGUF specification of the ggml project.)

mod cursor;
mod header;
mod kind;
mod value;

pub use header::{Header, MAGIC, Tensor};
pub use kind::TensorKind;
pub use value::{Array, Value, ValueKind};

/// Why a file is not a GGUF file that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The input ends before the header does. With a prefix of the file: read more of it.
    #[error(
        "the file ends inside {what} at byte {offset}; it is cut short: get the file again, then run `ax650 create`"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// Where, in bytes from the start of the file.
        offset: usize,
    },
    /// The first four bytes are something else.
    #[error("not a GGUF file: it starts with {0:?} instead of \"GGUF\"; give a .gguf model file")]
    Magic(String),
    /// The first bytes are those of a git-lfs pointer.
    #[error(
        "this is a git-lfs pointer and not the model itself; run `git lfs pull` where it was cloned, or get the file itself, then run `ax650 create`"
    )]
    LfsPointer,
    /// The version is not 2 or 3.
    #[error(
        "GGUF version {0} is not supported, only 2 and 3; convert the model again with a current llama.cpp"
    )]
    Version(u32),
    /// A big-endian file.
    #[error("big-endian GGUF files are not supported; convert the model for a little-endian machine")]
    BigEndian,
    /// A count or length that cannot be true of this file.
    #[error("{what} is {found}, more than {limit} possible; the file is damaged")]
    Count {
        /// Which number.
        what: String,
        /// Its value.
        found: u64,
        /// The largest that could be true.
        limit: u64,
    },
    /// The same key or tensor name twice.
    #[error("{what} {name:?} occurs twice; the file is damaged")]
    Duplicate {
        /// `metadata key` or `tensor`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A type number that the format does not define, or nests deeper than we read.
    #[error("{what} has unknown type {found}; supported: {supported}")]
    UnknownType {
        /// What has it.
        what: String,
        /// The number.
        found: u32,
        /// What would be read.
        supported: String,
    },
    /// Text that is not UTF-8.
    #[error("{0} is not valid UTF-8")]
    Utf8(String),
    /// `general.alignment` is not a power of two from 1 to 65536.
    #[error("general.alignment is {0}; it must be a power of two from 1 to 65536")]
    Alignment(String),
    /// A tensor whose description cannot be true.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A metadata key that is needed is missing.
    #[error("metadata key {0:?} is missing; the file is incomplete: convert the model again")]
    MissingKey(String),
    /// A metadata value of another kind than needed.
    #[error("metadata key {key:?} is {found}, but {wanted} is needed")]
    WrongKind {
        /// The key.
        key: String,
        /// The kind it has.
        found: String,
        /// The kind needed.
        wanted: &'static str,
    },
}
