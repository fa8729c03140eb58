//! What the engine tells about the tensors of a model: names, types, and shapes by group.

use std::ffi::{CStr, CString};

use crate::compute::{DataType, Engine, TensorInfo};

/// Element types, numbered as axcl-runtime V3.10.2 `axcl_rt_engine_type.h` does.
const TYPE_UINT32: u32 = 8;
const TYPE_BF16: u32 = 14;

/// One tensor of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Vendor name; the pointer handed to C lives as long as the signature.
    pub(crate) name: CString,
    /// Vendor number of the element type.
    pub(crate) data_type: u32,
    /// Bytes of one element.
    pub(crate) element: u64,
    /// Dimensions by group.
    pub(crate) dims: Vec<Vec<i32>>,
}

impl Tensor {
    fn new(info: &TensorInfo) -> Self {
        let data_type = match info.dtype {
            DataType::Bf16 => TYPE_BF16,
            DataType::U32 => TYPE_UINT32,
        };
        // The names are literals of the compute module; one with a zero byte would just be empty.
        let name = CString::new(info.name).unwrap_or_default();
        Self { name, data_type, element: info.dtype.size() as u64, dims: info.dims.clone() }
    }

    /// Elements in `group`, or `None` if there is no such group.
    pub(crate) fn elements(&self, group: usize) -> Option<u64> {
        let dims = self.dims.get(group)?;
        Some(dims.iter().map(|&dim| u64::from(dim.unsigned_abs())).product())
    }

    /// Bytes in `group`, or `None` if there is no such group.
    pub(crate) fn size(&self, group: usize) -> Option<u64> {
        Some(self.elements(group)? * self.element)
    }

    pub(crate) fn is(&self, name: &CStr) -> bool {
        self.name.as_c_str() == name
    }
}

/// All tensors of a model, in the order of the interface, which is the same in every group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<Tensor>,
    pub(crate) groups: usize,
}

/// Which side of a model a tensor is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Signature {
    pub(crate) fn new(engine: &Engine) -> Self {
        let tensors = |infos: &[TensorInfo]| infos.iter().map(Tensor::new).collect();
        Self { inputs: tensors(engine.inputs()), outputs: tensors(engine.outputs()), groups: engine.groups() }
    }

    pub(crate) fn tensors(&self, side: Side) -> &[Tensor] {
        match side {
            Side::Input => &self.inputs,
            Side::Output => &self.outputs,
        }
    }
}
