//! A look at model files before a card sees them: what the vendor's library says of a bad file helps nobody,
//! and a load that fails half-way has wedged real cards.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use serde::Deserialize;

use super::DeviceError;

const LFS_POINTER: &[u8] = b"version https://git-lfs";
/// The producer's name, at the front of an ONNX model of the vendor's compiler.
const COMPILER: &[u8] = b"Pulsar2";

/// Longer than the header of any layer file.
const MAX_HEADER: u64 = 16 << 20;

/// The size of a model file in bytes, if it can be one for this card. A synthetic file counts as large as the one that
/// it stands for.
pub(super) fn inspect(path: &Path, software: bool) -> Result<u64, DeviceError> {
    let bad = |what: &str| DeviceError::Model(format!("{}: {what}", path.display()));
    let io =
        |e: std::io::Error| bad(&format!("cannot be read ({e}); create the model again with 'ax650 create'"));
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut front = Vec::with_capacity(64);
    file.by_ref().take(64).read_to_end(&mut front).map_err(io)?;
    if size == 0 {
        return Err(bad("is empty; create the model again with 'ax650 create'"));
    }
    if front.starts_with(LFS_POINTER) {
        return Err(bad("is a Git LFS pointer, not the file; fetch it with 'git lfs pull'"));
    }
    if software && is_compiled(&front) {
        return Err(bad(
            "is compiled for the NPU, and the software card cannot run it; use a card, or 'ax650 create' the model from a GGUF file",
        ));
    }
    if !software && is_safetensors(&front) {
        return Err(bad(
            "is a layer file of the software card; a card needs files compiled by the vendor's tools, or use --device software",
        ));
    }
    let stands_for = if software { synthetic_bytes(&mut file) } else { None };
    Ok(size.max(stands_for.unwrap_or_default()))
}

/// The bytes of weights that a layer file of the software card claims to have, without having any.
fn synthetic_bytes(file: &mut File) -> Option<u64> {
    file.rewind().ok()?;
    let mut len = [0; 8];
    file.read_exact(&mut len).ok()?;
    let len = Some(u64::from_le_bytes(len)).filter(|len| *len <= MAX_HEADER)?;
    let header: Header = serde_json::from_reader(BufReader::new(file.take(len))).ok()?;
    header.metadata.weight_bytes?.parse().ok()
}

/// What matters here of the JSON at the front of a layer file.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "ax650.weight_bytes")]
    weight_bytes: Option<String>,
}

/// The field `ir_version`, whichever it is, then that of the producer: how ONNX models begin.
fn is_compiled(front: &[u8]) -> bool {
    front.first() == Some(&0x08)
        && front.windows(COMPILER.len()).any(|part| part.eq_ignore_ascii_case(COMPILER))
}

/// A length of eight bytes, then JSON: how the software card's files begin.
fn is_safetensors(front: &[u8]) -> bool {
    front.get(6..9).is_some_and(|bytes| bytes == b"\0\0{")
}

#[cfg(test)]
mod tests {
    use super::inspect;

    fn message(contents: &[u8], software: bool) -> Result<u64, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        inspect(file.path(), software).map_err(|e| e.to_string())
    }

    #[test]
    fn files_that_no_card_could_load_are_named_with_the_remedy() {
        assert!(message(b"", true).unwrap_err().contains("is empty"));
        assert!(
            message(b"version https://git-lfs.github.com/spec/v1\n", false)
                .unwrap_err()
                .contains("git lfs pull")
        );
        let missing = inspect(std::path::Path::new("/nowhere/l0.axmodel"), true).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/l0.axmodel"), "{missing}");
    }

    #[test]
    fn each_card_takes_its_own_kind_of_file() {
        let ours = b"\x10\0\0\0\0\0\0\0{\"a\":1}";
        for compiled in [b"\x08\x07\x12\x07Pulsar2\x1a".as_slice(), b"\x08\x0a\x12\x07pulsar2"] {
            assert!(message(compiled, true).unwrap_err().contains("compiled for the NPU"));
            assert_eq!(message(compiled, false), Ok(compiled.len() as u64));
        }
        assert!(message(ours, false).unwrap_err().contains("software card"));
        assert_eq!(message(ours, true), Ok(ours.len() as u64));
    }

    #[test]
    fn a_synthetic_file_counts_as_what_it_stands_for() {
        let file = |header: &str| {
            let len = (header.len() as u64).to_le_bytes();
            message(&[&len, header.as_bytes()].concat(), true)
        };
        let header = r#"{"__metadata__":{"ax650.weights":"synthetic","ax650.weight_bytes":"101000000"}}"#;
        assert_eq!(file(header), Ok(101_000_000));
        let small = header.replace("101000000", "1");
        assert_eq!(file(&small), Ok(8 + small.len() as u64));
    }
}
