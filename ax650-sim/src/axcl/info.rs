//! What a model's tensors are. `IOInfo` objects live on the host and need no context; only getting one does.

use std::ffi::{c_char, c_void};
use std::ptr;

use ax650_sys::vendor::axclrtEngineIODims;

use super::{Out, address, call, opaque, string, value};
use crate::card::State;
use crate::fault::Fault;
use crate::io::invalid_index;
use crate::signature::{Side, Tensor};
use crate::status::{self, Part};

/// Rows of a K/V cache and the like have no image layout.
const LAYOUT_NONE: u32 = 0;

pub(super) unsafe extern "C" fn create(model: u64, info: *mut *mut c_void) -> i32 {
    call("axclrtEngineGetIOInfo", |state, _| {
        state.require_context()?;
        // SAFETY: the caller passes null or a place for a handle.
        let out = unsafe { Out::new(Part::Engine, info) }?;
        let signature = state.engines.model(model)?.signature.clone();
        let handle = state.handle();
        state.engines.infos.insert(handle, signature);
        out.set(opaque(handle));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn destroy(info: *mut c_void) -> i32 {
    call("axclrtEngineDestroyIOInfo", |state, _| {
        state.info(address(info))?;
        state.select_owner(|device| device.engines.infos.contains_key(&address(info)));
        state.engines.infos.remove(&address(info));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn groups(info: *mut c_void, count: *mut i32) -> i32 {
    call("axclrtEngineGetShapeGroupsCount", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, count) }?;
        out.set(i32::try_from(state.info(address(info))?.groups).unwrap_or(i32::MAX));
        Ok(())
    })
}

pub(super) unsafe extern "C" fn inputs(info: *mut c_void) -> u32 {
    value("axclrtEngineGetNumInputs", 0, |state, _| count(state, info, Side::Input))
}

pub(super) unsafe extern "C" fn outputs(info: *mut c_void) -> u32 {
    value("axclrtEngineGetNumOutputs", 0, |state, _| count(state, info, Side::Output))
}

pub(super) unsafe extern "C" fn input_size(info: *mut c_void, group: u32, index: u32) -> u64 {
    value("axclrtEngineGetInputSizeByIndex", 0, |state, _| size(state, info, Side::Input, group, index))
}

pub(super) unsafe extern "C" fn output_size(info: *mut c_void, group: u32, index: u32) -> u64 {
    value("axclrtEngineGetOutputSizeByIndex", 0, |state, _| size(state, info, Side::Output, group, index))
}

pub(super) unsafe extern "C" fn input_name(info: *mut c_void, index: u32) -> *const c_char {
    value("axclrtEngineGetInputNameByIndex", ptr::null(), |state, _| name(state, info, Side::Input, index))
}

pub(super) unsafe extern "C" fn output_name(info: *mut c_void, index: u32) -> *const c_char {
    value("axclrtEngineGetOutputNameByIndex", ptr::null(), |state, _| name(state, info, Side::Output, index))
}

pub(super) unsafe extern "C" fn input_index(info: *mut c_void, name: *const c_char) -> i32 {
    value("axclrtEngineGetInputIndexByName", -1, |state, _| {
        // SAFETY: the caller passes null or a string.
        unsafe { index_of(state, info, Side::Input, name) }
    })
}

pub(super) unsafe extern "C" fn output_index(info: *mut c_void, name: *const c_char) -> i32 {
    value("axclrtEngineGetOutputIndexByName", -1, |state, _| {
        // SAFETY: the caller passes null or a string.
        unsafe { index_of(state, info, Side::Output, name) }
    })
}

pub(super) unsafe extern "C" fn input_dims(
    info: *mut c_void,
    group: u32,
    index: u32,
    dims: *mut axclrtEngineIODims,
) -> i32 {
    call("axclrtEngineGetInputDims", |state, _| {
        // SAFETY: the caller passes null or a place for the dimensions.
        let out = unsafe { Out::new(Part::Engine, dims) }?;
        out.set(dims_of(tensor(state, info, Side::Input, index)?, group)?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn output_dims(
    info: *mut c_void,
    group: u32,
    index: u32,
    dims: *mut axclrtEngineIODims,
) -> i32 {
    call("axclrtEngineGetOutputDims", |state, _| {
        // SAFETY: the caller passes null or a place for the dimensions.
        let out = unsafe { Out::new(Part::Engine, dims) }?;
        out.set(dims_of(tensor(state, info, Side::Output, index)?, group)?);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn input_type(info: *mut c_void, index: u32, data_type: *mut u32) -> i32 {
    call("axclrtEngineGetInputDataType", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, data_type) }?;
        out.set(tensor(state, info, Side::Input, index)?.data_type);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn output_type(info: *mut c_void, index: u32, data_type: *mut u32) -> i32 {
    call("axclrtEngineGetOutputDataType", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, data_type) }?;
        out.set(tensor(state, info, Side::Output, index)?.data_type);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn input_layout(info: *mut c_void, index: u32, layout: *mut u32) -> i32 {
    call("axclrtEngineGetInputDataLayout", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, layout) }?;
        tensor(state, info, Side::Input, index)?;
        out.set(LAYOUT_NONE);
        Ok(())
    })
}

pub(super) unsafe extern "C" fn output_layout(info: *mut c_void, index: u32, layout: *mut u32) -> i32 {
    call("axclrtEngineGetOutputDataLayout", |state, _| {
        // SAFETY: the caller passes null or a place for an integer.
        let out = unsafe { Out::new(Part::Engine, layout) }?;
        tensor(state, info, Side::Output, index)?;
        out.set(LAYOUT_NONE);
        Ok(())
    })
}

fn count(state: &State, info: *mut c_void, side: Side) -> Result<u32, Fault> {
    let count = state.info(address(info))?.tensors(side).len();
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

fn tensor(state: &State, info: *mut c_void, side: Side, index: u32) -> Result<&Tensor, Fault> {
    let tensors = state.info(address(info))?.tensors(side);
    let tensor = usize::try_from(index).ok().and_then(|index| tensors.get(index));
    tensor.ok_or_else(|| invalid_index(side, index, tensors.len()))
}

fn size(state: &State, info: *mut c_void, side: Side, group: u32, index: u32) -> Result<u64, Fault> {
    let tensor = tensor(state, info, side, index)?;
    usize::try_from(group).ok().and_then(|group| tensor.size(group)).ok_or_else(|| no_group(group))
}

fn dims_of(tensor: &Tensor, group: u32) -> Result<axclrtEngineIODims, Fault> {
    let dims = usize::try_from(group).ok().and_then(|group| tensor.dims.get(group));
    let dims = dims.ok_or_else(|| no_group(group))?;
    let mut filled = axclrtEngineIODims { dimCount: 0, dims: [0; 32] };
    for (place, &dim) in filled.dims.iter_mut().zip(dims) {
        *place = dim;
        filled.dimCount += 1;
    }
    Ok(filled)
}

fn no_group(group: u32) -> Fault {
    Fault::plain(status::ENGINE_INVALID_INDEX, format!("no shape group {group}"))
}

fn name(state: &State, info: *mut c_void, side: Side, index: u32) -> Result<*const c_char, Fault> {
    Ok(tensor(state, info, side, index)?.name.as_ptr())
}

/// The index of a tensor, -1 if there is none of that name.
///
/// # Safety
///
/// `name` is null or a terminated string.
unsafe fn index_of(state: &State, info: *mut c_void, side: Side, name: *const c_char) -> Result<i32, Fault> {
    // SAFETY: null or a terminated string by the promise of the caller; `string` looks for null.
    let name = unsafe { string(Part::Engine, name) }?;
    let position = state.info(address(info))?.tensors(side).iter().position(|tensor| tensor.is(name));
    Ok(position.and_then(|position| i32::try_from(position).ok()).unwrap_or(-1))
}
