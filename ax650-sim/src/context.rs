//! Device activation, contexts and their binding to threads.
//!
//! Rules (AXCL documentation, introduction and device chapters): `SetDevice` is counted, creates the one
//! default context of the device and binds it to the calling thread; `CreateContext` activates the device if need
//! be and binds the new context to the calling thread, the last one wins; several threads may share a context;
//! a thread without one fails every call that reaches a device.
//!
//! The library itself binds the default context to the thread that sets the device first, and to no other
//! (axcl-runtime, `host/runtime/device/device_manager.cpp`). It is bound here as documented, and using it so is a
//! breach.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// Id of the first device; the next ones follow it. Not 0, because ids were PCIe bus numbers up to SDK 2.25: a
/// caller that passes an index instead of an id from the device list is caught.
pub const DEVICE_ID: i32 = 129;

/// How often a device was set, and its default context.
#[derive(Debug, Clone, Default)]
struct Activation {
    count: usize,
    default: Option<u64>,
}

/// The context of a thread.
#[derive(Debug, Clone, Copy)]
struct Bound {
    context: u64,
    /// Whether the library has bound it too, not only its documentation.
    surely: bool,
}

/// Contexts of all devices and the threads they are bound to.
#[derive(Debug)]
pub(crate) struct Contexts {
    devices: Vec<Activation>,
    /// Each context and the index of its device.
    live: BTreeMap<u64, usize>,
    bound: HashMap<ThreadId, Bound>,
    /// Whether the calling thread has used a context that the library would not have bound.
    presumed: AtomicBool,
    /// Contexts that were created, and were not destroyed before their device was reset.
    abandoned: usize,
}

impl Contexts {
    pub(crate) fn new(devices: usize) -> Self {
        let devices = vec![Activation::default(); devices];
        let (live, bound, presumed) = (BTreeMap::new(), HashMap::new(), AtomicBool::new(false));
        Self { devices, live, bound, presumed, abandoned: 0 }
    }

    /// Ids of the devices, in the order of the list.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i32> {
        (DEVICE_ID..).take(self.devices.len())
    }

    /// The index of a device in the list.
    pub(crate) fn index_of(&self, device: i32) -> Result<usize, Fault> {
        self.ids().position(|id| id == device).ok_or_else(|| {
            let known = self.ids().map(|id| id.to_string()).collect::<Vec<_>>().join(", ");
            let reason = format!("no device {device}; the device list has {known}");
            Fault::plain(status::DEVICE_INVALID_ID, reason)
        })
    }

    /// `SetDevice`: `fresh` becomes the default context if there is none yet.
    pub(crate) fn activate(&mut self, device: i32, fresh: u64) -> Result<(), Fault> {
        let index = self.index_of(device)?;
        let activation = &mut self.devices[index];
        activation.count += 1;
        let first = activation.default.is_none();
        let context = *activation.default.get_or_insert(fresh);
        let thread = thread::current().id();
        // Whoever has another context of the same device gets on with that one.
        let same = |bound: &Bound| bound.surely && self.live.get(&bound.context) == Some(&index);
        let surely = first || self.bound.get(&thread).is_some_and(same);
        self.live.insert(context, index);
        self.bound.insert(thread, Bound { context, surely });
        Ok(())
    }

    fn bind_surely(&mut self, context: u64) {
        self.bound.insert(thread::current().id(), Bound { context, surely: true });
    }

    /// `ResetDevice`: the last one destroys every context of the device. Returns those.
    pub(crate) fn reset(&mut self, device: i32) -> Result<Vec<u64>, Fault> {
        let index = self.index_of(device)?;
        let activation = &mut self.devices[index];
        if activation.count == 0 {
            let reason = format!("device {device} is reset more often than it was set");
            return Err(Fault::breach(status::DEVICE_NOT_ACTIVE, Rule::Unpaired, reason));
        }
        activation.count -= 1;
        if activation.count > 0 {
            return Ok(Vec::new());
        }
        *activation = Activation::default();
        let gone: Vec<_> =
            self.live.extract_if(.., |_, of| *of == index).map(|(context, _)| context).collect();
        self.abandoned += gone.len().saturating_sub(1);
        self.bound.retain(|_, bound| self.live.contains_key(&bound.context));
        Ok(gone)
    }

    /// `CreateContext`: adds `fresh` and binds it to the calling thread. A device that nobody has set is set
    /// first, with the default context `default`.
    pub(crate) fn create(&mut self, device: i32, fresh: u64, default: u64) -> Result<u64, Fault> {
        let index = self.index_of(device)?;
        if self.devices[index].count == 0 {
            self.activate(device, default)?;
        }
        self.live.insert(fresh, index);
        self.bind_surely(fresh);
        Ok(fresh)
    }

    /// Fails unless `context` can be destroyed; returns the index of its device.
    pub(crate) fn check_destroyable(&self, context: u64) -> Result<usize, Fault> {
        if self.devices.iter().any(|activation| activation.default == Some(context)) {
            let reason = "the default context cannot be destroyed; reset the device";
            return Err(Fault::plain(status::CONTEXT_DESTROY, reason));
        }
        self.live.get(&context).copied().ok_or_else(|| unknown(status::CONTEXT_DESTROY, context))
    }

    /// Contexts that were created and not destroyed; default ones go with their device.
    pub(crate) fn created(&self) -> usize {
        let defaults = self.devices.iter().filter(|activation| activation.default.is_some()).count();
        self.live.len().saturating_sub(defaults) + self.abandoned
    }

    /// `DestroyContext`: threads that were bound to it have none afterwards.
    pub(crate) fn destroy(&mut self, context: u64) -> Result<(), Fault> {
        self.check_destroyable(context)?;
        self.live.remove(&context);
        self.bound.retain(|_, bound| bound.context != context);
        Ok(())
    }

    /// `SetCurrentContext`.
    pub(crate) fn bind(&mut self, context: u64) -> Result<(), Fault> {
        if !self.live.contains_key(&context) {
            return Err(unknown(status::CONTEXT_BIND, context));
        }
        self.bind_surely(context);
        Ok(())
    }

    /// The context of the calling thread, if it has one.
    pub(crate) fn current(&self) -> Option<u64> {
        self.bound.get(&thread::current().id()).map(|bound| bound.context)
    }

    /// The index of the device of the calling thread's context.
    pub(crate) fn current_device(&self) -> Option<usize> {
        self.live.get(&self.current()?).copied()
    }

    /// The context of the calling thread, or the breach of not having one.
    pub(crate) fn require(&self) -> Result<u64, Fault> {
        if self.bound.get(&thread::current().id()).is_some_and(|bound| !bound.surely) {
            self.presumed.store(true, Ordering::Relaxed);
        }
        self.require_device()
    }

    /// Whether the call that is about to end has used a context that the library would not have bound; told once.
    pub(crate) fn take_presumed(&mut self) -> bool {
        let presumed = self.presumed.swap(false, Ordering::Relaxed);
        if presumed && let Some(bound) = self.bound.get_mut(&thread::current().id()) {
            bound.surely = true;
        }
        presumed
    }

    /// As [`Self::require`], for a call that is content with the device which the thread has set.
    pub(crate) fn require_device(&self) -> Result<u64, Fault> {
        self.current().ok_or_else(|| {
            let thread = thread::current();
            let reason = format!("thread {:?} has no context bound", thread.name().unwrap_or("unnamed"));
            Fault::breach(status::CONTEXT_UNBOUND, Rule::UnboundThread, reason)
        })
    }

    /// The index of the device of a context.
    pub(crate) fn device_of(&self, context: u64) -> Option<usize> {
        self.live.get(&context).copied()
    }

    /// Fails unless `context` exists; returns the index of its device.
    pub(crate) fn check(&self, context: u64) -> Result<usize, Fault> {
        let code = status::common(Part::Context, Common::IllegalParam);
        self.device_of(context).ok_or_else(|| unknown(code, context))
    }

    /// Whether the device at `index` is set more often than reset.
    pub(crate) fn is_active(&self, index: usize) -> bool {
        self.devices.get(index).is_some_and(|activation| activation.count > 0)
    }

    /// `SetDevice` calls without their `ResetDevice`.
    pub(crate) fn activations(&self) -> usize {
        self.devices.iter().map(|activation| activation.count).sum()
    }

    /// `GetDefaultContext`.
    pub(crate) fn default_of(&self, device: i32) -> Result<u64, Fault> {
        self.devices[self.index_of(device)?]
            .default
            .ok_or_else(|| Fault::plain(status::DEVICE_NOT_ACTIVE, "no thread has set the device yet"))
    }
}

fn unknown(code: i32, context: u64) -> Fault {
    if context == 0 {
        return Fault::plain(status::common(Part::Context, Common::NullPointer), "the context is null");
    }
    Fault::breach(code, Rule::UnknownHandle, format!("no context {context:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_context_is_shared_and_counted() {
        let mut contexts = Contexts::new(1);
        contexts.activate(DEVICE_ID, 10).unwrap();
        contexts.activate(DEVICE_ID, 11).unwrap();
        assert_eq!((contexts.current(), contexts.default_of(DEVICE_ID)), (Some(10), Ok(10)));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!(contexts.require(), Ok(10));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!(contexts.require().unwrap_err().code, status::CONTEXT_UNBOUND);
        assert_eq!(contexts.reset(DEVICE_ID).unwrap_err().rule, Some(Rule::Unpaired));
        assert_eq!(contexts.activate(0, 12).unwrap_err().code, status::DEVICE_INVALID_ID);
        assert_eq!(contexts.activate(DEVICE_ID + 1, 12).unwrap_err().code, status::DEVICE_INVALID_ID);
    }

    #[test]
    fn the_last_created_context_wins_until_destroyed() {
        let mut contexts = Contexts::new(1);
        contexts.activate(DEVICE_ID, 10).unwrap();
        contexts.create(DEVICE_ID, 20, 21).unwrap();
        assert_eq!(contexts.current(), Some(20));
        contexts.destroy(20).unwrap();
        assert_eq!(contexts.current(), None);
        assert_eq!(contexts.bind(20).unwrap_err().code, status::CONTEXT_BIND);
        contexts.bind(10).unwrap();
        assert_eq!(contexts.destroy(10).unwrap_err().code, status::CONTEXT_DESTROY);
    }

    #[test]
    fn a_context_activates_a_device_that_nobody_set() {
        let mut contexts = Contexts::new(1);
        contexts.create(DEVICE_ID, 20, 21).unwrap();
        assert_eq!((contexts.current(), contexts.default_of(DEVICE_ID)), (Some(20), Ok(21)));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!((contexts.current(), contexts.activations()), (None, 0));
    }

    #[test]
    fn devices_are_reset_one_by_one() {
        let mut contexts = Contexts::new(2);
        contexts.activate(DEVICE_ID, 10).unwrap();
        contexts.activate(DEVICE_ID + 1, 11).unwrap();
        assert_eq!((contexts.current(), contexts.current_device()), (Some(11), Some(1)));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!((contexts.current(), contexts.check(10).is_err()), (Some(11), true));
        assert!(!contexts.is_active(0) && contexts.is_active(1));
        contexts.reset(DEVICE_ID + 1).unwrap();
        assert_eq!(contexts.current_device(), None);
    }

    #[test]
    fn a_second_thread_starts_unbound() {
        let mut contexts = Contexts::new(1);
        contexts.activate(DEVICE_ID, 10).unwrap();
        let contexts = thread::scope(|scope| {
            scope
                .spawn(|| {
                    assert_eq!(contexts.require().unwrap_err().rule, Some(Rule::UnboundThread));
                    contexts.bind(10).unwrap();
                    contexts.require().unwrap();
                    &contexts
                })
                .join()
                .unwrap()
                .current()
        });
        assert_eq!(contexts, Some(10));
    }
}
