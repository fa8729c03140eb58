//! Regular expressions that a grammar can follow.
//!
//! The compiler of grammars knows regular expressions in the strict sense: no look-around, no `\b`, no back references,
//! and anchors at the ends only. What it does not know is found here, where the place is known and it may be passed
//! over.

use llguidance::derivre::{RegexAst, RegexBuilder};
use llguidance::regex_to_lark;

use super::path::Path;
use super::{GrammarError, Walk};

/// Longest regular expression, bytes.
pub(super) const MAX_BYTES: usize = 2_000;
/// `\d` and `\w` are of ASCII, as in JavaScript.
const ASCII_CLASSES: &str = "dw";
/// Groups of this name mean a look-ahead to the compiler.
const STOPS: [&str; 2] = ["(?P<stop>", "(?<stop>"];
/// Work for seeing whether two patterns have a text in common; the compiler allows itself no more.
const OVERLAP_FUEL: u64 = 10_000;
/// What that work counts, in values that are looked at.
const OVERLAP_COST: usize = 20;

impl<'a> Walk<'a> {
    /// Whether a pattern can be followed; if not, it is an error or may be passed over.
    pub(super) fn check_pattern(&mut self, pattern: &'a str, path: &Path<'_>) -> Result<bool, GrammarError> {
        if pattern.len() > MAX_BYTES {
            return Err(GrammarError::TooLarge(format!("a pattern has more than {MAX_BYTES} bytes")));
        }
        let is_known = if let Some(is_known) = self.patterns.get(pattern) {
            *is_known
        } else {
            self.spend(pattern.len())?;
            let is_known = is_known(pattern);
            self.patterns.insert(pattern, is_known);
            is_known
        };
        if !is_known {
            let what = "a pattern that is no plain regular expression (look-around, \\b, back references, inner anchors)";
            self.cannot(path, what.to_owned())?;
        }
        Ok(is_known)
    }

    /// Whether no text follows both this pattern and one of the others, all of them known; if not, it is an error or
    /// may be passed over.
    pub(super) fn check_apart<'o>(
        &mut self,
        pattern: &str,
        others: impl Iterator<Item = &'o str>,
        path: &Path<'_>,
    ) -> Result<bool, GrammarError> {
        for other in others {
            self.spend(OVERLAP_COST)?;
            if !are_apart(pattern, other) {
                self.cannot(path, format!("that names may follow {pattern:?} and {other:?}"))?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_known(pattern: &str) -> bool {
    let has_stop = STOPS.iter().any(|stop| pattern.contains(stop));
    !has_stop && RegexBuilder::new().mk_regex_for_serach(&regex_to_lark(pattern, ASCII_CLASSES)).is_ok()
}

fn are_apart(left: &str, right: &str) -> bool {
    let mut builder = RegexBuilder::new();
    let both = [left, right].map(|pattern| RegexAst::SearchRegex(regex_to_lark(pattern, ASCII_CLASSES)));
    let both = builder.mk(&RegexAst::And(both.into()));
    let common = both.and_then(|both| builder.into_regex_limited(both, OVERLAP_FUEL));
    common.is_ok_and(|mut common| common.always_empty())
}
