//! Model names, the model store, and import of GGUF files.
//!
//! This room is pure: it knows files and text, never a card. What it promises the rooms above:
//!
//! - a [`name::ModelName`] is valid and safe as a path;
//! - a model that [`store::Store`] hands out was checked file by file, so that loading it fails only for reasons
//!   that lie with the card;
//! - nothing half-made is ever visible under a model's name: models are built in a staging directory and renamed
//!   into place when complete;
//! - files are hostile until checked: no count of a file is believed before it is compared with the file's length.

pub mod blobs;
pub mod changes;
pub mod config;
pub mod dequantise;
pub mod derive;
pub mod embedding;
pub mod encoder;
pub mod final_norm;
pub mod gguf;
pub mod import;
pub mod layer_file;
pub mod manifest;
pub mod model;
pub mod modelfile;
pub mod name;
pub mod parameters;
pub mod quantise;
pub mod safetensors;
pub mod store;
pub mod vendor;
