//! Bodies that nobody would send on purpose, to every parser of the families.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::chat::request::ChatCompletionRequest;
use super::completions::CompletionRequest;
use super::responses::ResponsesRequest;
use crate::api::anthropic::MessagesRequest;
use crate::api::error::ApiError;

/// Field names of all requests, so that random objects get past the first look.
const NAMES: &[&str] = &[
    "model",
    "messages",
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "url",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "id",
    "tools",
    "tool_choice",
    "input",
    "output",
    "call_id",
    "stop",
    "stream",
    "n",
    "format",
    "response_format",
    "json_schema",
    "schema",
    "reasoning",
    "effort",
    "system",
    "max_tokens",
    "source",
    "data",
    "tool_use_id",
    "namespace",
    "parameters",
    "input_schema",
    "prompt",
    "top_logprobs",
    "logprobs",
    "thinking",
    "output_config",
    "stop_sequences",
    "stream_options",
    "include_usage",
    "instructions",
    "encrypted_content",
    "x",
];
const WORDS: &[&str] = &[
    "",
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "web_search_call",
    "text",
    "input_text",
    "input_image",
    "image",
    "image_url",
    "tool_use",
    "tool_result",
    "web_search_tool_result",
    "user",
    "assistant",
    "tool",
    "function",
    "namespace",
    "base64",
    "json_schema",
    "none",
    "required",
    "any",
    "{}",
    "{",
    "data:;base64,aGk=",
    "m",
    "\u{0}",
    "é",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from), object(inner),]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let field = (prop::sample::select(NAMES), inner);
    prop::collection::vec(field, 0..8).prop_map(|fields| {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
    })
}

fn check<T>(parsed: Result<T, ApiError>) {
    if let Err(error) = parsed {
        assert_eq!(error.status().as_u16(), 400, "{error}");
        assert!(!error.to_string().is_empty());
    }
}

fn check_all(body: &[u8]) {
    check(ChatCompletionRequest::parse(body).and_then(ChatCompletionRequest::into_ask));
    check(CompletionRequest::parse(body).map(CompletionRequest::into_ask));
    check(ResponsesRequest::parse(body));
    check(MessagesRequest::parse(body).map(MessagesRequest::into_ask));
}

proptest! {
    #[test]
    fn any_body_is_taken_or_refused(body in object(value())) {
        check_all(body.to_string().as_bytes());
    }

    #[test]
    fn any_list_is_taken_or_refused(items in prop::collection::vec(object(value()), 1..5)) {
        let body = serde_json::json!({"model": "m", "max_tokens": 1, "messages": items, "input": items, "tools": items});
        check_all(body.to_string().as_bytes());
        let body = serde_json::json!({"model": "m", "max_tokens": 1, "input": "x", "tools": items,
            "messages": [{"role": "user", "content": items}]});
        check_all(body.to_string().as_bytes());
    }

    #[test]
    fn any_bytes_are_refused_or_taken(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check_all(&body);
    }
}
