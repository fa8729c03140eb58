//! Requests of Ollama's routes.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::{OneOrMore, Tool, ToolChoice};

/// How long the model stays loaded: seconds, or a duration such as `5m`; negative is for ever, 0 unloads.
#[derive(ToSchema)]
#[serde(untagged)]
enum KeepAlive {
    Seconds(f64),
    Duration(String),
}

/// `"json"`, or a JSON schema.
#[derive(ToSchema)]
#[serde(untagged)]
enum Format {
    Word(JsonWord),
    Schema(BTreeMap<String, serde_json::Value>),
}

#[derive(ToSchema)]
enum JsonWord {
    #[serde(rename = "json")]
    Json,
}

/// Whether to think before answering, or how much.
#[derive(ToSchema)]
#[serde(untagged)]
enum Think {
    Whether(bool),
    Level(Level),
}

#[derive(ToSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Low,
    Medium,
    High,
    Max,
}

/// How tokens are chosen and when to stop. Unknown options are ignored.
#[derive(ToSchema)]
struct Options {
    num_ctx: Option<i64>,
    num_keep: Option<i64>,
    num_predict: Option<i64>,
    seed: Option<i64>,
    temperature: Option<f32>,
    top_k: Option<i32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    typical_p: Option<f32>,
    repeat_last_n: Option<i32>,
    repeat_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    stop: Option<Vec<String>>,
}

#[derive(ToSchema)]
pub(crate) struct GenerateRequest {
    model: String,
    /// Nothing: the model is loaded, or unloaded if `keep_alive` is 0.
    prompt: Option<String>,
    /// What follows the gap to be filled.
    suffix: Option<String>,
    /// In the place of the model's system prompt.
    system: Option<String>,
    /// In the place of the model's template, in Go's template language.
    template: Option<String>,
    /// Tokens of an earlier answer, which this one continues.
    context: Option<Vec<u32>>,
    /// The prompt is taken as it is, without a template.
    raw: Option<bool>,
    /// Pictures in base64, for models that see.
    images: Option<Vec<String>>,
    stream: Option<bool>,
    format: Option<Format>,
    options: Option<Options>,
    keep_alive: Option<KeepAlive>,
    think: Option<Think>,
    /// Cut a prompt that does not fit, instead of refusing it.
    truncate: Option<bool>,
    /// Go on when the window is full, by forgetting the oldest part.
    shift: Option<bool>,
    logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<i64>,
    /// Show the prompt instead of answering it.
    _debug_render_only: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct ChatRequest {
    model: String,
    /// None: the model is loaded, or unloaded if `keep_alive` is 0.
    messages: Option<Vec<Message>>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    stream: Option<bool>,
    format: Option<Format>,
    options: Option<Options>,
    keep_alive: Option<KeepAlive>,
    think: Option<Think>,
    /// Leave out the oldest messages if all do not fit, instead of refusing them.
    truncate: Option<bool>,
    /// Go on when the window is full, by forgetting the oldest part.
    shift: Option<bool>,
    logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<i64>,
    /// Show the prompt instead of answering it.
    _debug_render_only: Option<bool>,
}

/// One message of a conversation.
#[derive(ToSchema)]
struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    #[schema(example = "user")]
    role: String,
    content: Option<String>,
    thinking: Option<String>,
    images: Option<Vec<String>>,
    tool_calls: Option<Vec<Call>>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
}

/// A call that the model has made.
#[derive(ToSchema)]
struct Call {
    id: Option<String>,
    function: Called,
}

#[derive(ToSchema)]
struct Called {
    name: String,
    arguments: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(ToSchema)]
pub(crate) struct EmbedRequest {
    model: String,
    input: Option<OneOrMore>,
    /// Cut a text that does not fit, instead of refusing it.
    truncate: Option<bool>,
    /// Length of the vectors, if that is to be less than the model's.
    dimensions: Option<i64>,
    options: Option<Options>,
    keep_alive: Option<KeepAlive>,
}

#[derive(ToSchema)]
pub(crate) struct EmbeddingsRequest {
    model: String,
    prompt: Option<String>,
    options: Option<Options>,
    keep_alive: Option<KeepAlive>,
}

#[derive(ToSchema)]
pub(crate) struct ShowRequest {
    model: Option<String>,
    /// In the place of `model`, as older clients have it.
    name: Option<String>,
    /// With all values, however long.
    verbose: Option<bool>,
    system: Option<String>,
    template: Option<String>,
    options: Option<Options>,
}

#[derive(ToSchema)]
pub(crate) struct CopyRequest {
    source: String,
    destination: String,
}

#[derive(ToSchema)]
pub(crate) struct DeleteRequest {
    model: Option<String>,
    /// In the place of `model`, as older clients have it.
    name: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct CreateRequest {
    model: Option<String>,
    /// In the place of `model`, as older clients have it.
    name: Option<String>,
    /// The model that the new one is made from.
    from: Option<String>,
    /// Names of files, with the digests of their blobs.
    files: Option<BTreeMap<String, String>>,
    /// In Go's template language.
    template: Option<String>,
    system: Option<String>,
    license: Option<OneOrMore>,
    parameters: Option<Options>,
    messages: Option<Vec<Message>>,
    /// The lowest version of Ollama that can run it.
    requires: Option<String>,
    /// What `/api/show` says of it, in the place of what its files say.
    info: Option<BTreeMap<String, serde_json::Value>>,
    /// These ask for what is settled here when a model is compiled: they may be empty.
    adapters: Option<BTreeMap<String, String>>,
    draft_files: Option<BTreeMap<String, String>>,
    quantize: Option<String>,
    quantization: Option<String>,
    draft_quantize: Option<String>,
    renderer: Option<String>,
    parser: Option<String>,
    remote_host: Option<String>,
    stream: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct TransferRequest {
    model: Option<String>,
    /// In the place of `model`, as older clients have it.
    name: Option<String>,
    /// Ask a registry without encryption.
    insecure: Option<bool>,
    /// `false` gets the failure that all transfers end with as a status, not as a record.
    stream: Option<bool>,
}
