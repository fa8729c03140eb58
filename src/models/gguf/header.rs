//! The header: metadata and tensor descriptions.

use std::collections::{BTreeMap, HashSet};

use super::GgufError;
use super::cursor::Cursor;
use super::kind::TensorKind;
use super::value::{Array, Value};

/// The first four bytes of every GGUF file.
pub const MAGIC: &[u8; 4] = b"GGUF";

const MAX_METADATA: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 17;
const MAX_KEY_BYTES: u64 = 65_535;
const MAX_NAME_BYTES: u64 = 256;
const MAX_DIMENSIONS: u32 = 4;
const MAX_ALIGNMENT: u64 = 1 << 16;
const DEFAULT_ALIGNMENT: u64 = 32;
/// A pair takes at least a key length (8), a type (4) and a value (1).
const MIN_PAIR_BYTES: u64 = 13;
/// A description takes at least a name length (8), a rank (4), one dimension (8), a type (4) and an offset (8).
const MIN_TENSOR_BYTES: u64 = 32;

/// One tensor of the file; its data is known to lie inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its name, e.g. `blk.0.attn_q.weight`.
    pub name: &'a str,
    /// Elements per row: the innermost dimension.
    pub columns: usize,
    /// Rows: the product of the other dimensions.
    pub rows: usize,
    /// Dimensions as in the file, innermost first.
    pub dimensions: Vec<usize>,
    /// How its elements are stored.
    pub kind: TensorKind,
    /// Where its data starts, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes of its data.
    pub bytes: u64,
}

impl Tensor<'_> {
    /// Number of elements; cannot overflow, it was checked when the header was read.
    pub fn elements(&self) -> u64 {
        self.rows as u64 * self.columns as u64
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.columns / self.kind.block_elements() * self.kind.block_bytes()
    }
}

/// Everything a GGUF file says before its data.
#[derive(Debug, Clone, PartialEq)]
pub struct Header<'a> {
    /// Version of the format, 2 or 3.
    pub version: u32,
    metadata: BTreeMap<&'a str, Value<'a>>,
    tensors: BTreeMap<&'a str, Tensor<'a>>,
}

impl<'a> Header<'a> {
    /// Reads the header from `prefix`, the first bytes of a file of `file_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`GgufError::Truncated`] when the header goes on after the prefix; everything else is final.
    pub fn parse(prefix: &'a [u8], file_bytes: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(prefix);
        let version = read_magic(&mut cursor)?;
        let tensor_count = cursor.u64("the tensor count")?;
        let pair_count = cursor.u64("the metadata count")?;
        check_count("metadata count", pair_count, MAX_METADATA.min(file_bytes / MIN_PAIR_BYTES))?;
        check_count("tensor count", tensor_count, MAX_TENSORS.min(file_bytes / MIN_TENSOR_BYTES))?;

        let mut metadata = BTreeMap::new();
        for index in 0..pair_count {
            let what = format!("metadata key {index}");
            let key = text(cursor.string(MAX_KEY_BYTES, &what)?, &what)?;
            let value = Value::read(&mut cursor, key)?;
            if metadata.insert(key, value).is_some() {
                return Err(GgufError::Duplicate { what: "metadata key", name: key.to_owned() });
            }
        }
        let alignment = alignment(metadata.get("general.alignment"))?;

        let mut found = Vec::new();
        for index in 0..tensor_count {
            found.push(read_tensor(&mut cursor, index)?);
        }
        let data_start = (cursor.position() as u64).next_multiple_of(alignment);
        let mut names = HashSet::new();
        let mut tensors = BTreeMap::new();
        for mut tensor in found {
            if !names.insert(tensor.name) {
                return Err(GgufError::Duplicate { what: "tensor", name: tensor.name.to_owned() });
            }
            place(&mut tensor, data_start, alignment, file_bytes)?;
            tensors.insert(tensor.name, tensor);
        }
        Ok(Self { version, metadata, tensors })
    }

    /// All metadata, by key.
    pub fn metadata(&self) -> &BTreeMap<&'a str, Value<'a>> {
        &self.metadata
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> &BTreeMap<&'a str, Tensor<'a>> {
        &self.tensors
    }

    /// The string under `key`, `None` if there is no such key.
    pub fn optional_str(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => text(bytes, &format!("metadata key {key:?}")).map(Some),
            Some(other) => Err(wrong_kind(key, other, "a string")),
        }
    }

    /// The non-negative integer under `key`, `None` if there is no such key.
    pub fn optional_u64(&self, key: &str) -> Result<Option<u64>, GgufError> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        value.as_u64().map(Some).ok_or_else(|| wrong_kind(key, value, "a whole number"))
    }

    /// The number under `key`, `None` if there is no such key.
    pub fn optional_f64(&self, key: &str) -> Result<Option<f64>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong_kind(key, other, "a floating-point number")),
        }
    }

    /// The boolean under `key`, `None` if there is no such key.
    pub fn optional_bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong_kind(key, other, "a boolean")),
        }
    }

    /// The array under `key`, `None` if there is no such key.
    pub fn optional_array(&self, key: &str) -> Result<Option<Array<'a>>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(*array)),
            Some(other) => Err(wrong_kind(key, other, "an array")),
        }
    }

    /// The strings of the array under `key`, `None` if there is no such key.
    pub fn optional_strings(&self, key: &str) -> Result<Option<Vec<String>>, GgufError> {
        let Some(array) = self.optional_array(key)? else { return Ok(None) };
        let strings = array.iter().enumerate().map(|(index, value)| match value {
            Value::Bytes(bytes) => text(bytes, &format!("element {index} of {key:?}")).map(str::to_owned),
            _ => Err(wrong_kind(key, &Value::Array(array), "an array of strings")),
        });
        strings.collect::<Result<_, _>>().map(Some)
    }
}

fn read_magic(cursor: &mut Cursor<'_>) -> Result<u32, GgufError> {
    let magic: [u8; 4] = cursor.array("the magic number")?;
    if &magic != MAGIC {
        return Err(match &magic {
            b"vers" => GgufError::LfsPointer,
            _ => GgufError::Magic(magic.escape_ascii().to_string()),
        });
    }
    match cursor.u32("the version")? {
        version @ (2 | 3) => Ok(version),
        version if matches!(version.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
        version => Err(GgufError::Version(version)),
    }
}

fn read_tensor<'a>(cursor: &mut Cursor<'a>, index: u64) -> Result<Tensor<'a>, GgufError> {
    let what = format!("the description of tensor {index}");
    let name = text(cursor.string(MAX_NAME_BYTES, &what)?, &what)?;
    let rank = cursor.u32(&what)?;
    if rank == 0 || rank > MAX_DIMENSIONS {
        return Err(bad_tensor(
            name,
            format!("it has {rank} dimensions, 1 to {MAX_DIMENSIONS} are possible"),
        ));
    }
    let mut dimensions = Vec::new();
    for _ in 0..rank {
        let dimension = cursor.u64(&what)?;
        let dimension = usize::try_from(dimension).ok().filter(|&dimension| dimension > 0);
        dimensions
            .push(dimension.ok_or_else(|| bad_tensor(name, "a dimension is zero or too large".into()))?);
    }
    let number = cursor.u32(&what)?;
    let kind = TensorKind::from_number(number).ok_or_else(|| {
        bad_tensor(
            name,
            format!(
                "its kind {} is not supported; supported are {}: quantise the model to one of them, e.g. Q4_K_M or Q8_0",
                TensorKind::describe(number),
                TensorKind::supported()
            ),
        )
    })?;
    let offset = cursor.u64(&what)?;
    let columns = dimensions.first().copied().unwrap_or(1);
    if !columns.is_multiple_of(kind.block_elements()) {
        let block = kind.block_elements();
        return Err(bad_tensor(
            name,
            format!("rows of {columns} elements are not whole {kind} blocks of {block}"),
        ));
    }
    let product = dimensions.iter().try_fold(1_u64, |all, &one| all.checked_mul(one as u64));
    let bytes = product
        .map(|elements| elements / kind.block_elements() as u64)
        .and_then(|blocks| blocks.checked_mul(kind.block_bytes() as u64))
        .filter(|&bytes| i64::try_from(bytes).is_ok());
    let (Some(elements), Some(bytes)) = (product, bytes) else {
        return Err(bad_tensor(name, format!("dimensions {dimensions:?} are impossibly large")));
    };
    let rows = usize::try_from(elements / columns as u64);
    let rows = rows.map_err(|_| bad_tensor(name, format!("dimensions {dimensions:?} are too large here")))?;
    Ok(Tensor { name, columns, rows, dimensions, kind, offset, bytes })
}

/// Turns the offset within the data into one within the file, and checks that the data is there.
fn place(tensor: &mut Tensor<'_>, data_start: u64, alignment: u64, file_bytes: u64) -> Result<(), GgufError> {
    if !tensor.offset.is_multiple_of(alignment) {
        let reason = format!("its offset {} is not a multiple of the alignment {alignment}", tensor.offset);
        return Err(bad_tensor(tensor.name, reason));
    }
    let start = data_start.checked_add(tensor.offset);
    let end = start.and_then(|start| start.checked_add(tensor.bytes));
    match (start, end) {
        (Some(start), Some(end)) if end <= file_bytes => {
            tensor.offset = start;
            Ok(())
        }
        _ => Err(bad_tensor(
            tensor.name,
            format!(
                "its {} bytes at offset {} lie beyond the end of the file ({file_bytes} bytes); the file is cut \
                 short or damaged: get the file again, then run `ax650 create`",
                tensor.bytes, tensor.offset
            ),
        )),
    }
}

fn alignment(value: Option<&Value<'_>>) -> Result<u64, GgufError> {
    let Some(value) = value else { return Ok(DEFAULT_ALIGNMENT) };
    match value.as_u64() {
        Some(alignment) if alignment.is_power_of_two() && alignment <= MAX_ALIGNMENT => Ok(alignment),
        _ => Err(GgufError::Alignment(value.describe())),
    }
}

fn check_count(what: &str, found: u64, limit: u64) -> Result<(), GgufError> {
    if found > limit {
        return Err(GgufError::Count { what: what.to_owned(), found, limit });
    }
    Ok(())
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, GgufError> {
    std::str::from_utf8(bytes).map_err(|_| GgufError::Utf8(what.to_owned()))
}

fn bad_tensor(name: &str, reason: String) -> GgufError {
    GgufError::Tensor { name: name.to_owned(), reason }
}

fn wrong_kind(key: &str, value: &Value<'_>, wanted: &'static str) -> GgufError {
    GgufError::WrongKind { key: key.to_owned(), found: value.describe(), wanted }
}
