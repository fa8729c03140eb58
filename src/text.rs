//! Text in and out of a model: tokenizer, chat template, detokenizer, stop strings, grammars.
//!
//! Pure: nothing here knows a card, the network or the engine. A [`TextModel`] is opened once per model directory
//! and shared; a [`Detokenizer`] and a [`StopMatcher`] belong to one answer.
//!
//! Two promises hold everywhere in this room:
//!
//! - text never depends on how it was cut: any split of the same tokens, or of the same characters, gives the same
//!   output;
//! - a failure is an error with a name, never an empty string.

mod bounded;
mod detokenizer;
mod end_of_generation;
mod error;
mod families;
mod fill_in_middle;
mod fit;
mod gguf_vocab;
mod go_template;
mod grammar;
mod kind;
mod message;
mod model;
mod pre_tokenizer;
mod python;
mod spelled;
mod stack;
mod stop;
mod template;
mod thinking;
mod token_table;
mod tool;
pub mod vendor_vocab;
mod word_piece;

pub use bounded::{EncoderTokenizer, Fitted};
pub use detokenizer::Detokenizer;
pub use end_of_generation::end_token_ids;
pub use error::TextError;
pub use families::Family;
pub use fill_in_middle::FillInMiddle;
pub(crate) use fit::{BYTES_PER_TOKEN, text_without_middle, without_middle};
pub use gguf_vocab::{GgufTokenizer, adds_bos, build_tokenizer};
pub(crate) use grammar::Vocabulary;
pub use grammar::{Calls, Constraint, Grammar, GrammarError, GrammarSpec, Thoughts, TokenMask};
pub use message::{Message, RenderOptions};
pub(crate) use model::template_of;
pub use model::{JINJA_OF_A_STRANGER, TextModel};
pub use spelled::SpelledTokens;
pub use stop::{StopMatcher, StopOutcome};
pub use template::ChatTemplate;
pub use thinking::{Parts, ThinkingSplitter, ThinkingTags, ThoughtLimit};
pub use tool::{CallPart, Tool, ToolCall, ToolChoice, ToolError, ToolFormat, ToolParser, ToolParts};
pub use word_piece::word_piece_tokenizer;

/// Number of a token: its row in the embedding table and its column in the logits.
pub type TokenId = u32;
