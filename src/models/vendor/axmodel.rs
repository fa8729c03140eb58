//! The front of a compiled `.axmodel` file: who made it, and the shapes of its tensors.
//!
//! Such a file is an ONNX model in protobuf (fact: measured on the vendor's samples): field 2 names the producer, field
//! 7 is the graph, whose fields 11 and 12 are inputs and outputs with names and sizes. Weights lie beside them as large
//! fields that are stepped over, so that a file of a hundred megabytes costs some reads. Of a file with several shape
//! groups these are the shapes of one, the decode group in files seen so far; only the driver knows all.

use std::io::{Read, Seek, SeekFrom};

/// Longest name or tensor description that is read, in bytes; longer ones are stepped over.
const MAX_FIELD_BYTES: u64 = 64 << 10;
/// Fields of one message before we give up; real graphs have some dozens.
const MAX_FIELDS: usize = 1 << 16;

/// What was found. Parts that are missing or broken are left empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AxmodelHead {
    /// Program that wrote the file, `Pulsar2` for the vendor's compiler.
    pub producer: String,
    /// Names and sizes of the graph's inputs; a size that is not fixed is 0.
    pub inputs: Vec<(String, Vec<u64>)>,
}

impl AxmodelHead {
    /// Reads the front of a file of `file_bytes` bytes. `None` if it does not begin as an ONNX model does, or when it
    /// cannot be read.
    pub fn read(file: &mut (impl Read + Seek), file_bytes: u64) -> Option<Self> {
        let mut head = Self::default();
        let mut model = Message { file, at: 0, end: file_bytes };
        // The first field is the version of the format.
        let Some((1, Field::Number)) = model.field() else { return None };
        for _ in 0..MAX_FIELDS {
            match model.field() {
                Some((2, Field::Bytes { start, length })) => {
                    head.producer = String::from_utf8_lossy(&model.bytes(start, length)?).into_owned();
                }
                Some((7, Field::Bytes { start, length })) => {
                    head.graph(&mut Message { file: model.file, at: start, end: start + length });
                }
                Some(_) => {}
                None => break,
            }
        }
        (!head.producer.is_empty()).then_some(head)
    }

    fn graph(&mut self, graph: &mut Message<'_, impl Read + Seek>) {
        for _ in 0..MAX_FIELDS {
            match graph.field() {
                Some((11, Field::Bytes { start, length })) => {
                    self.inputs.extend(graph.bytes(start, length).and_then(|bytes| tensor(&bytes)));
                }
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Whether the vendor's compiler made the file.
    pub fn is_compiled(&self) -> bool {
        self.producer.to_ascii_lowercase().contains("pulsar")
    }

    /// Rows and values per row of the key cache; `None` if the file does not say it.
    pub fn cache_shape(&self) -> Option<(usize, usize)> {
        let (_, shape) =
            self.inputs.iter().find(|(name, _)| name == "K_cache" || name.starts_with("K_cache_"))?;
        let [.., rows, width] = shape[..] else { return None };
        let (rows, width) = (usize::try_from(rows).ok()?, usize::try_from(width).ok()?);
        // One row stands for no history: a prefill group.
        ((2..=1 << 20).contains(&rows) && (1..=1 << 20).contains(&width)).then_some((rows, width))
    }
}

enum Field {
    Number,
    Bytes { start: u64, length: u64 },
}

/// A protobuf message within a file.
struct Message<'a, F> {
    file: &'a mut F,
    at: u64,
    end: u64,
}

impl<F: Read + Seek> Message<'_, F> {
    /// Number and place of the next field; the position is behind it afterwards. `None` at the end, and where the
    /// message is broken.
    fn field(&mut self) -> Option<(u64, Field)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => {
                self.varint()?;
                Field::Number
            }
            1 => self.skip(8)?,
            2 => {
                let length = self.varint()?;
                self.skip(length)?
            }
            5 => self.skip(4)?,
            _ => return None,
        };
        Some((key >> 3, field))
    }

    fn skip(&mut self, length: u64) -> Option<Field> {
        let start = self.at;
        self.at = start.checked_add(length).filter(|end| *end <= self.end)?;
        Some(Field::Bytes { start, length })
    }

    fn varint(&mut self) -> Option<u64> {
        let available = self.end.saturating_sub(self.at).min(10);
        let bytes = self.bytes(self.at, available)?;
        let (value, length) = varint(&bytes)?;
        self.at += length as u64;
        Some(value)
    }

    fn bytes(&mut self, start: u64, length: u64) -> Option<Vec<u8>> {
        if length > MAX_FIELD_BYTES {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.seek(SeekFrom::Start(start)).ok()?;
        self.file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// A variable-length number at the front of `bytes`, and its length.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        value |= bits.checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// The fields of a small message: numbers, and the bytes of strings and messages.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, u64, &[u8])> {
    std::iter::from_fn(move || {
        let (key, length) = varint(bytes)?;
        bytes = &bytes[length..];
        let (value, content) = match key & 7 {
            0 => {
                let (value, length) = varint(bytes)?;
                bytes = &bytes[length..];
                (value, &[][..])
            }
            kind @ (1 | 2 | 5) => {
                let (length, width) = match kind {
                    1 => (8, 0),
                    2 => varint(bytes)?,
                    _ => (4, 0),
                };
                let (content, rest) = bytes.get(width..)?.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                (0, content)
            }
            _ => return None,
        };
        Some((key >> 3, value, content))
    })
}

/// Name and sizes of a described tensor: its type (2) has a tensor type (1) with a shape (2) of dimensions (1).
fn tensor(bytes: &[u8]) -> Option<(String, Vec<u64>)> {
    let child = |bytes, number| {
        fields(bytes).find(move |(found, ..)| *found == number).map(|(_, _, content)| content)
    };
    let name = String::from_utf8_lossy(child(bytes, 1)?).into_owned();
    let shape = child(bytes, 2).and_then(|kind| child(kind, 1)).and_then(|tensor| child(tensor, 2));
    let dimensions = fields(shape.unwrap_or_default()).filter(|(number, ..)| *number == 1);
    let size = |content| fields(content).find(|(number, ..)| *number == 1).map_or(0, |(_, value, _)| value);
    Some((name, dimensions.map(|(_, _, content)| size(content)).collect()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = content.len();
        while length > 0x7f {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(content);
        out
    }

    fn described(name: &str, shape: &[u8]) -> Vec<u8> {
        let dimensions: Vec<u8> = shape.iter().flat_map(|size| bytes(1, &[0x08, *size])).collect();
        let tensor = [vec![0x08, 16], bytes(2, &dimensions)].concat();
        [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
    }

    fn read(file: &[u8]) -> Option<AxmodelHead> {
        AxmodelHead::read(&mut Cursor::new(file), file.len() as u64)
    }

    fn sample() -> Vec<u8> {
        let graph = [
            bytes(2, b"ax-model"),
            bytes(5, &vec![0xff; 300_000]),
            bytes(11, &described("indices", &[1, 1])),
            bytes(11, &described("K_cache", &[1, 100, 32])),
        ]
        .concat();
        [b"\x08\x07".to_vec(), bytes(2, b"Pulsar2"), bytes(6, b"doc"), bytes(7, &graph)].concat()
    }

    #[test]
    fn finds_producer_and_cache_past_the_weights() {
        let head = read(&sample()).unwrap();
        assert!(head.is_compiled());
        assert_eq!(head.inputs.len(), 2);
        assert_eq!(head.cache_shape(), Some((100, 32)));
        let other = [b"\x08\x07".to_vec(), bytes(2, b"pytorch")].concat();
        assert!(!read(&other).unwrap().is_compiled());
        assert_eq!(read(b"PK\x03\x04 something else"), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn what_is_cut_short_gives_what_is_there() {
        let file = sample();
        for length in 0..file.len().min(64) {
            read(&file[..length]);
        }
        let cut = read(&file[..100]).unwrap();
        assert_eq!((cut.producer.as_str(), cut.cache_shape()), ("Pulsar2", None));
        // A length beyond everything.
        assert_eq!(read(b"\x08\x07\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), None);
    }
}
