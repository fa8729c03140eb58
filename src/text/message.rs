//! One message of a conversation, and how a conversation is rendered.

use serde_json::{Map, Value};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or whatever the model's template knows.
    pub role: String,
    /// Plain text; empty for an assistant message that only calls tools.
    pub content: String,
    /// Further fields as the client sent them: `tool_calls`, `thinking`, `tool_name`, `tool_call_id`, ...
    pub extra: Map<String, Value>,
}

impl Message {
    /// Returns a message without further fields.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into(), extra: Map::new() }
    }
}

/// What the template is told besides the messages.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderOptions {
    /// Whether the prompt ends where the assistant's answer begins.
    pub add_generation_prompt: bool,
    /// JSON array of tools, each `{"type": "function", "function": {...}}`; an empty array is as none.
    pub tools: Option<Value>,
    /// Whether the model should think aloud; `None` leaves it to the template. Templates read it as `enable_thinking`
    /// (Qwen3) or `thinking` (`DeepSeek`, Granite).
    pub think: Option<bool>,
    /// How hard to think (`low`, `medium`, `high`), for templates that know `reasoning_effort`.
    pub think_level: Option<String>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { add_generation_prompt: true, tools: None, think: None, think_level: None }
    }
}
