//! Names, store, import.
