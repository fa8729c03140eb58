//! Which schemas apply to which properties.

use serde_json::{Map, Value};

use super::parts::{Parts, Source};
use super::path::Path;
use super::strings::Strings;
use super::types::Types;
use super::{GrammarError, Walk, constants, refused};
use crate::text::kind::kind;

/// What one schema says about properties, by their names.
pub(super) struct Names<'a> {
    named: Option<(&'a Map<String, Value>, Path<'a>)>,
    patterns: Option<(&'a Map<String, Value>, Path<'a>)>,
    rest: Option<(&'a Value, Path<'a>)>,
}

impl<'a> Names<'a> {
    pub(super) fn of(source: &Source<'a>) -> Result<Self, GrammarError> {
        let schemas = |key| match source.get(key) {
            None => Ok(None),
            Some((Value::Object(map), path)) => Ok(Some((map, path))),
            Some((other, path)) => {
                Err(path.invalid(format!("expected an object of schemas, got {}", kind(other))))
            }
        };
        let patterns = schemas("patternProperties")?.filter(|(patterns, _)| !patterns.is_empty());
        Ok(Self { named: schemas("properties")?, patterns, rest: source.get("additionalProperties") })
    }

    /// The properties that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.named.as_ref().map(|(map, _)| *map).into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// The patterns of names that it has, and where they are.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&'a str, Path<'a>)> + use<'a> {
        let patterns = self.patterns.clone();
        patterns.into_iter().flat_map(|(map, path)| map.keys().map(move |key| (key.as_str(), path.at(key))))
    }

    /// What it says of properties that it does not name.
    pub(super) fn rest(&self) -> Option<&(&'a Value, Path<'a>)> {
        self.rest.as_ref()
    }

    /// What all of `says` demand of a property, but for patterns that its name follows: those the compiler applies.
    pub(super) fn parts_of(
        walk: &mut Walk<'a>,
        says: &[Self],
        name: &'a str,
    ) -> Result<Parts<'a>, GrammarError> {
        let mut parts = Parts::default();
        for names in says {
            walk.spend(1)?;
            match (&names.named, &names.rest, &names.patterns) {
                (Some((named, path)), ..) if named.contains_key(name) => {
                    walk.gather(&named[name], &path.at(name), &mut Vec::new(), &mut parts)?;
                }
                (_, Some((rest, path)), None) => walk.gather(rest, path, &mut Vec::new(), &mut parts)?,
                // Whether the name follows a pattern would have to be known.
                (_, Some(_), Some((_, path))) => {
                    walk.cannot(path, "patternProperties beside properties of another schema".to_owned())?;
                }
                (_, None, _) => {}
            }
        }
        Ok(parts)
    }

    /// What all of `says` demand of properties that follow a pattern of some of them.
    pub(super) fn parts_of_pattern(
        walk: &mut Walk<'a>,
        says: &[Self],
        pattern: &'a str,
    ) -> Result<Parts<'a>, GrammarError> {
        let mut parts = Parts::default();
        for names in says {
            walk.spend(1)?;
            match (&names.patterns, &names.rest) {
                (Some((patterns, path)), _) if patterns.contains_key(pattern) => {
                    walk.gather(&patterns[pattern], &path.at(pattern), &mut Vec::new(), &mut parts)?;
                }
                // No name follows two patterns.
                (_, Some((rest, path))) => walk.gather(rest, path, &mut Vec::new(), &mut parts)?,
                (_, None) => {}
            }
        }
        Ok(parts)
    }
}

/// What names properties may have.
pub(super) enum Rule<'a> {
    /// Any.
    Free,
    /// One of these.
    Listed(Vec<&'a str>),
    /// Those that follow a regular expression.
    Pattern(&'a str),
}

impl<'a> Rule<'a> {
    /// What all `propertyNames` come to, and where one of them is; `None` if there are none.
    pub(super) fn of(
        walk: &mut Walk<'a>,
        sources: &[Source<'a>],
    ) -> Result<Option<(Self, Path<'a>)>, GrammarError> {
        let mut parts = Parts::default();
        let mut place = None;
        for (schema, path) in sources.iter().filter_map(|source| source.get("propertyNames")) {
            walk.gather(schema, &path, &mut Vec::new(), &mut parts)?;
            place = Some(path);
        }
        let Some(path) = place else { return Ok(None) };
        Self::of_parts(walk, &parts, &path).map(|rule| Some((rule, path)))
    }

    fn of_parts(walk: &mut Walk<'a>, parts: &Parts<'a>, path: &Path<'a>) -> Result<Self, GrammarError> {
        let sources = &parts.sources;
        sources.iter().try_for_each(|source| refused::check(walk, source))?;
        if parts.impossible || !Types::of_all(sources)?.have(Types::STRING) {
            return Ok(Self::Listed(Vec::new()));
        }
        let listed = constants::of(walk, sources, Types::STRING)?;
        let strings = Strings::of(walk, sources)?;
        let is_more = !parts.choices.is_empty() || !strings.has_pattern_at_most();
        if is_more || (listed.is_some() && !strings.are_free()) {
            walk.cannot(path, "names that are not listed and follow no pattern".to_owned())?;
        }
        Ok(match (listed, strings.patterns.first()) {
            (Some(listed), _) => Self::Listed(listed.into_iter().filter_map(Value::as_str).collect()),
            (None, Some(pattern)) => Self::Pattern(pattern),
            (None, None) => Self::Free,
        })
    }
}
