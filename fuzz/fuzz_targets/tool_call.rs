//! Any text as the answer of a model with tools, in any format: the same parts whatever its pieces, nothing invented,
//! and no more held back than a call may have.
//!
//! The first byte chooses the format, the second one how the text is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::tools::{Tool, ToolFormat, ToolParser, ToolParts};
use serde_json::json;

fn parse(format: &'static ToolFormat, tools: &[Tool], text: &str, step: usize) -> ToolParts {
    let mut parser = ToolParser::new(format, tools);
    let mut whole = ToolParts::default();
    let mut add = |parts: ToolParts| {
        whole.content.push_str(&parts.content);
        whole.calls.extend(parts.calls);
    };
    let mut rest = text;
    while !rest.is_empty() {
        let end = (step..=rest.len()).find(|&end| rest.is_char_boundary(end)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        add(parser.push(piece));
        rest = after;
    }
    add(parser.finish());
    whole
}

fuzz_target!(|data: &[u8]| {
    let [format, step, text @ ..] = data else { return };
    let formats: Vec<_> = ToolFormat::all().collect();
    let format = formats[usize::from(*format) % formats.len()];
    let schema = json!({"type": "object", "properties": {
        "a": {"type": ["integer", "boolean"]}, "b": {"$ref": "#/properties/b"}, "c": {"anyOf": [{}, {"enum": [1]}]}}});
    let tools = [Tool::new("f", "", schema, false), Tool::new("g", "", json!(null), false)];
    let text = String::from_utf8_lossy(text);
    let whole = parse(format, &tools, &text, usize::MAX);
    assert_eq!(parse(format, &tools, &text, 1 + usize::from(*step) % 16), whole);
    assert!(whole.content.len() <= text.len());
    assert!(whole.calls.iter().all(|call| !call.name.is_empty()));
});
