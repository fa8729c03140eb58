//! Metadata values, borrowed from the file's bytes.

use std::fmt;

use super::GgufError;
use super::cursor::Cursor;

/// Longest single string: chat templates and licences are tens of kilobytes.
const MAX_STRING_BYTES: u64 = 16 << 20;
/// Longest string inside an array: a token or a merge rule.
const MAX_ELEMENT_BYTES: u64 = 1 << 20;
/// Most elements of an array; vocabularies have some hundred thousand.
const MAX_ELEMENTS: u64 = 1 << 24;

/// The type of a metadata value; numbers are those of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name is the format's own")]
pub enum ValueKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueKind {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes of a scalar of this kind; `None` for strings and arrays.
    fn scalar_bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

/// One metadata value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A string; UTF-8 is checked when it is used as text.
    Bytes(&'a [u8]),
    /// An array of scalars or strings.
    Array(Array<'a>),
}

impl<'a> Value<'a> {
    /// Reads the value of metadata key `key`, type number first.
    pub(super) fn read(cursor: &mut Cursor<'a>, key: &str) -> Result<Self, GgufError> {
        let what = format!("metadata key {key:?}");
        match read_kind(cursor, &what)? {
            ValueKind::String => Ok(Self::Bytes(cursor.string(MAX_STRING_BYTES, &what)?)),
            ValueKind::Array => Ok(Self::Array(Array::read(cursor, &what)?)),
            kind => Self::scalar(cursor, kind, &what),
        }
    }

    fn scalar(cursor: &mut Cursor<'a>, kind: ValueKind, what: &str) -> Result<Self, GgufError> {
        Ok(match kind {
            ValueKind::U8 => Self::Unsigned(u8::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::I8 => Self::Signed(i8::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::U16 => Self::Unsigned(u16::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::I16 => Self::Signed(i16::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::U32 => Self::Unsigned(cursor.u32(what)?.into()),
            ValueKind::I32 => Self::Signed(i32::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::U64 => Self::Unsigned(cursor.u64(what)?),
            ValueKind::I64 => Self::Signed(i64::from_le_bytes(cursor.array(what)?)),
            ValueKind::F32 => Self::Float(f32::from_le_bytes(cursor.array(what)?).into()),
            ValueKind::F64 => Self::Float(f64::from_le_bytes(cursor.array(what)?)),
            // Anything but 0 counts as true, as ggml reads it.
            ValueKind::Bool => Self::Bool(cursor.array::<1>(what)? != [0]),
            ValueKind::String => Self::Bytes(cursor.string(MAX_ELEMENT_BYTES, what)?),
            ValueKind::Array => return Err(unknown_kind(what, 9)),
        })
    }

    /// The value as a non-negative integer, whatever its width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// What the value is, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Unsigned(value) => format!("the number {value}"),
            Self::Signed(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Bytes(_) => "a string".to_owned(),
            Self::Array(array) => format!("an array of {} {:?}", array.len(), array.kind),
        }
    }
}

/// An array of scalars or strings, checked once when the header was read, decoded when iterated.
#[derive(Clone, Copy, PartialEq)]
pub struct Array<'a> {
    kind: ValueKind,
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    fn read(cursor: &mut Cursor<'a>, what: &str) -> Result<Self, GgufError> {
        let kind = read_kind(cursor, &format!("elements of {what}"))?;
        let found = cursor.u64(what)?;
        if found > MAX_ELEMENTS {
            return Err(GgufError::Count { what: format!("length of {what}"), found, limit: MAX_ELEMENTS });
        }
        let count = usize::try_from(found).map_err(|_| cursor.truncated(what))?;
        let bytes = match kind.scalar_bytes() {
            // No overflow: at most 2^24 elements of 8 bytes.
            Some(size) => cursor.take(count * size, what)?,
            None if kind == ValueKind::String => {
                // Each string takes at least the 8 bytes of its length.
                if count > cursor.remaining() / 8 {
                    return Err(cursor.truncated(what));
                }
                let mut walker = cursor.clone();
                for _ in 0..count {
                    walker.string(MAX_ELEMENT_BYTES, what)?;
                }
                cursor.take(walker.position() - cursor.position(), what)?
            }
            None => return Err(unknown_kind(&format!("elements of {what}"), 9)),
        };
        Ok(Self { kind, count, bytes })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The type of the elements.
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (kind, mut cursor) = (self.kind, Cursor::new(self.bytes));
        // The bytes were walked when the header was read, so none of these reads fails.
        (0..self.count).map_while(move |_| Value::scalar(&mut cursor, kind, "array element").ok())
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:?}; {}]", self.kind, self.count)
    }
}

fn read_kind(cursor: &mut Cursor<'_>, what: &str) -> Result<ValueKind, GgufError> {
    let number = cursor.u32(what)?;
    ValueKind::from_number(number).ok_or_else(|| unknown_kind(what, number))
}

fn unknown_kind(what: &str, found: u32) -> GgufError {
    let supported = "numbers, booleans, strings and flat arrays of them (0 to 12)".to_owned();
    GgufError::UnknownType { what: what.to_owned(), found, supported }
}
