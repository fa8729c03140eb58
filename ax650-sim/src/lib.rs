//! The software card: the Axera runtime interface implemented on the CPU.
