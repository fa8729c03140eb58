//! What models write, and what becomes of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn tools() -> Vec<Tool> {
    let schema = json!({"type": "object", "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}, "exact": {"type": "boolean"},
        "tags": {"type": "array"}, "unit": {"anyOf": [{"$ref": "#/$defs/U"}, {"type": "null"}]},
        "loop": {"$ref": "#/properties/loop"}},
        "$defs": {"U": {"enum": ["C", "F"]}}});
    vec![Tool::new("weather", "", schema, false), Tool::new("now", "", Value::Null, false)]
}

/// Content, and calls as `NAME{ARGUMENTS}`, of an answer that comes in these pieces.
fn run(format: &str, pieces: &[&str]) -> (String, Vec<String>) {
    let mut parser = ToolParser::new(ToolFormat::named(format).unwrap(), &tools());
    let (mut content, mut calls) = (String::new(), Vec::new());
    let mut add = |parts: ToolParts| {
        content.push_str(&parts.content);
        let call = |call: ToolCall| format!("{}{}", call.name, Value::Object(call.arguments));
        calls.extend(parts.calls.into_iter().map(call));
    };
    for piece in pieces {
        add(parser.push(piece));
    }
    add(parser.finish());
    (content, calls)
}

fn check(format: &str, text: &str, content: &str, calls: &[&str]) {
    let calls: Vec<String> = calls.iter().map(ToString::to_string).collect();
    assert_eq!(run(format, &[text]), (content.to_owned(), calls), "{format}: {text}");
}

const PARIS: &str = r#"weather{"city":"Paris"}"#;

#[test]
fn objects_between_tags() {
    let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>";
    check("hermes", call, "", &[PARIS]);
    check("hermes", &format!("Let me see.\n\n{call}\n{call}\n"), "Let me see.", &[PARIS, PARIS]);
    check("hermes", &format!("{call}\nDone."), "Done.", &[PARIS]);
    check("hermes", &format!("A {call} B {call}"), "A B", &[PARIS, PARIS]);
    // The tag in an argument, braces and quotes too.
    check(
        "hermes",
        r#"<tool_call>{"name": "f", "arguments": {"x": "</tool_call> \"{[\\", "y": {"z": [1, {}]}}}</tool_call>"#,
        "",
        &[r#"f{"x":"</tool_call> \"{[\\","y":{"z":[1,{}]}}"#],
    );
    // The end missing, doubled, or one bracket off.
    let open = r#"<tool_call>{"name": "now", "arguments": {}}"#;
    check("hermes", &format!("{open}\n{open}</tool_call>"), "", &["now{}", "now{}"]);
    check("hermes", &format!("{open}}}\n</tool_call></tool_call>"), "", &["now{}"]);
    check(
        "hermes",
        r#"<tool_call>{"name": "now", "arguments": {"a": 1}</tool_call>"#,
        "",
        &[r#"now{"a":1}"#],
    );
    check(
        "hermes-list",
        r#"<tool_call>[{"name": "now"}, {"name": "now"}]</tool_call>"#,
        "",
        &["now{}", "now{}"],
    );
    check("hermes-list", "<tool_call>[]</tool_call>", "", &[]);
}

#[test]
fn spellings_of_a_call() {
    for object in [
        r#"{"name": "weather", "arguments": "{\"city\": \"Paris\"}"}"#,
        r#"{"name": "weather", "parameters": {"city": "Paris"}}"#,
        r#"{"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}}"#,
        r#"{"type": "function", "name": "weather", "parameters": {"city": "Paris"}}"#,
        r#"{"function": "weather", "parameters": {"city": "Paris"}}"#,
        r#"{"id": "x", "name": "weather", "arguments": {"city": "Paris"}}"#,
        r#"[{"name": "weather", "arguments": {"city": "Paris"}}]"#,
    ] {
        check("hermes", &format!("<tool_call>{object}</tool_call>"), "", &[PARIS]);
        check("json", object, "", &[PARIS]);
        check("hermes", object, "", &[PARIS]);
        check("granite", &format!("<|tool_call|>{object}"), "", &[PARIS]);
        check("mistral", &format!("[TOOL_CALLS] {object}"), "", &[PARIS]);
        check("llama3", &format!("<|python_tag|>{object}"), "", &[PARIS]);
        check("phi4-mini", &format!("<|tool_call|>{object}<|/tool_call|>"), "", &[PARIS]);
        check("functools", &format!("functools{object}"), "", &[PARIS]);
    }
}

#[test]
fn names_before_arguments() {
    check("mistral-named", r#"Hm.[TOOL_CALLS]weather[ARGS]{"city": "Paris"}"#, "Hm.", &[PARIS]);
    check(
        "mistral-named",
        r#"[TOOL_CALLS]weather[CALL_ID]abc[ARGS]{"city": "Paris"}[TOOL_CALLS]now{}"#,
        "",
        &[PARIS, "now{}"],
    );
    check("mistral-named", r#"[TOOL_CALLS][{"name": "now", "arguments": {}}]"#, "", &["now{}"]);
    check("mistral-named", r"[TOOL_CALLS]now and then[TOOL_CALLS]now[ARGS]{}", "now and then", &["now{}"]);
    let begin = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>";
    let end = "<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    let fenced = "function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Paris\"}\n```";
    check("deepseek-fenced", &format!("{begin}{fenced}{end}"), "", &[PARIS]);
    check(
        "deepseek-fenced",
        &format!("I look.\n{begin}{fenced}<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>{fenced}{end}"),
        "I look.",
        &[PARIS, PARIS],
    );
    check("deepseek", &format!("{begin}weather<｜tool▁sep｜>{{\"city\": \"Paris\"}}{end}x"), "x", &[PARIS]);
}

#[test]
fn elements() {
    let call =
        "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>";
    check("elements", call, "", &[PARIS]);
    check("elements", &format!("So:\n{call}\n{call}"), "So:", &[PARIS, PARIS]);
    check("elements", "<function=now>\n</function>", "", &["now{}"]);
    check("elements", "<tool_call><function=now></tool_call>", "", &["now{}"]);
    let typed = "<function=weather><parameter=days> 3 </parameter><parameter=exact>True</parameter>\
        <parameter=tags>[\"a\"]</parameter><parameter=unit>C</parameter><parameter=other>1</parameter>\
        <parameter=city>12</parameter><parameter=loop>1</parameter></function>";
    let expected =
        r#"weather{"days":3,"exact":true,"tags":["a"],"unit":"C","other":"1","city":"12","loop":1}"#;
    check("elements", typed, "", &[expected]);
    let odd = "<function=weather><parameter=days>soon</parameter><parameter=unit>null</parameter>\
        <parameter=city>\n\na <b>\n</div>\n\n</parameter></function>";
    check("elements", odd, "", &[r#"weather{"days":"soon","unit":null,"city":"\na <b>\n</div>\n"}"#]);
    check("elements", "<function=weather><parameter=city>\nParis\n</function>", "", &[PARIS]);
    // An end in a string of JSON is none, unless the string turns out to be none.
    let tags = "<function=weather><parameter=tags>[\"a</parameter>";
    let read = r#"weather{"tags":["a</parameter></function>"]}"#;
    check("elements", &format!("{tags}</function>\"]</parameter></function>"), "", &[read]);
    let more = "\n<parameter=city>Paris</parameter></function>";
    check("elements", &format!("{tags}{more}"), "", &[r#"weather{"tags":"[\"a","city":"Paris"}"#]);
    check("elements", &format!("{tags}</function>"), "", &[r#"weather{"tags":"[\"a"}"#]);
}

#[test]
fn unmarked_calls_are_of_tools_that_there_are() {
    let call = r#"{"name": "weather", "parameters": {"city": "Paris"}}"#;
    check("llama3", &format!(" \n{call}; {call}"), "", &[PARIS, PARIS]);
    check("llama3", &format!("{call}\n{call}\nThere."), "There.", &[PARIS, PARIS]);
    check("json", &format!("[{call}, {call}]"), "", &[PARIS, PARIS]);
    for other in [
        r#"{"name": "other", "arguments": {}}"#,
        r#"{"name": "weather", "arguments": {}, "why": "because"}"#,
        r#"{"city": "Paris"}"#,
        r#"[{"name": "now"}, {"name": "other"}]"#,
        r#"[1, {"name": "now"}]"#,
        "[x](y) and more",
        "{}",
        "[]",
        "{ {",
        "functools are fun",
        r#"Say {"name": "now", "arguments": {}}"#,
        r#"{"name": "now", "arguments": 3}"#,
        r#"{"name": "now", "arguments": {"a" 1}}"#,
        "{\"name\": \"now\", \u{1f600}}",
    ] {
        check("functools", other, other, &[]);
    }
}

#[test]
fn what_is_no_call_is_content_without_its_marks() {
    check("hermes", "<tool_call> hello </tool_call> you", " hello  you", &[]);
    check("hermes", "<tool_call>{\"a\": 1}</tool_call>", "{\"a\": 1}", &[]);
    check("hermes", "<tool_call>{'name': 'now'}</tool_call>", "{'name': 'now'}", &[]);
    check("hermes", "<tool_call></tool_call>", "", &[]);
    check("hermes", "a < b <tool", "a < b <tool", &[]);
    check("llama3", "<|python_tag|>print(1)", "print(1)", &[]);
    check("elements", "<function=>x", "<function=>x", &[]);
    check("elements", "<function=f>x", "<function=f>x", &[]);
    check("mistral-named", "[TOOL_CALLS]nothing", "", &[]);
    let long = format!("[TOOL_CALLS]{}", "x".repeat(300));
    check("mistral-named", &long, &long["[TOOL_CALLS]".len()..], &[]);
    let deep = "[".repeat(200);
    check("hermes", &format!("<tool_call>{deep}"), &deep, &[]);
}

#[test]
fn what_the_end_cuts_off() {
    let call = r#"{"name": "now", "arguments": {}}"#;
    check("hermes", "Wait. <tool_call>{\"name\": \"now\", \"arg", "Wait. ", &[]);
    check("elements", "<function=weather><parameter=city>Par", "", &[]);
    check("json", "{\"name\": \"now\", \"arg", "{\"name\": \"now\", \"arg", &[]);
    check("json", &format!("{call} {{\"name\": \"no"), "", &["now{}"]);
    check("hermes", " \n", " \n", &[]);
}

#[test]
fn calls_and_text_come_out_as_soon_as_they_are_certain() {
    let mut parser = ToolParser::new(ToolFormat::named("hermes").unwrap(), &tools());
    assert_eq!(parser.push("Hi <").content, "Hi");
    assert_eq!(parser.push("b> ").content, " <b>");
    assert_eq!(parser.push("<tool_call>{\"name\": \"now\"").content, "");
    assert_eq!(parser.push("}").calls.len(), 1);
    assert_eq!(parser.push("</tool_call>\nx").content, " x");
    let mut parser = ToolParser::new(ToolFormat::named("json").unwrap(), &tools());
    assert_eq!(parser.push("{\"answer").content, "");
    assert_eq!(parser.push("\": ").content, "{\"answer\":");
}

#[test]
fn endless_calls_and_spaces_are_given_out() {
    let mut parser = ToolParser::new(ToolFormat::named("hermes").unwrap(), &tools());
    let piece = format!("{}é", "x".repeat(1000));
    let mut content = parser.push("<tool_call>[\"").content;
    let mut sent = 2;
    while sent < MAX_CALL_BYTES + 10_000 {
        content.push_str(&parser.push(&piece).content);
        sent += piece.len();
        assert!(parser.held.len() <= MAX_CALL_BYTES + piece.len());
    }
    assert_eq!(content.len(), sent);
    for _ in 0..100 {
        content.push_str(&parser.push(" \n ").content);
        assert!(parser.space.len() <= MAX_SPACE_BYTES);
    }
    content.push_str(&parser.finish().content);
    assert_eq!(content.len(), sent + 300);
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>",
                "<|python_tag|>", "functools", "<function=", "weather>", "<parameter=city>", "</parameter>", "</function>",
                "{\"name\": \"now\", \"arguments\": {}}", "{\"name\": \"weather\",", "\"parameters\": {\"city\": \"Paris\"}}",
                "now", "{}", "{", "}", "[", "]", "\"", "\\", ",", ";", "<", ">", " ", "\n", "é🙂", "name", ":",
            ]), 0..14,
        ),
        cuts in prop::collection::vec(any::<bool>(), 200),
        format in prop::sample::select(vec![
            "hermes", "hermes-list", "elements", "mistral", "mistral-named", "deepseek", "deepseek-fenced", "llama3",
            "functools", "json", "granite", "phi4-mini",
        ]),
    ) {
        let text = words.concat();
        let mut pieces = Vec::new();
        let mut start = 0;
        for ((at, _), cut) in text.char_indices().skip(1).zip(cuts) {
            if cut {
                pieces.push(&text[start..at]);
                start = at;
            }
        }
        pieces.push(&text[start..]);
        prop_assert_eq!(run(format, &pieces), run(format, &[&text]));
    }
}
