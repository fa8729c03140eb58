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
    Grammar::new(&bytes(), &GrammarSpec::JsonSchema(schema), None).unwrap()
}

#[test]
fn json_mode_is_one_object() {
    let grammar = Grammar::new(&bytes(), &GrammarSpec::JsonObject, None).unwrap();
    for text in ["{}", "{ }", r#"{"a": [1, -2.5e3, null, true, {"b": "é\n"}]}"#, "{\n    \"a\": 1\n}"] {
        assert!(takes(&grammar, text), "{text}");
    }
    for text in
        ["", "[]", "1", "{", " {}", "{}{}", "{} ", "{\"a\":01}", "{\"a\":\t\t\t1}", "{,}", "{\"a\":\"\n\"}"]
    {
        assert!(!takes(&grammar, text), "{text}");
    }
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
