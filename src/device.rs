//! Safe wrapper over the vendor's interface.
