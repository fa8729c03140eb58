//! Any text as a chat template in the language of Go: it is refused, or it renders a conversation, with a tool and with
//! an insertion, in bounded time and memory. No panic reaches the caller, and what was accepted can be rendered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::text::{Message, RenderOptions, Template};
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let Ok(template) = Template::new(&String::from_utf8_lossy(data)) else { return };
    let mut call = Message::new("assistant", "");
    call.extra.insert(
        "tool_calls".into(),
        json!([{"function": {"name": "f", "arguments": {"a": [1, {"b": null}]}}}]),
    );
    let messages = [
        Message::new("system", "s"),
        Message::new("user", "hi"),
        call,
        Message::new("tool", "{{ .Content }}"),
        Message::new("user", "bye"),
    ];
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters":
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x"]}}, "required": ["a"]}}}]);
    let options = RenderOptions { tools: Some(tools), think: Some(true), ..RenderOptions::default() };
    let first = template.render(&messages, &options).ok();
    assert_eq!(template.render(&messages, &options).ok(), first, "the same twice");
    template.render_insert("a", "b", &options).ok();
});
