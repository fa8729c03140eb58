//! A form for answers, and an answer of that form: what the cost of grammars is measured with.
//!
//! A model of shapes without weights knows single bytes only; a vocabulary of that kind would cost a grammar next to
//! nothing. So one is made up in its place that is as large as the model's and as hard to walk through as a real one.

use std::collections::HashMap;

use serde_json::json;

use crate::engine::sampler::SplitMix64;
use crate::models::model::Model;
use crate::text::{Grammar, GrammarSpec, TokenId, Vocabulary};

/// Longest token that is looked for, bytes.
const MAX_TOKEN_BYTES: usize = 24;

/// A grammar, and tokens that follow it.
pub(super) struct Form {
    pub(super) grammar: Grammar,
    pub(super) tokens: Vec<TokenId>,
}

impl Form {
    /// Makes a form and `count` tokens of an answer for a model with `vocab` logits.
    pub(super) fn new(model: &Model, vocab: usize, count: usize) -> anyhow::Result<Self> {
        let text = model.text()?;
        let mut words: Vec<Vec<u8>> =
            (0..).take(text.vocab_len().min(vocab)).map(|id| text.token_bytes(id).to_vec()).collect();
        if words.iter().filter(|word| !word.is_empty()).count() < vocab / 2 {
            words = made_up(vocab.max(512));
        }
        // One more, without text, to end with.
        let end = TokenId::try_from(words.len())?;
        let vocabulary = Vocabulary::new(words.iter().map(Vec::as_slice).chain([&[][..]]), &[end])?;
        let grammar =
            Grammar::new(&vocabulary, &GrammarSpec::JsonSchema { schema: schema(), strict: true }, None)?;
        Ok(Self { grammar, tokens: tokens_of_answer(&words, count) })
    }
}

/// A list of records with something of everything.
fn schema() -> serde_json::Value {
    let text = json!({ "type": "string" });
    let address = json!({
        "type": "object", "additionalProperties": false, "required": ["street", "zip"],
        "properties": { "street": text, "zip": { "type": "string", "pattern": "^[0-9]{5}$" } }
    });
    json!({ "type": "array", "items": {
        "type": "object", "additionalProperties": false,
        "required": ["id", "name", "kind", "score", "tags", "address", "note"],
        "properties": {
            "id": { "type": "integer" }, "name": text, "kind": { "enum": ["person", "company", "other"] },
            "score": { "type": "number", "minimum": 0, "maximum": 1 }, "tags": { "type": "array", "items": text },
            "address": address, "note": { "anyOf": [text, { "type": "null" }] }
        }
    } })
}

/// The beginning of an answer, in as few tokens as words allow.
fn tokens_of_answer(words: &[Vec<u8>], count: usize) -> Vec<TokenId> {
    let ids: HashMap<&[u8], TokenId> = words.iter().map(Vec::as_slice).zip(0..).collect();
    let mut tokens = Vec::with_capacity(count);
    let mut text = b"[".to_vec();
    for record in 0.. {
        let id = 1000 + record;
        text.extend_from_slice(
            format!(
                "{{\"id\": {id}, \"name\": \"Ada Lovelace\", \"kind\": \"person\", \"score\": 0.75, \
                 \"tags\": [\"mathematics\", \"engines and notes\"], \"address\": {{\"street\": \"12 St James's \
                 Square\", \"zip\": \"10115\"}}, \"note\": \"She wrote of what the engine weaves, as the loom \
                 weaves flowers and leaves.\"}}, "
            )
            .as_bytes(),
        );
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let longest = (1..=rest.len().min(MAX_TOKEN_BYTES))
                .rev()
                .find_map(|length| ids.get(&rest[..length]).map(|&id| (id, length)));
            let Some((id, length)) = longest.filter(|_| tokens.len() < count) else { return tokens };
            tokens.push(id);
            rest = &rest[length..];
        }
        text.clear();
    }
    tokens
}

/// Single bytes, what JSON is made of, and words of all lengths with and without a blank before them.
fn made_up(count: usize) -> Vec<Vec<u8>> {
    const MARKS: [&str; 14] = [
        "\": ", "\", \"", "{\"", "\"}", "}, ", "\"],", "[\"", " \"", "\n  ", "\n    ", " {", "\":\"", ", ",
        "\"\n",
    ];
    let mut words: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    words.extend(MARKS.iter().map(|mark| mark.as_bytes().to_vec()));
    let mut random = SplitMix64::new(1);
    while words.len() < count {
        let bits = random.next_u64();
        let mut word = if bits & 1 == 0 { vec![b' '] } else { Vec::new() };
        // Vowels and consonants by turns, so that words share their beginnings as real ones do.
        let letters = (0..2 + bits % 7).map(|place| {
            let alphabet: &[u8] = if place % 2 == 0 { b"bcdfghklmnprstvw" } else { b"aeiouy" };
            let choice = (bits >> (8 + 6 * place)) % alphabet.len() as u64;
            alphabet[usize::try_from(choice).unwrap_or(0)]
        });
        word.extend(letters);
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_follows_the_grammar_in_a_made_up_vocabulary() {
        let words = made_up(5_000);
        let vocabulary = Vocabulary::new(words.iter().map(Vec::as_slice), &[]).unwrap();
        let grammar =
            Grammar::new(&vocabulary, &GrammarSpec::JsonSchema { schema: schema(), strict: true }, None)
                .unwrap();
        let tokens = tokens_of_answer(&words, 600);
        assert_eq!(tokens.len(), 600);
        let mut constraint = grammar.start();
        for token in tokens {
            assert!(constraint.mask().unwrap().allows(token));
            assert!(!constraint.accept(token).unwrap());
        }
    }
}
