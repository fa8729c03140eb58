//! Rows of a GGUF tensor as f32.
//!
//! Block formats are decoded by candle-core, which is kept by people who track ggml; plain floats are decoded here.
//! Data is read from the file with positioned reads, a few rows at a time, from any number of threads.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use candle_core::CpuStorage;
use candle_core::quantized::GgmlDType;
use half::slice::HalfFloatSliceExt;

use super::gguf::{Tensor, TensorKind};

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The file cannot be read there.
    #[error("cannot read tensor {tensor:?} of {path}: {source}")]
    Io {
        /// The tensor.
        tensor: String,
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A value is infinite or not a number.
    #[error(
        "tensor {tensor:?} has {value} in row {row}; the file is damaged or was badly converted: get the file again or convert it again, then run `ax650 create`"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The row.
        row: usize,
        /// The value.
        value: f32,
    },
    /// The decoder refused the data.
    #[error("tensor {tensor:?} cannot be decoded: {reason}")]
    Decode {
        /// The tensor.
        tensor: String,
        /// What the decoder said.
        reason: String,
    },
}

/// Reads rows of one tensor of an open GGUF file. Copies freely between threads.
#[derive(Debug, Clone, Copy)]
pub struct TensorReader<'a> {
    file: &'a File,
    path: &'a Path,
    /// The tensor that is read.
    pub tensor: &'a Tensor<'a>,
}

impl<'a> TensorReader<'a> {
    /// A reader of `tensor`, whose offset was checked against the length of `file`; `path` is for messages.
    pub fn new(file: &'a File, path: &'a Path, tensor: &'a Tensor<'a>) -> Self {
        Self { file, path, tensor }
    }

    /// Reads `count` rows from row `first` on: f32, `count * columns` values, all finite.
    pub fn read_rows(&self, first: usize, count: usize) -> Result<Vec<f32>, TensorError> {
        let row_bytes = self.tensor.row_bytes();
        let mut raw = vec![0; count * row_bytes];
        self.file.read_exact_at(&mut raw, self.tensor.offset + (first * row_bytes) as u64).map_err(
            |source| {
                let (tensor, path) = (self.tensor.name.to_owned(), self.path.display().to_string());
                TensorError::Io { tensor, path, source }
            },
        )?;
        let values = decode(self.tensor.kind, &raw, count * self.tensor.columns)
            .map_err(|reason| TensorError::Decode { tensor: self.tensor.name.to_owned(), reason })?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(index) => Err(TensorError::NotFinite {
                tensor: self.tensor.name.to_owned(),
                row: first + index / self.tensor.columns,
                value: values[index],
            }),
        }
    }

    /// Reads the whole tensor; for norms and biases.
    pub fn read_all(&self) -> Result<Vec<f32>, TensorError> {
        self.read_rows(0, self.tensor.rows)
    }
}

/// Decodes `raw` as `elements` values of `kind`. `raw` has exactly the bytes that they take.
pub fn decode(kind: TensorKind, raw: &[u8], elements: usize) -> Result<Vec<f32>, String> {
    let wanted = elements / kind.block_elements() * kind.block_bytes();
    if raw.len() != wanted || !elements.is_multiple_of(kind.block_elements()) {
        return Err(format!("{} bytes are not {elements} values of {kind}", raw.len()));
    }
    let blocks = match kind {
        TensorKind::F32 => {
            return Ok(raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        }
        TensorKind::F16 => return Ok(widen(raw, half::f16::from_bits)),
        TensorKind::BF16 => return Ok(widen(raw, half::bf16::from_bits)),
        TensorKind::Q4_0 => GgmlDType::Q4_0,
        TensorKind::Q4_1 => GgmlDType::Q4_1,
        TensorKind::Q5_0 => GgmlDType::Q5_0,
        TensorKind::Q5_1 => GgmlDType::Q5_1,
        TensorKind::Q8_0 => GgmlDType::Q8_0,
        TensorKind::Q8_1 => GgmlDType::Q8_1,
        TensorKind::Q2_K => GgmlDType::Q2K,
        TensorKind::Q3_K => GgmlDType::Q3K,
        TensorKind::Q4_K => GgmlDType::Q4K,
        TensorKind::Q5_K => GgmlDType::Q5K,
        TensorKind::Q6_K => GgmlDType::Q6K,
        TensorKind::Q8_K => GgmlDType::Q8K,
    };
    // candle casts the bytes to blocks in place and insists on their alignment, at most that of f32, which a byte
    // vector need not have.
    let aligned: Vec<u32> = match bytemuck::try_cast_slice::<u8, u32>(raw) {
        Ok(_) => return unpack(blocks, raw, elements),
        Err(_) => bytemuck::pod_collect_to_vec(raw),
    };
    let bytes = bytemuck::cast_slice::<u32, u8>(&aligned);
    unpack(blocks, &bytes[..raw.len()], elements)
}

fn unpack(kind: GgmlDType, bytes: &[u8], elements: usize) -> Result<Vec<f32>, String> {
    let blocks = kind.from_data(bytes.into());
    match blocks.dequantize(elements).map_err(|error| error.to_string())? {
        CpuStorage::F32(values) => Ok(values),
        other => Err(format!("decoder gave {} values that are not f32", std::any::type_name_of_val(&other))),
    }
}

fn widen<T>(raw: &[u8], from_bits: impl Fn(u16) -> T) -> Vec<f32>
where
    [T]: HalfFloatSliceExt,
{
    let halves: Vec<T> =
        raw.as_chunks::<2>().0.iter().map(|bytes| from_bits(u16::from_le_bytes(*bytes))).collect();
    let mut values = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut values);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::quantized::QTensor;
    use candle_core::{Device, Tensor as CandleTensor};

    /// Largest error on values from -2 to 2: somewhat more than one step, for the quantisers clip at one end.
    const BLOCK_KINDS: [(TensorKind, GgmlDType, f32); 12] = [
        (TensorKind::Q4_0, GgmlDType::Q4_0, 0.26),
        (TensorKind::Q4_1, GgmlDType::Q4_1, 0.2),
        (TensorKind::Q5_0, GgmlDType::Q5_0, 0.13),
        (TensorKind::Q5_1, GgmlDType::Q5_1, 0.1),
        (TensorKind::Q8_0, GgmlDType::Q8_0, 0.03),
        (TensorKind::Q8_1, GgmlDType::Q8_1, 0.03),
        (TensorKind::Q2_K, GgmlDType::Q2K, 0.9),
        (TensorKind::Q3_K, GgmlDType::Q3K, 0.6),
        (TensorKind::Q4_K, GgmlDType::Q4K, 0.3),
        (TensorKind::Q5_K, GgmlDType::Q5K, 0.15),
        (TensorKind::Q6_K, GgmlDType::Q6K, 0.08),
        (TensorKind::Q8_K, GgmlDType::Q8K, 0.03),
    ];

    fn ramp(count: u16) -> Vec<f32> {
        (0..count).map(|i| (f32::from(i) * 0.37).sin() * 2.0).collect()
    }

    #[test]
    fn decodes_every_block_kind_at_any_alignment() {
        let values = ramp(512);
        let tensor = CandleTensor::from_slice(&values, (2, 256), &Device::Cpu).unwrap();
        for (kind, dtype, bound) in BLOCK_KINDS {
            let raw = QTensor::quantize(&tensor, dtype).unwrap().data().unwrap().into_owned();
            assert_eq!(raw.len(), 512 / kind.block_elements() * kind.block_bytes(), "{kind}");
            let decoded = decode(kind, &raw, 512).unwrap();
            let shifted = [&[0], raw.as_slice()].concat();
            assert_eq!(decode(kind, &shifted[1..], 512).unwrap(), decoded, "{kind}");
            let worst = values.iter().zip(&decoded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= bound, "{kind}: {worst}");
        }
    }

    #[test]
    fn decodes_plain_floats() {
        let values = [1.5_f32, -0.25, 3.0, 0.0];
        let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(TensorKind::F32, &f32s, 4).unwrap(), values);
        let f16s: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(decode(TensorKind::F16, &f16s, 4).unwrap(), values);
        let bf16s: Vec<u8> = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(decode(TensorKind::BF16, &bf16s, 4).unwrap(), values);
        assert!(decode(TensorKind::F32, &[0; 15], 4).is_err());
        assert!(decode(TensorKind::Q8_0, &[0; 34], 33).is_err());
    }
}
