//! The interface as programs on the board use it.

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::ptr;

use ax650_sys::vendor::{
    AX_ENGINE_IO_BUFFER_T, AX_ENGINE_IO_INFO_T, AX_ENGINE_IO_T, AX_ENGINE_IOMETA_T, AX_ENGINE_NPU_ATTR_T,
    ax_board_table,
};

use crate::control::{AttachedCard, SoftwareCard};
use crate::testing::{TinyModel, TinySpec, write_tiny_model};
use crate::violations::Rule;
use crate::{CardOptions, board_table};

/// Calls an entry of a table.
macro_rules! ax {
    ($table:expr, $function:ident ( $($argument:expr),* $(,)? )) => {{
        let function = $table.$function.expect("every entry is filled");
        // SAFETY: pointers in the arguments are null or point to live values of the test, sizes are theirs.
        unsafe { function($($argument),*) }
    }};
}

pub(crate) use ax;

mod engine;
mod figures;
mod memory;
mod python;
pub(crate) mod reference;
mod runner;
mod runs;
mod troubles;

fn hex(code: i32) -> u32 {
    code.cast_unsigned()
}

/// A card of its own on the test's thread.
struct Client {
    table: ax_board_table,
    card: SoftwareCard,
    _attached: AttachedCard,
}

/// A block of the chip's memory.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    phy: u64,
    vir: *mut u8,
    size: u32,
}

impl Client {
    /// A card that nothing was called on.
    fn cold(strict: bool) -> Self {
        let options =
            CardOptions { threads: Some(1), memory_bytes: Some(64 << 20), strict, ..CardOptions::default() };
        let card = SoftwareCard::new(options.clone());
        let attached = card.attach();
        Self { table: board_table(options), card, _attached: attached }
    }

    /// Memory and NPU initialised, strict.
    fn new() -> Self {
        Self::started(true)
    }

    /// Memory and NPU initialised.
    fn started(strict: bool) -> Self {
        let client = Self::cold(strict);
        assert_eq!(ax!(client.table, AX_SYS_Init()), 0);
        let mut attributes = AX_ENGINE_NPU_ATTR_T::default();
        assert_eq!(ax!(client.table, AX_ENGINE_Init(&raw mut attributes)), 0);
        client
    }

    /// Another thread of the program.
    fn beside(card: &SoftwareCard) -> Self {
        let attached = card.attach();
        let card = SoftwareCard::of_this_thread();
        Self { table: board_table(CardOptions::default()), card, _attached: attached }
    }

    fn allocate(&self, size: u32, cached: bool) -> Buffer {
        let (mut phy, mut vir) = (0, ptr::null_mut());
        let token = c"npu".as_ptr().cast();
        let code = if cached {
            ax!(self.table, AX_SYS_MemAllocCached(&raw mut phy, &raw mut vir, size, 128, token))
        } else {
            ax!(self.table, AX_SYS_MemAlloc(&raw mut phy, &raw mut vir, size, 128, token))
        };
        assert_eq!(hex(code), 0);
        Buffer { phy, vir: vir.cast(), size }
    }

    fn free(&self, buffer: Buffer) -> i32 {
        ax!(self.table, AX_SYS_MemFree(buffer.phy, buffer.vir.cast()))
    }

    fn flush(&self, buffer: Buffer) -> i32 {
        ax!(self.table, AX_SYS_MflushCache(buffer.phy, buffer.vir.cast(), buffer.size))
    }

    fn invalidate(&self, buffer: Buffer) -> i32 {
        ax!(self.table, AX_SYS_MinvalidateCache(buffer.phy, buffer.vir.cast(), buffer.size))
    }

    /// Handle and context of a model.
    fn load(&self, path: &Path) -> (*mut c_void, *mut c_void) {
        let file = std::fs::read(path).expect("a model file");
        let size = u32::try_from(file.len()).expect("a small file");
        let (mut handle, mut context) = (ptr::null_mut(), ptr::null_mut());
        let code = ax!(
            self.table,
            AX_ENGINE_CreateHandleV2(&raw mut handle, file.as_ptr().cast(), size, ptr::null_mut())
        );
        assert_eq!(hex(code), 0);
        assert_eq!(ax!(self.table, AX_ENGINE_CreateContextV2(handle, &raw mut context)), 0);
        assert!(!context.is_null());
        (handle, context)
    }

    fn groups(&self, handle: *mut c_void) -> u32 {
        let mut count = 0;
        assert_eq!(ax!(self.table, AX_ENGINE_GetGroupIOInfoCount(handle, &raw mut count)), 0);
        count
    }

    /// Names and sizes of the tensors of a group.
    fn tensors(&self, handle: *mut c_void, group: u32) -> (Vec<Tensor>, Vec<Tensor>) {
        let mut info: *mut AX_ENGINE_IO_INFO_T = ptr::null_mut();
        assert_eq!(ax!(self.table, AX_ENGINE_GetGroupIOInfo(handle, group, &raw mut info)), 0);
        // SAFETY: the engine gave the structure, which lives as long as the handle.
        let info = unsafe { info.read() };
        let side = |first: *mut AX_ENGINE_IOMETA_T, count: u32| {
            let indices = 0..usize::try_from(count).expect("a count");
            // SAFETY: the structure says that there are this many tensors.
            indices.map(|index| Tensor::new(unsafe { first.wrapping_add(index).read() })).collect()
        };
        (side(info.pInputs, info.nInputSize), side(info.pOutputs, info.nOutputSize))
    }

    fn broken(&self) -> Vec<Rule> {
        self.card.take_violations().iter().map(|violation| violation.rule).collect()
    }
}

/// What the engine tells of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tensor {
    name: String,
    shape: Vec<i32>,
    data_type: u32,
    size: u32,
}

impl Tensor {
    fn new(meta: AX_ENGINE_IOMETA_T) -> Self {
        // SAFETY: names are terminated strings that live as long as the handle.
        let name = unsafe { CStr::from_ptr(meta.pName) }.to_str().expect("ASCII").to_owned();
        // SAFETY: the shape has as many dimensions as the tensor says.
        let shape = unsafe { std::slice::from_raw_parts(meta.pShape, usize::from(meta.nShapeSize)) };
        Self { name, shape: shape.to_vec(), data_type: meta.eDataType, size: meta.nSize }
    }
}

impl Buffer {
    fn write(self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= usize::try_from(self.size).unwrap());
        // SAFETY: the range lies in the block, and no call is using it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.vir.wrapping_add(offset), bytes.len()) };
    }

    fn read(self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= usize::try_from(self.size).unwrap());
        let mut bytes = vec![0; len];
        // SAFETY: the range lies in the block, no call is using it, and the vector has as many bytes.
        unsafe { ptr::copy_nonoverlapping(self.vir.wrapping_add(offset), bytes.as_mut_ptr(), len) };
        bytes
    }

    fn fill(self, value: u8) {
        self.write(0, &vec![value; usize::try_from(self.size).unwrap()]);
    }

    /// The same block from `offset` on.
    fn from(self, offset: u32) -> Self {
        let at = usize::try_from(offset).unwrap();
        Self { phy: self.phy + u64::from(offset), vir: self.vir.wrapping_add(at), size: self.size - offset }
    }

    fn bind(self) -> AX_ENGINE_IO_BUFFER_T {
        AX_ENGINE_IO_BUFFER_T {
            phyAddr: self.phy,
            pVirAddr: self.vir.cast(),
            nSize: self.size,
            ..AX_ENGINE_IO_BUFFER_T::default()
        }
    }
}

/// An IO over two lists of buffers, which must outlive it.
fn io_of(inputs: &mut [AX_ENGINE_IO_BUFFER_T], outputs: &mut [AX_ENGINE_IO_BUFFER_T]) -> AX_ENGINE_IO_T {
    AX_ENGINE_IO_T {
        pInputs: inputs.as_mut_ptr(),
        nInputSize: u32::try_from(inputs.len()).unwrap(),
        pOutputs: outputs.as_mut_ptr(),
        nOutputSize: u32::try_from(outputs.len()).unwrap(),
        ..AX_ENGINE_IO_T::default()
    }
}

/// A tiny model in a directory of its own.
fn model(spec: &TinySpec) -> (TinyModel, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = write_tiny_model(dir.path(), spec).expect("a tiny model");
    (files, dir)
}
