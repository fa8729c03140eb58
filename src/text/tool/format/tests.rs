//! Formats: how they are found, and what a forced call looks like.

use super::*;
use crate::text::{Tool, ToolParser};

fn tool() -> Tool {
    let parameters = json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"type": "integer"}}});
    Tool::new("get \"it\"", "", parameters, false)
}

/// A call of `tool` as the parts describe it, with an example in the place of what is left open.
fn example(format: &ToolFormat, tool: &Tool) -> String {
    fn write(parts: &[CallPart<'_>], out: &mut String) {
        for part in parts {
            match part {
                CallPart::Literal(text) => out.push_str(text),
                CallPart::Arguments(_) => out.push_str("{\"city\": \"Paris\", \"days\": 2}"),
                CallPart::Argument { .. } => out.push('2'),
                CallPart::Text { .. } => out.push_str("Paris"),
                CallPart::OneOf(texts) => out.push_str(&texts[0]),
                CallPart::Optional(parts) | CallPart::Repeated(parts) => write(parts, out),
                CallPart::Name { before, after, .. } => out.extend([*before, "more", *after]),
            }
        }
    }
    let mut text = String::new();
    write(&format.call(tool), &mut text);
    text
}

#[test]
fn what_is_forced_is_what_is_read() {
    let mut tool = tool();
    tool.name = "f".into();
    for format in FORMATS.iter().chain([&JSON]) {
        let call = example(format, &tool);
        let text = format!("{}{call}{}{call}{}", format.begin(), format.between(), format.end());
        let mut parser = ToolParser::new(format, std::slice::from_ref(&tool));
        let mut parts = parser.push(&text);
        let rest = parser.finish();
        parts.content.push_str(&rest.content);
        parts.calls.extend(rest.calls);
        assert_eq!(parts.content, "", "{}: {text}", format.name);
        assert_eq!(parts.calls.len(), 2, "{}: {text}", format.name);
        for call in parts.calls {
            assert_eq!(
                (call.name.as_str(), &call.arguments["city"]),
                ("f", &json!("Paris")),
                "{}",
                format.name
            );
            assert_eq!(call.arguments["days"], 2);
        }
    }
}

#[test]
fn parts_of_a_call() {
    let tool = tool();
    let parts = |name: &str| ToolFormat::named(name).unwrap().call(&tool);
    assert_eq!(parts("hermes")[0], CallPart::Literal(r#"{"name": "get \"it\"", "arguments": "#.into()));
    assert_eq!(parts("llama3")[0], CallPart::Literal(r#"{"name": "get \"it\"", "parameters": "#.into()));
    let CallPart::Arguments(schema) = &parts("json")[1] else { panic!() };
    assert_eq!((&schema["additionalProperties"], &schema["required"][0]), (&json!(false), &json!("city")));
    let elements = parts("elements");
    assert_eq!(elements[2], CallPart::Text { without: argument::ENDS });
    let CallPart::Optional(unit) = &elements[4] else { panic!("{elements:?}") };
    assert_eq!(unit[1], CallPart::OneOf(vec!["C".into(), "F".into()]));
    let CallPart::Optional(days) = &elements[5] else { panic!("{elements:?}") };
    let root = &tool.parameters;
    assert_eq!(days[1], CallPart::Argument { schema: &root["properties"]["days"], root });
    let none = Tool::new("f", "", Value::Null, false);
    let CallPart::Arguments(schema) = &JSON.call(&none)[1] else { panic!() };
    assert_eq!(schema, &json!({"type": "object", "properties": {}, "additionalProperties": false}));
    assert_eq!(ToolFormat::named("deepseek").unwrap().call(&none).len(), 2, "no empty literal");
}

#[test]
fn formats_are_found_by_template_then_vocabulary() {
    for (template, token, expected) in [
        ("{{ '<tool_call>\\n' }}", "", "hermes"),
        ("<tool_call>[{{ x }}]</tool_call>", "<tool_call>", "hermes-list"),
        ("<tool_call><function={{ n }}><parameter={{ p }}>", "<tool_call>", "elements"),
        ("'[TOOL_CALLS]' + tool.name + '[ARGS]'", "", "mistral-named"),
        ("'[TOOL_CALLS] ['", "[TOOL_CALLS]", "mistral"),
        ("<｜tool▁call▁begin｜> '```json'", "", "deepseek-fenced"),
        ("<｜tool▁call▁begin｜>", "", "deepseek"),
        ("<|tool_call|> <|/tool_call|>", "", "phi4-mini"),
        ("<|tool_call|>", "", "granite"),
        ("functools[", "", "functools"),
        ("<|python_tag|>", "", "llama3"),
        ("{{ tools }}", "<|python_tag|>", "llama3"),
        ("{{ tools }}", "<tool_call>", "hermes"),
        ("<tool_call>", "<|python_tag|>", "hermes"),
        ("{{ tools }}", "", "json"),
    ] {
        let found = ToolFormat::find(template, |other| !token.is_empty() && other == token);
        assert_eq!(found.name(), expected, "{template} {token}");
        assert_eq!(ToolFormat::named(expected), Some(found));
    }
}

#[test]
fn no_mark_is_the_beginning_of_another() {
    for format in FORMATS {
        let marks: Vec<&str> = format
            .opens
            .iter()
            .chain(format.elements)
            .chain(format.words)
            .chain(format.closes)
            .copied()
            .collect();
        for (index, mark) in marks.iter().enumerate() {
            let others = marks.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(others.into_iter().all(|(_, other)| !other.starts_with(mark)), "{}: {mark}", format.name);
        }
    }
}

#[test]
fn names_that_a_call_could_not_hold() {
    let unwritable = |format: &str, name: &str, argument: &str| {
        let schema = json!({"type": "object", "properties": {"ok": {}, argument: {}}});
        let tool = Tool::new(name, "", schema, false);
        ToolFormat::named(format).unwrap().unwritable(&tool).map(str::to_owned)
    };
    let long = "x".repeat(300);
    for name in ["a>b", "a\nb", " a", &long] {
        assert_eq!(unwritable("elements", name, "a"), Some(name.to_owned()));
        assert_eq!(unwritable("elements", "a", name), Some(name.to_owned()));
        assert_eq!(unwritable("mistral-named", name, "a"), Some(name.to_owned()));
        assert_eq!(unwritable("mistral-named", "a", name), None);
        assert_eq!(unwritable("hermes", name, name), None);
    }
    assert_eq!(unwritable("elements", "a", ""), Some(String::new()));
    for name in ["a{b", "[a", "a<b", "a\u{1}"] {
        assert_eq!(unwritable("deepseek", name, "a"), Some(name.to_owned()));
        assert_eq!(unwritable("elements", name, "a[]"), None);
    }
    for format in ToolFormat::all() {
        assert_eq!(unwritable(format.name(), "mcp.server/get-It_2", "first argument"), None);
    }
}
