//! One transformer layer.

use super::config::LayerConfig;
use super::error::{LoadError, RunError};
use super::file::LayerFile;
use super::pool::Pool;
use super::scratch::Scratch;
use super::{DataType, TensorInfo};

/// A packed layer file.
#[derive(Debug)]
pub struct LayerModel {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl LayerModel {
    pub(super) fn load(_file: &mut LayerFile, config: LayerConfig) -> Result<Self, LoadError> {
        let (inputs, outputs) = tensors(&config);
        Ok(Self { inputs, outputs })
    }

    pub(super) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        0
    }

    pub(super) fn run(
        &self,
        _pool: &Pool,
        _group: usize,
        _inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut Scratch,
    ) -> Result<(), RunError> {
        outputs.iter_mut().for_each(|output| output.fill(0));
        Ok(())
    }
}

/// Shapes of the border tensors: group 0 decodes one row, the others take a chunk each.
fn tensors(config: &LayerConfig) -> (Vec<TensorInfo>, Vec<TensorInfo>) {
    // (rows, K_cache length, mask columns)
    let mut groups = vec![(1, config.kv_len, config.kv_len + 1)];
    groups.extend(config.history.iter().map(|&length| {
        let columns = if length == 1 { config.chunk } else { length + config.chunk };
        (config.chunk, length, columns)
    }));
    let tensor = |name, dtype, dims: &dyn Fn(usize, usize, usize) -> Vec<usize>| TensorInfo {
        name,
        dtype,
        dims: groups
            .iter()
            .map(|&(rows, length, columns)| {
                dims(rows, length, columns).iter().map(|&d| i32::try_from(d).unwrap_or(i32::MAX)).collect()
            })
            .collect(),
    };
    let (hidden, kv_dim) = (config.hidden, config.kv_dim());
    let inputs = vec![
        tensor("K_cache", DataType::Bf16, &|_, length, _| vec![1, length, kv_dim]),
        tensor("V_cache", DataType::Bf16, &|_, length, _| vec![1, length, kv_dim]),
        tensor("indices", DataType::U32, &|rows, _, _| vec![rows]),
        tensor("input", DataType::Bf16, &|rows, _, _| vec![1, rows, hidden]),
        tensor("mask", DataType::Bf16, &|rows, _, columns| vec![1, rows, columns]),
    ];
    let outputs = vec![
        tensor("K_cache_out", DataType::Bf16, &|rows, _, _| vec![1, rows, kv_dim]),
        tensor("V_cache_out", DataType::Bf16, &|rows, _, _| vec![1, rows, kv_dim]),
        tensor("output", DataType::Bf16, &|rows, _, _| vec![1, rows, hidden]),
    ];
    (inputs, outputs)
}
