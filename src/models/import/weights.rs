//! Writing tensors as a safetensors file, a block of rows at a time.
//!
//! All shapes and types are known beforehand, so the header is written first and the data follows without ever being
//! held as a whole: memory stays at some megabytes per thread, for a head of a gigabyte as for a norm. A block of rows
//! is read, decoded and quantised by all threads at once; the writer then appends and hashes the parts in order.

use std::num::NonZero;
use std::thread;

use serde_json::{Map, Value, json};

use super::super::dequantise::{TensorError, TensorReader};
use super::super::quantise::{Weights, bf16_bytes, f32_bytes, quantise_row};
use super::ImportError;
use super::staging::StagedFile;

/// Decoded bytes that one thread works on at a time.
const PART_BYTES: usize = 4 << 20;
/// More threads than this wait for the disk, and each costs memory.
const MAX_THREADS: usize = 8;

/// Data of one tensor of the file to be.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// A small f32 tensor, in memory.
    Floats(Vec<f32>),
    /// A weight matrix of the GGUF file, to be stored as [`Weights`] says.
    Matrix(TensorReader<'a>),
}

/// A safetensors file that is to be written.
#[derive(Debug)]
pub(super) struct FilePlan<'a> {
    metadata: Map<String, Value>,
    weights: Weights,
    tensors: Vec<(String, Source<'a>)>,
}

impl<'a> FilePlan<'a> {
    pub(super) fn new(weights: Weights) -> Self {
        let mut metadata = Map::new();
        metadata.insert("ax650.weights".to_owned(), weights.key().into());
        Self { metadata, weights, tensors: Vec::new() }
    }

    /// Sets metadata key `ax650.<key>`.
    pub(super) fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.metadata.insert(format!("ax650.{key}"), value.to_string().into());
    }

    /// Adds an f32 tensor of one dimension.
    pub(super) fn floats(&mut self, name: &str, values: Vec<f32>) {
        self.tensors.push((name.to_owned(), Source::Floats(values)));
    }

    /// Adds the matrix `<stem>weight`, with `<stem>scale` if it is quantised.
    pub(super) fn matrix(&mut self, stem: &str, reader: TensorReader<'a>) {
        self.tensors.push((stem.to_owned(), Source::Matrix(reader)));
    }

    /// Header of the file: length, JSON, padding.
    fn header(&self) -> Vec<u8> {
        let mut entries = Map::new();
        entries.insert("__metadata__".to_owned(), Value::Object(self.metadata.clone()));
        let mut offset = 0_u64;
        let mut add = |name: String, dtype: &str, width: u64, shape: &[usize]| {
            let end = offset + shape.iter().fold(width, |all, &one| all * one as u64);
            entries.insert(name, json!({"dtype": dtype, "shape": shape, "data_offsets": [offset, end]}));
            offset = end;
        };
        for (name, source) in &self.tensors {
            match source {
                Source::Floats(values) => add(name.clone(), "F32", 4, &[values.len()]),
                Source::Matrix(reader) => {
                    let (rows, columns) = (reader.tensor.rows, reader.tensor.columns);
                    match self.weights {
                        Weights::Bf16 => add(format!("{name}weight"), "BF16", 2, &[rows, columns]),
                        Weights::W8A16 => {
                            add(format!("{name}weight"), "I8", 1, &[rows, columns]);
                            add(format!("{name}scale"), "F32", 4, &[rows]);
                        }
                    }
                }
            }
        }
        let mut json = Value::Object(entries).to_string().into_bytes();
        json.resize(json.len().next_multiple_of(8), b' ');
        let mut header = (json.len() as u64).to_le_bytes().to_vec();
        header.extend_from_slice(&json);
        header
    }

    /// Bytes that the file will have.
    pub(super) fn bytes(&self) -> u64 {
        let data = self.tensors.iter().map(|(_, source)| match source {
            Source::Floats(values) => values.len() as u64 * 4,
            Source::Matrix(reader) => match self.weights {
                Weights::Bf16 => reader.tensor.elements() * 2,
                Weights::W8A16 => reader.tensor.elements() + reader.tensor.rows as u64 * 4,
            },
        });
        self.header().len() as u64 + data.sum::<u64>()
    }

    /// Writes the file. `advance` is told of every piece, in bytes.
    pub(super) fn write(
        &self,
        file: &mut StagedFile,
        advance: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ImportError> {
        file.write(&self.header())?;
        for (_, source) in &self.tensors {
            match source {
                Source::Floats(values) => file.write(&f32_bytes(values))?,
                Source::Matrix(reader) => {
                    let mut scales = Vec::new();
                    stream_rows(*reader, self.weights, file, &mut scales, advance)?;
                    file.write(&f32_bytes(&scales))?;
                }
            }
        }
        Ok(())
    }
}

/// Rows as they go to the file.
struct Part {
    bytes: Vec<u8>,
    /// One per row if quantised, else empty.
    scales: Vec<f32>,
}

/// Appends all rows of a matrix to `file`, and their scales to `scales`.
pub(super) fn stream_rows(
    reader: TensorReader<'_>,
    weights: Weights,
    file: &mut StagedFile,
    scales: &mut Vec<f32>,
    advance: &mut dyn FnMut(&str, u64),
) -> Result<(), ImportError> {
    let rows_per_part = (PART_BYTES / (reader.tensor.columns * 4)).max(1);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let mut starts = (0..reader.tensor.rows).step_by(rows_per_part).peekable();
    while starts.peek().is_some() {
        let wave: Vec<usize> = starts.by_ref().take(threads).collect();
        let parts = thread::scope(|scope| {
            let work = |start: usize| {
                let count = rows_per_part.min(reader.tensor.rows - start);
                move || convert(reader, weights, start, count)
            };
            let running: Vec<_> = wave.iter().map(|&start| scope.spawn(work(start))).collect();
            running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(lost(reader))))
                .collect::<Vec<_>>()
        });
        for part in parts {
            let part = part.map_err(ImportError::Tensor)?;
            file.write(&part.bytes)?;
            advance(file.name(), part.bytes.len() as u64);
            scales.extend(part.scales);
        }
    }
    Ok(())
}

/// The decoder of a dependency panicked; it should not, but the process must survive it.
fn lost(reader: TensorReader<'_>) -> TensorError {
    TensorError::Decode { tensor: reader.tensor.name.to_owned(), reason: "the decoder failed".to_owned() }
}

fn convert(
    reader: TensorReader<'_>,
    weights: Weights,
    start: usize,
    count: usize,
) -> Result<Part, TensorError> {
    let values = reader.read_rows(start, count)?;
    Ok(match weights {
        Weights::Bf16 => Part { bytes: bf16_bytes(&values), scales: Vec::new() },
        Weights::W8A16 => {
            let columns = reader.tensor.columns;
            let mut quantised = vec![0_i8; values.len()];
            let rows = values.chunks_exact(columns).zip(quantised.chunks_exact_mut(columns));
            let scales = rows.map(|(row, out)| quantise_row(row, out)).collect();
            Part { bytes: bytemuck::cast_vec(quantised), scales }
        }
    })
}
