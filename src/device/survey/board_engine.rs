//! Memory, models and runs over `AX_SYS` and `AX_ENGINE`, each given back in reverse order whatever fails.

use std::ffi::{CStr, c_void};
use std::fs;
use std::path::Path;
use std::ptr;

use ax650_sys::vendor as v;

use super::SurveyError;
use super::board::{self, call};
use super::measure::{
    FileShape, FileToMeasure, GroupShape, LARGE, Measurement, SMALL, Tensor, Timing, go_on, time,
};
use crate::device::CancelFlag;

/// As the vendor's clients align (abi.md 1.5).
const ALIGNMENT: u32 = 128;
/// What our blocks are called in the lists of the memory manager.
const TOKEN: &CStr = c"ax650";

/// More of any than a model has: a library that tells more is not believed.
const MOST_GROUPS: u32 = 64;
const MOST_TENSORS: u32 = 256;
const MOST_DIMENSIONS: u8 = 32;

/// Surveys the chip, then measures it.
pub(super) fn measure(
    table: &v::ax_board_table,
    files: &[FileToMeasure],
    cancel: &CancelFlag,
    watch: &mut dyn FnMut(&str),
) -> Result<Measurement, SurveyError> {
    let survey = board::survey(table, watch)?;
    let mut engine = Engine::open(table, watch)?;
    let measured = engine.calls().and_then(|timings| {
        let files = files.iter().map(|file| engine.file_shape(file, cancel)).collect::<Result<_, _>>()?;
        Ok((timings, files))
    });
    let closed = engine.close();
    let (timings, files) = measured?;
    closed?;
    Ok(Measurement { survey, timings, files })
}

/// A block of the chip's memory, cached for the CPU.
#[derive(Debug, Clone, Copy)]
struct Block {
    physical: u64,
    address: *mut c_void,
    bytes: u32,
}

/// A loaded file.
#[derive(Debug, Clone, Copy)]
struct Model {
    handle: v::AX_ENGINE_HANDLE,
    /// Null where only the handle's own context can be had.
    context: v::AX_ENGINE_CONTEXT_T,
    groups: u32,
}

/// Something that has to be given back.
#[derive(Debug, Clone, Copy)]
enum Held {
    Block(Block),
    Model(v::AX_ENGINE_HANDLE),
}

/// Buffers of one group.
struct Bindings {
    inputs: Vec<v::AX_ENGINE_IO_BUFFER_T>,
    outputs: Vec<v::AX_ENGINE_IO_BUFFER_T>,
}

/// The NPU of the chip.
struct Engine<'a> {
    table: &'a v::ax_board_table,
    watch: &'a mut dyn FnMut(&str),
    held: Vec<Held>,
}

impl<'a> Engine<'a> {
    fn open(table: &'a v::ax_board_table, watch: &'a mut dyn FnMut(&str)) -> Result<Self, SurveyError> {
        let mut engine = Self { table, watch, held: Vec::new() };
        engine.call("AX_SYS_Init", |table| {
            let function = table.AX_SYS_Init?;
            // SAFETY: takes nothing.
            Some(unsafe { function() })
        })?;
        if let Err(error) = engine.start() {
            engine.end_system().ok();
            return Err(error);
        }
        Ok(engine)
    }

    /// The undivided NPU. One that is up so already may answer with an error.
    fn start(&mut self) -> Result<(), SurveyError> {
        let mut wanted =
            v::AX_ENGINE_NPU_ATTR_T { eHardMode: v::AX_ENGINE_VIRTUAL_NPU_DISABLE, ..Default::default() };
        let started = self.call("AX_ENGINE_Init", |table| {
            let function = table.AX_ENGINE_Init?;
            // SAFETY: reads one structure of this layout (checked by the bindings), a local.
            Some(unsafe { function(&raw mut wanted) })
        });
        let Err(error) = started else { return Ok(()) };
        let mut found = v::AX_ENGINE_NPU_ATTR_T { eHardMode: u32::MAX, ..Default::default() };
        self.call("AX_ENGINE_GetVNPUAttr", |table| {
            let function = table.AX_ENGINE_GetVNPUAttr?;
            // SAFETY: writes one structure of this layout, a local.
            Some(unsafe { function(&raw mut found) })
        })
        .ok();
        if found.eHardMode == wanted.eHardMode { Ok(()) } else { Err(error) }
    }

    /// Gives everything back.
    fn close(mut self) -> Result<(), SurveyError> {
        let given_back = self.give_back_to(0);
        let stopped = self.call("AX_ENGINE_Deinit", |table| {
            let function = table.AX_ENGINE_Deinit?;
            // SAFETY: takes nothing; no handle is left.
            Some(unsafe { function() })
        });
        given_back.and(stopped).and(self.end_system())
    }

    fn end_system(&mut self) -> Result<(), SurveyError> {
        self.call("AX_SYS_Deinit", |table| {
            let function = table.AX_SYS_Deinit?;
            // SAFETY: takes nothing; this process initialised the library and holds no memory of it any more.
            Some(unsafe { function() })
        })
    }

    fn call(
        &mut self,
        name: &'static str,
        function: impl FnOnce(&v::ax_board_table) -> Option<i32>,
    ) -> Result<(), SurveyError> {
        call(self.watch, name, || function(self.table))
    }

    /// Gives back what came after the mark, last first; the first error is returned and stops nothing.
    fn give_back_to(&mut self, mark: usize) -> Result<(), SurveyError> {
        let mut outcome = Ok(());
        while self.held.len() > mark {
            let Some(held) = self.held.pop() else { break };
            outcome = outcome.and(match held {
                Held::Block(block) => self.call("AX_SYS_MemFree", |table| {
                    let function = table.AX_SYS_MemFree?;
                    // SAFETY: the pair that the allocation gave, given back once: it was taken off the list.
                    Some(unsafe { function(block.physical, block.address) })
                }),
                Held::Model(handle) => self.call("AX_ENGINE_DestroyHandle", |table| {
                    let function = table.AX_ENGINE_DestroyHandle?;
                    // SAFETY: a handle that the library gave, destroyed once; runs block, so none is in flight.
                    Some(unsafe { function(handle) })
                }),
            });
        }
        outcome
    }

    /// Zeroed memory that the NPU sees as it is.
    fn allocate(&mut self, bytes: u32) -> Result<Block, SurveyError> {
        let mut block = Block { physical: 0, address: ptr::null_mut(), bytes: bytes.max(1) };
        self.call("AX_SYS_MemAllocCached", |table| {
            let function = table.AX_SYS_MemAllocCached?;
            let (physical, address) = (&raw mut block.physical, &raw mut block.address);
            // SAFETY: writes two words, of a local; the token is terminated and lives on.
            Some(unsafe { function(physical, address, block.bytes, ALIGNMENT, TOKEN.as_ptr().cast()) })
        })?;
        self.held.push(Held::Block(block));
        if block.address.is_null() {
            return Err(SurveyError::Unsupported("AX_SYS_MemAllocCached gave no address".to_owned()));
        }
        fill(block, 0);
        self.flush(block, block.bytes)?;
        Ok(block)
    }

    fn flush(&mut self, block: Block, bytes: u32) -> Result<(), SurveyError> {
        self.call("AX_SYS_MflushCache", |table| {
            let function = table.AX_SYS_MflushCache?;
            // SAFETY: a block that is held, and no more bytes than it has.
            Some(unsafe { function(block.physical, block.address, bytes.min(block.bytes)) })
        })
    }

    fn invalidate(&mut self, block: Block, bytes: u32) -> Result<(), SurveyError> {
        self.call("AX_SYS_MinvalidateCache", |table| {
            let function = table.AX_SYS_MinvalidateCache?;
            // SAFETY: as above.
            Some(unsafe { function(block.physical, block.address, bytes.min(block.bytes)) })
        })
    }

    /// What the CPU's cache costs. Flushed is what was just written, as in the loop.
    fn calls(&mut self) -> Result<Vec<Timing>, SurveyError> {
        let mark = self.mark();
        let block = self.allocate(u32::try_from(LARGE).unwrap_or(u32::MAX))?;
        let mut timings = Vec::new();
        for bytes in [SMALL, LARGE] {
            let length = u32::try_from(bytes).unwrap_or(u32::MAX);
            // One block of each size: the whole of it is dirty.
            let part = Block { bytes: length, ..block };
            let mut value = 0;
            timings.push(time(
                "AX_SYS_MflushCache",
                bytes,
                || {
                    value ^= 1;
                    fill(part, value);
                },
                || self.flush(block, length),
            ));
            timings.push(time("AX_SYS_MinvalidateCache", bytes, || (), || self.invalidate(block, length)));
        }
        self.give_back_to(mark)?;
        Ok(timings)
    }

    fn mark(&self) -> usize {
        self.held.len()
    }

    fn file_shape(&mut self, file: &FileToMeasure, cancel: &CancelFlag) -> Result<FileShape, SurveyError> {
        go_on(cancel)?;
        let mark = self.mark();
        let (model, load) = {
            let content = read(&file.path)?;
            file.time_load("AX_ENGINE_CreateHandle", || self.load(&content))?
        };
        let mut groups = Vec::new();
        for group in 0..model.groups {
            go_on(cancel)?;
            let mark = self.mark();
            let (inputs, outputs) = self.tensors(&model, group)?;
            let mut bindings = Bindings { inputs: self.bind(&inputs)?, outputs: self.bind(&outputs)? };
            let call = if model.groups == 1 { "AX_ENGINE_RunSync" } else { "AX_ENGINE_RunGroupIOSync" };
            let run = time(call, 0, || (), || self.run(&model, group, &mut bindings));
            self.give_back_to(mark)?;
            groups.push(GroupShape { inputs, outputs, run, queued_run: None });
        }
        self.give_back_to(mark)?;
        Ok(file.shape(load, groups))
    }

    /// Loads a compiled file; the library keeps its own copy.
    fn load(&mut self, file: &[u8]) -> Result<Model, SurveyError> {
        let size = u32::try_from(file.len()).map_err(|_| {
            SurveyError::Unsupported("a file is larger than the engine takes (4 GiB)".to_owned())
        })?;
        let mut handle = ptr::null_mut();
        self.call("AX_ENGINE_CreateHandle", |table| {
            let function = table.AX_ENGINE_CreateHandle?;
            // SAFETY: writes one handle, a local; reads `size` bytes that live through the call.
            Some(unsafe { function(&raw mut handle, file.as_ptr().cast(), size) })
        })?;
        self.held.push(Held::Model(handle));
        let mut context = ptr::null_mut();
        self.call("AX_ENGINE_CreateContextV2", |table| {
            let function = table.AX_ENGINE_CreateContextV2?;
            // SAFETY: a handle that is held; writes one context, a local.
            Some(unsafe { function(handle, &raw mut context) })
        })?;
        let mut groups = 1;
        self.call("AX_ENGINE_GetGroupIOInfoCount", |table| {
            let function = table.AX_ENGINE_GetGroupIOInfoCount?;
            // SAFETY: a handle that is held; writes one number, a local.
            Some(unsafe { function(handle, &raw mut groups) })
        })?;
        Ok(Model { handle, context, groups: groups.clamp(1, MOST_GROUPS) })
    }

    /// Inputs and outputs of a group.
    fn tensors(&mut self, model: &Model, group: u32) -> Result<(Vec<Tensor>, Vec<Tensor>), SurveyError> {
        let mut info = ptr::null_mut();
        if model.groups == 1 {
            self.call("AX_ENGINE_GetIOInfo", |table| {
                let function = table.AX_ENGINE_GetIOInfo?;
                // SAFETY: a handle that is held; writes one pointer, a local.
                Some(unsafe { function(model.handle, &raw mut info) })
            })?;
        } else {
            self.call("AX_ENGINE_GetGroupIOInfo", |table| {
                let function = table.AX_ENGINE_GetGroupIOInfo?;
                // SAFETY: as above, and a group below the library's count.
                Some(unsafe { function(model.handle, group, &raw mut info) })
            })?;
        }
        if info.is_null() {
            return Err(SurveyError::Unsupported(format!("the library does not describe group {group}")));
        }
        // SAFETY: not null; the library's own description, which lives as long as the handle.
        let info = unsafe { info.read() };
        Ok((tensors(info.pInputs, info.nInputSize), tensors(info.pOutputs, info.nOutputSize)))
    }

    /// A buffer for each tensor.
    fn bind(&mut self, tensors: &[Tensor]) -> Result<Vec<v::AX_ENGINE_IO_BUFFER_T>, SurveyError> {
        let bind = |tensor: &Tensor| {
            let bytes = u32::try_from(tensor.bytes).unwrap_or(u32::MAX);
            let block = self.allocate(bytes)?;
            Ok(v::AX_ENGINE_IO_BUFFER_T {
                phyAddr: block.physical,
                pVirAddr: block.address,
                nSize: bytes,
                ..Default::default()
            })
        };
        tensors.iter().map(bind).collect()
    }

    /// Runs a group. Files with one group run by the handle's own context: with an explicit one such runs have failed
    /// with 0x8006008A (LLM).
    fn run(&mut self, model: &Model, group: u32, bindings: &mut Bindings) -> Result<(), SurveyError> {
        let count = |list: &[v::AX_ENGINE_IO_BUFFER_T]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        let mut io = v::AX_ENGINE_IO_T {
            nInputSize: count(&bindings.inputs),
            pInputs: bindings.inputs.as_mut_ptr(),
            nOutputSize: count(&bindings.outputs),
            pOutputs: bindings.outputs.as_mut_ptr(),
            ..Default::default()
        };
        if model.groups == 1 {
            return self.call("AX_ENGINE_RunSync", |table| {
                let function = table.AX_ENGINE_RunSync?;
                // SAFETY: a handle that is held; every tensor has a block of its size, which is held too.
                Some(unsafe { function(model.handle, &raw mut io) })
            });
        }
        self.call("AX_ENGINE_RunGroupIOSync", |table| {
            let function = table.AX_ENGINE_RunGroupIOSync?;
            // SAFETY: as above, with a context of this handle.
            Some(unsafe { function(model.handle, model.context, group, &raw mut io) })
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SurveyError> {
    fs::read(path)
        .map_err(|error| SurveyError::Unsupported(format!("cannot read {}: {error}", path.display())))
}

fn fill(block: Block, value: u8) {
    // SAFETY: a block that is held, of at least so many bytes, mapped for writing (abi.md 1.5: clients do the same).
    unsafe { ptr::write_bytes(block.address.cast::<u8>(), value, block.bytes as usize) };
}

fn tensors(first: *mut v::AX_ENGINE_IOMETA_T, count: u32) -> Vec<Tensor> {
    if first.is_null() {
        return Vec::new();
    }
    let one = |index: u32| {
        let place = first.wrapping_add(index as usize);
        // SAFETY: one of the descriptions of the library, which live as long as the handle.
        tensor(&unsafe { place.read() })
    };
    (0..count.min(MOST_TENSORS)).map(one).collect()
}

fn tensor(meta: &v::AX_ENGINE_IOMETA_T) -> Tensor {
    let name = if meta.pName.is_null() {
        String::new()
    } else {
        // SAFETY: not null; a terminated text of the description, copied at once.
        unsafe { CStr::from_ptr(meta.pName) }.to_string_lossy().into_owned()
    };
    let count = if meta.pShape.is_null() { 0 } else { meta.nShapeSize.min(MOST_DIMENSIONS) };
    let dimension = |index: u8| {
        let place = meta.pShape.wrapping_add(usize::from(index));
        // SAFETY: one of the numbers that the description counts.
        unsafe { place.read() }
    };
    Tensor {
        name,
        dtype: Some(meta.eDataType),
        dims: (0..count).map(dimension).collect(),
        bytes: u64::from(meta.nSize),
    }
}
