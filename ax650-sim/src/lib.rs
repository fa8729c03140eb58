//! The software card: the Axera runtime interface implemented on the CPU.

#[cfg(any(test, feature = "testing"))]
pub mod testing;
