//! Bodies that nobody would send on purpose, to the parsers of `/v1` (`ollama::hostile` has the native ones); and plain
//! conversations, of which nothing may be lost on the way to the prompt.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::chat::request::ChatCompletionRequest;
use super::completions::CompletionRequest;
use super::responses::ResponsesRequest;
use crate::api::anthropic::MessagesRequest;
use crate::api::error::ApiError;
use crate::api::inference::ChatAsk;
use crate::text::{ChatTemplate, RenderOptions, Tool};

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
    "images",
    "context",
    "options",
    "keep_alive",
    "think",
    "truncate",
    "dimensions",
    "template",
    "from",
    "files",
    "parameters",
    "license",
    "adapters",
    "info",
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

/// Any value, some of it with the names and words of requests.
pub(crate) fn value() -> impl Strategy<Value = Value> {
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

/// An object with the names of requests.
pub(crate) fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
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

/// Renders a conversation that was read: a template takes whatever the readers let through.
pub(crate) fn rendered(ask: &ChatAsk) -> String {
    static TEMPLATE: LazyLock<ChatTemplate> = LazyLock::new(|| {
        let source = "{% for message in messages %}[{{ message.role }}]{{ message.content }}{{ message.thinking }}\
            {% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}{% endfor %}{{ tools | tojson }}";
        ChatTemplate::new(source.into(), None, None).unwrap()
    });
    let options = RenderOptions { tools: Tool::for_template(&ask.tools), ..RenderOptions::default() };
    let text = TEMPLATE.render(&ask.messages, &options).unwrap();
    for message in &ask.messages {
        assert!(text.contains(&format!("[{}]{}", message.role, message.content)), "{message:?} in {text}");
    }
    text
}

fn check_all(body: &[u8]) {
    check(
        ChatCompletionRequest::parse(body)
            .and_then(ChatCompletionRequest::into_ask)
            .map(|ask| rendered(&ask)),
    );
    check(CompletionRequest::parse(body).map(CompletionRequest::into_ask));
    check(ResponsesRequest::parse(body).map(|request| rendered(&request.ask)));
    check(MessagesRequest::parse(body).map(|request| rendered(&request.into_ask())));
}

/// Turns of a person and a model: texts that are not empty, the last one a person's.
pub(crate) fn turns() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    prop::collection::vec("\\PC{1,20}", 1..8).prop_map(|texts| {
        let count = texts.len();
        let role = |index| if (count - index) % 2 == 1 { "user" } else { "assistant" };
        texts.into_iter().enumerate().map(|(index, text)| (role(index), text)).collect()
    })
}

/// What the prompt of such a conversation is.
pub(crate) fn prompt_of(turns: &[(&str, String)]) -> String {
    turns.iter().flat_map(|(role, text)| ["[", role, "]", text.as_str()]).chain(["null"]).collect()
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
    fn conversations_arrive_whole(turns in turns()) {
        let messages: Vec<Value> =
            turns.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
        let body = json!({"model": "m", "max_tokens": 1, "messages": messages, "input": messages}).to_string();
        let body = body.as_bytes();
        let chat = ChatCompletionRequest::parse(body).and_then(ChatCompletionRequest::into_ask).unwrap();
        prop_assert_eq!(rendered(&chat), prompt_of(&turns));
        prop_assert_eq!(rendered(&ResponsesRequest::parse(body).unwrap().ask), prompt_of(&turns));
        prop_assert_eq!(rendered(&MessagesRequest::parse(body).unwrap().into_ask()), prompt_of(&turns));
    }

    #[test]
    fn any_bytes_are_refused_or_taken(body in prop::collection::vec(any::<u8>(), 0..200)) {
        check_all(&body);
    }
}
