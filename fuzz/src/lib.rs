//! The file readers under test, compiled from the product's own sources.
//!
//! They are included by path and not through the `ax650` library: that would build an HTTP server and a tokenizer with
//! coverage counters, minutes of work for parsers that need a few small crates.
#![allow(dead_code, reason = "the product uses what the targets do not")]

#[path = "../../src/models"]
mod models {
    pub mod config;
    pub mod encoder {
        mod pooling;

        pub use pooling::Pooling;
    }
    pub mod gguf;
    pub mod layer_file;
    pub mod manifest;
    pub mod vendor {
        pub mod axmodel;
        pub mod sampling;
        pub mod script;
        pub mod settings;
        pub mod window;
    }
}

#[path = "../../src/text/vendor_vocab/read.rs"]
pub mod vocabulary;

#[path = "../../src/text"]
mod text {
    pub mod tool;

    pub use tool::{ToolCall, ToolFormat};
}

pub use models::{config, gguf, layer_file, manifest, vendor};
pub use text::tool as tools;
