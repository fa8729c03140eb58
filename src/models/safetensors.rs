//! Tensors of a safetensors file, one at a time and as f32.
//!
//! The file is a u64 header length, a JSON header, and data. The header is believed only after every entry was compared
//! with the file's length; data is read with positioned reads, so that a file that shrinks meanwhile is an error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::dequantise::decode;
use super::gguf::TensorKind;

/// Longest header that is read, in bytes; that of a model of thousand tensors has some hundred thousand.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Values that are read at a time.
const PIECE: usize = 1 << 20;

/// An open file whose header was checked.
#[derive(Debug)]
pub struct TensorFile {
    file: File,
    tensors: BTreeMap<String, Entry>,
}

/// Where a tensor is, and what.
#[derive(Debug)]
struct Entry {
    kind: String,
    shape: Vec<usize>,
    /// From the beginning of the file.
    offset: u64,
    bytes: u64,
}

/// Why a file, or a tensor of it, cannot be used. The texts continue the name of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A placeholder of git-lfs.
    #[error("is a git-lfs pointer and not the file itself; run `git lfs pull` in its directory")]
    Pointer,
    /// The header is not one, or leads out of the file.
    #[error("is no safetensors file, or is cut short: {0}; download it again")]
    Broken(String),
    /// A tensor is not there.
    #[error("lacks the tensor {0}")]
    Missing(String),
    /// A tensor has another shape than the configuration says.
    #[error("has tensor {name} of shape {found:?}, but its configuration needs {wanted:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What it should be.
        wanted: Vec<usize>,
    },
    /// Reading was given up.
    #[error("was not read to its end")]
    Stopped,
    /// A tensor's elements are of a type that is not read.
    #[error("has tensor {name} of type {kind}; F32, F16 and BF16 are read")]
    Kind {
        /// The tensor.
        name: String,
        /// Its type.
        kind: String,
    },
}

#[derive(Deserialize)]
struct RawEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl TensorFile {
    /// Opens the file and checks its header.
    pub fn open(path: &Path) -> Result<Self, SafetensorsError> {
        let file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        let broken = |reason: String| SafetensorsError::Broken(reason);
        let mut start = vec![0; usize::try_from(file_bytes.min(64)).unwrap_or(0)];
        file.read_exact_at(&mut start, 0)?;
        if start.starts_with(b"version https://git-lfs") {
            return Err(SafetensorsError::Pointer);
        }
        let length = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let length = length.ok_or_else(|| broken(format!("it has {file_bytes} bytes")))?;
        let data_start = length.checked_add(8).filter(|&end| end <= file_bytes && length <= MAX_HEADER_BYTES);
        let data_start = data_start.ok_or_else(|| broken(format!("its header would have {length} bytes")))?;
        let mut header = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut header, 8)?;
        let mut raw: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|error| broken(error.to_string()))?;
        raw.remove("__metadata__");
        let tensors = raw.into_iter().map(|(name, value)| {
            let entry =
                entry(value, data_start, file_bytes).map_err(|why| broken(format!("tensor {name} {why}")))?;
            Ok((name, entry))
        });
        Ok(Self { tensors: tensors.collect::<Result<_, SafetensorsError>>()?, file })
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The type of a tensor's elements, in the format's own word, such as `F32`.
    pub fn kind(&self, name: &str) -> Option<&str> {
        self.tensors.get(name).map(|entry| entry.kind.as_str())
    }

    /// Checks that a tensor is there, can be read, and has this shape.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), SafetensorsError> {
        self.find(name, shape).map(drop)
    }

    /// Reads a tensor of this shape, in row-major order.
    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, SafetensorsError> {
        self.read_unless(&|| false, name, shape)
    }

    /// The same; looks at `stop` before every few megabytes, because tables of words have a gigabyte.
    ///
    /// # Errors
    /// [`SafetensorsError::Stopped`] once `stop` says so.
    pub fn read_unless(
        &self,
        stop: &dyn Fn() -> bool,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, SafetensorsError> {
        let (entry, kind) = self.find(name, shape)?;
        let count: usize = shape.iter().product();
        let width = entry.bytes / (count as u64).max(1);
        let mut values = Vec::with_capacity(count);
        let mut raw = Vec::new();
        while values.len() < count {
            if stop() {
                return Err(SafetensorsError::Stopped);
            }
            let piece = PIECE.min(count - values.len());
            raw.resize(piece * usize::try_from(width).unwrap_or(usize::MAX), 0);
            self.file.read_exact_at(&mut raw, entry.offset + values.len() as u64 * width)?;
            values.extend(decode(kind, &raw, piece).map_err(SafetensorsError::Broken)?);
        }
        Ok(values)
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<(&Entry, TensorKind), SafetensorsError> {
        let entry = self.tensors.get(name).ok_or_else(|| SafetensorsError::Missing(name.to_owned()))?;
        if entry.shape != shape {
            let (found, wanted) = (entry.shape.clone(), shape.to_vec());
            return Err(SafetensorsError::Shape { name: name.to_owned(), found, wanted });
        }
        let kind = match entry.kind.as_str() {
            "F32" => TensorKind::F32,
            "F16" => TensorKind::F16,
            "BF16" => TensorKind::BF16,
            other => {
                return Err(SafetensorsError::Kind { name: name.to_owned(), kind: other.to_owned() });
            }
        };
        Ok((entry, kind))
    }
}

/// Checks one entry of the header against the file's length.
fn entry(value: serde_json::Value, data_start: u64, file_bytes: u64) -> Result<Entry, String> {
    let raw: RawEntry = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let [begin, end] = raw.data_offsets;
    let bytes = end.checked_sub(begin).ok_or("ends before it begins")?;
    let offset = data_start.checked_add(begin).ok_or("begins behind the end of the file")?;
    if offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
        return Err("ends behind the end of the file".to_owned());
    }
    // Of other types only the extent counts: they are never read.
    let width = match raw.dtype.as_str() {
        "F32" => Some(4_u64),
        "F16" | "BF16" => Some(2),
        _ => None,
    };
    if let Some(width) = width {
        let wanted = raw.shape.iter().try_fold(width, |all, &one| all.checked_mul(one as u64));
        if wanted != Some(bytes) {
            return Err(format!("of shape {:?} has {bytes} bytes", raw.shape));
        }
    }
    Ok(Entry { kind: raw.dtype, shape: raw.shape, offset, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<TensorFile, SafetensorsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        TensorFile::open(&path)
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    #[test]
    fn values_are_widened() {
        let header = r#"{"__metadata__":{"format":"pt"},
            "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]},
            "c":{"dtype":"BF16","shape":[1],"data_offsets":[12,14]},
            "ids":{"dtype":"I64","shape":[1],"data_offsets":[14,22]}}"#;
        let mut data = [1.5_f32, -2.0].map(f32::to_le_bytes).concat();
        data.extend(half::f16::from_f32(0.25).to_le_bytes());
        data.extend(half::f16::from_f32(-8.0).to_le_bytes());
        data.extend(half::bf16::from_f32(3.0).to_le_bytes());
        data.extend([0; 8]);
        let tensors = open(&file(header, &data)).unwrap();
        assert_eq!(tensors.read("a", &[2]).unwrap(), [1.5, -2.0]);
        assert_eq!(tensors.read("b", &[1, 2]).unwrap(), [0.25, -8.0]);
        assert_eq!(tensors.read("c", &[1]).unwrap(), [3.0]);
        let stopped = tensors.read_unless(&|| true, "a", &[2]);
        assert!(matches!(stopped, Err(SafetensorsError::Stopped)));
        assert!(matches!(tensors.read("a", &[1, 2]), Err(SafetensorsError::Shape { .. })));
        assert!(matches!(tensors.check("ids", &[1]), Err(SafetensorsError::Kind { .. })));
        assert!(matches!(tensors.check("d", &[1]), Err(SafetensorsError::Missing(_))));
    }

    #[test]
    fn a_tensor_of_many_pieces_is_read_whole_and_may_be_given_up() {
        let count = 2 * PIECE + 3;
        let header =
            format!(r#"{{"a":{{"dtype":"BF16","shape":[{count}],"data_offsets":[4,{}]}}}}"#, 4 + 2 * count);
        let value = |index: usize| half::bf16::from_bits(u16::try_from(index % 0x7f00).unwrap());
        let data: Vec<u8> =
            [0; 4].into_iter().chain((0..count).flat_map(|index| value(index).to_le_bytes())).collect();
        let tensors = open(&file(&header, &data)).unwrap();
        let values = tensors.read("a", &[count]).unwrap();
        assert!(
            values.iter().enumerate().all(|(index, read)| read.to_bits() == value(index).to_f32().to_bits())
        );
        assert_eq!(values.len(), count);
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) == 1;
        assert!(matches!(tensors.read_unless(&stop, "a", &[count]), Err(SafetensorsError::Stopped)));
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn broken_files_are_refused_before_anything_is_allocated() {
        let good = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert!(open(&file(good, &[0; 8])).is_ok());
        for (bytes, part) in [
            (Vec::new(), "0 bytes"),
            (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "git-lfs"),
            (u64::MAX.to_le_bytes().to_vec(), "header would have"),
            (file(good, &[0; 7]), "end of the file"),
            (file("{\"a\":", &[]), "EOF"),
            (file(&good.replace("[0,8]", "[8,0]"), &[0; 8]), "before it begins"),
            (
                file(&good.replace("[0,8]", "[18446744073709551615,18446744073709551615]"), &[0; 8]),
                "end of the file",
            ),
            (file(&good.replace("[2]", "[3]"), &[0; 8]), "has 8 bytes"),
            (file(&good.replace("[2]", "[4294967296,4294967296]"), &[0; 8]), "has 8 bytes"),
        ] {
            let error = open(&bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
