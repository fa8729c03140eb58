//! Loaded models, their contexts, and the host-side objects that describe and bind their tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::block::Line;
use crate::clock::Work;
use crate::compute::{self, Pool};
use crate::fault::Fault;
use crate::io::Io;
use crate::memory::DeviceMemory;
use crate::options::Compute;
use crate::signature::Signature;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// One model on the card.
pub(crate) struct Model {
    pub(crate) engine: compute::Engine,
    pub(crate) signature: Arc<Signature>,
    pub(crate) contexts: BTreeSet<u64>,
    pub(crate) affinity: u32,
    /// Bytes taken from the device memory for the weights.
    pub(crate) bytes: u64,
}

impl Model {
    /// What a run of `group` costs. A K/V cache is read in full, whatever the mask hides (ax-llm.md 5.3).
    pub(crate) fn work(&self, group: usize) -> Work {
        let caches =
            self.signature.inputs.iter().filter(|tensor| tensor.is(c"K_cache") || tensor.is(c"V_cache"));
        Work::Run {
            head: self.engine.is_head(),
            weight_bytes: self.bytes,
            cache_bytes: caches.filter_map(|tensor| tensor.size(group)).sum(),
            operations: self.engine.operations(group),
        }
    }
}

/// The engine of one card between `axclrtEngineInit` and `axclrtEngineFinalize`.
#[derive(Default)]
pub(crate) struct Engines {
    /// Virtual NPU kind, once initialised.
    kind: Option<u32>,
    /// Initialisations without their finalisation.
    users: u32,
    pub(crate) pool: Option<Pool>,
    pub(crate) models: BTreeMap<u64, Model>,
    pub(crate) infos: BTreeMap<u64, Arc<Signature>>,
    pub(crate) ios: BTreeMap<u64, Io>,
    pub(crate) scratch: compute::Scratch,
    /// Results of a run before they are written to the device memory.
    pub(crate) staging: Box<[Line]>,
    compute: Compute,
}

/// All cores of the NPU.
const ALL_CORES: u32 = 0b111;
/// The kind of virtual NPU that is none: models have all cores.
const WHOLE_NPU: u32 = 0;

impl Engines {
    pub(crate) fn new(compute: Compute) -> Self {
        Self { compute, ..Self::default() }
    }

    /// `axclrtEngineInit`. Once more in the same mode only counts; in another one it fails, as the on-board library
    /// does.
    pub(crate) fn init(&mut self, kind: u32, threads: usize) -> Result<(), Fault> {
        if kind > 3 {
            let code = status::common(Part::Engine, Common::IllegalParam);
            return Err(Fault::plain(code, format!("no virtual NPU kind {kind}")));
        }
        if let Some(active) = self.kind.filter(|&active| active != kind) {
            let code = status::common(Part::Engine, Common::ExecuteFail);
            return Err(Fault::plain(code, format!("the engine runs in kind {active}, not in {kind}")));
        }
        self.kind = Some(kind);
        self.users += 1;
        self.pool.get_or_insert_with(|| Pool::new(threads));
        Ok(())
    }

    /// `axclrtEngineFinalize`. With the last one, models stay listed (the caller should have unloaded them) but cannot
    /// run. Returns whether there was anything to finalise.
    pub(crate) fn finalize(&mut self) -> bool {
        let any = self.users > 0;
        self.users = self.users.saturating_sub(1);
        if self.users == 0 {
            self.kind = None;
            self.pool = None;
        }
        any
    }

    /// The virtual NPU kind in force.
    pub(crate) fn kind(&self) -> Result<u32, Fault> {
        self.kind.ok_or_else(|| {
            let code = status::common(Part::Engine, Common::ExecuteFail);
            Fault::breach(code, Rule::EngineNotReady, "axclrtEngineInit was not called")
        })
    }

    /// Fails where models of three cores cannot run, as all models of the card are. Over AXCL the card's refusal
    /// arrives as no more than that (axcl-runtime, `host/runtime/engine/engine.cpp`).
    pub(crate) fn require_all_cores(&self) -> Result<(), Fault> {
        let kind = self.kind()?;
        if kind == WHOLE_NPU {
            return Ok(());
        }
        let code = status::common(Part::Engine, Common::ExecuteFail);
        let reason = format!("models of the software card use 3 cores; the NPU is divided, in mode {kind}");
        Err(Fault::plain(code, reason))
    }

    /// Loads a layer or head file and books its weights. `id` becomes the model's.
    pub(crate) fn load(&mut self, memory: &mut DeviceMemory, path: &Path, id: u64) -> Result<(), Fault> {
        self.kind()?;
        // What is no file is a wrong argument (axcl-runtime, host/runtime/engine/engine_load_unload.cpp).
        let no_file = |reason: &str| {
            let code = status::common(Part::Engine, Common::IllegalParam);
            Fault::plain(code, format!("cannot open {}: {reason}", path.display()))
        };
        let file = fs::metadata(path).map_err(|error| no_file(&error.to_string()))?;
        if !file.is_file() {
            return Err(no_file("not a file"));
        }
        // The library puts the whole file on the card, where a model is made of it, and then frees it again (HOST
        // `engine/engine_load_unload.cpp`): so what cannot fit is refused before it is read.
        memory.reserve(file.len())?;
        let outcome = self.load_file(memory, path, id);
        memory.release(file.len());
        outcome
    }

    /// Makes a model of a file for which there is room on the card.
    fn load_file(&mut self, memory: &mut DeviceMemory, path: &Path, id: u64) -> Result<(), Fault> {
        let load = match self.compute {
            Compute::Full => compute::Engine::load,
            Compute::None => compute::Engine::load_shape,
        };
        let engine = load(path).map_err(|error| {
            let code = status::common(Part::Engine, Common::Decode);
            Fault::plain(code, format!("cannot load {}: {error}", path.display()))
        })?;
        self.adopt(memory, engine, id).map_err(|fault| match fault.code {
            status::CMM_EXHAUSTED => Fault { code: status::exhausted("axclrtEngineLoadFromMem"), ..fault },
            _ => fault,
        })
    }

    /// As [`Self::load`], from the bytes of a layer file, which `name` stands for in messages.
    pub(crate) fn load_bytes(
        &mut self,
        memory: &mut DeviceMemory,
        name: &Path,
        file: &[u8],
        id: u64,
    ) -> Result<(), Fault> {
        self.kind()?;
        let load = match self.compute {
            Compute::Full => compute::Engine::from_bytes,
            Compute::None => compute::Engine::shape_from_bytes,
        };
        let engine = load(name, file).map_err(|error| {
            let code = status::common(Part::Engine, Common::Decode);
            Fault::plain(code, format!("cannot load {}: {error}", name.display()))
        })?;
        self.adopt(memory, engine, id)
    }

    fn adopt(&mut self, memory: &mut DeviceMemory, engine: compute::Engine, id: u64) -> Result<(), Fault> {
        self.require_all_cores()?;
        let bytes = engine.weight_bytes();
        memory.reserve(bytes)?;
        let signature = Arc::new(Signature::new(&engine));
        let model = Model { engine, signature, contexts: BTreeSet::new(), affinity: ALL_CORES, bytes };
        self.models.insert(id, model);
        Ok(())
    }

    /// Unloads a model; its contexts die with it.
    pub(crate) fn unload(&mut self, memory: &mut DeviceMemory, id: u64) -> Result<(), Fault> {
        let model = self.models.remove(&id).ok_or_else(|| unknown("model", id))?;
        memory.release(model.bytes);
        Ok(())
    }

    pub(crate) fn model(&mut self, id: u64) -> Result<&mut Model, Fault> {
        self.models.get_mut(&id).ok_or_else(|| unknown("model", id))
    }

    pub(crate) fn io(&mut self, handle: u64) -> Result<&mut Io, Fault> {
        self.ios.get_mut(&handle).ok_or_else(|| unknown("IO", handle))
    }
}

/// A handle of the engine that does not exist. Null is an ordinary mistake of programs and gets its own code.
pub(crate) fn unknown(what: &str, handle: u64) -> Fault {
    let code = if handle == 0 { Common::NullPointer } else { Common::IllegalParam };
    let code = status::common(Part::Engine, code);
    Fault::breach(code, Rule::UnknownHandle, format!("no {what} {handle:#x}"))
}
