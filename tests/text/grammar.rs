//! Whatever the logits, answers have the form that was asked for: real vocabularies and one of single bytes, chance and
//! malice, all kinds of schema; judged by a validator of its own.

use ax650::engine::sampler::{Sampler, SamplingOptions, SplitMix64};
use ax650::text::{Constraint, Grammar, GrammarSpec, TextModel, Thoughts, TokenId};
use serde_json::{Map, Value, json};

use crate::validator::Validator;
use crate::{import, models};

/// What the logits like best.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Taste {
    /// Nothing.
    Chance,
    /// Tokens that begin with one of these bytes.
    For(&'static [u8]),
}

/// Likes what ends strings, arrays and objects.
const CLOSING: Taste = Taste::For(b"\"}]");
const TASTES: [Taste; 7] = [
    Taste::Chance,
    CLOSING,
    Taste::For(b"\""),
    Taste::For(b" \n\t\r"),
    Taste::For(b"{["),
    Taste::For(b"0123456789-.e"),
    Taste::For(b"\\,:"),
];
/// Tokens after which every answer likes to end.
const PATIENCE: usize = 40;
/// Tokens after which an answer is cut.
const LIMIT: usize = 600;

/// An answer in the making.
struct Answer<'a> {
    model: &'a TextModel,
    constraint: Constraint,
    sampler: Sampler,
    random: SplitMix64,
    taste: Taste,
    tokens: Vec<TokenId>,
    complete: bool,
    logits: Vec<u16>,
}

impl<'a> Answer<'a> {
    fn new(model: &'a TextModel, grammar: &Grammar, taste: Taste, seed: i64) -> Self {
        // Chance is in the logits; so the most likely token is as good as any other draw, and quickly found.
        let options = SamplingOptions { temperature: 0.0, ..SamplingOptions::default() };
        Self {
            model,
            constraint: grammar.start(),
            sampler: Sampler::new(options, model.vocab_len(), 0),
            random: SplitMix64::new(seed),
            taste,
            tokens: Vec::new(),
            complete: false,
            logits: Vec::new(),
        }
    }

    /// Chooses one token.
    fn step(&mut self) {
        let taste = if self.tokens.len() > PATIENCE { CLOSING } else { self.taste };
        let seed = self.random.next_u64();
        self.logits.clear();
        self.logits.extend((0..).take(self.model.vocab_len()).map(|id: TokenId| {
            // A logit between 1 and 2, or above 2 for what is liked: bf16 in steps of 1/128.
            let noise = (seed ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
            let first = self.model.token_bytes(id).first();
            let liked = matches!((taste, first), (Taste::For(liked), Some(first)) if liked.contains(first));
            // The shortest of those liked, as longer ones rarely fit.
            let short = u16::from(self.model.token_bytes(id).len() == 1);
            0x3f80 + u16::try_from(noise).unwrap() + if liked { 0x80 << short } else { 0 }
        }));
        let mask = self.constraint.mask().unwrap();
        mask.apply(&mut self.logits);
        let token = self.sampler.sample(&self.logits).unwrap();
        assert!(mask.allows(token));
        if self.model.is_end(token) {
            self.complete = true;
            return;
        }
        assert!(!self.model.token_bytes(token).is_empty(), "a special token as text");
        self.tokens.push(token);
        self.complete = self.constraint.accept(token).unwrap();
    }

    fn run(mut self, limit: usize) -> Self {
        while !self.complete && self.tokens.len() < limit {
            self.step();
        }
        self
    }

    fn text(&self) -> String {
        self.model.decode(&self.tokens).unwrap()
    }
}

/// The JSON of an answer.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn strictly(schema: &Value) -> GrammarSpec {
    GrammarSpec::JsonSchema { schema: schema.clone(), strict: true }
}

/// Schemas of every kind.
fn schemas() -> Map<String, Value> {
    serde_json::from_str(include_str!("schemas.json")).unwrap()
}

/// Answers with all schemas and tastes.
fn try_all(model: &TextModel, tastes: &[Taste], seeds: std::ops::Range<i64>) {
    let (mut complete, mut cut) = (0, 0);
    for (name, schema) in schemas() {
        let grammar = model.grammar(&strictly(&schema), None).unwrap();
        for &taste in tastes {
            for seed in seeds.clone() {
                let answer = Answer::new(model, &grammar, taste, seed).run(LIMIT);
                let text = answer.text();
                if !answer.complete {
                    cut += 1;
                    continue;
                }
                complete += 1;
                if let Err(reason) = Validator::new(&schema).judge(&parse(&text)) {
                    panic!("{name}, {taste:?}, seed {seed}: {reason}\n{text}");
                }
            }
        }
    }
    println!("{complete} answers are complete, {cut} were cut");
    assert!(complete > 4 * cut, "{complete} complete, {cut} cut");
}

/// A model of one token per byte.
fn byte_model(dir: &std::path::Path) -> TextModel {
    let alphabet = ('!'..='~').chain('\u{a1}'..='\u{ac}').chain('\u{ae}'..='\u{143}');
    let vocab: Map<String, Value> = alphabet.zip(0..).map(|(c, id)| (c.to_string(), json!(id))).collect();
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    let tokenizer = json!({
        "version": "1.0", "pre_tokenizer": byte_level, "decoder": byte_level,
        "added_tokens": [{ "id": 256, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }],
        "model": { "type": "BPE", "vocab": vocab, "merges": [] }
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(dir.join("tokenizer_config.json"), json!({ "eos_token": "</s>" }).to_string()).unwrap();
    TextModel::open(dir).unwrap()
}

pub(crate) fn with_bytes(test: impl FnOnce(&TextModel)) {
    let dir = tempfile::tempdir().unwrap();
    test(&byte_model(dir.path()));
}

fn with_model(name: &str, test: impl FnOnce(&TextModel)) {
    let dir = tempfile::tempdir().unwrap();
    test(&import(&models::fetch(name), dir.path()));
}

#[test]
fn any_logits_give_valid_answers_byte_by_byte() {
    with_bytes(|model| try_all(model, &TASTES, 0..2));
}

#[test]
fn any_logits_give_valid_answers_with_the_vocabulary_of_smollm2() {
    with_model("smollm2", |model| try_all(model, &[CLOSING], 0..1));
}

#[test]
fn any_logits_give_valid_answers_with_the_vocabulary_of_qwen3() {
    with_model("qwen3-tiny", |model| try_all(model, &[CLOSING], 1..2));
}

#[test]
fn json_mode_gives_an_object() {
    with_bytes(|model| {
        let grammar = model.grammar(&GrammarSpec::JsonObject, None).unwrap();
        for taste in TASTES {
            for seed in 0..20 {
                let answer = Answer::new(model, &grammar, taste, seed).run(LIMIT);
                assert!(!answer.complete || parse(&answer.text()).is_object());
            }
        }
    });
}

#[test]
fn what_is_cut_can_be_completed() {
    with_bytes(|model| {
        for (name, schema) in schemas() {
            let grammar = model.grammar(&strictly(&schema), None).unwrap();
            for limit in [1, 2, 5, 13] {
                let answer = Answer::new(model, &grammar, Taste::Chance, 3).run(limit);
                let cut = answer.text();
                let whole = answer.run(LIMIT);
                assert!(whole.text().starts_with(cut.trim_end_matches('\u{fffd}')), "{name}");
                if whole.complete {
                    Validator::new(&schema).judge(&parse(&whole.text())).unwrap();
                }
            }
        }
    });
}

#[test]
fn answers_side_by_side_are_those_made_alone() {
    with_bytes(|model| {
        let chosen = ["formats", "tree", "open", "bounds", "tree"];
        let schemas = schemas();
        let grammars: Vec<Grammar> =
            chosen.iter().map(|name| model.grammar(&strictly(&schemas[*name]), None).unwrap()).collect();
        let start = |index: usize| Answer::new(model, &grammars[index], Taste::Chance, 7);
        let alone: Vec<Vec<TokenId>> =
            (0..chosen.len()).map(|index| start(index).run(LIMIT).tokens).collect();
        let mut together: Vec<Answer<'_>> = (0..chosen.len()).map(start).collect();
        for _ in 0..LIMIT {
            together.iter_mut().filter(|answer| !answer.complete).for_each(Answer::step);
        }
        assert!(together.into_iter().map(|answer| answer.tokens).eq(alone.clone()));
        // The same grammar and the same seed: the same answer.
        assert_eq!(alone[1], alone[4]);
    });
}

#[test]
fn thoughts_are_free_and_the_rest_is_not() {
    with_model("qwen3-tiny", |model| {
        let thoughts = Thoughts { open: "<think>", close: "</think>", begun: false };
        let schema = json!({ "enum": ["yes", "no"] });
        let grammar = model.grammar(&strictly(&schema), Some(thoughts)).unwrap();
        let follow = |text: &str| {
            let mut constraint = grammar.start();
            model.encode(text, false).unwrap().into_iter().try_fold(false, |_, token| {
                if !constraint.mask().unwrap().allows(token) {
                    return None;
                }
                Some(constraint.accept(token).unwrap())
            })
        };
        assert_eq!(follow("<think>\nEs könnte {\"beides\"} sein. </think>\n\n\"no\""), Some(true));
        assert_eq!(follow("<think>\n\n</think>\n\n\"ye"), Some(false));
        assert_eq!(follow("\"yes\""), Some(true));
        assert_eq!(follow("Well"), None);
        assert_eq!(follow("<think>a</think>Well"), None);
        assert_eq!(follow("<think>a<|im_end|>"), None);
    });
}
