//! Memory, models and runs over AXCL, each given back in reverse order whatever fails.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use ax650_sys::vendor as v;

use super::SurveyError;
use super::measure::Tensor;
use super::pcie::Session;

/// More of either than any model has: a library that tells more is not believed.
const MOST_GROUPS: u32 = 64;
const MOST_TENSORS: u32 = 256;

/// Something of the vendor's that has to be given back.
#[derive(Debug, Clone, Copy)]
enum Held {
    Memory(*mut c_void),
    Pinned(*mut c_void),
    Model(u64),
    Info(v::axclrtEngineIOInfo),
    Io(v::axclrtEngineIO),
    Stream(v::axclrtStream),
}

/// A loaded file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    id: u64,
    context: u64,
    info: v::axclrtEngineIOInfo,
    /// Shape groups; at least one.
    pub(super) groups: u32,
}

/// The NPU of the card that is bound to this thread.
pub(super) struct Engine<'a, 'b> {
    session: &'a mut Session<'b>,
    held: Vec<Held>,
    stream: Option<v::axclrtStream>,
}

impl<'a, 'b> Engine<'a, 'b> {
    pub(super) fn open(session: &'a mut Session<'b>) -> Result<Self, SurveyError> {
        session.call("axclrtEngineInit", |table| {
            let function = table.axclrtEngineInit?;
            // SAFETY: takes a number of the vendor's list: the undivided NPU.
            Some(unsafe { function(v::AXCL_VNPU_DISABLE) })
        })?;
        Ok(Self { session, held: Vec::new(), stream: None })
    }

    /// Gives everything back.
    pub(super) fn close(mut self) -> Result<(), SurveyError> {
        let given_back = self.give_back_to(0);
        let ended = self.session.call("axclrtEngineFinalize", |table| {
            let function = table.axclrtEngineFinalize?;
            // SAFETY: takes nothing; all models were unloaded.
            Some(unsafe { function() })
        });
        given_back.and(ended)
    }

    /// What is held so far; see [`Self::give_back_to`].
    pub(super) fn mark(&self) -> usize {
        self.held.len()
    }

    /// Gives back what came after the mark, last first; the first error is returned and stops nothing.
    pub(super) fn give_back_to(&mut self, mark: usize) -> Result<(), SurveyError> {
        let mut outcome = Ok(());
        while self.held.len() > mark {
            let Some(held) = self.held.pop() else { break };
            outcome = outcome.and(self.give_back(held));
        }
        outcome
    }

    fn give_back(&mut self, held: Held) -> Result<(), SurveyError> {
        match held {
            Held::Memory(address) => self.session.call("axclrtFree", |table| {
                let function = table.axclrtFree?;
                // SAFETY: a base address from axclrtMalloc, given back once: it was taken off the list.
                Some(unsafe { function(address) })
            }),
            Held::Pinned(address) => self.session.call("axclrtFreeHost", |table| {
                let function = table.axclrtFreeHost?;
                // SAFETY: from axclrtMallocHost, given back once.
                Some(unsafe { function(address) })
            }),
            Held::Model(id) => self.session.call("axclrtEngineUnload", |table| {
                let function = table.axclrtEngineUnload?;
                // SAFETY: a model that axclrtEngineLoadFromFile gave, unloaded once; no run is in flight.
                Some(unsafe { function(id) })
            }),
            Held::Info(info) => self.session.call("axclrtEngineDestroyIOInfo", |table| {
                let function = table.axclrtEngineDestroyIOInfo?;
                // SAFETY: from axclrtEngineGetIOInfo, destroyed once.
                Some(unsafe { function(info) })
            }),
            Held::Io(io) => self.session.call("axclrtEngineDestroyIO", |table| {
                let function = table.axclrtEngineDestroyIO?;
                // SAFETY: from axclrtEngineCreateIO, destroyed once; no run is in flight.
                Some(unsafe { function(io) })
            }),
            Held::Stream(stream) => {
                self.stream = None;
                self.session.call("axclrtDestroyStream", |table| {
                    let function = table.axclrtDestroyStream?;
                    // SAFETY: from axclrtCreateStream, destroyed once; every run on it was waited for.
                    Some(unsafe { function(stream) })
                })
            }
        }
    }

    /// Device memory.
    pub(super) fn allocate(&mut self, bytes: usize) -> Result<*mut c_void, SurveyError> {
        let mut address = ptr::null_mut();
        self.session.call("axclrtMalloc", |table| {
            let function = table.axclrtMalloc?;
            // SAFETY: writes one pointer, a local.
            Some(unsafe { function(&raw mut address, bytes, v::AXCL_MEM_MALLOC_NORMAL_ONLY) })
        })?;
        self.held.push(Held::Memory(address));
        Ok(address)
    }

    /// Pinned memory of the host; `None` where the library has none to give.
    pub(super) fn allocate_pinned(&mut self, bytes: usize) -> Result<Option<*mut c_void>, SurveyError> {
        if self.session.table.axclrtMallocHost.is_none() || self.session.table.axclrtFreeHost.is_none() {
            return Ok(None);
        }
        let mut address = ptr::null_mut();
        self.session.call("axclrtMallocHost", |table| {
            let function = table.axclrtMallocHost?;
            // SAFETY: writes one pointer, a local.
            Some(unsafe { function(&raw mut address, bytes) })
        })?;
        self.held.push(Held::Pinned(address));
        Ok(Some(address))
    }

    /// Copies to memory of [`Self::allocate`] from `bytes` readable bytes of the host.
    pub(super) fn upload(
        &mut self,
        to: *mut c_void,
        from: *mut c_void,
        bytes: usize,
    ) -> Result<(), SurveyError> {
        self.copy(to, from, bytes, v::AXCL_MEMCPY_HOST_TO_DEVICE)
    }

    /// Copies from memory of [`Self::allocate`] to `bytes` writable bytes of the host.
    pub(super) fn download(
        &mut self,
        to: *mut c_void,
        from: *mut c_void,
        bytes: usize,
    ) -> Result<(), SurveyError> {
        self.copy(to, from, bytes, v::AXCL_MEMCPY_DEVICE_TO_HOST)
    }

    /// Copies between two blocks of [`Self::allocate`].
    pub(super) fn duplicate(
        &mut self,
        to: *mut c_void,
        from: *mut c_void,
        bytes: usize,
    ) -> Result<(), SurveyError> {
        self.copy(to, from, bytes, v::AXCL_MEMCPY_DEVICE_TO_DEVICE)
    }

    fn copy(
        &mut self,
        to: *mut c_void,
        from: *mut c_void,
        bytes: usize,
        kind: v::axclrtMemcpyKind,
    ) -> Result<(), SurveyError> {
        self.session.call("axclrtMemcpy", |table| {
            let function = table.axclrtMemcpy?;
            // SAFETY: the measurement makes both blocks at least `bytes` long and of the kind that `kind` says; they
            // live until they are given back after the copy, which is synchronous.
            Some(unsafe { function(to, from, bytes, kind) })
        })
    }

    /// Fills memory of [`Self::allocate`] with zeros.
    pub(super) fn zero(&mut self, address: *mut c_void, bytes: usize) -> Result<(), SurveyError> {
        self.session.call("axclrtMemset", |table| {
            let function = table.axclrtMemset?;
            // SAFETY: device memory of at least `bytes`, held until given back.
            Some(unsafe { function(address, 0, bytes) })
        })
    }

    /// Loads a compiled file.
    pub(super) fn load(&mut self, path: &Path) -> Result<Model, SurveyError> {
        let path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| SurveyError::Unsupported("a file name holds a NUL byte".to_owned()))?;
        let mut id = 0;
        self.session.call("axclrtEngineLoadFromFile", |table| {
            let function = table.axclrtEngineLoadFromFile?;
            // SAFETY: a NUL-terminated path that lives through the call; writes one id, a local.
            Some(unsafe { function(path.as_ptr(), &raw mut id) })
        })?;
        self.held.push(Held::Model(id));
        let mut context = 0;
        self.session.call("axclrtEngineCreateContext", |table| {
            let function = table.axclrtEngineCreateContext?;
            // SAFETY: a loaded model; writes one id, a local.
            Some(unsafe { function(id, &raw mut context) })
        })?;
        let mut info = ptr::null_mut();
        self.session.call("axclrtEngineGetIOInfo", |table| {
            let function = table.axclrtEngineGetIOInfo?;
            // SAFETY: a loaded model; writes one handle, a local.
            Some(unsafe { function(id, &raw mut info) })
        })?;
        self.held.push(Held::Info(info));
        let mut groups = 0;
        self.session.call("axclrtEngineGetShapeGroupsCount", |table| {
            let function = table.axclrtEngineGetShapeGroupsCount?;
            // SAFETY: a handle that is held; writes one number, a local.
            Some(unsafe { function(info, &raw mut groups) })
        })?;
        let groups = u32::try_from(groups).unwrap_or(0).clamp(1, MOST_GROUPS);
        Ok(Model { id, context, info, groups })
    }

    /// Inputs and outputs of a group.
    pub(super) fn tensors(
        &mut self,
        model: &Model,
        group: u32,
    ) -> Result<(Vec<Tensor>, Vec<Tensor>), SurveyError> {
        let table = self.session.table;
        let count = |function: Option<unsafe extern "C" fn(v::axclrtEngineIOInfo) -> u32>| {
            // SAFETY: a handle that is held.
            function.map_or(0, |function| unsafe { function(model.info) }).min(MOST_TENSORS)
        };
        let inputs = (0..count(table.axclrtEngineGetNumInputs))
            .map(|index| self.input(model, group, index))
            .collect::<Result<_, _>>()?;
        let outputs = (0..count(table.axclrtEngineGetNumOutputs))
            .map(|index| self.output(model, group, index))
            .collect::<Result<_, _>>()?;
        Ok((inputs, outputs))
    }

    fn input(&mut self, model: &Model, group: u32, index: u32) -> Result<Tensor, SurveyError> {
        let table = self.session.table;
        let info = model.info;
        let mut dims = v::axclrtEngineIODims::default();
        self.session.call("axclrtEngineGetInputDims", |table| {
            let function = table.axclrtEngineGetInputDims?;
            // SAFETY: a handle that is held, indices below its counts; writes one structure, a local.
            Some(unsafe { function(info, group, index, &raw mut dims) })
        })?;
        // SAFETY: as above.
        let name = table.axclrtEngineGetInputNameByIndex.map(|function| unsafe { function(info, index) });
        // SAFETY: as above.
        let bytes =
            table.axclrtEngineGetInputSizeByIndex.map(|function| unsafe { function(info, group, index) });
        let mut dtype = v::AXCL_DATA_TYPE_NONE;
        let told = table.axclrtEngineGetInputDataType.map(|function| {
            // SAFETY: as above; writes one number, a local.
            unsafe { function(info, index, &raw mut dtype) }
        });
        Ok(tensor(name, bytes, &dims, (told == Some(0)).then_some(dtype)))
    }

    fn output(&mut self, model: &Model, group: u32, index: u32) -> Result<Tensor, SurveyError> {
        let table = self.session.table;
        let info = model.info;
        let mut dims = v::axclrtEngineIODims::default();
        self.session.call("axclrtEngineGetOutputDims", |table| {
            let function = table.axclrtEngineGetOutputDims?;
            // SAFETY: a handle that is held, indices below its counts; writes one structure, a local.
            Some(unsafe { function(info, group, index, &raw mut dims) })
        })?;
        // SAFETY: as above.
        let name = table.axclrtEngineGetOutputNameByIndex.map(|function| unsafe { function(info, index) });
        // SAFETY: as above.
        let bytes =
            table.axclrtEngineGetOutputSizeByIndex.map(|function| unsafe { function(info, group, index) });
        let mut dtype = v::AXCL_DATA_TYPE_NONE;
        let told = table.axclrtEngineGetOutputDataType.map(|function| {
            // SAFETY: as above; writes one number, a local.
            unsafe { function(info, index, &raw mut dtype) }
        });
        Ok(tensor(name, bytes, &dims, (told == Some(0)).then_some(dtype)))
    }

    /// An IO object with zeroed buffers of its own for every tensor.
    pub(super) fn bind(
        &mut self,
        model: &Model,
        inputs: &[Tensor],
        outputs: &[Tensor],
    ) -> Result<v::axclrtEngineIO, SurveyError> {
        let mut io = ptr::null_mut();
        self.session.call("axclrtEngineCreateIO", |table| {
            let function = table.axclrtEngineCreateIO?;
            // SAFETY: a handle that is held; writes one handle, a local.
            Some(unsafe { function(model.info, &raw mut io) })
        })?;
        self.held.push(Held::Io(io));
        for (index, tensor) in (0..).zip(inputs) {
            let (address, bytes) = self.zeroed(tensor)?;
            self.session.call("axclrtEngineSetInputBufferByIndex", |table| {
                let function = table.axclrtEngineSetInputBufferByIndex?;
                // SAFETY: an IO object that is held; device memory of that size, held as long.
                Some(unsafe { function(io, index, address, bytes) })
            })?;
        }
        for (index, tensor) in (0..).zip(outputs) {
            let (address, bytes) = self.zeroed(tensor)?;
            self.session.call("axclrtEngineSetOutputBufferByIndex", |table| {
                let function = table.axclrtEngineSetOutputBufferByIndex?;
                // SAFETY: as above.
                Some(unsafe { function(io, index, address, bytes) })
            })?;
        }
        Ok(io)
    }

    fn zeroed(&mut self, tensor: &Tensor) -> Result<(*mut c_void, u64), SurveyError> {
        let too_large = || SurveyError::Unsupported(format!("tensor {} is too large", tensor.name));
        let bytes = usize::try_from(tensor.bytes).map_err(|_| too_large())?.max(1);
        let address = self.allocate(bytes)?;
        self.zero(address, bytes)?;
        Ok((address, tensor.bytes))
    }

    /// Runs a group and waits for it.
    pub(super) fn execute(
        &mut self,
        model: &Model,
        group: u32,
        io: v::axclrtEngineIO,
    ) -> Result<(), SurveyError> {
        self.session.call("axclrtEngineExecute", |table| {
            let function = table.axclrtEngineExecute?;
            // SAFETY: model, context and IO object are held; every tensor of the group has a buffer of its size.
            Some(unsafe { function(model.id, model.context, group, io) })
        })
    }

    /// A stream to queue runs on; `None` where the library cannot.
    pub(super) fn stream(&mut self) -> Result<Option<v::axclrtStream>, SurveyError> {
        let table = self.session.table;
        if table.axclrtEngineExecuteAsync.is_none()
            || table.axclrtSynchronizeStream.is_none()
            || table.axclrtCreateStream.is_none()
        {
            return Ok(None);
        }
        if self.stream.is_none() {
            let mut stream = ptr::null_mut();
            self.session.call("axclrtCreateStream", |table| {
                let function = table.axclrtCreateStream?;
                // SAFETY: writes one handle, a local.
                Some(unsafe { function(&raw mut stream) })
            })?;
            self.held.push(Held::Stream(stream));
            self.stream = Some(stream);
        }
        Ok(self.stream)
    }

    /// Queues a run and waits for the stream, whatever the queueing said: nothing stays queued. If the wait fails, the
    /// run may still be in flight, and the session is over.
    pub(super) fn execute_queued(
        &mut self,
        model: &Model,
        group: u32,
        io: v::axclrtEngineIO,
        stream: v::axclrtStream,
    ) -> Result<(), SurveyError> {
        let queued = self.session.call("axclrtEngineExecuteAsync", |table| {
            let function = table.axclrtEngineExecuteAsync?;
            // SAFETY: as for `execute`; all of it is held until the stream was waited for.
            Some(unsafe { function(model.id, model.context, group, io, stream) })
        });
        let waited = self.session.call("axclrtSynchronizeStream", |table| {
            let function = table.axclrtSynchronizeStream?;
            // SAFETY: a stream that is held.
            Some(unsafe { function(stream) })
        });
        if let Err(error) = &waited {
            self.session.abandon(error);
        }
        queued.and(waited)
    }
}

fn tensor(
    name: Option<*const c_char>,
    bytes: Option<u64>,
    dims: &v::axclrtEngineIODims,
    dtype: Option<u32>,
) -> Tensor {
    let name = name.filter(|name| !name.is_null()).map_or_else(String::new, |name| {
        // SAFETY: not null; a NUL-terminated text of the IO info, which is held; copied at once.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    });
    let count = usize::try_from(dims.dimCount).unwrap_or(0);
    Tensor { name, dtype, dims: dims.dims.iter().take(count).copied().collect(), bytes: bytes.unwrap_or(0) }
}
