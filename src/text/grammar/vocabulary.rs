//! The vocabulary of a model as grammars see it.

use std::fmt;
use std::sync::Arc;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{Matcher, ParserFactory};

use super::{GrammarError, TokenId};

/// Stack of the thread that compiles: the compiler recurses along properties and nesting.
const COMPILER_STACK_BYTES: usize = 64 << 20;

/// Ways in which a grammar may go on at a time: objects of a thousand optional properties have several thousand.
const MAX_ITEMS_IN_ROW: usize = 6_000;
/// Work of the lexer for one token; with the default for parsers it is what bounds how long the card waits for a hostile
/// schema: some tens of milliseconds.
const STEP_FUEL: u64 = 100_000;

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
            ..ParserLimits::default()
        };
        Ok(Self { factory })
    }

    /// Compiles a grammar.
    pub(super) fn compile(&self, grammar: TopLevelGrammar) -> Result<Matcher, GrammarError> {
        let parser = std::thread::scope(|scope| {
            let compile = || self.factory.create_parser(grammar);
            let thread =
                std::thread::Builder::new().stack_size(COMPILER_STACK_BYTES).name("ax650-grammar".into());
            let thread = thread.spawn_scoped(scope, compile).map_err(|error| {
                GrammarError::Refused(format!("cannot start a thread to compile it: {error}"))
            })?;
            let failed = |_| GrammarError::Refused("the compiler failed on it".into());
            thread.join().map_err(failed)?.map_err(|error| GrammarError::of_compiler(&error))
        })?;
        Ok(Matcher::new(Ok(parser)))
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.factory.tok_env().tok_trie().vocab_size();
        f.debug_struct("Vocabulary").field("tokens", &tokens).finish()
    }
}
