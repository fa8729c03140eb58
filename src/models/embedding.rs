//! The token embedding table of a model: a headerless little-endian bf16 file, `[vocab, hidden]`, row-major.
//!
//! Rows are read with positioned reads instead of a memory map. The kernel's page cache serves both equally well (a
//! row costs about a microsecond, a token costs milliseconds), but a read needs no unsafe code, does not count
//! hundreds of megabytes of touched pages as ours, and a file that shrinks under us is an error and not a signal that
//! ends the process.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The embedding table of one model. `Send + Sync`; reading takes `&self` and no lock.
#[derive(Debug)]
pub struct EmbeddingTable {
    file: File,
    path: PathBuf,
    vocab: usize,
    hidden: usize,
}

/// Why a row cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The file cannot be opened or read.
    #[error("cannot read the embedding table {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not `vocab * hidden * 2` bytes long.
    #[error(
        "embedding table {path} has {found} bytes but {vocab} tokens of {hidden} values take {wanted}; \
         it does not belong to this model or is cut short: make the model again with `ax650 create`"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        found: u64,
        /// The length it should have.
        wanted: u64,
        /// Rows.
        vocab: usize,
        /// Values in a row.
        hidden: usize,
    },
    /// The token id is not in the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab}")]
    Token {
        /// The id asked for.
        token: u32,
        /// Rows of the table.
        vocab: usize,
    },
    /// The buffer given does not hold exactly the rows asked for.
    #[error("buffer holds {found} values but the rows asked for take {wanted}")]
    Buffer {
        /// Values the buffer holds.
        found: usize,
        /// Values it should hold.
        wanted: usize,
    },
}

impl EmbeddingTable {
    /// Opens `path` as a table of `vocab` rows of `hidden` bf16 values and checks its length.
    pub fn open(path: &Path, vocab: usize, hidden: usize) -> Result<Self, EmbeddingError> {
        let io = |source| EmbeddingError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let found = file.metadata().map_err(io)?.len();
        let wanted = (vocab as u64).saturating_mul(hidden as u64).saturating_mul(2);
        if found != wanted {
            return Err(EmbeddingError::Size { path: path.to_owned(), found, wanted, vocab, hidden });
        }
        Ok(Self { file, path: path.to_owned(), vocab, hidden })
    }

    /// Number of rows.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Values in a row.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Reads the row of `token` into `out`, raw bf16, exactly `hidden` values.
    pub fn read_row(&self, token: u32, out: &mut [u16]) -> Result<(), EmbeddingError> {
        if out.len() != self.hidden {
            return Err(EmbeddingError::Buffer { found: out.len(), wanted: self.hidden });
        }
        if token as usize >= self.vocab {
            return Err(EmbeddingError::Token { token, vocab: self.vocab });
        }
        let offset = u64::from(token) * self.hidden as u64 * 2;
        self.file
            .read_exact_at(bytemuck::cast_slice_mut(out), offset)
            .map_err(|source| EmbeddingError::Io { path: self.path.clone(), source })?;
        if cfg!(target_endian = "big") {
            for value in out {
                *value = u16::from_le(*value);
            }
        }
        Ok(())
    }

    /// Reads the rows of `tokens`, one after the other, into `out`: raw bf16, `tokens.len() * hidden` values.
    pub fn read_rows(&self, tokens: &[u32], out: &mut [u16]) -> Result<(), EmbeddingError> {
        let wanted = tokens.len() * self.hidden;
        if out.len() != wanted {
            return Err(EmbeddingError::Buffer { found: out.len(), wanted });
        }
        tokens
            .iter()
            .zip(out.chunks_exact_mut(self.hidden.max(1)))
            .try_for_each(|(&token, row)| self.read_row(token, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rows_and_refuses_everything_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("embed.bin");
        let values: Vec<u16> = (0..12).map(|i| 0x3f80 + i).collect();
        std::fs::write(&path, bytemuck::cast_slice::<u16, u8>(&values)).unwrap();
        let table = EmbeddingTable::open(&path, 4, 3).unwrap();
        let mut rows = [0; 6];
        table.read_rows(&[3, 0], &mut rows).unwrap();
        assert_eq!(rows[..3], values[9..]);
        assert_eq!(rows[3..], values[..3]);
        assert!(matches!(table.read_row(4, &mut [0; 3]), Err(EmbeddingError::Token { token: 4, .. })));
        assert!(matches!(table.read_row(0, &mut [0; 2]), Err(EmbeddingError::Buffer { .. })));
        let error = EmbeddingTable::open(&path, 4, 4).unwrap_err().to_string();
        assert!(error.contains("embed.bin") && error.contains("32"), "{error}");
        // The file shrinks while it is open.
        std::fs::write(&path, b"xx").unwrap();
        assert!(matches!(table.read_row(3, &mut [0; 3]), Err(EmbeddingError::Io { .. })));
    }
}
