//! One conversation on a card.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::rc::Rc;

use ax650_sys::axloop as c;

use super::error::Context;
use super::model::Model;
use super::{CancelFlag, DeviceError};

/// The K and V rows of one conversation. A row counts only once all layers have stored it: a step that fails
/// or is cancelled leaves the length as it was.
#[derive(Debug)]
pub struct Sequence {
    raw: NonNull<c::axl_seq>,
    model: Rc<Model>,
}

impl Sequence {
    pub(super) fn open(model: Rc<Model>) -> Result<Self, DeviceError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the model is open and this is its thread.
        let status = unsafe { c::axl_seq_open(model.as_ptr(), &raw mut raw) };
        model.context().check(status)?;
        let raw = NonNull::new(raw).ok_or_else(|| DeviceError::Internal("no sequence".into()))?;
        model.sequences.set(model.sequences.get() + 1);
        Ok(Self { raw, model })
    }

    /// Tokens in the sequence.
    pub fn len(&self) -> usize {
        // SAFETY: the sequence is open.
        let len = unsafe { c::axl_seq_len(self.raw.as_ptr()) };
        len as usize
    }

    /// Whether the sequence holds no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all tokens from `len` on; nothing happens if there are none.
    pub fn truncate(&mut self, len: usize) {
        let Ok(len) = u32::try_from(len.min(self.len())) else { return };
        // SAFETY: the sequence is open.
        let status = unsafe { c::axl_seq_truncate(self.raw.as_ptr(), len) };
        self.model.card.note_drop("rows of a sequence", self.model.context().check(status));
    }

    /// Computes `1..=chunk_len` tokens behind the sequence.
    ///
    /// `rows` are their embeddings, `[tokens, hidden]` as raw bf16. `logits`, `[vocab]` as raw bf16, receives
    /// those of the last token.
    pub fn prefill(
        &mut self,
        rows: &[u16],
        logits: Option<&mut [u16]>,
        cancel: &CancelFlag,
    ) -> Result<(), DeviceError> {
        let (tokens, count) = self.whole_rows(rows)?;
        let (logits, logits_len) = logits.map_or((std::ptr::null_mut(), 0), |l| (l.as_mut_ptr(), l.len()));
        let logits_len = u32::try_from(logits_len).unwrap_or(u32::MAX);
        // SAFETY: the sequence is open and this is its thread. `rows` holds `count` rows of the model's hidden
        // size, `logits` is null or has room for `logits_len` values (the loop refuses any other length than
        // the vocabulary), the flag outlives the call, and none of them overlap: they are distinct borrows.
        let status = unsafe {
            c::axl_prefill(self.raw.as_ptr(), rows.as_ptr(), count, logits, logits_len, cancel.as_ptr())
        };
        self.context(tokens).check(status)
    }

    /// Computes a chunk that another one follows, like [`prefill`](Self::prefill) without logits.
    ///
    /// `next`, `[1..=chunk_len, hidden]`, are the embeddings that the next chunk will most likely be given, of whatever
    /// sequence. Where runs are queued, they cross to the card while it computes; what another chunk is computed from
    /// are its own rows all the same.
    pub fn prefill_before(
        &mut self,
        rows: &[u16],
        next: &[u16],
        cancel: &CancelFlag,
    ) -> Result<(), DeviceError> {
        let (tokens, count) = self.whole_rows(rows)?;
        let (_, next_count) = self.whole_rows(next)?;
        // SAFETY: the sequence is open and this is its thread. `rows` and `next` hold `count` and `next_count` rows of
        // the model's hidden size and are only read, and the flag outlives the call.
        let status = unsafe {
            c::axl_prefill_before(
                self.raw.as_ptr(),
                rows.as_ptr(),
                count,
                next.as_ptr(),
                next_count,
                cancel.as_ptr(),
            )
        };
        self.context(tokens).check(status)
    }

    /// Computes `1..=chunk_len` tokens behind the sequence, like [`prefill`](Self::prefill) without logits. `hidden`,
    /// `[tokens, hidden]` as raw bf16, receives what the last layer gives for each of them.
    pub fn prefill_hidden(
        &mut self,
        rows: &[u16],
        hidden: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<(), DeviceError> {
        let (tokens, count) = self.whole_rows(rows)?;
        let hidden_len = hidden.len() as u64;
        // SAFETY: the sequence is open and this is its thread. `rows` holds `count` rows of the model's hidden size,
        // `hidden` has room for `hidden_len` values (the loop refuses any other length than that of the rows), the flag
        // outlives the call, and they do not overlap.
        let status = unsafe {
            c::axl_prefill_hidden(
                self.raw.as_ptr(),
                rows.as_ptr(),
                count,
                hidden.as_mut_ptr(),
                hidden_len,
                cancel.as_ptr(),
            )
        };
        self.context(tokens).check(status)
    }

    /// How many rows of embeddings these are.
    fn whole_rows(&self, rows: &[u16]) -> Result<(usize, u32), DeviceError> {
        let hidden = self.model.info.hidden as usize;
        if !rows.len().is_multiple_of(hidden) {
            return Err(DeviceError::Internal(format!("{} values are not whole rows", rows.len())));
        }
        let tokens = rows.len() / hidden;
        Ok((tokens, u32::try_from(tokens).unwrap_or(u32::MAX)))
    }

    /// Computes one token behind the sequence: `row` is its embedding, `[hidden]`; `logits` is `[vocab]`.
    pub fn decode(
        &mut self,
        row: &[u16],
        logits: &mut [u16],
        cancel: &CancelFlag,
    ) -> Result<(), DeviceError> {
        if row.len() != self.model.info.hidden as usize {
            return Err(DeviceError::Internal(format!("{} values are not one row", row.len())));
        }
        let logits_len = u32::try_from(logits.len()).unwrap_or(u32::MAX);
        // SAFETY: the sequence is open and this is its thread. `row` is one row of the model's hidden size,
        // `logits` has room for `logits_len` values, the flag outlives the call, and they do not overlap.
        let status = unsafe {
            c::axl_decode(self.raw.as_ptr(), row.as_ptr(), logits.as_mut_ptr(), logits_len, cancel.as_ptr())
        };
        self.context(1).check(status)
    }

    /// The keys and values of tokens `first..first + count`: [`LoadedModel::row_bytes`](super::LoadedModel::row_bytes)
    /// each, layer by layer, K rows before V rows.
    pub fn export(&self, first: usize, count: usize) -> Result<Vec<u8>, DeviceError> {
        let mut bytes = vec![0; self.row_bytes(count)?];
        let (first, count) = (narrow(first)?, narrow(count)?);
        // SAFETY: the sequence is open and this is its thread; `bytes` has room for as many bytes as are told.
        let status = unsafe {
            c::axl_seq_export(
                self.raw.as_ptr(),
                first,
                count,
                bytes.as_mut_ptr().cast::<c_void>(),
                bytes.len() as u64,
            )
        };
        self.model.context().check(status)?;
        Ok(bytes)
    }

    /// Puts back what [`export`](Self::export) of a sequence of the same model has given, at `first..`, which is at
    /// most the length. The length becomes the end of it, or `first` on an error.
    pub fn import(&mut self, first: usize, rows: &[u8]) -> Result<(), DeviceError> {
        let row_bytes = self.model.row_bytes;
        if !rows.len().is_multiple_of(row_bytes.max(1)) {
            return Err(DeviceError::Internal(format!(
                "{} bytes are not whole rows of {row_bytes}",
                rows.len()
            )));
        }
        let count = rows.len() / row_bytes.max(1);
        let (at, rows_count) = (narrow(first)?, narrow(count)?);
        // SAFETY: the sequence is open and this is its thread; `rows` holds as many bytes as are told.
        let status = unsafe {
            c::axl_seq_import(
                self.raw.as_ptr(),
                at,
                rows_count,
                rows.as_ptr().cast::<c_void>(),
                rows.len() as u64,
            )
        };
        self.context(count).check(status)
    }

    /// Becomes the first `count` tokens of another sequence of the same model; empty on an error.
    pub fn copy_from(&mut self, other: &Self, count: usize) -> Result<(), DeviceError> {
        if !Rc::ptr_eq(&self.model, &other.model) {
            return Err(DeviceError::Internal("the sequences are of different models".into()));
        }
        let count = narrow(count)?;
        // SAFETY: both sequences are open, of one model, and this is its thread; they are distinct, because one is
        // borrowed exclusively.
        let status = unsafe { c::axl_seq_copy(self.raw.as_ptr(), other.raw.as_ptr(), count) };
        self.model.context().check(status)
    }

    fn row_bytes(&self, count: usize) -> Result<usize, DeviceError> {
        // More rows than there are is refused by the loop, but only after this much memory was taken.
        let fits = count <= self.len();
        let bytes = self.model.row_bytes.checked_mul(count).filter(|_| fits);
        bytes.ok_or_else(|| DeviceError::Internal(format!("{count} rows of a sequence of {}", self.len())))
    }

    fn context(&self, tokens: usize) -> Context<'_> {
        Context { room: (self.len(), tokens, self.model.info.context as usize), ..self.model.context() }
    }
}

fn narrow(count: usize) -> Result<u32, DeviceError> {
    u32::try_from(count)
        .map_err(|_| DeviceError::Internal(format!("{count} rows are more than any sequence holds")))
}

impl Drop for Sequence {
    fn drop(&mut self) {
        // SAFETY: the sequence is open and is used no more.
        let status = unsafe { c::axl_seq_close(self.raw.as_ptr()) };
        self.model.sequences.set(self.model.sequences.get().saturating_sub(1));
        self.model.card.note_drop("a sequence", self.model.context().check(status));
    }
}
