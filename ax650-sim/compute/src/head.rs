//! The head: final norm and projection to the logits of the vocabulary.

use super::config::HeadConfig;
use super::error::{LoadError, RunError};
use super::file::LayerFile;
use super::layer::{Norm, Widen};
use super::linear::{Linear, Output, Part};
use super::micro::Rows;
use super::pool::Pool;
use super::scratch::Scratch;
use super::shape::row;
use super::shared::SharedMut;
use super::simd::{Isa, LANES};
use super::vector::{padded, whole_vectors};
use super::{TensorInfo, elements, elements_mut};

/// A packed head file.
#[derive(Debug)]
pub struct HeadModel {
    config: HeadConfig,
    norm: Vec<f32>,
    weight: Linear,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    isa: Isa,
}

impl HeadModel {
    pub(super) fn load(file: &mut LayerFile, config: HeadConfig) -> Result<Self, LoadError> {
        let HeadConfig { hidden, vocab, .. } = config;
        let (inputs, outputs) = tensors(&config);
        Ok(Self {
            norm: padded(file.vector("norm", hidden)?, LANES),
            weight: Linear::load(file, &[Part { name: "", rows: vocab }], hidden, vocab, &|i| Some((0, i)))?,
            inputs,
            outputs,
            isa: Isa::best(),
            config,
        })
    }

    pub(super) fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    pub(super) fn weight_bytes(&self) -> u64 {
        self.weight.bytes() + 4 * self.norm.len() as u64
    }

    pub(super) fn run(
        &self,
        pool: &Pool,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut Scratch,
    ) -> Result<(), RunError> {
        // The caller has checked the number of tensors and their sizes.
        let (&[input], [output]) = (inputs, outputs) else {
            return Err(RunError::Count { side: "inputs", expected: 1, found: inputs.len() });
        };
        let (hidden, len) = (self.config.hidden, self.config.vocab);
        let (state, normed) = (&mut scratch.hidden, &mut scratch.normed);
        state.reserve(1, whole_vectors(hidden));
        normed.reserve(1, whole_vectors(hidden));
        let row = &mut state.data_mut()[..self.norm.len()];
        self.isa.run(Widen { from: elements("input", input)?, to: &mut row[..hidden] });
        row[hidden..].fill(0.0);
        let to = &mut normed.data_mut()[..self.norm.len()];
        self.isa.run(Norm { x: row, len: hidden, eps: self.config.rms_eps, weight: &self.norm, to });
        let x = Rows { data: normed.data(), stride: normed.stride };
        let to = SharedMut::new(elements_mut::<u16>("output", output)?);
        self.weight.forward(pool, self.isa, 1, x, Output::Bf16 { to, len });
        Ok(())
    }
}

/// Shapes of the border tensors.
pub(super) fn tensors(config: &HeadConfig) -> (Vec<TensorInfo>, Vec<TensorInfo>) {
    (row("input", config.hidden), row("output", config.vocab))
}
