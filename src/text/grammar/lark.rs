//! Grammars in the dialect of Lark that llguidance reads.
//!
//! Schemas stand beside the rules and not in them: written as text their bounds would be read back rounded.

use std::fmt::Write as _;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::Value;

use super::Thoughts;

/// Returns the grammar of JSON, after the thoughts if there may be any.
pub(super) fn json_after(schema: Value, thoughts: Option<Thoughts<'_>>) -> TopLevelGrammar {
    let Some(thoughts) = thoughts else { return TopLevelGrammar::from_json_schema(schema) };
    let rules = format!("start: {}@answer\n{}", before_answer(thoughts), thoughts_rules(thoughts));
    let mut answer = GrammarWithLexer::from_json_schema(schema);
    answer.name = Some("answer".into());
    TopLevelGrammar { grammars: vec![GrammarWithLexer::from_lark(rules), answer], max_tokens: None }
}

/// What goes before the answer in a rule.
pub(super) fn before_answer(thoughts: Thoughts<'_>) -> String {
    if thoughts.begun {
        "thoughts BLANK? ".to_owned()
    } else {
        // A text in quotes is written as in JSON.
        format!("({} thoughts)? BLANK? ", Value::from(thoughts.open))
    }
}

/// The rules that it refers to.
pub(super) fn thoughts_rules(thoughts: Thoughts<'_>) -> String {
    let close = regex_of(thoughts.close);
    // Lazy: the first closing tag ends the thoughts.
    format!("thoughts[lazy]: /(?s:.*){close}/\nBLANK: /[ \\n]{{1,2}}/\n")
}

/// Returns a regular expression, for use between slashes, that matches just this text.
pub(super) fn regex_of(text: &str) -> String {
    let mut regex = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii_alphanumeric() {
            regex.push(character);
        } else {
            // Writing to a string cannot fail.
            write!(regex, "\\x{{{:x}}}", u32::from(character)).ok();
        }
    }
    regex
}
