//! The thread that compiles, and the search for what cannot be compiled.

use std::collections::HashMap;
use std::thread::Builder;

use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::Value;

use super::{GrammarError, Vocabulary};

/// Stack of the thread: preparing and compiling recurse along properties, choices, nesting and regular expressions.
/// Following what was made does not: lexers keep what they have still to do in lists.
const STACK_BYTES: usize = 64 << 20;
/// Name of the thread.
const NAME: &str = "ax650-compiler";
/// Most grammars that are compiled to find the schemas that are refused.
const MAX_TRIES: usize = 64;

/// Prepares and compiles on a thread of its own, whatever stack the caller has.
pub(super) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, GrammarError> + Send,
) -> Result<T, GrammarError> {
    std::thread::scope(|scope| {
        let thread = Builder::new().stack_size(STACK_BYTES).name(NAME.into()).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| {
            GrammarError::Refused(format!("cannot start a thread to compile it: {error}"))
        })?;
        thread.join().map_err(|_| GrammarError::Refused("the compiler failed on it".into()))?
    })
}

/// Those of some prepared schemas that cannot be compiled, by their text, and why. None if each of them can, but not
/// all together.
pub(super) fn refused(vocabulary: &Vocabulary, schemas: &[Value]) -> HashMap<String, GrammarError> {
    let mut search = Search { vocabulary, tries: MAX_TRIES, found: HashMap::new() };
    search.among(schemas, None);
    search.found
}

/// A search by halves.
struct Search<'a> {
    vocabulary: &'a Vocabulary,
    /// Grammars that may still be compiled.
    tries: usize,
    found: HashMap<String, GrammarError>,
}

impl Search<'_> {
    /// Looks among schemas that were refused together, for this reason.
    fn among(&mut self, schemas: &[Value], together: Option<&GrammarError>) {
        let error = if let Some(rest) = self.tries.checked_sub(1) {
            self.tries = rest;
            let Err(error) = self.vocabulary.compile(one_of(schemas)) else { return };
            if schemas.len() > 1 {
                let (first, second) = schemas.split_at(schemas.len() / 2);
                self.among(first, Some(&error));
                self.among(second, Some(&error));
                return;
            }
            Some(error)
        } else {
            // So many are refused that the others are not told from them any more.
            together.cloned()
        };
        if let Some(error) = error {
            self.found.extend(schemas.iter().map(|schema| (schema.to_string(), error.clone())));
        }
    }
}

/// JSON that fits one of these schemas.
fn one_of(schemas: &[Value]) -> TopLevelGrammar {
    let named = |(index, schema): (usize, &Value)| {
        let mut grammar = GrammarWithLexer::from_json_schema(schema.clone());
        grammar.name = Some(format!("s{index}"));
        grammar
    };
    let options: Vec<String> = (0..schemas.len()).map(|index| format!("@s{index}")).collect();
    let mut grammars = vec![GrammarWithLexer::from_lark(format!("start: {}", options.join(" | ")))];
    grammars.extend(schemas.iter().enumerate().map(named));
    TopLevelGrammar { grammars, max_tokens: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::grammar::{Grammar, GrammarSpec, tests::bytes};

    #[test]
    fn the_schemas_that_are_refused_are_told_from_the_others() {
        let vocabulary = bytes();
        let bad = |index: usize| json!({"type": "string", "pattern": format!("\\b{index}")});
        let mut schemas: Vec<Value> = (0..20).map(|index| json!({ "const": index })).collect();
        assert!(refused(&vocabulary, &schemas).is_empty());
        for index in [3, 17] {
            schemas[index] = bad(index);
        }
        let mut found: Vec<String> = refused(&vocabulary, &schemas).into_keys().collect();
        let mut expected = vec![bad(3).to_string(), bad(17).to_string()];
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        // The search ends, also where it would have to try each.
        let bad: Vec<Value> = (0..200).map(bad).collect();
        assert_eq!(refused(&vocabulary, &bad).len(), 200);
    }

    #[test]
    fn what_is_prepared_needs_no_deep_stack_of_the_caller() {
        let vocabulary = bytes();
        let mut schema = json!({"type": "integer"});
        for _ in 0..28 {
            let choice = json!({"anyOf": [{"minItems": 1}, {"minItems": 2}]});
            schema = json!({"type": "array", "items": schema, "allOf": vec![choice; 12]});
        }
        let spec = GrammarSpec::JsonSchema { schema, strict: true };
        let compile = || Grammar::new(&vocabulary, &spec, None).map(|_| ()).unwrap_err();
        let error = std::thread::scope(|scope| {
            Builder::new().stack_size(128 << 10).spawn_scoped(scope, compile).unwrap().join().unwrap()
        });
        assert!(matches!(error, GrammarError::TooLarge(_)), "{error}");
    }
}
