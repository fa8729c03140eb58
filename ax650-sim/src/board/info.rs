//! What the engine tells about the tensors of each shape group: structures that it owns and C reads.

use std::ffi::c_void;
use std::ptr;

use ax650_sys::vendor::{AX_ENGINE_IO_INFO_T, AX_ENGINE_IOMETA_EX_T, AX_ENGINE_IOMETA_T};

use super::code;
use super::face::{Face, call, npu};
use super::handle::of;
use crate::axcl::Out;
use crate::fault::Fault;
use crate::lent::Lent;
use crate::signature::{Side, Signature, Tensor};
use crate::status::Part;

/// Element types, numbered as the BSP's `ax_engine_type.h` does, bf16 as in the copy of V3.10.2.
const TYPE_UINT32: u32 = 7;
const TYPE_BFLOAT16: u32 = 9;
const BF16_BYTES: u64 = 2;

/// The tensors of one group. The pointers that C gets live as long as this value: they lead to memory of its own and to
/// the names in the signature, which the handle keeps.
pub(super) struct GroupInfo {
    info: Lent<AX_ENGINE_IO_INFO_T>,
    /// The signature's index of each input and output, in the order of this group.
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    #[expect(dead_code, reason = "owns what `info` points to")]
    metas: [Lent<AX_ENGINE_IOMETA_T>; 2],
    #[expect(dead_code, reason = "owns what the tensors point to")]
    shapes: Vec<Lent<i32>>,
    #[expect(dead_code, reason = "owns what the tensors point to")]
    extra: Lent<AX_ENGINE_IOMETA_EX_T>,
}

impl GroupInfo {
    /// The groups of a model. `mixed`: each group after the first lists its tensors in another order, as models met on
    /// boards do.
    pub(super) fn all(signature: &Signature, mixed: bool) -> Vec<Self> {
        (0..signature.groups)
            .map(|group| Self::new(signature, group, if mixed { group } else { 0 }))
            .collect()
    }

    fn new(signature: &Signature, group: usize, rotation: usize) -> Self {
        let order = |side| {
            let count = signature.tensors(side).len();
            (0..count).map(|index| (index + rotation) % count).collect::<Vec<_>>()
        };
        let (inputs, outputs) = (order(Side::Input), order(Side::Output));
        let mut shapes = Vec::new();
        // Colour space 0: no picture but a feature map, as all tensors of language models.
        let extra = Lent::new(Box::new([AX_ENGINE_IOMETA_EX_T::default()]));
        let mut metas = |side: Side, order: &[usize]| {
            let tensors = order.iter().filter_map(|&index| signature.tensors(side).get(index));
            Lent::new(tensors.map(|tensor| meta(tensor, group, &extra, &mut shapes)).collect())
        };
        let metas = [metas(Side::Input, &inputs), metas(Side::Output, &outputs)];
        let info = AX_ENGINE_IO_INFO_T {
            pInputs: metas[0].pointer(),
            nInputSize: count(&inputs),
            pOutputs: metas[1].pointer(),
            nOutputSize: count(&outputs),
            nMaxBatchSize: 1,
            ..AX_ENGINE_IO_INFO_T::default()
        };
        Self { info: Lent::new(Box::new([info])), inputs, outputs, metas, shapes, extra }
    }

    fn pointer(&self) -> *mut AX_ENGINE_IO_INFO_T {
        self.info.pointer()
    }
}

fn meta(
    tensor: &Tensor,
    group: usize,
    extra: &Lent<AX_ENGINE_IOMETA_EX_T>,
    shapes: &mut Vec<Lent<i32>>,
) -> AX_ENGINE_IOMETA_T {
    let dims = tensor.dims.get(group).cloned().unwrap_or_default();
    let rank = u8::try_from(dims.len()).unwrap_or(u8::MAX);
    let shape = Lent::new(dims.into_boxed_slice());
    let meta = AX_ENGINE_IOMETA_T {
        pName: tensor.name.as_ptr().cast_mut(),
        pShape: shape.pointer(),
        nShapeSize: rank,
        eDataType: if tensor.element == BF16_BYTES { TYPE_BFLOAT16 } else { TYPE_UINT32 },
        pExtraMeta: extra.pointer(),
        nSize: u32::try_from(tensor.size(group).unwrap_or_default()).unwrap_or(u32::MAX),
        ..AX_ENGINE_IOMETA_T::default()
    };
    shapes.push(shape);
    meta
}

fn count(order: &[usize]) -> u32 {
    u32::try_from(order.len()).unwrap_or(u32::MAX)
}

/// The first group.
pub(crate) unsafe extern "C" fn io_info<F: Face>(
    handle: *mut c_void,
    info: *mut *mut AX_ENGINE_IO_INFO_T,
) -> i32 {
    call::<F>(npu!(GetIOInfo), |state, _| {
        // SAFETY: the caller passes null or a place for a pointer.
        let out = unsafe { Out::new(Part::Engine, info) }?;
        out.set(of(state, handle)?.infos.first().map_or(ptr::null_mut(), GroupInfo::pointer));
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn groups<F: Face>(handle: *mut c_void, count: *mut u32) -> i32 {
    call::<F>(npu!(GetGroupIOInfoCount), |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, count) }?;
        out.set(u32::try_from(of(state, handle)?.infos.len()).unwrap_or(u32::MAX));
        Ok(())
    })
}

pub(crate) unsafe extern "C" fn group_io_info<F: Face>(
    handle: *mut c_void,
    index: u32,
    info: *mut *mut AX_ENGINE_IO_INFO_T,
) -> i32 {
    call::<F>(npu!(GetGroupIOInfo), |state, _| {
        // SAFETY: the caller passes null or a place for a pointer.
        let out = unsafe { Out::new(Part::Engine, info) }?;
        let infos = &of(state, handle)?.infos;
        let group = usize::try_from(index).ok().and_then(|index| infos.get(index));
        let group = group.ok_or_else(|| {
            Fault::plain(code::NPU_PARAM_INVALID, format!("shape group {index} of {}", infos.len()))
        })?;
        out.set(group.pointer());
        Ok(())
    })
}
