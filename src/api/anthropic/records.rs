//! The objects and events of `/v1/messages`.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::{DoneReason, Summary};

/// An answer. At the beginning of a stream it has no content yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageObject {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) role: &'static str,
    pub(crate) model: String,
    pub(crate) content: Vec<Block>,
    /// `null` until it is known.
    pub(crate) stop_reason: Option<&'static str>,
    pub(crate) usage: Usage,
}

/// A part of an answer.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Block {
    /// What the model thinks.
    Thinking {
        /// The text.
        thinking: String,
        /// Empty: nobody signs here. Clients declare it, and send it back.
        signature: String,
    },
    /// What it says.
    Text {
        /// The text.
        text: String,
    },
    /// A tool that it calls.
    ToolUse {
        /// Distinguishes the calls of a conversation.
        id: String,
        /// The tool.
        name: String,
        /// Its arguments.
        input: Map<String, Value>,
    },
}

/// Counts of tokens.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Usage {
    pub(crate) input_tokens: usize,
    pub(crate) output_tokens: usize,
}

impl From<&Summary> for Usage {
    fn from(summary: &Summary) -> Self {
        Self { input_tokens: summary.prompt_tokens, output_tokens: summary.eval_tokens }
    }
}

/// What a stream is made of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first: the answer without content.
    MessageStart {
        /// The answer.
        message: MessageObject,
    },
    /// A block begins, empty.
    ContentBlockStart {
        /// Its place.
        index: usize,
        /// What it is.
        content_block: Block,
    },
    /// More of a block.
    ContentBlockDelta {
        /// Its place.
        index: usize,
        /// What is added.
        delta: BlockDelta,
    },
    /// A block is complete.
    ContentBlockStop {
        /// Its place.
        index: usize,
    },
    /// Why the answer ended, and what it took.
    MessageDelta {
        /// Why.
        delta: StopDelta,
        /// What it took.
        usage: Usage,
    },
    /// The last.
    MessageStop {},
}

impl Event {
    /// The name in the `event` field, which is its type, too.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop {} => "message_stop",
        }
    }
}

/// What an event adds to a block.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type")]
pub(crate) enum BlockDelta {
    /// More of what the model thinks.
    #[serde(rename = "thinking_delta")]
    Thinking {
        /// The text.
        thinking: String,
    },
    /// More of what it says.
    #[serde(rename = "text_delta")]
    Text {
        /// The text.
        text: String,
    },
    /// The arguments of a call, all at once.
    #[serde(rename = "input_json_delta")]
    InputJson {
        /// An object in JSON.
        partial_json: String,
    },
}

/// Why an answer ended. Which of the texts ended it is not told, as upstream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StopDelta {
    pub(crate) stop_reason: &'static str,
}

/// The wire word for why an answer ended.
pub(crate) fn stop_reason(reason: DoneReason, has_calls: bool) -> &'static str {
    match reason {
        _ if has_calls => "tool_use",
        DoneReason::Stop => "end_turn",
        DoneReason::Length => "max_tokens",
    }
}
