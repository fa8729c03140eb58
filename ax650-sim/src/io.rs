//! IO objects: which buffer each tensor of a run uses. They live on the host; binding costs no round trip,
//! and a run reads the bindings of the moment.

use std::sync::Arc;

use crate::fault::Fault;
use crate::signature::{Side, Signature};
use crate::status;

/// Where one tensor lives: device address (0 when unbound) and the size that the caller declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// The bindings of one IO object. Freeing the buffers stays with the caller.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) signature: Arc<Signature>,
    pub(crate) inputs: Vec<Binding>,
    pub(crate) outputs: Vec<Binding>,
    /// The group it was first used with.
    pub(crate) group: Option<u32>,
    /// The batch that the next runs are to have; 0 leaves it to the engine.
    pub(crate) batch: u32,
    /// Submitted runs that have not been executed.
    pub(crate) queued: usize,
}

impl Io {
    /// An IO object with nothing bound.
    pub(crate) fn new(signature: Arc<Signature>) -> Self {
        let inputs = vec![Binding::default(); signature.inputs.len()];
        let outputs = vec![Binding::default(); signature.outputs.len()];
        Self { signature, inputs, outputs, group: None, batch: 0, queued: 0 }
    }

    pub(crate) fn binding(&mut self, side: Side, index: u32) -> Result<&mut Binding, Fault> {
        let bindings = match side {
            Side::Input => &mut self.inputs,
            Side::Output => &mut self.outputs,
        };
        let count = bindings.len();
        usize::try_from(index)
            .ok()
            .and_then(|index| bindings.get_mut(index))
            .ok_or_else(|| invalid_index(side, index, count))
    }
}

pub(crate) fn invalid_index(side: Side, index: u32, count: usize) -> Fault {
    let reason = format!("{side:?} tensor {index} of {count}");
    Fault::plain(status::ENGINE_INVALID_INDEX, reason)
}
