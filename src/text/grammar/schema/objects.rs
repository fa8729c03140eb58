//! Properties of objects.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::names::{Names, Rule};
use super::parts::{Parts, Source, list};
use super::path::Path;
use super::{GrammarError, MAX_PROPERTIES, Walk, range};
use crate::text::kind::kind;

/// Most patterns of names in one object: the compiler compares each with each.
const MAX_PATTERNS: usize = 64;

type Patterns<'a> = Vec<(&'a str, Parts<'a>)>;

/// What schemas say about objects.
pub(super) struct Objects<'a> {
    /// The named properties, in the order in which they come.
    pub(super) named: Vec<(&'a str, Parts<'a>)>,
    pub(super) required: Vec<&'a str>,
    patterns: Patterns<'a>,
    /// All other properties; `None` if nobody speaks of them.
    rest: Option<Parts<'a>>,
    least: Option<u64>,
    most: Option<u64>,
    /// Where their number is spoken of.
    count_path: Path<'a>,
}

impl<'a> Objects<'a> {
    pub(super) fn of(walk: &mut Walk<'a>, parts: &Parts<'a>) -> Result<Self, GrammarError> {
        let sources = &parts.sources;
        let (least, most) = range::of(sources, "minProperties", "maxProperties")?;
        let counted =
            sources.iter().find_map(|source| source.get("minProperties").or(source.get("maxProperties")));
        let names = sources.iter().map(Names::of).collect::<Result<Vec<_>, _>>()?;
        let (patterns, is_relaxed) = patterns(walk, &names)?;
        let rest = rest(walk, &names)?;
        let mut objects = Self {
            named: named(walk, &names)?,
            required: required(walk, parts)?,
            patterns,
            // What was ruled by a pattern is among the rest now.
            rest: if is_relaxed { Some(Parts::default()) } else { rest },
            least,
            most,
            count_path: counted.map(|(_, path)| path).unwrap_or_default(),
        };
        objects.keep_to_rule(walk, sources, &names)?;
        Ok(objects)
    }

    /// Names of properties become properties, as far as they are listed or follow a pattern.
    fn keep_to_rule(
        &mut self,
        walk: &mut Walk<'a>,
        sources: &[Source<'a>],
        names: &[Names<'a>],
    ) -> Result<(), GrammarError> {
        let Some((rule, path)) = Rule::of(walk, sources)? else { return Ok(()) };
        match rule {
            Rule::Free => return Ok(()),
            Rule::Listed(listed) if self.patterns.is_empty() => {
                check_count(listed.len())?;
                self.named.clear();
                for name in listed {
                    let mut parts = Names::parts_of(walk, names, name)?;
                    // The same for all of them, as a rule.
                    parts.shared = true;
                    self.named.push((name, parts));
                }
            }
            Rule::Pattern(pattern) if self.patterns.is_empty() && self.named.is_empty() => {
                self.patterns.push((pattern, self.rest.take().unwrap_or_default()));
            }
            _ => return walk.cannot(&path, "propertyNames beside other properties".to_owned()),
        }
        self.rest = Some(Parts { impossible: true, ..Parts::default() });
        Ok(())
    }

    /// Whether nothing is said.
    pub(super) fn are_free(&self) -> bool {
        self.named.is_empty()
            && self.required.is_empty()
            && self.patterns.is_empty()
            && self.rest.is_none()
            && self.least.is_none()
            && self.most.is_none()
    }

    /// Whether there are no properties but the named ones: the schemas say so, or name some and speak of no others.
    pub(super) fn are_closed(&self) -> bool {
        let is_named = |name: &&str| self.named.iter().any(|(named, _)| named == name);
        self.patterns.is_empty()
            && match &self.rest {
                Some(rest) => rest.impossible,
                None => {
                    !self.named.is_empty()
                        && self.least.is_none_or(|least| least <= self.named.len() as u64)
                        && self.required.iter().all(is_named)
                }
            }
    }

    /// Writes it; `listed` says that there are no others but a few constants.
    pub(super) fn write(
        self,
        walk: &mut Walk<'a>,
        listed: bool,
        prepared: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        let is_closed = self.are_closed();
        let required: HashSet<&str> = self.required.iter().copied().collect();
        let mut properties = Map::with_capacity(self.named.len());
        let mut optional = 0;
        for (name, parts) in self.named {
            let property = walk.place(parts)?;
            optional += u64::from(property != Value::Bool(false) && !required.contains(name));
            properties.insert(name.to_owned(), property);
        }
        let mut patterns = Map::with_capacity(self.patterns.len());
        for (pattern, parts) in self.patterns {
            patterns.insert(pattern.to_owned(), walk.place(parts)?);
        }
        let counts = Counts { least: self.least, most: self.most, required: required.len() as u64, optional };
        counts.write(walk, is_closed, &self.count_path, prepared)?;
        if !properties.is_empty() {
            prepared.insert("properties".into(), properties.into());
        }
        if !self.required.is_empty() {
            prepared.insert("required".into(), self.required.into());
        }
        if !patterns.is_empty() {
            prepared.insert("patternProperties".into(), patterns.into());
        }
        let rest = match self.rest {
            _ if is_closed && !listed => Value::Bool(false),
            Some(rest) => walk.place(rest)?,
            None if listed => return Ok(()),
            None => walk.any(),
        };
        prepared.insert("additionalProperties".into(), rest);
        Ok(())
    }
}

/// How many properties there may be.
struct Counts {
    least: Option<u64>,
    most: Option<u64>,
    required: u64,
    optional: u64,
}

impl Counts {
    fn write(
        &self,
        walk: &Walk<'_>,
        is_closed: bool,
        path: &Path<'_>,
        prepared: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        let least = self.least.map_or(0, |least| least.saturating_sub(self.required));
        let most = self.most.filter(|most| !is_closed || *most < self.required + self.optional);
        if least == 0 && most.is_none() {
            return Ok(());
        }
        // Named properties are not counted, but for whether there is one. Others may have the same name twice, which
        // counts once.
        let is_one = least <= 1 && most.is_none_or(|most| most == self.required + 1);
        let is_counted = if self.optional > 0 { is_closed && is_one } else { is_closed || least <= 1 };
        if !is_counted {
            return walk.cannot(path, "a number of properties that are not required".to_owned());
        }
        for (key, count) in [("minProperties", self.least.filter(|_| least > 0)), ("maxProperties", most)] {
            if let Some(count) = count {
                prepared.insert(key.into(), count.into());
            }
        }
        Ok(())
    }
}

fn check_count(count: usize) -> Result<(), GrammarError> {
    if count > MAX_PROPERTIES {
        let reason = format!("an object has more than {MAX_PROPERTIES} properties");
        return Err(GrammarError::TooLarge(reason));
    }
    Ok(())
}

fn named<'a>(walk: &mut Walk<'a>, says: &[Names<'a>]) -> Result<Vec<(&'a str, Parts<'a>)>, GrammarError> {
    let mut seen = HashSet::new();
    let mut named = Vec::new();
    for name in says.iter().flat_map(Names::named) {
        if seen.insert(name) {
            check_count(seen.len())?;
            named.push((name, Names::parts_of(walk, says, name)?));
        }
    }
    Ok(named)
}

fn required<'a>(walk: &mut Walk<'a>, parts: &Parts<'a>) -> Result<Vec<&'a str>, GrammarError> {
    let mut required = Vec::new();
    let mut seen = HashSet::new();
    for source in &parts.sources {
        let Some((names, path)) = source.get("required") else { continue };
        // Draft 3 has a boolean here, beside a property.
        for name in list(names, &path)? {
            let Value::String(name) = name else {
                return Err(path.invalid(format!("names must be strings, not {}", kind(name))));
            };
            walk.spend(1)?;
            if seen.insert(name.as_str()) {
                required.push(name.as_str());
            }
        }
    }
    required.extend(parts.required.iter().filter(|name| seen.insert(**name)));
    Ok(required)
}

/// The patterns of names, and whether one that cannot be followed is left out.
fn patterns<'a>(walk: &mut Walk<'a>, names: &[Names<'a>]) -> Result<(Patterns<'a>, bool), GrammarError> {
    let mut seen = HashSet::new();
    let mut patterns = Vec::new();
    let mut is_relaxed = false;
    for (pattern, path) in names.iter().flat_map(Names::patterns) {
        if !seen.insert(pattern) {
            continue;
        }
        if seen.len() > MAX_PATTERNS {
            let reason = format!("an object has more than {MAX_PATTERNS} patterns of names");
            return Err(GrammarError::TooLarge(reason));
        }
        let others = patterns.iter().map(|(other, _): &(&str, _)| *other);
        if walk.check_pattern(pattern, &path)? && walk.check_apart(pattern, others, &path)? {
            patterns.push((pattern, Names::parts_of_pattern(walk, names, pattern)?));
        } else {
            is_relaxed = true;
        }
    }
    Ok((patterns, is_relaxed))
}

fn rest<'a>(walk: &mut Walk<'a>, names: &[Names<'a>]) -> Result<Option<Parts<'a>>, GrammarError> {
    let mut rest = None;
    for (schema, path) in names.iter().filter_map(Names::rest) {
        walk.gather(schema, path, &mut Vec::new(), rest.get_or_insert_default())?;
    }
    Ok(rest)
}
