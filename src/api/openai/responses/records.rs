//! The objects and events of `/v1/responses`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::request::Echo;
use crate::engine::Summary;

/// An answer, under way or complete. All fields are always there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ResponseObject {
    pub(super) id: String,
    object: &'static str,
    created_at: i64,
    pub(super) completed_at: Option<i64>,
    pub(super) status: &'static str,
    incomplete_details: Option<Value>,
    model: String,
    previous_response_id: Option<String>,
    instructions: Option<String>,
    pub(super) output: Vec<OutputItem>,
    pub(super) error: Option<ResponseError>,
    tools: Vec<Value>,
    tool_choice: Value,
    truncation: String,
    parallel_tool_calls: bool,
    text: Value,
    top_p: f64,
    presence_penalty: f64,
    frequency_penalty: f64,
    top_logprobs: u8,
    temperature: f64,
    reasoning: Option<Value>,
    pub(super) usage: Option<Usage>,
    max_output_tokens: Option<i64>,
    max_tool_calls: Option<i64>,
    /// Answers are not kept.
    store: bool,
    background: bool,
    service_tier: &'static str,
    metadata: Map<String, Value>,
    safety_identifier: Option<String>,
    prompt_cache_key: Option<String>,
}

impl ResponseObject {
    /// An answer that has just begun.
    pub(super) fn begun(id: String, created_at: i64, echo: Echo) -> Self {
        Self {
            id,
            object: "response",
            created_at,
            completed_at: None,
            status: "in_progress",
            incomplete_details: None,
            model: echo.model,
            previous_response_id: None,
            instructions: echo.instructions,
            output: Vec::new(),
            error: None,
            tools: echo.tools,
            tool_choice: echo.tool_choice,
            truncation: echo.truncation,
            parallel_tool_calls: true,
            text: json!({"format": echo.text_format}),
            top_p: echo.top_p,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            top_logprobs: 0,
            temperature: echo.temperature,
            reasoning: echo.reasoning,
            usage: None,
            max_output_tokens: echo.max_output_tokens,
            max_tool_calls: None,
            store: false,
            background: echo.background,
            service_tier: "default",
            metadata: Map::new(),
            safety_identifier: None,
            prompt_cache_key: None,
        }
    }
}

/// Why an answer failed after it had begun.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ResponseError {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// Counts of tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Usage {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct InputDetails {
    /// Not told apart, as upstream.
    cached_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct OutputDetails {
    /// Not counted apart, as upstream.
    reasoning_tokens: usize,
}

impl From<&Summary> for Usage {
    fn from(summary: &Summary) -> Self {
        Self {
            input_tokens: summary.prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: 0 },
            output_tokens: summary.eval_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: 0 },
            total_tokens: summary.prompt_tokens + summary.eval_tokens,
        }
    }
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OutputItem {
    /// What the model thinks.
    Reasoning {
        id: String,
        summary: Vec<SummaryPart>,
        /// The same as plain text: clients send it back, and nothing is kept here.
        #[serde(skip_serializing_if = "String::is_empty")]
        encrypted_content: String,
    },
    /// What it says.
    Message { id: String, status: &'static str, role: &'static str, content: Vec<OutputText> },
    /// A function that it calls.
    FunctionCall {
        id: String,
        status: &'static str,
        call_id: String,
        name: String,
        /// The group of the function.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// An object in JSON.
        arguments: String,
    },
}

impl OutputItem {
    /// What the model thought.
    pub(super) fn reasoning(id: String, text: String) -> Self {
        let (kind, encrypted_content) = ("summary_text", text.clone());
        Self::Reasoning { id, summary: vec![SummaryPart { kind, text }], encrypted_content }
    }

    /// What it said.
    pub(super) fn message(id: String, text: String) -> Self {
        let (status, role, content) = ("completed", "assistant", vec![OutputText::new(text)]);
        Self::Message { id, status, role, content }
    }
}

/// What the model thinks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SummaryPart {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

/// What the model says.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct OutputText {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
    annotations: Vec<Value>,
    logprobs: Vec<Value>,
}

impl OutputText {
    /// A text without annotations.
    pub(super) fn new(text: String) -> Self {
        Self { kind: "output_text", text, annotations: Vec::new(), logprobs: Vec::new() }
    }
}

/// An event of a stream, but for its type and its number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Event {
    /// The answer itself: when it begins and when it ends.
    Response { response: Box<ResponseObject> },
    /// An item begins, or is complete.
    Item { output_index: usize, item: OutputItem },
    /// A part of a message begins, or is complete.
    Part { item_id: String, output_index: usize, content_index: usize, part: OutputText },
    /// More of what the model says.
    TextDelta {
        item_id: String,
        output_index: usize,
        content_index: usize,
        delta: String,
        logprobs: Vec<Value>,
    },
    /// All that it said.
    TextDone {
        item_id: String,
        output_index: usize,
        content_index: usize,
        text: String,
        logprobs: Vec<Value>,
    },
    /// More of what it thinks.
    ThinkingDelta { item_id: String, output_index: usize, summary_index: usize, delta: String },
    /// All that it thought.
    ThinkingDone { item_id: String, output_index: usize, summary_index: usize, text: String },
    /// The arguments of a call, all at once.
    ArgumentsDelta { item_id: String, output_index: usize, delta: String },
    /// The arguments of a call.
    ArgumentsDone { item_id: String, output_index: usize, name: String, arguments: String },
    /// What went wrong. The official clients look for `error`, others for the code and the message beside it.
    Failure { code: &'static str, message: String, param: Option<String>, error: Value },
}

/// An event with its type and its number.
#[derive(Debug, Serialize)]
pub(super) struct Numbered<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) sequence_number: usize,
    #[serde(flatten)]
    pub(super) event: &'a Event,
}
