//! The vocabulary of a model as grammars see it.

use std::fmt;
use std::sync::Arc;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{Matcher, ParserFactory};

use super::{Constraint, GrammarError, TokenId};

/// Ways in which a grammar may go on at a time: objects of a thousand optional properties have several thousand.
const MAX_ITEMS_IN_ROW: usize = 6_000;
/// Work of the lexer for one token; with the default for parsers it is what bounds how long the card waits for a
/// hostile schema: some tens of milliseconds.
const STEP_FUEL: u64 = 100_000;
/// States that the lexer of one answer may come to have. Each character of a string whose length is bounded takes four
/// to nine, at half a KB each: this is enough for 11 000 of them, and takes some 50 MB then. Patterns whose states
/// multiply come here, too, at one KB each as a rule: an answer takes some 100 MB until it is ended.
const MAX_LEXER_STATES: usize = 100_000;

/// A trie of the tokens, made once per model and shared by all its grammars.
pub(crate) struct Vocabulary {
    factory: ParserFactory,
}

impl Vocabulary {
    /// Makes the trie. `tokens` are the bytes of each token, none for those that are no text; `end_ids` end an answer.
    ///
    /// Takes some tenths of a second for a large vocabulary.
    pub(crate) fn new<'a>(
        tokens: impl Iterator<Item = &'a [u8]>,
        end_ids: &[TokenId],
    ) -> Result<Self, GrammarError> {
        let words: Vec<Vec<u8>> = tokens.map(<[u8]>::to_vec).collect();
        let count = TokenId::try_from(words.len())
            .map_err(|_| GrammarError::Vocabulary("it has too many tokens".into()))?;
        // A configuration may name tokens that the tokenizer does not have.
        let ends: Vec<TokenId> = end_ids.iter().copied().filter(|&id| id < count).collect();
        let info = TokRxInfo::new(count, ends.first().copied().unwrap_or(INVALID_TOKEN));
        let mut trie = TokTrie::from(&info, &words);
        if !ends.is_empty() {
            trie = trie.with_eos_tokens(&ends);
        }
        // "Approximate" as to how text becomes tokens, which only matters for skipping ahead: that is not done here.
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new(
            &environment,
            InferenceCapabilities::default(),
            &SlicedBiasComputer::json_slices(),
        )
        .map_err(|error| GrammarError::Vocabulary(error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            verbose_errors: false,
            max_items_in_row: MAX_ITEMS_IN_ROW,
            step_lexer_fuel: STEP_FUEL,
            max_lexer_states: MAX_LEXER_STATES,
            ..ParserLimits::default()
        };
        Ok(Self { factory })
    }

    /// Compiles a grammar, and sees whether an answer of it can begin: that is told now and not in the middle of one.
    /// It recurses: to be called on the compiler's thread.
    pub(super) fn compile(&self, grammar: TopLevelGrammar) -> Result<Matcher, GrammarError> {
        let parser =
            self.factory.create_parser(grammar).map_err(|error| GrammarError::of_compiler(&error))?;
        let matcher = Matcher::new(Ok(parser));
        Constraint { matcher: matcher.deep_clone() }.mask()?;
        Ok(matcher)
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.factory.tok_env().tok_trie().vocab_size();
        f.debug_struct("Vocabulary").field("tokens", &tokens).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::grammar::{Grammar, GrammarSpec, tests::bytes};

    fn of_pattern(pattern: &str) -> Grammar {
        let schema = json!({ "type": "string", "pattern": pattern });
        Grammar::new(&bytes(), &GrammarSpec::JsonSchema { schema, strict: true }, None).unwrap()
    }

    #[test]
    fn patterns_whose_states_multiply_end_the_answer() {
        // The last 19 letters make a state: there are half a million.
        let mut constraint = of_pattern("^(a|b)*a(a|b){18}$").start();
        assert!(constraint.mask().unwrap().allows(b'"'.into()));
        constraint.accept(b'"'.into()).unwrap();
        let mut bits = 0x9e37_79b9_u64;
        let error = (0..=MAX_LEXER_STATES).find_map(|_| {
            // Letters without a period that is shorter than the states are many.
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let letter = if bits >> 40 & 1 == 0 { b'a' } else { b'b' };
            let step = constraint.mask().and_then(|_| constraint.accept(letter.into()));
            step.err()
        });
        assert!(matches!(error, Some(GrammarError::TooComplex(_))), "{error:?}");
    }

    #[test]
    fn long_bounded_strings_are_followed_to_their_end() {
        // Tokens that begin or end in the middle of a character are in the vocabularies of models, too.
        let bytes: Vec<u8> = (0..=255).collect();
        let parts: [&[u8]; 6] = [b"The", b" word", b"\xc3\xa9\xe2", b"\x82\xac", b"\xf0\x9f", b"\\n"];
        let vocabulary = Vocabulary::new(bytes.chunks(1).chain(parts).chain([&[][..]]), &[262]).unwrap();
        let trie = vocabulary.factory.tok_env().tok_trie();
        let follow = |schema: serde_json::Value, answer: &str| {
            let spec = GrammarSpec::JsonSchema { schema, strict: true };
            let mut constraint = Grammar::new(&vocabulary, &spec, None).unwrap().start();
            for (place, token) in trie.greedy_tokenize(answer.as_bytes()).into_iter().enumerate() {
                let mask = constraint.mask().unwrap();
                assert!(mask.allows(token), "token {place}");
                constraint.accept(token).unwrap();
            }
            constraint
        };
        let text = |length: usize| "The word é€😀\n".chars().cycle().take(length).collect::<String>();
        let written = |length| json!(text(length)).to_string();
        let long = json!({ "type": "string", "maxLength": 5_000 });
        let open = written(5_000);
        let mask = follow(long, open.strip_suffix('"').unwrap()).mask().unwrap();
        let next: Vec<TokenId> = (0..=262).filter(|token| mask.allows(*token)).collect();
        assert_eq!(next, [u32::from(b'"')]);
        let fields: serde_json::Map<_, _> =
            (0..10).map(|n| (format!("f{n}"), json!({ "type": "string", "maxLength": 500 + n }))).collect();
        let names: Vec<&String> = fields.keys().collect();
        let values: Vec<String> = names.iter().map(|name| format!("\"{name}\": {}", written(500))).collect();
        let schema = json!({ "type": "object", "properties": fields, "required": names });
        follow(schema, &format!("{{{}}}", values.join(", ")));
    }

    #[test]
    fn following_a_grammar_needs_no_deep_stack() {
        let depth = 60;
        let pattern = format!("^{}a{}$", "(x|".repeat(depth), "b?)+".repeat(depth));
        let mut constraint = of_pattern(&pattern).start();
        let follow = move || {
            for byte in b"\"xxaxabxb\"" {
                assert!(constraint.mask().unwrap().allows((*byte).into()));
                constraint.accept((*byte).into()).unwrap();
            }
        };
        std::thread::Builder::new().stack_size(256 << 10).spawn(follow).unwrap().join().unwrap();
    }
}
