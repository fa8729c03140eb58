//! The objects of native answers, field for field in the order Ollama emits them.
//!
//! "Omitted" fields are absent when empty or zero, never `null`: strict clients declare them optional, and a `null`
//! number breaks some of them.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::inference::AnswerCall;
use crate::api::time;
use crate::engine::{DoneReason, Summary, TokenLogprob};
use crate::text::TokenId;

/// One record of either route.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Record {
    /// Of `/api/generate`.
    Generate(GenerateRecord),
    /// Of `/api/chat`.
    Chat(ChatRecord),
}

/// One record of `/api/generate`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GenerateRecord {
    pub(crate) model: String,
    pub(crate) created_at: String,
    pub(crate) response: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) thinking: String,
    pub(crate) done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) context: Vec<TokenId>,
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<CallRecord>,
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    pub(crate) debug_info: Option<DebugInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) logprobs: Vec<Logprob>,
}

/// What a request with `_debug_render_only` gets instead of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DebugInfo {
    /// The prompt as the model would see it, cut to the window, special tokens written out.
    pub(crate) rendered_template: String,
    /// Always 0: images are refused.
    pub(crate) image_count: usize,
}

/// One record of `/api/chat`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatRecord {
    pub(crate) model: String,
    pub(crate) created_at: String,
    pub(crate) message: AnswerMessage,
    pub(crate) done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done_reason: Option<&'static str>,
    #[serde(rename = "_debug_info", skip_serializing_if = "Option::is_none")]
    pub(crate) debug_info: Option<DebugInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) logprobs: Vec<Logprob>,
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
}

/// The message of a chat record; `content` is always there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerMessage {
    pub(crate) role: &'static str,
    pub(crate) content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<CallRecord>,
}

/// One call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CallRecord {
    id: String,
    function: CalledFunction,
}

/// What is called; `arguments` is always an object.
#[derive(Debug, Serialize, ToSchema)]
struct CalledFunction {
    index: usize,
    name: String,
    arguments: Map<String, Value>,
}

impl From<AnswerCall> for CallRecord {
    fn from(answer: AnswerCall) -> Self {
        let AnswerCall { id, index, call } = answer;
        Self { id, function: CalledFunction { index, name: call.name, arguments: call.arguments } }
    }
}

/// Counts and durations (nanoseconds) of the last record; all omitted in the others.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Metrics {
    #[serde(skip_serializing_if = "is_zero")]
    total_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    load_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    prompt_eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    prompt_eval_duration: u64,
    #[serde(skip_serializing_if = "is_zero")]
    eval_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    eval_duration: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Metrics {
    /// The figures of an answer whose model was loaded in `before` before the engine got the request.
    pub(crate) fn new(summary: &Summary, before: Duration) -> Self {
        Self {
            total_duration: time::nanos(summary.total + before),
            load_duration: time::nanos(summary.load + before),
            prompt_eval_count: summary.prompt_tokens as u64,
            prompt_eval_duration: time::nanos(summary.prompt_eval),
            eval_count: summary.eval_tokens as u64,
            eval_duration: time::nanos(summary.eval),
        }
    }
}

/// The wire word for why an answer ended.
pub(crate) fn done_reason(reason: DoneReason) -> &'static str {
    match reason {
        DoneReason::Stop => "stop",
        DoneReason::Length => "length",
    }
}

/// Probability of one generated token, and of those it was chosen from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Logprob {
    #[serde(flatten)]
    chosen: Candidate,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<Candidate>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Candidate {
    token: String,
    logprob: f32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bytes: Vec<u8>,
}

impl From<TokenLogprob> for Candidate {
    fn from(token: TokenLogprob) -> Self {
        Self { bytes: token.token.clone().into_bytes(), token: token.token, logprob: token.logprob }
    }
}

impl From<TokenLogprob> for Logprob {
    fn from(mut token: TokenLogprob) -> Self {
        let top = std::mem::take(&mut token.top);
        Self { chosen: token.into(), top_logprobs: top.into_iter().map(Candidate::from).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::text::ToolCall;

    fn last_summary() -> Summary {
        Summary {
            reason: DoneReason::Length,
            load: Duration::ZERO,
            prompt_tokens: 4,
            reused_tokens: 0,
            prompt_eval: Duration::from_micros(5),
            eval_tokens: 2,
            eval: Duration::from_micros(3),
            total: Duration::from_micros(9),
            grammar: Duration::ZERO,
            tokens: vec![7, 8],
        }
    }

    fn logprob() -> Vec<Logprob> {
        let plain =
            |token: &str, logprob| TokenLogprob { id: 0, token: token.into(), logprob, top: Vec::new() };
        let mut chosen = plain("é", -0.5);
        chosen.top = vec![plain("é", -0.5), plain("", -1.0)];
        vec![chosen.into()]
    }

    #[test]
    fn generate_records_in_order() {
        let mut record = GenerateRecord {
            model: "m".into(),
            created_at: "T".into(),
            response: "Hi".into(),
            thinking: String::new(),
            done: false,
            done_reason: None,
            context: Vec::new(),
            metrics: Metrics::default(),
            tool_calls: Vec::new(),
            debug_info: None,
            logprobs: logprob(),
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"model":"m","created_at":"T","response":"Hi","done":false,"logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},{"token":"","logprob":-1.0}]}]}"#
        );
        let summary = last_summary();
        record.response.clear();
        record.done = true;
        record.done_reason = Some(done_reason(summary.reason));
        record.context = vec![1, 2, 7, 8];
        record.metrics = Metrics::new(&summary, Duration::ZERO);
        record.logprobs.clear();
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"model":"m","created_at":"T","response":"","done":true,"done_reason":"length","context":[1,2,7,8],"total_duration":9000,"load_duration":1,"prompt_eval_count":4,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":3000}"#
        );
    }

    #[test]
    fn chat_records_in_order() {
        let arguments = Map::from_iter([("b".to_owned(), 1.into()), ("a".to_owned(), 2.into())]);
        let call = ToolCall { name: "f".into(), arguments };
        let call = AnswerCall { id: "call_12345678".into(), index: 0, call };
        let record = ChatRecord {
            model: "m".into(),
            created_at: "T".into(),
            message: AnswerMessage {
                role: "assistant",
                content: String::new(),
                thinking: "hm".into(),
                tool_calls: vec![call.into()],
            },
            done: true,
            done_reason: Some("stop"),
            debug_info: None,
            logprobs: Vec::new(),
            metrics: Metrics::new(&last_summary(), Duration::from_nanos(2)),
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"model":"m","created_at":"T","message":{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"call_12345678","function":{"index":0,"name":"f","arguments":{"b":1,"a":2}}}]},"done":true,"done_reason":"stop","total_duration":9002,"load_duration":2,"prompt_eval_count":4,"prompt_eval_duration":5000,"eval_count":2,"eval_duration":3000}"#
        );
    }
}
