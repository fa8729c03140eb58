//! Any text as a chat template in Jinja: it is refused, or it renders a conversation with tools, in bounded time and
//! memory, twice the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::text::{ChatTemplate, Message, RenderOptions};
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let source = String::from_utf8_lossy(data).into_owned();
    let tells_time = source.contains("strftime_now");
    let Ok(template) = ChatTemplate::new(source, Some("<s>".into()), None) else { return };
    let messages = [
        Message::new("system", "s"),
        Message::new("user", "{{ hi }}"),
        Message::new("assistant", "<think>a</think>b"),
        Message::new("user", "bye"),
    ];
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters":
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x", 1.5]}}, "required": ["a"]}}}]);
    let options = RenderOptions { tools: Some(tools), think: Some(true), ..RenderOptions::default() };
    let first = template.render(&messages, &options);
    if !tells_time {
        assert_eq!(template.render(&messages, &options), first);
    }
});
