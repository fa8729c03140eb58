//! Safe wrapper over the vendor's interface: a [`Driver`] opens a card, a [`LoadedModel`] lives on it, a
//! [`Sequence`] is one conversation's K and V rows there.
//!
//! Nothing above this room names a raw pointer or a type of the vendor. All of it belongs to the thread that
//! opened the driver, because the vendor binds its context to that thread; the types are `!Send` by
//! construction. Only [`CancelFlag`] and [`DeviceInfo`] travel.
//!
//! Objects keep what they stand on: a sequence its model, a model its driver, a driver its library. They are
//! given back when dropped. An error on that way cannot be returned, so it is logged, and counted for
//! [`Driver::take_drop_errors`].

mod activity;
mod cancel;
mod choice;
mod clock;
mod driver;
mod error;
mod files;
mod keeper;
mod model;
mod open;
mod paths;
mod remedy;
mod self_test;
mod sequence;
mod software;
pub mod survey;
#[cfg(test)]
mod tests;
mod verdict;

pub use activity::{Activity, VendorCall};
pub use cancel::CancelFlag;
pub use choice::{
    Compute, DeviceChoice, Interface, ParseDeviceChoiceError, ProfileChoice, SOFTWARE_THREADS, SoftwareChoice,
};
pub use clock::{CardClock, ClockSource, Pace};
pub use driver::{DeviceInfo, Driver, DropErrors, Stats};
pub use error::DeviceError;
pub use keeper::KeptVerdicts;
pub use model::{LoadProgress, LoadedModel, ModelSpec};
pub use open::DriverOptions;
pub use paths::{Path, Paths, PathsWish, UnknownPath};
pub use sequence::Sequence;
pub use verdict::{Verdict, Verdicts};
