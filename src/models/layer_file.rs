//! Layer files as `ax650-sim` reads them: a safetensors file whose metadata says what it computes.
//!
//! This module holds what the writer ([`super::import`]) and the checker ([`super::model`]) must agree on: names of
//! metadata keys, and a cheap reader of a file's header that refuses what could not be loaded. Files compiled by the
//! vendor's tools have another format that only the vendor's driver can read; they are recognised and left to it.
//!
//! A safetensors file is a u64 header length, a JSON header padded with blanks, and data without gaps.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::vendor::axmodel::AxmodelHead;

/// Rows of a prefill chunk.
pub const CHUNK: usize = 128;
/// Value of the metadata key `ax650.format`.
pub const FORMAT: &str = "1";
/// Value of the metadata key `ax650.weights` of files that only name the bytes of their weights.
pub const SYNTHETIC: &str = "synthetic";
/// Longest header that is read; real ones have some kilobytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// What the first bytes of a layer or head file say.
#[derive(Debug, Clone, PartialEq)]
pub enum FileHead {
    /// A file for the software card, checked: its data has exactly the length its header says.
    Software(SoftwareHead),
    /// A file compiled by the vendor's tools. What else is in it only the vendor's driver can judge.
    Vendor(AxmodelHead),
}

/// Header of a file for the software card.
#[derive(Debug, Clone, PartialEq)]
pub struct SoftwareHead {
    /// Hyper-parameters, keys `ax650.*`.
    pub metadata: BTreeMap<String, String>,
    /// Shape of every tensor.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// Reads the header of the file at `path`. The error says what is wrong with the file, without naming it.
pub fn read_head(path: &Path) -> Result<FileHead, String> {
    let io = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(io)?;
    let file_bytes = file.metadata().map_err(io)?.len();
    if file_bytes == 0 {
        return Err("is empty (0 bytes); make the model again with `ax650 create`".to_owned());
    }
    let mut start = vec![0; usize::try_from(file_bytes.min(64)).unwrap_or(64)];
    file.read_exact_at(&mut start, 0).map_err(io)?;
    if start.starts_with(b"version https://git-lfs") {
        return Err(
            "is a git-lfs pointer and not the file itself; run `git lfs pull` in the directory, or make the model again with `ax650 create`".to_owned()
        );
    }
    let header_bytes = match start.first_chunk::<8>() {
        // A safetensors header always starts with a brace.
        Some(length) if start.get(8) == Some(&b'{') => u64::from_le_bytes(*length),
        _ => return vendor_head(&mut &file, file_bytes),
    };
    let Some(data_bytes) = file_bytes.checked_sub(8).and_then(|rest| rest.checked_sub(header_bytes)) else {
        return Err("is cut short; make the model again with `ax650 create`".to_owned());
    };
    if header_bytes > MAX_HEADER_BYTES {
        return Err(format!("has a header of {header_bytes} bytes, more than {MAX_HEADER_BYTES} possible"));
    }
    let mut header = vec![0; usize::try_from(header_bytes).unwrap_or(0)];
    file.read_exact_at(&mut header, 8).map_err(io)?;
    parse_head(&header, data_bytes).map(FileHead::Software)
}

/// Tells a compiled model from other files.
fn vendor_head(file: &mut &File, file_bytes: u64) -> Result<FileHead, String> {
    match AxmodelHead::read(file, file_bytes) {
        Some(head) if head.is_compiled() => Ok(FileHead::Vendor(head)),
        Some(head) => Err(format!(
            "is an ONNX model written by {:?} and not compiled for the NPU; compile it with the vendor's Pulsar2",
            head.producer.chars().take(40).collect::<String>()
        )),
        None => Err("is neither a model compiled by the vendor's Pulsar2 nor a layer file of this program; it is damaged \
                     or something else: download it again"
            .to_owned()),
    }
}

/// Reads the JSON header of a file for the software card, `data_bytes` of data following it.
pub fn parse_head(header: &[u8], data_bytes: u64) -> Result<SoftwareHead, String> {
    let mut raw: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|error| format!("has a broken header: {error}"))?;
    let metadata = raw.remove("__metadata__").ok_or("has no metadata; it is not a file of this program")?;
    let metadata =
        serde_json::from_value(metadata).map_err(|error| format!("has broken metadata: {error}"))?;
    let mut shapes = BTreeMap::new();
    let mut total = 0_u64;
    for (name, value) in raw {
        let tensor: RawTensor = serde_json::from_value(value)
            .map_err(|error| format!("has a broken entry for tensor {name}: {error}"))?;
        let width = match tensor.dtype.as_str() {
            "F32" => 4,
            "BF16" => 2,
            "I8" => 1,
            other => return Err(format!("has tensor {name} of unknown type {other}")),
        };
        let bytes = tensor.shape.iter().try_fold(width, |all: u64, &one| all.checked_mul(one as u64));
        let [begin, end] = tensor.data_offsets;
        if bytes.is_none() || end.checked_sub(begin) != bytes || end > data_bytes {
            return Err(format!(
                "has tensor {name} whose data is not where the header says; it is cut short or damaged"
            ));
        }
        total = total.saturating_add(bytes.unwrap_or(0));
        shapes.insert(name, tensor.shape);
    }
    if total != data_bytes {
        return Err(format!(
            "has {data_bytes} bytes of data but its header describes {total}; it is damaged"
        ));
    }
    Ok(SoftwareHead { metadata, shapes })
}

impl SoftwareHead {
    /// The number under metadata key `key`.
    pub fn number(&self, key: &str) -> Result<usize, String> {
        let text = self.metadata.get(key).ok_or_else(|| format!("lacks the metadata key {key}"))?;
        text.parse().map_err(|_| format!("has {key} = {text:?} in its metadata, a number is needed"))
    }

    /// Whether the file has shapes and no weights. It then names the bytes that the weights would have.
    pub fn is_synthetic(&self) -> bool {
        self.metadata.get("ax650.weights").is_some_and(|weights| weights == SYNTHETIC)
    }

    /// Checks that metadata key `key` is `wanted`.
    pub fn expect(&self, key: &str, wanted: &str) -> Result<(), String> {
        match self.metadata.get(key) {
            Some(found) if found == wanted => Ok(()),
            Some(found) => {
                Err(format!("has {key} = {found:?} in its metadata, but this model needs {wanted:?}"))
            }
            None => Err(format!("lacks the metadata key {key}")),
        }
    }

    /// Checks that tensor `name` is there with shape `wanted`.
    pub fn expect_shape(&self, name: &str, wanted: &[usize]) -> Result<(), String> {
        match self.shapes.get(name) {
            Some(found) if found == wanted => Ok(()),
            Some(found) => {
                Err(format!("has tensor {name} of shape {found:?}, but this model needs {wanted:?}"))
            }
            None => Err(format!("lacks the tensor {name}")),
        }
    }
}

/// Lengths of the prefill groups' K caches for a cache of `kv_len` rows: 1 (no history), then 128 times powers of two
/// up to the first that covers every history a chunk can start at, which is at most `kv_len - 1`.
pub fn history_ladder(kv_len: usize) -> Vec<usize> {
    let mut ladder = vec![1];
    if kv_len == 1 {
        return ladder;
    }
    let mut step = CHUNK;
    while step + 1 < kv_len {
        ladder.push(step);
        step *= 2;
    }
    ladder.push(step.min(kv_len));
    ladder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_covers_every_history() {
        assert_eq!(history_ladder(1), [1]);
        assert_eq!(history_ladder(2), [1, 2]);
        assert_eq!(history_ladder(100), [1, 100]);
        assert_eq!(history_ladder(129), [1, 128]);
        assert_eq!(history_ladder(200), [1, 128, 200]);
        assert_eq!(history_ladder(4096), [1, 128, 256, 512, 1024, 2048, 4096]);
        for kv_len in 2..2000 {
            let ladder = history_ladder(kv_len);
            let largest = *ladder.last().unwrap();
            assert!(largest + 1 >= kv_len && largest <= kv_len, "{kv_len}: {ladder:?}");
            assert!(ladder.is_sorted_by(|a, b| a < b), "{kv_len}: {ladder:?}");
        }
    }

    #[test]
    fn tells_damaged_files_from_the_vendors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l0.axmodel");
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
        write(b"\x08\x0a\x12\x07Pulsar2\x1a\x05onnx");
        assert!(matches!(read_head(&path), Ok(FileHead::Vendor(_))));
        write(b"\x08\x07\x12\x07pytorch");
        assert!(read_head(&path).unwrap_err().contains("pytorch"));
        write(b"\x89HDF\r\n");
        assert!(read_head(&path).unwrap_err().contains("neither"));
        write(b"");
        assert!(read_head(&path).unwrap_err().contains("empty"));
        write(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 125829120\n");
        assert!(read_head(&path).unwrap_err().contains("git lfs pull"));
        let file = |header: &str, data: usize| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            bytes.resize(bytes.len() + data, 0);
            bytes
        };
        let header = r#"{"__metadata__":{"a":"1"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;
        write(&file(header, 12));
        let Ok(FileHead::Software(head)) = read_head(&path) else { panic!("a good file is refused") };
        assert_eq!(head.number("a"), Ok(1));
        assert!(head.expect_shape("w", &[2, 3]).is_ok());
        assert!(head.expect_shape("w", &[3, 2]).unwrap_err().contains("[2, 3]"));
        write(&file(header, 11));
        assert!(read_head(&path).unwrap_err().contains("tensor w"));
        write(&file(header, 13));
        assert!(read_head(&path).unwrap_err().contains("13 bytes"));
        write(&file(header, 12)[..40]);
        assert!(read_head(&path).unwrap_err().contains("cut short"));
        let huge = header.replace("[2,3]", "[4294967296,4294967296]");
        write(&file(&huge, 12));
        assert!(read_head(&path).is_err());
    }
}
