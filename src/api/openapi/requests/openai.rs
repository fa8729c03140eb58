//! Requests of the routes in the manner of `OpenAI`.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::{OneOrMore, Parameters, Tool};

#[derive(ToSchema)]
pub(crate) struct ChatCompletionRequest {
    model: String,
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    stop: Option<OneOrMore>,
    response_format: Option<ResponseFormat>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    reasoning_effort: Option<Effort>,
    logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<i64>,
}

#[derive(ToSchema)]
struct StreamOptions {
    /// A chunk with the counts of tokens goes before the end.
    include_usage: Option<bool>,
}

/// One message of a conversation.
#[derive(ToSchema)]
struct Message {
    #[schema(example = "user")]
    role: String,
    content: Content,
    name: Option<String>,
    tool_calls: Option<Vec<Call>>,
    tool_call_id: Option<String>,
}

/// A text, or parts of one.
#[derive(ToSchema)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
}

#[derive(ToSchema)]
struct Call {
    id: String,
    #[schema(pattern = "^function$")]
    r#type: String,
    function: Called,
}

#[derive(ToSchema)]
struct Called {
    name: String,
    /// An object in JSON.
    #[schema(pattern = "^\\{\\}$")]
    arguments: String,
}

/// The form of the answer.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: NamedSchema },
}

#[derive(ToSchema)]
struct NamedSchema {
    name: Option<String>,
    schema: Parameters,
    strict: Option<bool>,
}

/// Whether the model must call a tool, and which.
#[derive(ToSchema)]
#[serde(untagged)]
enum ToolChoice {
    Word(ChoiceWord),
    One(NamedTool),
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum ChoiceWord {
    Auto,
    None,
    Required,
}

#[derive(ToSchema)]
struct NamedTool {
    #[schema(pattern = "^function$")]
    r#type: String,
    function: ToolName,
}

#[derive(ToSchema)]
struct ToolName {
    name: String,
}

/// How much to think before answering.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Max,
}

#[derive(ToSchema)]
pub(crate) struct CompletionRequest {
    model: String,
    prompt: String,
    /// What follows the gap to be filled.
    suffix: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    frequency_penalty: Option<f64>,
    presence_penalty: Option<f64>,
    stop: Option<OneOrMore>,
}

#[derive(ToSchema)]
pub(crate) struct EmbeddingRequest {
    model: String,
    input: OneOrMore,
    /// Length of the vectors, if that is to be less than the model's.
    dimensions: Option<i64>,
    encoding_format: Option<Encoding>,
}

/// Numbers, or their little-endian bytes in base64.
#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Float,
    Base64,
}

/// The body may be compressed with zstd.
#[derive(ToSchema)]
pub(crate) struct ResponseRequest {
    model: String,
    input: Input,
    instructions: Option<String>,
    stream: Option<bool>,
    max_output_tokens: Option<i64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    reasoning: Option<Reasoning>,
    text: Option<TextOptions>,
    tools: Option<Vec<ResponseTool>>,
}

/// A text, or items of a conversation.
#[derive(ToSchema)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Message {
        role: String,
        content: String,
    },
    FunctionCall {
        call_id: String,
        name: String,
        #[schema(pattern = "^\\{\\}$")]
        arguments: String,
    },
    FunctionCallOutput {
        call_id: String,
        output: String,
    },
}

#[derive(ToSchema)]
struct Reasoning {
    effort: Option<Effort>,
}

#[derive(ToSchema)]
struct TextOptions {
    format: Option<TextFormat>,
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextFormat {
    Text,
    JsonSchema { name: Option<String>, schema: Parameters },
}

#[derive(ToSchema)]
struct ResponseTool {
    #[schema(pattern = "^function$")]
    r#type: String,
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    description: Option<String>,
    parameters: Option<BTreeMap<String, serde_json::Value>>,
}

/// A form: its fields are parts of the body.
#[derive(ToSchema)]
pub(crate) struct TranscriptionRequest {
    model: String,
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}
