//! Schemas made by chance: what a grammar lets through, its schema accepts.
//!
//! They combine what people rarely do (references with siblings, options of options, names ruled by several schemas):
//! there a grammar is easily looser than its schema.

use std::cell::Cell;

use ax650::text::{Constraint, GrammarSpec, TextModel, TokenId};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::grammar::with_bytes;
use crate::validator::Validator;

/// Tokens of an answer: few enough for any reader's limit of nesting.
const MOST: usize = 100;
/// Tokens after which an answer likes to end.
const PATIENCE: usize = 20;

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ab", "kind"])
}

/// A keyword that leads to no other schema but by reference.
fn flat() -> impl Strategy<Value = Value> {
    let types = prop::sample::subsequence(
        vec!["null", "boolean", "integer", "number", "string", "array", "object"],
        1..3,
    );
    let constant = prop::sample::select(vec![
        json!(1),
        json!("a"),
        json!(null),
        json!(2.5),
        json!([1]),
        json!({"a": 1}),
    ]);
    prop_oneof![
        3 => types.prop_map(|types| json!({ "type": types })),
        2 => prop::collection::vec(constant, 1..4).prop_map(|values| json!({ "enum": values })),
        1 => (-5..5).prop_map(|bound| json!({ "minimum": f64::from(bound) / 2.0 })),
        1 => (-5..5).prop_map(|bound| json!({ "exclusiveMaximum": bound })),
        1 => prop::sample::select(vec![json!(3), json!(0.5), json!(0.75)]).prop_map(|step| json!({ "multipleOf": step })),
        1 => (0..3).prop_map(|least| json!({ "minLength": least, "minItems": least })),
        1 => (0..3).prop_map(|most| json!({ "maxLength": most, "maxItems": most, "maxProperties": most })),
        1 => prop::sample::select(vec!["^a", "b$", "^[ab]*$"]).prop_map(|pattern| json!({ "pattern": pattern })),
        1 => name().prop_map(|name| json!({ "required": [name] })),
        2 => prop::sample::select(vec!["#", "#/$defs/x", "#/$defs/y"]).prop_map(|target| json!({ "$ref": target })),
    ]
}

/// Keywords side by side.
fn schema() -> impl Strategy<Value = Value> {
    let merged = |parts: Vec<Value>| {
        let keywords =
            parts.into_iter().filter_map(|part| if let Value::Object(map) = part { Some(map) } else { None });
        Value::from(keywords.flatten().collect::<Map<_, _>>())
    };
    let constant = any::<bool>().prop_map(Value::Bool);
    let leaf = prop_oneof![9 => prop::collection::vec(flat(), 1..3).prop_map(merged), 1 => constant];
    leaf.prop_recursive(3, 24, 3, move |inner| {
        let several = |key: &'static str| {
            prop::collection::vec(inner.clone(), 1..4).prop_map(move |schemas| json!({ key: schemas }))
        };
        let one = |key: &'static str| inner.clone().prop_map(move |schema| json!({ key: schema }));
        let named = prop::collection::vec((name(), inner.clone()), 1..4);
        let named = named.prop_map(|named| {
            let named: Map<String, Value> =
                named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
            json!({ "properties": named })
        });
        let keyword = prop_oneof![
            4 => named,
            2 => one("additionalProperties"),
            2 => one("items"),
            1 => one("propertyNames"),
            1 => several("prefixItems"),
            1 => inner.clone().prop_map(|schema| json!({ "patternProperties": { "^a": schema } })),
            2 => several("allOf"),
            2 => several("anyOf"),
            2 => several("oneOf"),
            3 => flat(),
        ];
        prop::collection::vec(keyword, 1..4).prop_map(merged)
    })
}

/// Writes an answer; `None` if it does not end in time.
fn answer(model: &TextModel, mut constraint: Constraint, choices: &[u8]) -> Option<String> {
    let mut tokens: Vec<TokenId> = Vec::new();
    let count = TokenId::try_from(model.vocab_len()).unwrap();
    for step in 0..MOST {
        let mask = constraint.mask().unwrap();
        let choice = TokenId::from(choices[step % choices.len()]);
        let closes = |token: &TokenId| {
            model.is_end(*token) || matches!(model.token_bytes(*token), b"}" | b"]" | b"\"")
        };
        let closing =
            (0..count).rev().filter(|_| step > PATIENCE).find(|token| closes(token) && mask.allows(*token));
        let token = closing
            .or_else(|| (0..count).map(|next| (choice + next) % count).find(|token| mask.allows(*token)));
        let token = token.unwrap();
        if model.is_end(token) {
            return Some(model.decode(&tokens).unwrap());
        }
        tokens.push(token);
        if constraint.accept(token).unwrap() {
            return Some(model.decode(&tokens).unwrap());
        }
    }
    None
}

#[test]
fn what_is_let_through_fits() {
    with_bytes(|model| {
        let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
        // The same schemas every time; others are for the fuzzer.
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let complete = Cell::new(0);
        let answers = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 4);
        runner
            .run(&(schema(), schema(), schema(), answers), |(mut schema, x, y, answers)| {
                if let Value::Object(map) = &mut schema {
                    map.insert("$defs".into(), json!({ "x": x, "y": y }));
                }
                let spec = GrammarSpec::JsonSchema { schema: schema.clone(), strict: true };
                // Many of them contradict themselves.
                let Ok(grammar) = model.grammar(&spec, None) else { return Ok(()) };
                for choices in answers {
                    let Some(text) = answer(model, grammar.start(), &choices) else { continue };
                    complete.set(complete.get() + 1);
                    let value: Value = serde_json::from_str(&text)
                        .map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
                    Validator::new(&schema)
                        .judge(&value)
                        .map_err(|reason| TestCaseError::fail(format!("{reason}: {text}")))?;
                }
                Ok(())
            })
            .unwrap();
        println!("{} answers", complete.get());
        assert!(complete.get() > 100, "{}", complete.get());
    });
}
