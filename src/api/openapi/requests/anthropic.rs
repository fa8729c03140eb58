//! Requests of the routes in the manner of Anthropic.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::Parameters;

#[derive(ToSchema)]
pub(crate) struct MessagesRequest {
    model: String,
    #[schema(minimum = 1)]
    max_tokens: i64,
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    system: Option<System>,
    stream: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    thinking: Option<Thinking>,
}

/// A text, or blocks of it.
#[derive(ToSchema)]
#[serde(untagged)]
enum System {
    Text(String),
    Blocks(Vec<TextBlock>),
}

#[derive(ToSchema)]
struct TextBlock {
    #[schema(pattern = "^text$")]
    r#type: String,
    text: String,
}

/// One message of a conversation.
#[derive(ToSchema)]
struct Message {
    role: Role,
    content: Content,
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

/// A text, or blocks.
#[derive(ToSchema)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text { text: String },
    ToolUse { id: String, name: String, input: BTreeMap<String, serde_json::Value> },
    ToolResult { tool_use_id: String, content: Option<String>, is_error: Option<bool> },
}

/// A function that the model may call.
#[derive(ToSchema)]
struct Tool {
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    description: Option<String>,
    input_schema: Parameters,
}

/// Whether the model must call a tool, and which.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ToolChoice {
    Auto,
    Any,
    None,
    Tool { name: String },
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Thinking {
    Enabled { budget_tokens: Option<i64> },
    Disabled,
}
