//! The objects of `/v1/chat/completions`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::inference::AnswerCall;
use crate::api::ollama::Logprob;
use crate::engine::{DoneReason, Summary, TokenLogprob};

/// What every answer says of the backend.
pub(crate) const FINGERPRINT: &str = "fp_ollama";

/// An answer in one piece.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) system_fingerprint: &'static str,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
    /// The prompt, for a request that asked for nothing else.
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    pub(crate) debug_info: Option<Value>,
}

/// The one answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Choice {
    pub(crate) index: usize,
    pub(crate) message: AnswerMessage,
    pub(crate) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<Logprobs>,
}

/// What the assistant says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerMessage {
    pub(crate) role: &'static str,
    /// Always there, also beside calls.
    pub(crate) content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reasoning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<CallRecord>,
}

/// A piece of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatChunk {
    pub(crate) id: String,
    pub(crate) object: &'static str,
    pub(crate) created: i64,
    pub(crate) model: String,
    pub(crate) system_fingerprint: &'static str,
    /// One, or none in the chunk with the usage.
    pub(crate) choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
}

/// A piece of the one answer.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChunkChoice {
    pub(crate) index: usize,
    pub(crate) delta: ChunkDelta,
    /// `null` in all chunks but one.
    pub(crate) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<Logprobs>,
}

/// What a chunk adds; empty in the chunk that says why the answer ended.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ChunkDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reasoning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<CallRecord>,
}

/// A call that the model makes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallRecord {
    pub(crate) id: String,
    pub(crate) index: usize,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) function: CallFunction,
}

/// What is called, with what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallFunction {
    pub(crate) name: String,
    /// An object in JSON.
    pub(crate) arguments: String,
}

impl From<AnswerCall> for CallRecord {
    fn from(call: AnswerCall) -> Self {
        let AnswerCall { id, index, call } = call;
        let arguments = Value::Object(call.arguments).to_string();
        Self { id, index, kind: "function", function: CallFunction { name: call.name, arguments } }
    }
}

/// Counts of tokens.
#[expect(clippy::struct_field_names, reason = "named as on the wire")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl From<&Summary> for Usage {
    fn from(summary: &Summary) -> Self {
        Self {
            prompt_tokens: summary.prompt_tokens,
            completion_tokens: summary.eval_tokens,
            total_tokens: summary.prompt_tokens + summary.eval_tokens,
        }
    }
}

/// Probabilities of the tokens of an answer or a piece of it, in the native form.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    content: Vec<Logprob>,
}

impl Logprobs {
    /// `None` if there are none to tell.
    pub(crate) fn of(tokens: Vec<TokenLogprob>) -> Option<Self> {
        let content: Vec<_> = tokens.into_iter().map(Logprob::from).collect();
        (!content.is_empty()).then_some(Self { content })
    }
}

/// The wire word for why an answer ended.
pub(crate) fn finish_reason(reason: DoneReason, has_calls: bool) -> &'static str {
    match reason {
        DoneReason::Stop if has_calls => "tool_calls",
        DoneReason::Stop => "stop",
        DoneReason::Length => "length",
    }
}
