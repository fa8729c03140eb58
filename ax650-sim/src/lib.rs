//! The software card: the Axera runtime interface implemented on the CPU.

pub mod compute;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
