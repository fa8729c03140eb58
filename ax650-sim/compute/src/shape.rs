//! A layer or head without arithmetic: the tensors of one, and results that do not depend on any input.

use super::config::{Config, LayerConfig};
use super::error::RunError;
use super::{DataType, TensorInfo, elements_mut, head, layer};

/// The token that a head without arithmetic prefers. No model that is known ends its answers with it.
pub const SYNTHETIC_TOKEN: usize = 42;
/// Its logit, 100 in bf16: sampled at any sensible temperature it is certain.
const PEAK: u16 = 0x42C8;

/// The shapes of a layer file.
#[derive(Debug)]
pub struct ShapeModel {
    config: Config,
    weight_bytes: u64,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
}

impl ShapeModel {
    pub(super) fn new(config: Config, weight_bytes: u64) -> Self {
        let (inputs, outputs) = match &config {
            Config::Layer(config) => layer::tensors(config),
            Config::Head(config) => head::tensors(config),
        };
        Self { config, weight_bytes, inputs, outputs }
    }

    pub(super) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    pub(super) fn layer(&self) -> Option<&LayerConfig> {
        match &self.config {
            Config::Layer(config) => Some(config),
            Config::Head(_) => None,
        }
    }

    /// Writes zeros, and the one peak of a head.
    pub(super) fn run(&self, outputs: &mut [&mut [u8]]) -> Result<(), RunError> {
        for output in outputs.iter_mut() {
            output.fill(0);
        }
        if let (Config::Head(_), [logits]) = (&self.config, outputs) {
            let logits = elements_mut::<u16>("output", logits)?;
            let last = logits.len().saturating_sub(1);
            if let Some(peak) = logits.get_mut(SYNTHETIC_TOKEN.min(last)) {
                *peak = PEAK;
            }
        }
        Ok(())
    }
}

/// A bf16 tensor `[1, 1, width]` of a model with one group.
pub(super) fn row(name: &'static str, width: usize) -> Vec<TensorInfo> {
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    vec![TensorInfo { name, dtype: DataType::Bf16, dims: vec![vec![1, 1, width]] }]
}
