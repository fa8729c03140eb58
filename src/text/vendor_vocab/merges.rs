//! Merges of a vocabulary that is written without them.
//!
//! In tokenizers of the tiktoken kind the number of a token is its rank: tokens were made one after the other, each
//! from two that were there before. So its two parts are what merging its bytes with all earlier tokens comes to.

use std::collections::HashMap;

/// Longer tokens are whole lines of blanks or damage; finding their parts would take long.
const MAX_TOKEN_CHARACTERS: usize = 512;
/// Token type of ordinary tokens.
const NORMAL: i32 = 1;

/// The merges of `tokens`, most important first, each as `left right`. A token that no two earlier ones make is left
/// out; its text becomes its parts.
pub(super) fn derive(tokens: &[String], types: &[i32]) -> Vec<String> {
    let normal = || tokens.iter().zip(types).enumerate().filter(|(_, (_, kind))| **kind == NORMAL);
    let ranks: HashMap<&str, usize> = normal().map(|(rank, (text, _))| (text.as_str(), rank)).collect();
    normal()
        .filter_map(|(rank, (text, _))| split(text, rank, &ranks))
        .map(|(left, right)| format!("{left} {right}"))
        .collect()
}

/// The two parts of `token`, made of tokens below `rank`.
fn split<'a>(token: &'a str, rank: usize, ranks: &HashMap<&str, usize>) -> Option<(&'a str, &'a str)> {
    // Where the pieces begin, and the end of the last.
    let mut bounds: Vec<usize> = token.char_indices().map(|(at, _)| at).chain([token.len()]).collect();
    if !(3..=MAX_TOKEN_CHARACTERS + 1).contains(&bounds.len()) {
        return None;
    }
    while bounds.len() > 3 {
        let pairs = bounds.windows(3).enumerate();
        let ranked = pairs.filter_map(|(index, pair)| Some((*ranks.get(&token[pair[0]..pair[2]])?, index)));
        let (_, index) = ranked.filter(|(found, _)| *found < rank).min()?;
        bounds.remove(index + 1);
    }
    let (left, right) = token.split_at(bounds[1]);
    (ranks.contains_key(left) && ranks.contains_key(right)).then_some((left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(tokens: &[&str]) -> Vec<String> {
        let tokens: Vec<String> = tokens.iter().map(|text| (*text).to_owned()).collect();
        derive(&tokens, &vec![NORMAL; tokens.len()])
    }

    #[test]
    fn parts_are_the_earlier_tokens() {
        assert_eq!(derived(&["a", "b", "c", "ab", "abc", "bc"]), ["a b", "ab c", "b c"]);
        // "bc" comes first, so "abc" is made with it.
        assert_eq!(derived(&["a", "b", "c", "bc", "ab", "abc"]), ["b c", "a b", "a bc"]);
        // Nothing makes "xyz" in two steps.
        assert_eq!(derived(&["x", "y", "z", "xyz"]), Vec::<String>::new());
        assert_eq!(derived(&["a"]), Vec::<String>::new());
    }
}
