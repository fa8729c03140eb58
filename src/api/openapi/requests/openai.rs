//! Requests of the routes in the manner of `OpenAI`.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::{OneOrMore, Parameters, Tool, ToolChoice};

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
    /// In the place of `reasoning_effort`.
    reasoning: Option<ChatReasoning>,
    logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<i64>,
    /// Show the prompt instead of answering it.
    _debug_render_only: Option<bool>,
}

#[derive(ToSchema)]
struct ChatReasoning {
    effort: Option<Effort>,
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
    /// Only whoever calls tools may be silent.
    content: Option<Content>,
    /// What was thought before an earlier answer.
    reasoning: Option<String>,
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
    ImageUrl { image_url: ImageUrl },
}

/// A picture.
#[derive(ToSchema)]
struct ImageUrl {
    /// With the picture in it, in base64: nothing is fetched.
    #[schema(example = "data:image/png;base64,aGk=")]
    url: String,
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
    /// Show the prompt instead of answering it.
    _debug_render_only: Option<bool>,
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
    tool_choice: Option<ToolChoice>,
    /// Repeated in the answer: what does not fit is always cut.
    truncation: Option<String>,
    /// Repeated in the answer, which is always waited for.
    background: Option<bool>,
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
        content: Said,
    },
    /// What was thought before the next item.
    Reasoning {
        encrypted_content: Option<String>,
    },
    FunctionCall {
        call_id: String,
        name: String,
        /// The group of the function.
        namespace: Option<String>,
        #[schema(pattern = "^\\{\\}$")]
        arguments: String,
    },
    FunctionCallOutput {
        call_id: String,
        output: Said,
    },
}

/// A text, or parts of one.
#[derive(ToSchema)]
#[serde(untagged)]
enum Said {
    Text(String),
    Parts(Vec<SaidPart>),
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum SaidPart {
    InputText {
        text: String,
    },
    OutputText {
        text: String,
    },
    InputImage {
        /// With the picture in it, in base64: nothing is fetched.
        image_url: String,
    },
}

#[derive(ToSchema)]
struct Reasoning {
    effort: Option<Effort>,
    /// Repeated in the answer.
    summary: Option<String>,
}

#[derive(ToSchema)]
struct TextOptions {
    format: Option<TextFormat>,
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TextFormat {
    Text,
    JsonObject,
    JsonSchema { name: Option<String>, schema: Parameters, strict: Option<bool> },
}

#[derive(ToSchema)]
struct ResponseTool {
    #[schema(pattern = "^(function|namespace)$")]
    r#type: String,
    #[schema(pattern = "^[a-zA-Z0-9_-]{1,64}$")]
    name: String,
    description: Option<String>,
    parameters: Option<BTreeMap<String, serde_json::Value>>,
    /// Whether arguments must be as `parameters` has them.
    strict: Option<bool>,
    /// Of a namespace: its functions.
    #[schema(no_recursion)]
    tools: Option<Vec<ResponseTool>>,
}

/// A form: its fields are parts of the body.
#[derive(ToSchema)]
pub(crate) struct TranscriptionRequest {
    model: String,
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Language of the speech.
    language: Option<String>,
    /// Words that are likely to come.
    prompt: Option<String>,
    /// `json`, `text`, `verbose_json`.
    response_format: Option<String>,
}
