//! A layer file while it is being loaded: the header is checked in full, tensors are read piece by piece.
//!
//! The file is read with plain reads and not mapped, so that a file that shrinks meanwhile is an error and
//! not a signal, and so that packing never holds a second copy of the weights.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::error::LoadError;

/// Layer files have a dozen tensors; a header beyond this is not one of ours.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Where the bytes of a layer come from: a file, or the memory of a caller.
trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// An open layer file whose header has been checked against its length.
pub(super) struct LayerFile<'a> {
    path: PathBuf,
    file: Box<dyn Source + 'a>,
    metadata: Metadata,
    /// Offset of the first tensor byte.
    data_start: u64,
}

impl<'a> LayerFile<'a> {
    /// Opens `path` and checks that its header describes exactly the bytes that follow it.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_path_buf(), source };
        Self::read_header(path, Box::new(File::open(path).map_err(io)?))
    }

    /// As [`LayerFile::open`], for a file that is in memory; `name` stands for its path in messages.
    pub(super) fn from_bytes(name: &Path, bytes: &'a [u8]) -> Result<Self, LoadError> {
        Self::read_header(name, Box::new(Cursor::new(bytes)))
    }

    fn read_header(path: &Path, mut file: Box<dyn Source + 'a>) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_path_buf(), source };
        let not_ours = |reason: String| LoadError::NotSafetensors { path: path.to_path_buf(), reason };
        let found = file.seek(SeekFrom::End(0)).map_err(io)?;
        file.rewind().map_err(io)?;
        let mut prefix = Vec::with_capacity(512);
        (&mut file).take(512).read_to_end(&mut prefix).map_err(io)?;
        if prefix.starts_with(b"version https://git-lfs.github.com/spec/") {
            return Err(LoadError::GitLfsPointer { path: path.to_path_buf() });
        }
        if is_vendor_axmodel(&prefix) {
            return Err(LoadError::VendorAxmodel { path: path.to_path_buf() });
        }
        let Some(length) = prefix.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
            return Err(not_ours(format!("it has only {found} bytes")));
        };
        if prefix.get(8).is_some_and(|byte| *byte != b'{') || length < 2 {
            return Err(not_ours("it does not start with a safetensors header".to_owned()));
        }
        if length > MAX_HEADER_BYTES {
            return Err(not_ours(format!("its header claims {length} bytes")));
        }
        let data_start = 8 + length;
        if data_start > found {
            return Err(LoadError::Truncated { path: path.to_path_buf(), expected: data_start, found });
        }
        let mut header = vec![0; usize::try_from(length).map_err(|e| not_ours(e.to_string()))?];
        file.seek(SeekFrom::Start(8)).map_err(io)?;
        file.read_exact(&mut header).map_err(io)?;
        // Deserialising also checks that offsets are contiguous and agree with the shapes.
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| not_ours(format!("its header is broken ({e})")))?;
        let expected = data_start.saturating_add(metadata.data_len() as u64);
        if expected != found {
            return Err(LoadError::Truncated { path: path.to_path_buf(), expected, found });
        }
        Ok(Self { path: path.to_path_buf(), file, metadata, data_start })
    }

    /// Path as given to [`LayerFile::open`].
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of all tensors.
    pub(super) fn data_bytes(&self) -> u64 {
        self.metadata.data_len() as u64
    }

    /// The hyper-parameters, `ax650.*`.
    pub(super) fn entries(&self) -> Option<&HashMap<String, String>> {
        self.metadata.metadata().as_ref()
    }

    /// Kind of tensor `name`, if the file has it.
    pub(super) fn dtype(&self, name: &str) -> Option<Dtype> {
        self.metadata.info(name).map(|info| info.dtype)
    }

    /// Tensor `name` must have this kind and shape.
    pub(super) fn expect(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<TensorInfo, LoadError> {
        match self.metadata.info(name) {
            Some(info) if info.dtype == dtype && info.shape == shape => Ok(info.clone()),
            Some(info) => Err(self.shape_error(
                name,
                format!("{dtype} {shape:?}"),
                format!("{} {:?}", info.dtype, info.shape),
            )),
            None => Err(self.shape_error(name, format!("{dtype} {shape:?}"), "nothing".to_owned())),
        }
    }

    pub(super) fn shape_error(&self, tensor: &str, expected: String, found: String) -> LoadError {
        LoadError::Shape { path: self.path.clone(), tensor: tensor.to_owned(), expected, found }
    }

    /// Fills `bytes` from tensor `info`, `offset` bytes into it.
    pub(super) fn read(
        &mut self,
        info: &TensorInfo,
        offset: usize,
        bytes: &mut [u8],
    ) -> Result<(), LoadError> {
        let position = self.data_start + info.data_offsets.0 as u64 + offset as u64;
        let result = self.file.seek(SeekFrom::Start(position)).and_then(|_| self.file.read_exact(bytes));
        result.map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => LoadError::Truncated {
                path: self.path.clone(),
                expected: position + bytes.len() as u64,
                found: self.file.seek(SeekFrom::End(0)).unwrap_or(0),
            },
            _ => LoadError::Io { path: self.path.clone(), source },
        })
    }

    /// Reads the F32 vector `name` of `len` elements.
    pub(super) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let info = self.expect(name, Dtype::F32, &[len])?;
        let mut bytes = vec![0; len * 4];
        self.read(&info, 0, &mut bytes)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// As [`LayerFile::vector`], `None` if the file does not have the tensor.
    pub(super) fn optional_vector(&mut self, name: &str, len: usize) -> Result<Option<Vec<f32>>, LoadError> {
        if self.dtype(name).is_none() { Ok(None) } else { self.vector(name, len).map(Some) }
    }
}

/// An ONNX protobuf starts with its version field (tag 0x08); Pulsar2 names itself as the producer.
fn is_vendor_axmodel(prefix: &[u8]) -> bool {
    prefix.first() == Some(&0x08) && prefix.windows(7).any(|window| window.eq_ignore_ascii_case(b"pulsar2"))
}
