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
    output_config: Option<OutputConfig>,
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
    Thinking { thinking: String },
    Image { source: ImageSource },
    ToolUse { id: String, name: String, input: BTreeMap<String, serde_json::Value> },
    ToolResult { tool_use_id: String, content: Option<ToolResult> },
}

/// A picture.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ImageSource {
    Base64 { data: String },
}

/// A text, or blocks.
#[derive(ToSchema)]
#[serde(untagged)]
enum ToolResult {
    Text(String),
    Blocks(Vec<ResultBlock>),
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ResultBlock {
    Text { text: String },
    Image { source: ImageSource },
}

/// A function that the model may call.
#[derive(ToSchema)]
struct Tool {
    /// `custom`; what Anthropic itself would do is passed over.
    r#type: Option<String>,
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    description: Option<String>,
    input_schema: Parameters,
    /// Whether arguments must be as `input_schema` has them.
    strict: Option<bool>,
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
    Adaptive,
}

#[derive(ToSchema)]
struct OutputConfig {
    /// How much to think before answering.
    #[schema(example = "low")]
    effort: Option<String>,
    format: Option<OutputFormat>,
}

/// The form of the answer.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutputFormat {
    JsonSchema { schema: Parameters },
}
