//! The arithmetic of the software card: transformer layers and the head, as static shape groups.
//!
//! An [`Engine`] is a layer file packed for the CPU. It is a pure function of its input tensors, like the
//! hardware: which cache rows a token sees is read from the mask, its rope position from `indices`.
//!
//! A row of a chunk has the same bits whatever the number of rows beside it, whatever the number of threads, and
//! whether the keys it sees come from the cache or from its own chunk. Three rules make it so: every sum of a row
//! runs in an order fixed by the row alone, threads divide outputs and never sums, and K and V are rounded
//! to bf16 before anything uses them.
//!
//! Inside a head the channels that rope turns together are neighbours, whatever the model's convention
//! (the packing reorders the outputs of the query and key projections; scores do not notice). `K_cache_out` has that
//! order.

#![allow(
    clippy::inline_always,
    reason = "vector intrinsics become calls unless all between them and the entry is inlined"
)]

mod attention;
mod config;
mod error;
mod file;
mod head;
mod layer;
pub mod limits;
mod linear;
mod micro;
mod pool;
mod rope;
mod scratch;
mod shape;
mod shared;
mod simd;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vector;
mod visible;

use std::path::Path;

use config::Config;
use file::LayerFile;

pub use error::{LoadError, RunError};
pub use head::HeadModel;
pub use layer::LayerModel;
pub use pool::Pool;
pub use scratch::Scratch;
pub use shape::{SYNTHETIC_TOKEN, ShapeModel};

/// Element kind of a tensor at the border of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Upper half of an IEEE single, little endian.
    Bf16,
    /// Unsigned 32-bit integer, little endian.
    U32,
}

impl DataType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bf16 => 2,
            Self::U32 => 4,
        }
    }
}

/// One input or output tensor of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name, the same in all groups.
    pub name: &'static str,
    /// Element kind.
    pub dtype: DataType,
    /// Shape in each group.
    pub dims: Vec<Vec<i32>>,
}

impl TensorInfo {
    /// Bytes of the tensor in `group`; 0 if there is no such group.
    pub fn bytes(&self, group: usize) -> usize {
        let elements = |dims: &Vec<i32>| dims.iter().map(|d| usize::try_from(*d).unwrap_or(0)).product();
        self.dims.get(group).map_or(0, elements) * self.dtype.size()
    }
}

/// A loaded layer or head. Immutable: may be shared and run by several threads, each with its own [`Scratch`].
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful per model, each in front of megabytes of weights")]
pub enum Engine {
    /// A transformer layer: the decode groups, then the prefill groups.
    Layer(LayerModel),
    /// Final norm and projection to the vocabulary: one group.
    Head(HeadModel),
    /// One of the two without arithmetic: every output is zero, but for one logit.
    Shape(ShapeModel),
}

impl Engine {
    /// Reads and packs the layer file at `path`. The file is not kept open.
    ///
    /// A synthetic file, which only names the bytes of its weights, becomes an [`Engine::Shape`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::pack(LayerFile::open(path)?)
    }

    /// As [`Engine::load`], for a layer file that is in memory. `name` stands for its path in messages.
    pub fn from_bytes(name: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::pack(LayerFile::from_bytes(name, bytes)?)
    }

    /// Whether [`Engine::from_bytes`] would find a layer file: looks at the header only.
    pub fn check(name: &Path, bytes: &[u8]) -> Result<(), LoadError> {
        Config::read(&LayerFile::from_bytes(name, bytes)?).map(drop)
    }

    /// Reads no more than the header of the layer file at `path`: an [`Engine::Shape`] whatever the file is.
    pub fn load_shape(path: &Path) -> Result<Self, LoadError> {
        Self::shape(&LayerFile::open(path)?)
    }

    /// As [`Engine::load_shape`], for a layer file that is in memory.
    pub fn shape_from_bytes(name: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        Self::shape(&LayerFile::from_bytes(name, bytes)?)
    }

    fn pack(mut file: LayerFile) -> Result<Self, LoadError> {
        if config::synthetic_bytes(&file)?.is_some() {
            return Self::shape(&file);
        }
        match Config::read(&file)? {
            Config::Layer(config) => LayerModel::load(&mut file, config).map(Self::Layer),
            Config::Head(config) => HeadModel::load(&mut file, config).map(Self::Head),
        }
    }

    fn shape(file: &LayerFile) -> Result<Self, LoadError> {
        let weight_bytes = config::synthetic_bytes(file)?.unwrap_or(file.data_bytes());
        Ok(Self::Shape(ShapeModel::new(Config::read(file)?, weight_bytes)))
    }

    /// Number of shape groups.
    pub fn groups(&self) -> usize {
        self.inputs().first().map_or(0, |tensor| tensor.dims.len())
    }

    /// Inputs in the order in which [`Engine::run`] takes them.
    pub fn inputs(&self) -> &[TensorInfo] {
        match self {
            Self::Layer(layer) => layer.inputs(),
            Self::Head(head) => head.inputs(),
            Self::Shape(shape) => shape.inputs(),
        }
    }

    /// Outputs in the order in which [`Engine::run`] takes them.
    pub fn outputs(&self) -> &[TensorInfo] {
        match self {
            Self::Layer(layer) => layer.outputs(),
            Self::Head(head) => head.outputs(),
            Self::Shape(shape) => shape.outputs(),
        }
    }

    /// Bytes of packed weights that the engine holds, or for a [`Engine::Shape`] would hold.
    pub fn weight_bytes(&self) -> u64 {
        match self {
            Self::Layer(layer) => layer.weight_bytes(),
            Self::Head(head) => head.weight_bytes(),
            Self::Shape(shape) => shape.weight_bytes(),
        }
    }

    /// Operations of the matrix products of `group` (a multiply-add is two), if it has more than one row.
    pub fn operations(&self, group: usize) -> u64 {
        self.layer_config().map_or(0, |config| config.operations(group))
    }

    /// Whether this is a head, computed or not.
    pub fn is_head(&self) -> bool {
        self.layer_config().is_none()
    }

    fn layer_config(&self) -> Option<&config::LayerConfig> {
        match self {
            Self::Layer(layer) => Some(layer.config()),
            Self::Head(_) => None,
            Self::Shape(shape) => shape.layer(),
        }
    }

    /// Runs one shape group. Slices are in tensor order, exactly as long as [`TensorInfo::bytes`] says and
    /// aligned to their elements. Every output is written in full; rows that see nothing (padding) become 0.
    ///
    /// A column whose mask value is -10000 or below is hidden: its K and V rows are never read, so they may
    /// hold anything. Any other mask value is added to the score.
    pub fn run(
        &self,
        pool: &Pool,
        group: usize,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut Scratch,
    ) -> Result<(), RunError> {
        let groups = self.groups();
        if group >= groups {
            return Err(RunError::NoSuchGroup { group, groups });
        }
        check_side("inputs", self.inputs(), group, inputs.iter().map(|slice| slice.len()))?;
        check_side("outputs", self.outputs(), group, outputs.iter().map(|slice| slice.len()))?;
        match self {
            Self::Layer(layer) => layer.run(pool, group, inputs, outputs, scratch),
            Self::Head(head) => head.run(pool, inputs, outputs, scratch),
            Self::Shape(shape) => shape.run(outputs),
        }
    }
}

fn check_side(
    side: &'static str,
    tensors: &[TensorInfo],
    group: usize,
    lengths: impl ExactSizeIterator<Item = usize>,
) -> Result<(), RunError> {
    if lengths.len() != tensors.len() {
        return Err(RunError::Count { side, expected: tensors.len(), found: lengths.len() });
    }
    for (tensor, found) in tensors.iter().zip(lengths) {
        let expected = tensor.bytes(group);
        if found != expected {
            return Err(RunError::Size { tensor: tensor.name, expected, found });
        }
    }
    Ok(())
}

/// A border tensor as elements. Fails if the buffer is misaligned.
fn elements<'a, T: bytemuck::AnyBitPattern>(
    tensor: &'static str,
    bytes: &'a [u8],
) -> Result<&'a [T], RunError> {
    bytemuck::try_cast_slice(bytes).map_err(|_| RunError::Alignment { tensor })
}

/// As [`elements`], for an output.
fn elements_mut<'a, T: bytemuck::Pod>(
    tensor: &'static str,
    bytes: &'a mut [u8],
) -> Result<&'a mut [T], RunError> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| RunError::Alignment { tensor })
}

#[cfg(test)]
mod tests;
