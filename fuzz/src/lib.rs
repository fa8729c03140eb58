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
    mod kind;
    mod message;
    mod python;
    mod stack;
    mod template;
    mod thinking {
        mod tags;

        pub use tags::ThinkingTags;
    }
    pub mod tool;

    pub use grammar::GrammarSpec;
    pub use message::{Message, RenderOptions};
    pub use template::ChatTemplate;
    pub use thinking::ThinkingTags;
    use tool::CallPart;
    pub use tool::{Tool, ToolCall, ToolChoice, ToolFormat};

    pub type TokenId = u32;

    /// The part of the product's errors that templates have; the rest is of tokenizers and grammars.
    #[derive(Debug, PartialEq, thiserror::Error)]
    pub enum TextError {
        #[error("chat template failed: {0}")]
        Template(String),
        #[error("the chat template refuses these messages: {0}")]
        TemplateRefused(String),
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

#[path = "../../src/engine"]
mod engine {
    mod keep_alive;

    pub use keep_alive::{KeepAlive, KeepAliveError};
}

/// What takes requests apart, for the three families of routes.
#[path = "../../src/api"]
mod api {
    pub mod anthropic {
        mod content;
        pub mod request;
    }
    /// The errors that reading a request has; the product's are those of the whole server.
    pub mod error {
        #[derive(Debug, thiserror::Error)]
        pub enum ApiError {
            #[error("missing request body")]
            MissingBody,
            #[error("{0}")]
            BadRequest(String),
            #[error(transparent)]
            KeepAlive(#[from] crate::engine::KeepAliveError),
            #[error("model is required")]
            ModelRequired,
            #[error("top_logprobs must be between 0 and 20")]
            TopLogprobs,
            #[error("invalid format: {0:?}")]
            InvalidFormat(String),
        }

        impl From<crate::text::tool::ToolError> for ApiError {
            fn from(error: crate::text::tool::ToolError) -> Self {
                Self::BadRequest(error.to_string())
            }
        }
    }
    pub mod fields;
    pub mod inference {
        mod ask;
        mod format;
        mod think;

        pub(crate) use ask::{AskSettings, ChatAsk, GenerateAsk};
        pub(crate) use format::Format;
        pub(crate) use think::Think;
    }
    pub mod ollama {
        pub mod chat {
            pub mod request;
        }
        pub mod generate {
            pub mod request;
        }
        pub mod request;
    }
    pub mod openai {
        pub mod chat {
            pub mod message;
            pub mod request;
        }
        pub mod content;
        pub mod responses {
            mod input;
            pub mod request;
            mod tools;
        }
        pub mod sampling;
    }
    pub mod weight;
}

/// Request bodies, as every family of routes reads them.
pub mod request {
    use serde_json::Value;

    use super::api::weight::Weight;
    use super::api::{anthropic, ollama, openai};

    /// What each family makes of a body, in a form that can be compared; `None` for what it refuses.
    pub fn read(body: &[u8]) -> [Option<String>; 5] {
        let shown = |ask: &dyn std::fmt::Debug| format!("{ask:?}");
        [
            ollama::generate::request::GenerateRequest::parse(body).ok().map(|request| shown(&request)),
            ollama::chat::request::ChatRequest::parse(body).ok().map(|request| shown(&request)),
            openai::chat::request::ChatCompletionRequest::parse(body)
                .and_then(openai::chat::request::ChatCompletionRequest::into_ask)
                .ok()
                .map(|ask| shown(&ask)),
            // What is echoed has an id and a time of its own.
            openai::responses::request::ResponsesRequest::parse(body).ok().map(|request| shown(&request.ask)),
            anthropic::request::MessagesRequest::parse(body).ok().map(|request| shown(&request.into_ask())),
        ]
    }

    /// Bytes that are set aside for reading a body; `None` if it has too many values.
    pub fn weight(body: &[u8]) -> Option<usize> {
        Weight::of(body).ok().map(|weight| weight.bytes())
    }

    /// The least memory that the first value of a body takes, and its text.
    pub fn least(body: &[u8]) -> usize {
        let text = String::from_utf8_lossy(body);
        let first = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next();
        text.len() + first.and_then(Result::ok).map_or(0, |value| bytes(&value))
    }

    fn bytes(value: &Value) -> usize {
        let inside = match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| size_of::<String>() + name.len() + bytes(value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        };
        size_of::<Value>() + inside
    }
}

pub use models::{config, gguf, layer_file, manifest, modelfile, parameters, vendor};
pub use text::tool as tools;

#[path = "../../tests/text/validator.rs"]
mod validator;

/// Grammars of JSON schemas, over a vocabulary of single bytes.
pub mod schema {
    use std::sync::OnceLock;

    use serde_json::Value;

    pub use super::text::grammar::Constraint;
    use super::text::grammar::{Grammar, GrammarSpec, Vocabulary};
    use super::validator::Validator;

    /// The token that ends an answer; the others are bytes.
    pub const END: u32 = 256;

    /// Begins an answer of this form; `None` if there can be none.
    pub fn begin(schema: &Value, strict: bool) -> Option<Constraint> {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        let vocabulary = VOCABULARY.get_or_init(|| {
            let bytes: Vec<u8> = (0..=255).collect();
            Vocabulary::new(bytes.chunks(1).chain([&[][..]]), &[END]).expect("a vocabulary of bytes")
        });
        let spec = GrammarSpec::JsonSchema { schema: schema.clone(), strict };
        let grammar = Grammar::new(vocabulary, &spec, None).ok()?;
        Some(grammar.start())
    }

    /// Why a value does not fit a schema, as the validator of the tests has it.
    pub fn judge(schema: &Value, value: &Value) -> Result<(), String> {
        Validator::new(schema).judge(value)
    }
}
