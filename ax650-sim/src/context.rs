//! Device activation, contexts and their binding to threads.
//!
//! Rules (AXCL documentation, introduction and device chapters): `SetDevice` is counted, creates the one
//! default context of the device and binds it to the calling thread; `CreateContext` binds the new context
//! to the calling thread, the last one wins; several threads may share a context; a thread without one
//! fails every call that reaches the device.

use std::collections::{BTreeSet, HashMap};
use std::thread::{self, ThreadId};

use crate::fault::Fault;
use crate::status::{self, Common, Part};
use crate::violations::Rule;

/// Id of the one device. Not 0, because ids were PCIe bus numbers up to SDK 2.25: a caller that passes an
/// index instead of an id from the device list is caught.
pub const DEVICE_ID: i32 = 129;

/// Contexts of the card and the threads they are bound to.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    activations: u32,
    default: Option<u64>,
    live: BTreeSet<u64>,
    bound: HashMap<ThreadId, u64>,
}

impl Contexts {
    /// `SetDevice`: `fresh` becomes the default context if there is none yet.
    pub(crate) fn activate(&mut self, device: i32, fresh: u64) -> Result<(), Fault> {
        check_device(device)?;
        self.activations += 1;
        let default = *self.default.get_or_insert(fresh);
        self.live.insert(default);
        self.bound.insert(thread::current().id(), default);
        Ok(())
    }

    /// `ResetDevice`: the last one destroys every context.
    pub(crate) fn reset(&mut self, device: i32) -> Result<(), Fault> {
        check_device(device)?;
        if self.activations == 0 {
            let reason = format!("device {device} is reset more often than it was set");
            return Err(Fault::breach(status::DEVICE_NOT_ACTIVE, Rule::Unpaired, reason));
        }
        self.activations -= 1;
        if self.activations == 0 {
            *self = Self::default();
        }
        Ok(())
    }

    /// `CreateContext`: adds `fresh` and binds it to the calling thread.
    pub(crate) fn create(&mut self, device: i32, fresh: u64) -> Result<u64, Fault> {
        check_device(device)?;
        self.live.insert(fresh);
        self.bound.insert(thread::current().id(), fresh);
        Ok(fresh)
    }

    /// `DestroyContext`: threads that were bound to it have none afterwards.
    pub(crate) fn destroy(&mut self, context: u64) -> Result<(), Fault> {
        if self.default == Some(context) {
            let reason = "the default context cannot be destroyed; reset the device";
            return Err(Fault::plain(status::CONTEXT_DESTROY, reason));
        }
        if !self.live.remove(&context) {
            return Err(unknown(status::CONTEXT_DESTROY, context));
        }
        self.bound.retain(|_, bound| *bound != context);
        Ok(())
    }

    /// `SetCurrentContext`.
    pub(crate) fn bind(&mut self, context: u64) -> Result<(), Fault> {
        if !self.live.contains(&context) {
            return Err(unknown(status::CONTEXT_BIND, context));
        }
        self.bound.insert(thread::current().id(), context);
        Ok(())
    }

    /// The context of the calling thread, if it has one.
    pub(crate) fn current(&self) -> Option<u64> {
        self.bound.get(&thread::current().id()).copied()
    }

    /// The context of the calling thread, or the breach of not having one.
    pub(crate) fn require(&self) -> Result<u64, Fault> {
        self.current().ok_or_else(|| {
            let thread = thread::current();
            let reason = format!("thread {:?} has no context bound", thread.name().unwrap_or("unnamed"));
            Fault::breach(status::CONTEXT_UNBOUND, Rule::UnboundThread, reason)
        })
    }

    /// Fails unless `context` exists.
    pub(crate) fn check(&self, context: u64) -> Result<(), Fault> {
        if self.live.contains(&context) {
            return Ok(());
        }
        Err(unknown(status::common(Part::Context, Common::IllegalParam), context))
    }

    /// Whether `device` is set more often than reset.
    pub(crate) fn is_active(&self, device: i32) -> bool {
        device == DEVICE_ID && self.activations > 0
    }

    /// `GetDefaultContext`.
    pub(crate) fn default_of(&self, device: i32) -> Result<u64, Fault> {
        check_device(device)?;
        self.default
            .ok_or_else(|| Fault::plain(status::DEVICE_NOT_ACTIVE, "no thread has set the device yet"))
    }
}

pub(crate) fn check_device(device: i32) -> Result<(), Fault> {
    if device == DEVICE_ID {
        return Ok(());
    }
    Err(Fault::plain(
        status::DEVICE_INVALID_ID,
        format!("no device {device}; the device list has {DEVICE_ID}"),
    ))
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
        let mut contexts = Contexts::default();
        contexts.activate(DEVICE_ID, 10).unwrap();
        contexts.activate(DEVICE_ID, 11).unwrap();
        assert_eq!((contexts.current(), contexts.default_of(DEVICE_ID)), (Some(10), Ok(10)));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!(contexts.require(), Ok(10));
        contexts.reset(DEVICE_ID).unwrap();
        assert_eq!(contexts.require().unwrap_err().code, status::CONTEXT_UNBOUND);
        assert_eq!(contexts.reset(DEVICE_ID).unwrap_err().rule, Some(Rule::Unpaired));
        assert_eq!(contexts.activate(0, 12).unwrap_err().code, status::DEVICE_INVALID_ID);
    }

    #[test]
    fn the_last_created_context_wins_until_destroyed() {
        let mut contexts = Contexts::default();
        contexts.activate(DEVICE_ID, 10).unwrap();
        contexts.create(DEVICE_ID, 20).unwrap();
        assert_eq!(contexts.current(), Some(20));
        contexts.destroy(20).unwrap();
        assert_eq!(contexts.current(), None);
        assert_eq!(contexts.bind(20).unwrap_err().code, status::CONTEXT_BIND);
        contexts.bind(10).unwrap();
        assert_eq!(contexts.destroy(10).unwrap_err().code, status::CONTEXT_DESTROY);
    }

    #[test]
    fn a_second_thread_starts_unbound() {
        let mut contexts = Contexts::default();
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
