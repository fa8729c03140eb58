//! Reading little-endian values from a slice, never past its end.

use super::GgufError;

/// A position in a slice that starts at byte `base` of the file.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(super) fn truncated(&self, what: &str) -> GgufError {
        GgufError::Truncated { what: what.to_owned(), offset: self.position }
    }

    pub(super) fn take(&mut self, len: usize, what: &str) -> Result<&'a [u8], GgufError> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let Some(taken) = rest.get(..len) else { return Err(self.truncated(what)) };
        self.position += len;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], GgufError> {
        let taken = self.take(N, what)?;
        <[u8; N]>::try_from(taken).map_err(|_| self.truncated(what))
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Reads a string of at most `limit` bytes. A declared length above the limit is refused before it is looked at.
    pub(super) fn string(&mut self, limit: u64, what: &str) -> Result<&'a [u8], GgufError> {
        let found = self.u64(what)?;
        if found > limit {
            return Err(GgufError::Count { what: format!("length of {what}"), found, limit });
        }
        let len = usize::try_from(found).map_err(|_| self.truncated(what))?;
        self.take(len, what)
    }
}
