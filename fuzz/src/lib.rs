//! The readers of strangers' input under test, compiled from the product's own sources.
//!
//! They are included by path and not through the `ax650` library: that would build an HTTP server and a tokenizer with
//! coverage counters, minutes of work for parsers that need a few small crates.
#![allow(dead_code, reason = "the product uses what the targets do not")]

#[path = "../../src/models"]
mod models {
    pub mod changes;
    pub mod config;
    pub mod encoder {
        mod pooling;

        pub use pooling::Pooling;
    }
    pub mod gguf;
    pub mod layer_file;
    pub mod manifest;
    pub mod modelfile;
    pub mod parameters;
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
pub mod text {
    mod go_template;
    pub mod grammar;
    mod message;
    mod stack;
    mod thinking {
        mod tags;

        pub use tags::ThinkingTags;
    }
    pub mod tool;

    pub use message::{Message, RenderOptions};
    pub use thinking::ThinkingTags;
    use tool::{CallPart, Tool};
    pub use tool::{ToolCall, ToolFormat};

    pub type TokenId = u32;

    /// The part of the product's errors that templates have; the rest is of tokenizers and grammars.
    #[derive(Debug, PartialEq, thiserror::Error)]
    pub enum TextError {
        #[error("chat template failed: {0}")]
        Template(String),
        #[error("chat template did not end within its budget of work")]
        TemplateBudget,
    }

    /// A chat template in the language of Go.
    pub struct Template(go_template::GoTemplate);

    impl Template {
        pub fn new(source: &str) -> Result<Self, TextError> {
            go_template::GoTemplate::new(source).map(Self)
        }

        pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TextError> {
            self.0.render(messages, options)
        }

        pub fn render_insert(
            &self,
            prompt: &str,
            suffix: &str,
            options: &RenderOptions,
        ) -> Result<String, TextError> {
            self.0.render_insert(prompt, suffix, options)
        }
    }
}

pub use models::{config, gguf, layer_file, manifest, modelfile, parameters, vendor};
pub use text::tool as tools;

/// Grammars of JSON schemas, over a vocabulary of single bytes.
pub mod schema {
    use std::sync::OnceLock;

    pub use super::text::grammar::Constraint;
    use super::text::grammar::{Grammar, GrammarSpec, Vocabulary};

    /// The token that ends an answer; the others are bytes.
    pub const END: u32 = 256;

    /// Begins an answer of this form; `None` if there can be none.
    pub fn begin(schema: serde_json::Value) -> Option<Constraint> {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        let vocabulary = VOCABULARY.get_or_init(|| {
            let bytes: Vec<u8> = (0..=255).collect();
            Vocabulary::new(bytes.chunks(1).chain([&[][..]]), &[END]).expect("a vocabulary of bytes")
        });
        let grammar = Grammar::new(vocabulary, &GrammarSpec::JsonSchema { schema, strict: true }, None).ok()?;
        Some(grammar.start())
    }
}
