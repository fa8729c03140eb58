//! The GGUF file that is imported.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::dequantise::TensorReader;
use super::super::gguf::{GgufError, Header, Tensor};
use super::ImportError;

/// First piece of the file that is tried as header.
const FIRST_PREFIX_BYTES: u64 = 16 << 20;
/// Longest header that is read.
const MAX_PREFIX_BYTES: u64 = 1 << 30;

/// An open GGUF file and the bytes of its header.
#[derive(Debug)]
pub(super) struct GgufFile {
    file: File,
    path: PathBuf,
    file_bytes: u64,
    prefix: Vec<u8>,
}

impl GgufFile {
    /// Opens `path`, a regular file, and reads as much of it as its header takes.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let fail = |source| ImportError::Open { path: path.to_owned(), source };
        // Looked at before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(fail)?.is_file() {
            return Err(ImportError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(fail)?;
        let data = file.metadata().map_err(fail)?;
        if !data.is_file() {
            return Err(ImportError::NotAFile { path: path.to_owned() });
        }
        let file_bytes = data.len();
        let mut prefix = Vec::new();
        let mut wanted = FIRST_PREFIX_BYTES;
        loop {
            let more = wanted - prefix.len() as u64;
            (&file).take(more).read_to_end(&mut prefix).map_err(fail)?;
            let whole = prefix.len() as u64 >= file_bytes || wanted >= MAX_PREFIX_BYTES;
            match Header::parse(&prefix, file_bytes) {
                Err(GgufError::Truncated { .. }) if !whole => wanted *= 2,
                // Any other error comes again from `header`, where the caller can say which file it is about.
                _ => return Ok(Self { file, path: path.to_owned(), file_bytes, prefix }),
            }
        }
    }

    /// The header.
    pub(super) fn header(&self) -> Result<Header<'_>, GgufError> {
        Header::parse(&self.prefix, self.file_bytes)
    }

    /// A reader of one tensor of the header.
    pub(super) fn reader<'a>(&'a self, tensor: &'a Tensor<'a>) -> TensorReader<'a> {
        TensorReader::new(&self.file, &self.path, tensor)
    }
}
