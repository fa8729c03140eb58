//! Calls as the grammar makes a model write them, and as the parser reads them.

use proptest::prelude::*;

use super::*;
use crate::text::grammar::{Grammar, GrammarSpec, Vocabulary};
use crate::text::{ThinkingSplitter, TokenId, ToolCall, ToolParser};

/// Pieces that calls are made of, and that look like them: what models write.
const PIECES: &[&str] = &[
    "<tool_call>",
    "</tool_call>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|python_tag|>",
    "functools",
    "<think>",
    "</think>",
    "<function=weather>",
    "<parameter=days>",
    "\n</parameter>",
    "\n</function>",
    "</parameter>",
    "</function>",
    "{\"name\": \"weather\", ",
    "\"arguments\": ",
    "\"parameters\": ",
    "{\"days\": \"x\"}",
    "{\"city\": \"x\", \"days\": \"x\"}",
    "{\"city\": \"Rome\"}",
    // Whole calls that do not fit.
    "{\"name\": \"weather\", \"arguments\": {\"days\": \"x\"}}",
    "{\"name\": \"weather\", \"parameters\": {\"city\": 5}}",
    "[{\"name\": \"weather\", \"arguments\": {}}]",
    "functools[{\"name\": \"weather\", \"arguments\": {}}]",
    "<function=weather>\n</function>",
    "<think></think>",
    "weather",
    "\"city\"",
    "Rome",
    "}",
    "]",
    "\n",
    " ",
    "\u{2003}",
    "; ",
    ", ",
    "12",
    "1e400",
    "\"",
    "a",
];

/// Tokens: all bytes, then the pieces, then the end.
fn vocabulary() -> (Vocabulary, Vec<Vec<u8>>) {
    let mut words: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    words.extend(PIECES.iter().map(|piece| piece.as_bytes().to_vec()));
    let end = TokenId::try_from(words.len()).unwrap();
    let tokens = words.iter().map(Vec::as_slice).chain([&[][..]]);
    (Vocabulary::new(tokens, &[end]).unwrap(), words)
}

/// A tool whose arguments are easily judged.
fn weather() -> Tool {
    let schema = json!({
        "type": "object", "required": ["city"], "additionalProperties": false,
        "properties": {
            "city": {"$ref": "#/$defs/City"}, "days": {"type": "number"}, "note": {"type": "string"},
            "unit": {"anyOf": [{"const": "C"}, {"type": "null"}]}, "code": {"type": "string", "maxLength": 3},
            "tags": {"type": "array", "items": {"type": "string"}}
        },
        "$defs": {"City": {"enum": ["Rome", "Bern"], "title": "City"}}
    });
    Tool::new("weather", "", schema, true)
}

fn fits(call: &ToolCall) -> bool {
    call.name == "weather"
        && call.arguments.contains_key("city")
        && call.arguments.iter().all(|(key, value)| match key.as_str() {
            "city" => *value == "Rome" || *value == "Bern",
            "days" => value.is_number(),
            "note" => value.is_string(),
            "unit" => *value == "C" || value.is_null(),
            "code" => value.as_str().is_some_and(|code| code.chars().count() <= 3),
            "tags" => value.as_array().is_some_and(|tags| tags.iter().all(Value::is_string)),
            _ => false,
        })
}

/// Follows a grammar for so many tokens at most: each is the first that is allowed from where a number points. Pieces
/// come first with even numbers. Returns the text, and whether it is complete.
fn walk(grammar: &Grammar, words: &[Vec<u8>], choices: &[u32]) -> (String, bool) {
    let end = TokenId::try_from(words.len()).unwrap();
    let mut constraint = grammar.start();
    let mut text = Vec::new();
    for &choice in choices {
        let mask = constraint.mask().unwrap();
        let pieces = 256..end;
        let place = |tokens: std::ops::Range<TokenId>| {
            let len = tokens.end - tokens.start;
            let start = choice / 2 % len;
            (0..len).map(move |step| tokens.start + (start + step) % len).find(|&token| mask.allows(token))
        };
        let token = if choice % 2 == 0 { place(pieces).or_else(|| place(0..256)) } else { place(0..256) };
        let Some(token) = token.or_else(|| place(256..end)) else {
            return (String::from_utf8(text).unwrap(), mask.allows(end));
        };
        text.extend_from_slice(&words[token as usize]);
        if constraint.accept(token).unwrap() {
            return (String::from_utf8(text).unwrap(), true);
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), constraint.mask().unwrap().allows(end))
}

/// Content and calls of an answer, after its thoughts.
fn read(format: &'static ToolFormat, tools: &[Tool], text: &str) -> (String, Vec<ToolCall>) {
    let mut splitter = ThinkingSplitter::new(ThinkingTags::usual(), false);
    let said = splitter.push(text).content + &splitter.finish().content;
    let mut parser = ToolParser::new(format, tools);
    let mut parts = parser.push(&said);
    let rest = parser.finish();
    parts.calls.extend(rest.calls);
    (parts.content + &rest.content, parts.calls)
}

fn grammar(vocabulary: &Vocabulary, format: &'static ToolFormat, tools: Vec<Tool>, text: bool) -> Grammar {
    Grammar::new(vocabulary, &GrammarSpec::Calls(Calls { format, tools, text, many: true }), None).unwrap()
}

/// A format, its grammars with text, without thoughts and after them, and the one without text.
type Forms = (&'static ToolFormat, [Grammar; 2], Grammar);

thread_local! {
    /// Tokens, and the grammars of all formats, made once.
    static GRAMMARS: (Vec<Vec<u8>>, Vec<Forms>) = {
        let (vocabulary, words) = vocabulary();
        let of = |format| {
            let thoughts = Thoughts { open: "<think>", close: "</think>", begun: false };
            let make = |text, thoughts| {
                let calls = Calls { format, tools: vec![weather()], text, many: true };
                Grammar::new(&vocabulary, &GrammarSpec::Calls(calls), thoughts).unwrap()
            };
            (format, [make(true, None), make(true, Some(thoughts))], make(false, None))
        };
        (words, ToolFormat::all().map(of).collect())
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_grammar_takes_is_read_as_calls_that_fit(
        choices in prop::collection::vec(any::<u32>(), 1..120),
    ) {
        GRAMMARS.with(|(words, grammars)| {
            for (format, free, forced) in grammars {
                for free in free {
                    let (text, _) = walk(free, words, &choices);
                    let (_, calls) = read(format, &[weather()], &text);
                    prop_assert!(calls.iter().all(fits), "{}: {text:?} is {calls:?}", format.name());
                }
                let (text, complete) = walk(forced, words, &choices);
                let (content, calls) = read(format, &[weather()], &text);
                prop_assert!(calls.iter().all(fits), "{}: {text:?} is {calls:?}", format.name());
                if complete {
                    prop_assert!(!calls.is_empty(), "{}: {text:?}", format.name());
                    prop_assert_eq!(content, "", "{}: {:?}", format.name(), text);
                }
            }
            Ok(())
        })?;
    }
}

/// Whether the grammar lets exactly this text through.
fn takes(grammar: &Grammar, text: &str) -> bool {
    let mut constraint = grammar.start();
    let mut complete = false;
    for byte in text.bytes() {
        if complete || !constraint.mask().unwrap().allows(byte.into()) {
            return false;
        }
        complete = constraint.accept(byte.into()).unwrap();
    }
    complete || constraint.mask().unwrap().allows(TokenId::try_from(256 + PIECES.len()).unwrap())
}

#[test]
fn free_text_holds_nothing_that_is_read_as_a_call() {
    let (vocabulary, _) = vocabulary();
    let bad = "{\"name\": \"weather\", \"arguments\": {\"days\": \"x\"}}";
    for (format, text) in [
        ("hermes", bad.to_owned()),
        ("hermes", format!(" \n\u{2003}{bad}")),
        ("hermes", format!("</tool_call>{bad}")),
        ("hermes", format!("[{bad}]")),
        ("hermes", format!("{bad}<tool_call>")),
        ("hermes", format!("<think></think>{bad}")),
        ("hermes", format!(" </think>\n{bad}<tool_call>")),
        ("granite", format!("Well. <tool_call>{bad}")),
        ("llama3", format!("\n{bad}")),
        ("llama3", format!("So <|python_tag|>{bad}")),
        ("json", format!(" [{bad}]")),
        ("functools", format!("functools[{bad}]")),
        ("functools", bad.to_owned()),
        ("elements", "So <function=weather>\n</function>".to_owned()),
        ("deepseek", "So <｜tool▁call▁begin｜>weather<｜tool▁sep｜>{}".to_owned()),
        ("mistral", format!("[{bad}")),
        ("mistral", format!("[TOOL_CALLS]{bad}")),
    ] {
        let format = ToolFormat::named(format).unwrap();
        let grammar = grammar(&vocabulary, format, vec![weather()], true);
        assert!(!takes(&grammar, &text), "{}: {text}", format.name());
    }
    for format in ToolFormat::all() {
        let grammar = grammar(&vocabulary, format, vec![weather()], true);
        for text in ["", " ", "It {rains} [in] Rome.", "a <tool or function= call"] {
            assert!(takes(&grammar, text), "{}: {text}", format.name());
            assert_eq!(read(format, &[weather()], text), (text.to_owned(), Vec::new()));
        }
    }
}

#[test]
fn values_of_elements_come_back_as_they_were_meant() {
    let (vocabulary, _) = vocabulary();
    let format = ToolFormat::named("elements").unwrap();
    let grammar = grammar(&vocabulary, format, vec![weather()], false);
    let call = |key: &str, value: &str| {
        let city = if key == "city" { value } else { "Rome" };
        let more =
            if key == "city" { String::new() } else { format!("<parameter={key}>\n{value}\n</parameter>\n") };
        format!(
            "<tool_call>\n<function=weather>\n<parameter=city>\n{city}\n</parameter>\n{more}</function>\n</tool_call>"
        )
    };
    for (key, text, value) in [
        ("city", "Bern", json!("Bern")),
        ("days", "-2.5", json!(-2.5)),
        ("note", "", json!("")),
        ("note", "\n \"a\" <b\r", json!("\n \"a\" <b\r")),
        ("unit", "\"C\"", json!("C")),
        ("unit", "null", json!(null)),
        ("code", "\"a</\"", json!("a</")),
        ("tags", "[\"</parameter>\", \"\\\"\\n</function>\"]", json!(["</parameter>", "\"\n</function>"])),
    ] {
        let text = call(key, text);
        assert!(takes(&grammar, &text), "{text}");
        let (content, calls) = read(format, &[weather()], &text);
        assert_eq!((content.as_str(), calls.len()), ("", 1), "{text}");
        assert_eq!(calls[0].arguments[key], value, "{text}");
    }
    for (key, text) in [
        ("city", "\"Bern\""),
        ("city", "Paris"),
        ("note", "a</parameter>"),
        ("note", "</function>"),
        ("unit", "C"),
        ("code", "abc"),
        ("code", "\"abcd\""),
    ] {
        assert!(!takes(&grammar, &call(key, text)), "{key}: {text}");
    }
}

#[test]
fn a_tool_that_need_not_be_followed_takes_any_argument() {
    let (vocabulary, _) = vocabulary();
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "integer", "minimum": 3, "maximum": 2}, "b": {"type": "nothing"}}});
    let tool = |strict| Tool::new("f", "", schema.clone(), strict);
    for (format, call) in [
        ("hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [], \"c\": 1}}\n</tool_call>"),
        (
            "elements",
            "<tool_call>\n<function=f>\n<parameter=a>\n7\n</parameter>\n<parameter=b>\n[]\n</parameter>\n</function>\n</tool_call>",
        ),
    ] {
        let format = ToolFormat::named(format).unwrap();
        assert!(takes(&grammar(&vocabulary, format, vec![tool(false)], false), call), "{call}");
        let calls = Calls { format, tools: vec![tool(true)], text: false, many: true };
        Grammar::new(&vocabulary, &GrammarSpec::Calls(calls), None).unwrap_err();
    }
}

#[test]
fn a_strict_tool_needs_arguments_that_are_listed_where_calls_list_them() {
    let (vocabulary, _) = vocabulary();
    let schema =
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"const": 1}}}}});
    let make = |format: &str, strict| {
        let format = ToolFormat::named(format).unwrap();
        let tools = vec![Tool::new("f", "", schema.clone(), strict)];
        let calls = Calls { format, tools, text: false, many: false };
        Grammar::new(&vocabulary, &GrammarSpec::Calls(calls), None)
    };
    assert!(make("hermes", true).is_ok() && make("elements", false).is_ok());
    assert!(matches!(make("elements", true).unwrap_err(), GrammarError::Unsupported { .. }));
}

#[test]
fn of_two_tools_with_one_name_the_first_counts() {
    let (vocabulary, _) = vocabulary();
    let tool = |value: &str| {
        let schema = json!({"type": "object", "required": ["a"], "properties": {"a": {"const": value}}});
        Tool::new("f", "", schema, true)
    };
    let format = ToolFormat::named("json").unwrap();
    let grammar = grammar(&vocabulary, format, vec![tool("x"), tool("y")], false);
    assert!(takes(&grammar, "[{\"name\": \"f\", \"arguments\": {\"a\": \"x\"}}]"));
    assert!(!takes(&grammar, "[{\"name\": \"f\", \"arguments\": {\"a\": \"y\"}}]"));
}

#[test]
fn names_that_could_not_be_read_back_are_refused() {
    let (vocabulary, _) = vocabulary();
    let format = ToolFormat::named("elements").unwrap();
    let calls =
        Calls { format, tools: vec![Tool::new("a>b", "", json!(null), false)], text: false, many: true };
    let error = Grammar::new(&vocabulary, &GrammarSpec::Calls(calls), None).unwrap_err();
    assert_eq!(error, GrammarError::Name("a>b".into()));
}

#[test]
fn schemas_of_all_tools_together_are_bounded() {
    let (vocabulary, _) = vocabulary();
    let format = ToolFormat::named("elements").unwrap();
    // Each argument refers to all definitions: small as it is, what it becomes is their product.
    let count = 600;
    let definitions: serde_json::Map<String, Value> = (0..count)
        .map(|index| {
            (
                format!("d{index}"),
                json!({"anyOf": [{"type": "null"}, {"$ref": format!("#/$defs/d{}", (index + 1) % count)}]}),
            )
        })
        .collect();
    let properties: serde_json::Map<String, Value> = (0..count)
        .map(|index| (format!("p{index}"), json!({"type": "array", "items": {"$ref": "#/$defs/d0"}})))
        .collect();
    let schema = json!({"type": "object", "properties": properties, "$defs": definitions});
    let calls = |strict| Calls {
        format,
        tools: vec![Tool::new("f", "", schema.clone(), strict)],
        text: false,
        many: true,
    };
    let refused = Grammar::new(&vocabulary, &GrammarSpec::Calls(calls(true)), None).unwrap_err();
    assert!(matches!(refused, GrammarError::TooLarge(_)), "{refused}");
    Grammar::new(&vocabulary, &GrammarSpec::Calls(calls(false)), None).unwrap();
}

#[test]
fn arguments_that_are_not_listed_can_be_given_where_the_schema_lets_them() {
    let (vocabulary, _) = vocabulary();
    let format = ToolFormat::named("elements").unwrap();
    let argument = |name: &str, value: &str| format!("<parameter={name}>\n{value}\n</parameter>\n");
    let call = |arguments: &str| format!("<tool_call>\n<function=f>\n{arguments}</function>\n</tool_call>");
    let definition = json!({"A": {"type": "object", "required": ["a"],
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}});
    for (schema, good, bad) in [
        (
            json!({"$ref": "#/$defs/A"}),
            vec![(argument("a", "1") + &argument("b", "2"), json!({"a": 1, "b": "2"}))],
            vec![String::new(), argument("a", "x"), argument("a", "1") + &argument("c", "1")],
        ),
        (
            json!({"properties": {"c": {"type": "null"}}, "allOf": [{"$ref": "#/$defs/A"}]}),
            vec![(argument("c", "null") + &argument("a", "1"), json!({"c": null, "a": 1}))],
            vec![argument("c", "null")],
        ),
        (
            json!({"type": "object", "additionalProperties": true}),
            vec![
                (argument("x y", "some text"), json!({"x y": "some text"})),
                (
                    argument("a", "1") + &argument("ab", "") + &argument("ä", "é"),
                    json!({"a": "1", "ab": "", "ä": "é"}),
                ),
                (String::new(), json!({})),
            ],
            vec![argument(" a", "1"), argument("", "1"), argument("a>", "1"), argument(&"a".repeat(70), "1")],
        ),
        (
            json!({"additionalProperties": {"type": "integer"}, "properties": {"ab": {"type": "string"}}}),
            vec![(
                argument("ab", "1") + &argument("abc", "2") + &argument("a", "3"),
                json!({"ab": "1", "abc": 2, "a": 3}),
            )],
            vec![argument("x", "y"), argument("a", "1") + &argument("ab", "1")],
        ),
        (
            json!({"properties": {"a": {"type": "integer"}}, "required": ["z"]}),
            vec![(argument("z", "1"), json!({"z": "1"}))],
            vec![argument("a", "x")],
        ),
        (
            json!({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "object", "properties": {}}]}),
            vec![(argument("a", "1"), json!({"a": 1}))],
            vec![],
        ),
    ] {
        let mut whole = schema.clone();
        whole["$defs"] = definition.clone();
        let tools = vec![Tool::new("f", "", whole, false)];
        let grammar = grammar(&vocabulary, format, tools.clone(), false);
        for (arguments, value) in good {
            let text = call(&arguments);
            assert!(takes(&grammar, &text), "{schema}: {text}");
            let (content, calls) = read(format, &tools, &text);
            assert_eq!((content.as_str(), calls.len()), ("", 1), "{text}");
            assert_eq!(Value::from(calls[0].arguments.clone()), value, "{schema}: {text}");
        }
        for arguments in bad {
            assert!(!takes(&grammar, &call(&arguments)), "{schema}: {arguments}");
        }
    }
}

/// The grammar of forced calls of `tools`, and the names of those that are not held to their schemas.
fn made(vocabulary: &Vocabulary, tools: Vec<Tool>, refused: &[Value]) -> (Grammar, Vec<String>) {
    let calls = Calls { format: ToolFormat::named("json").unwrap(), tools, text: false, many: false };
    let refused =
        refused.iter().map(|schema| (schema.to_string(), GrammarError::Refused("x".into()))).collect();
    let made = super::calls(&calls, &refused, None).unwrap();
    let left = made.left.into_iter().map(|(name, _)| name).collect();
    (Grammar(std::sync::Arc::new(parking_lot::Mutex::new(vocabulary.compile(made.grammar).unwrap()))), left)
}

fn integer(name: &str) -> Tool {
    let schema = json!({"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]});
    Tool::new(name, "", schema, false)
}

#[test]
fn only_what_is_refused_is_left_to_the_model() {
    let (vocabulary, _) = vocabulary();
    let tools = || vec![integer("f"), integer("g")];
    let calls =
        Calls { format: ToolFormat::named("json").unwrap(), tools: tools(), text: false, many: false };
    let fitted = super::calls(&calls, &HashMap::new(), None).unwrap().fitted;
    assert_eq!(fitted.len(), 2);
    let (grammar, left) = made(&vocabulary, tools(), &fitted[..1]);
    assert_eq!(left, ["f"]);
    assert!(takes(&grammar, "[{\"name\": \"f\", \"arguments\": {\"f\": \"x\"}}]"));
    assert!(takes(&grammar, "[{\"name\": \"g\", \"arguments\": {\"g\": 1}}]"));
    assert!(!takes(&grammar, "[{\"name\": \"g\", \"arguments\": {\"g\": \"x\"}}]"));
}

#[test]
fn schemas_that_fail_have_their_share_of_the_work() {
    let (vocabulary, _) = vocabulary();
    let choice = json!({"anyOf": [{"minProperties": 0}, {"minProperties": 1}, {"minProperties": 2}]});
    let many = |count: usize| {
        let tool =
            |index| Tool::new(format!("t{index}"), "", json!({"allOf": vec![choice.clone(); 12]}), false);
        (0..count).map(tool).chain([integer("last")]).collect::<Vec<_>>()
    };
    let call = "[{\"name\": \"last\", \"arguments\": {\"last\": \"x\"}}]";
    let (grammar, left) = made(&vocabulary, many(2), &[]);
    assert_eq!(left, ["t0", "t1"]);
    assert!(!takes(&grammar, call));
    let (grammar, left) = made(&vocabulary, many(6), &[]);
    assert_eq!(left.len(), 7);
    assert!(takes(&grammar, call));
}
