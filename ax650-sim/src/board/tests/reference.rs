//! What AXCL computes for the same inputs: the board must give the same bits.

use std::ffi::CString;
use std::path::Path;
use std::ptr;

use crate::control::SoftwareCard;
use crate::{CardOptions, DEVICE_ID, pcie_table};

const H2D: u32 = 1;
const D2H: u32 = 2;

/// Outputs of one run of `group` of the model at `path`, on a PCIe card of its own.
pub(crate) fn axcl_outputs(path: &Path, group: u32, inputs: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let options = CardOptions { threads: Some(1), memory_bytes: Some(64 << 20), ..CardOptions::default() };
    let card = SoftwareCard::new(options.clone());
    let _attached = card.attach();
    let table = pcie_table(options);
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let (mut model, mut context, mut info, mut io) = (0, 0, ptr::null_mut(), ptr::null_mut());
    let started = [
        ax!(table, axclInit(ptr::null())),
        ax!(table, axclrtSetDevice(DEVICE_ID)),
        ax!(table, axclrtEngineInit(0)),
        ax!(table, axclrtEngineLoadFromFile(path.as_ptr(), &raw mut model)),
        ax!(table, axclrtEngineCreateContext(model, &raw mut context)),
        ax!(table, axclrtEngineGetIOInfo(model, &raw mut info)),
        ax!(table, axclrtEngineCreateIO(info, &raw mut io)),
    ];
    assert_eq!(started, [0; 7]);
    let malloc = |size: u64| {
        let mut pointer = ptr::null_mut();
        assert_eq!(ax!(table, axclrtMalloc(&raw mut pointer, usize::try_from(size).unwrap(), 0)), 0);
        pointer
    };
    for (index, bytes) in (0..).zip(inputs) {
        let size = ax!(table, axclrtEngineGetInputSizeByIndex(info, group, index));
        assert_eq!(size, bytes.len() as u64);
        let pointer = malloc(size);
        assert_eq!(ax!(table, axclrtMemcpy(pointer, bytes.as_ptr().cast(), bytes.len(), H2D)), 0);
        assert_eq!(ax!(table, axclrtEngineSetInputBufferByIndex(io, index, pointer, size)), 0);
    }
    let mut outputs = Vec::new();
    for index in 0..ax!(table, axclrtEngineGetNumOutputs(info)) {
        let size = ax!(table, axclrtEngineGetOutputSizeByIndex(info, group, index));
        let pointer = malloc(size);
        assert_eq!(ax!(table, axclrtEngineSetOutputBufferByIndex(io, index, pointer, size)), 0);
        outputs.push((pointer, vec![0; usize::try_from(size).unwrap()]));
    }
    assert_eq!(ax!(table, axclrtEngineExecute(model, context, group, io)), 0);
    for (pointer, bytes) in &mut outputs {
        assert_eq!(ax!(table, axclrtMemcpy(bytes.as_mut_ptr().cast(), *pointer, bytes.len(), D2H)), 0);
    }
    outputs.into_iter().map(|(_, bytes)| bytes).collect()
}
