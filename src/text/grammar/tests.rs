use serde_json::json;

use super::*;

/// A vocabulary of one token per byte, and 256 as its end.
pub(crate) fn bytes() -> Vocabulary {
    let bytes: Vec<u8> = (0..=255).collect();
    Vocabulary::new(bytes.chunks(1).chain([&[][..]]), &[256]).unwrap()
}

/// Whether the grammar lets exactly this text through: every byte of it, and then the end.
fn takes(grammar: &Grammar, text: &str) -> bool {
    let mut constraint = grammar.start();
    let mut complete = false;
    for byte in text.bytes() {
        if complete || !constraint.mask().unwrap().allows(byte.into()) {
            return false;
        }
        complete = constraint.accept(byte.into()).unwrap();
    }
    complete || constraint.mask().unwrap().allows(256)
}

fn schema(schema: Value) -> Grammar {
    Grammar::new(&bytes(), &GrammarSpec::JsonSchema { schema, strict: true }, None).unwrap()
}

#[test]
fn json_mode_is_one_object() {
    let grammar = Grammar::new(&bytes(), &GrammarSpec::JsonObject, None).unwrap();
    for text in ["{}", "{ }", r#"{"a": [1, -2.5, null, true, {"b": "é\n"}]}"#, "{\n    \"a\": 1\n}"] {
        assert!(takes(&grammar, text), "{text}");
    }
    for text in
        ["", "[]", "1", "{", " {}", "{}{}", "{} ", "{\"a\":01}", "{\"a\":\t\t\t1}", "{,}", "{\"a\":\"\n\"}"]
    {
        assert!(!takes(&grammar, text), "{text}");
    }
}

#[test]
fn what_is_free_nests_only_so_deep() {
    let grammar = schema(json!({}));
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(takes(&grammar, &nested(24)) && !takes(&grammar, &nested(25)));
}

#[test]
fn blanks_end() {
    let grammar = schema(json!({ "type": "array" }));
    assert!(takes(&grammar, "[\n\n \t]") && takes(&grammar, "[ ]"));
    assert!(
        !takes(&grammar, "[  ]")
            && !takes(&grammar, "[\n\n\n]")
            && !takes(&grammar, &format!("[\n{}]", " ".repeat(21)))
    );
}

#[test]
fn thoughts_come_first() {
    let after = |begun| {
        let thoughts = Thoughts { open: "<think>", close: "</think>", begun };
        Grammar::new(&bytes(), &GrammarSpec::JsonObject, Some(thoughts)).unwrap()
    };
    let begun = after(true);
    for text in ["</think>{}", "a {</thin</think>\n\n{}", "é\n</think> {}"] {
        assert!(takes(&begun, text), "{text}");
    }
    for text in ["{}", "<think>{}", "</think>a{}", "</think></think>{}", "</think>\n\n\n{}"] {
        assert!(!takes(&begun, text), "{text}");
    }
    let may_begin = after(false);
    for text in ["{}", "<think></think>{}", "<think> {} </think>\n{\"a\":1}", "\n{}"] {
        assert!(takes(&may_begin, text), "{text}");
    }
    for text in ["a{}", "<think>{}", "<thin{}", "<think></think>"] {
        assert!(!takes(&may_begin, text), "{text}");
    }
}

/// Whether schemas take the first texts and not the second ones.
fn check(cases: impl IntoIterator<Item = (Value, Vec<&'static str>, Vec<&'static str>)>) {
    for (schema, good, bad) in cases {
        let grammar = self::schema(schema.clone());
        for text in good {
            assert!(takes(&grammar, text), "{schema} does not take {text}");
        }
        for text in bad {
            assert!(!takes(&grammar, text), "{schema} takes {text}");
        }
    }
}

#[test]
fn schemas_of_single_values_are_followed() {
    check([
        (json!({ "enum": ["a", 1, null] }), vec![r#""a""#, "1", "null"], vec!["2", r#""b""#, "1.5", "true"]),
        (
            json!({ "type": "integer", "minimum": 10, "maximum": 12 }),
            vec!["10", "12"],
            vec!["9", "13", "1", "10.5"],
        ),
        (
            json!({ "type": "integer" }),
            vec!["-5", "9223372036854774784"],
            vec!["1.0", "9999999999999999999", "01"],
        ),
        (
            json!({ "type": "number" }),
            vec!["-0.25", "12.50", "0"],
            vec!["1e5", "1E-2", "99999999999999999999", "01"],
        ),
        (json!({}), vec!["1.5", r#"{"a":[{"b":null}]}"#], vec!["1e5", r#"{"a":[1e5]}"#]),
        (json!({ "multipleOf": 3, "type": "integer" }), vec!["9", "-6", "0"], vec!["10"]),
        (
            json!({ "exclusiveMinimum": 0, "maximum": 1, "type": "number" }),
            vec!["0.5", "1"],
            vec!["0", "1.5", "-1"],
        ),
        (
            json!({ "pattern": "^[a-c]+$", "maxLength": 2, "type": "string" }),
            vec![r#""ab""#],
            vec![r#""abc""#, r#""""#],
        ),
        (
            json!({ "format": "date" }),
            vec![r#""2024-02-29""#, "1"],
            vec![r#""2023-02-29""#, r#""0000-01-01""#],
        ),
        (json!({ "format": "ipv4", "type": "string" }), vec![r#""127.0.0.1""#], vec![r#""127.0.0.256""#]),
    ]);
}

#[test]
fn schemas_of_arrays_and_objects_are_followed() {
    check([
        (
            json!({ "prefixItems": [{ "const": 1 }], "items": false, "minItems": 1, "type": "array" }),
            vec!["[1]"],
            vec!["[]", "[2]", "[1,1]"],
        ),
        (
            json!({ "items": [{ "const": 1 }], "additionalItems": { "const": 2 }, "type": "array" }),
            vec!["[1,2,2]", "[]"],
            vec!["[2]"],
        ),
        (
            json!({ "type": ["array", "null"], "items": { "type": "boolean" }, "maxItems": 2 }),
            vec!["null", "[true,false]"],
            vec!["[true,true,true]"],
        ),
        (
            json!({ "type": "object", "properties": { "b": { "const": 1 }, "a": { "const": 2 } }, "required": ["a"] }),
            vec![r#"{"b":1,"a":2}"#, r#"{ "a": 2 }"#],
            vec![r#"{"a":2,"b":1}"#, r#"{"b":1}"#, r#"{"a":2,"c":1}"#],
        ),
        (
            json!({ "type": "object", "additionalProperties": { "type": "integer" }, "properties": { "a": { "const": "x" } } }),
            vec![r#"{"a":"x","z":1}"#, r#"{"z":1}"#, "{}"],
            vec![r#"{"a":1}"#, r#"{"\u0061":1}"#, r#"{"z":"x"}"#],
        ),
    ]);
}

#[test]
fn combined_schemas_are_followed() {
    check([
        (
            json!({ "allOf": [{ "properties": { "a": { "type": "integer" } } }, { "required": ["a"], "type": "object" }] }),
            vec![r#"{"a":1}"#],
            vec!["{}", r#"{"a":"1"}"#],
        ),
        (
            json!({ "oneOf": [
                { "type": "object", "properties": { "k": { "const": "a" }, "v": { "type": "integer" } } },
                { "type": "object", "properties": { "k": { "const": "b" }, "v": { "type": "string" } } }
            ] }),
            vec![r#"{"k":"a","v":1}"#, r#"{"k":"b","v":"1"}"#],
            vec!["{}", r#"{"v":1}"#, r#"{"k":"a","v":"1"}"#],
        ),
        (
            json!({ "$ref": "#/$defs/node", "$defs": { "node": {
                "type": "object", "required": ["next"],
                "properties": { "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] } }
            } } }),
            vec![r#"{"next":null}"#, r#"{"next":{"next":null}}"#],
            vec![r#"{"next":{}}"#, "null"],
        ),
    ]);
}

#[test]
fn what_the_compiler_refuses_is_an_error() {
    let vocabulary = bytes();
    for schema in [
        json!({ "type": "string", "minLength": 3, "maxLength": 2 }),
        json!({ "type": "integer", "minimum": 3, "maximum": 2 }),
        json!({ "enum": [] }),
        json!({ "type": "string", "pattern": "(" }),
        json!({ "type": "string", "const": 1 }),
        json!({ "type": "object", "required": ["a"], "properties": { "a": false } }),
        json!({ "anyOf": [{ "$ref": "#" }] }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "allOf": [{ "multipleOf": 65_521 }, { "multipleOf": 65_519 }] }),
    ] {
        let spec = GrammarSpec::JsonSchema { schema: schema.clone(), strict: true };
        let text = Grammar::new(&vocabulary, &spec, None).unwrap_err().to_string();
        assert!(!text.contains('\n') && text.len() < 400, "{schema}: {text}");
    }
}

#[test]
fn texts_between_tokens_do_not_matter() {
    // One token holds the end of a thought and the beginning of the answer.
    let words: [&[u8]; 6] = [b"x</thi", b"nk>{", b"nk>a", b"}", b"\"", b"nk>\n\n"];
    let vocabulary = Vocabulary::new(words.into_iter().chain([&[][..]]), &[6]).unwrap();
    let thoughts = Thoughts { open: "<think>", close: "</think>", begun: true };
    let grammar = Grammar::new(&vocabulary, &GrammarSpec::JsonObject, Some(thoughts)).unwrap();
    let mut constraint = grammar.start();
    constraint.mask().unwrap();
    assert!(!constraint.accept(0).unwrap());
    let mask = constraint.mask().unwrap();
    assert_eq!([1, 2, 3, 4, 5, 6].map(|token| mask.allows(token)), [true, false, true, true, true, false]);
    assert!(!constraint.accept(1).unwrap());
    assert!(constraint.mask().unwrap().allows(3));
    assert!(constraint.accept(3).unwrap());
}

/// The grammar of calls of two tools in the format of this name.
fn calls(format: &str, text: bool, many: bool, strict: bool) -> Result<Grammar, GrammarError> {
    let weather = json!({
        "type": "object", "required": ["city"],
        "properties": { "city": { "type": "string" }, "unit": { "enum": ["C", "F"] }, "days": { "type": "integer" } }
    });
    let set = json!({ "type": "object", "properties": { "of": { "type": "array", "uniqueItems": true } } });
    let tools = vec![Tool::new("weather", "", weather, true), Tool::new("set", "", set, strict)];
    let format = ToolFormat::named(format).unwrap();
    Grammar::new(&bytes(), &GrammarSpec::Calls(Calls { format, tools, text, many }), None)
}

#[test]
fn calls_are_written_as_each_family_does() {
    for (format, good, bad) in [
        (
            "hermes",
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"x\"}}\n</tool_call>",
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {}}\n</tool_call>",
        ),
        (
            "mistral-named",
            r#"[TOOL_CALLS]weather[ARGS]{"city":"x","unit":"C"}"#,
            r#"[TOOL_CALLS]weather[ARGS]{"city":"x","unit":"K"}"#,
        ),
        (
            "llama3",
            r#"{"name": "set", "parameters": {"of": [1, 1]}}"#,
            r#"{"name": "get", "parameters": {}}"#,
        ),
        (
            "elements",
            "<tool_call>\n<function=weather>\n<parameter=city>\na <b\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
            "<tool_call>\n<function=weather>\n<parameter=city>\na\n</parameter>\n<parameter=days>\nx\n</parameter>\n</function>\n</tool_call>",
        ),
    ] {
        for many in [false, true] {
            let grammar = calls(format, false, many, false).unwrap();
            assert!(takes(&grammar, good), "{format}: {good}");
            assert!(!takes(&grammar, bad), "{format}: {bad}");
            assert!(!takes(&grammar, "") && !takes(&grammar, "It rains."), "{format}");
            assert!(!takes(&grammar, &format!("Well. {good}")), "{format}");
        }
    }
}

#[test]
fn several_calls_if_there_may_be() {
    let call = "\n{\"name\": \"weather\", \"arguments\": {\"city\": \"x\"}}\n";
    let two = format!("<tool_call>{call}</tool_call>\n<tool_call>{call}</tool_call>");
    assert!(takes(&calls("hermes", false, true, false).unwrap(), &two));
    assert!(!takes(&calls("hermes", false, false, false).unwrap(), &two));
}

#[test]
fn text_may_come_before_calls_and_instead_of_them() {
    let call = "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"x\"}}\n</tool_call>";
    let grammar = calls("hermes", true, false, false).unwrap();
    for text in ["", "It <tool rains.", call, &format!("I shall look.\n{call}")] {
        assert!(takes(&grammar, text), "{text}");
    }
    for text in ["<tool_call>", "Well <tool_call>x", &format!("{call} and more")] {
        assert!(!takes(&grammar, text), "{text}");
    }
    let bare = calls("llama3", true, false, false).unwrap();
    assert!(takes(&bare, "It {rains}.") && takes(&bare, r#"{"name": "set", "parameters": {}}"#));
    assert!(!takes(&bare, "{rains}"));
}

#[test]
fn a_strict_tool_must_have_a_schema_that_can_be_enforced() {
    let error = calls("hermes", false, false, true).unwrap_err().to_string();
    assert_eq!(error, "JSON schema at #/properties/of/uniqueItems: that items differ cannot be enforced");
}
