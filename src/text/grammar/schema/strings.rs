//! Lengths, patterns and formats of strings.

use serde_json::{Map, Value, json};

use super::parts::Source;
use super::path::Path;
use super::{GrammarError, Walk, formats, range};

/// What schemas say about strings.
#[derive(Default)]
pub(super) struct Strings<'a> {
    pub(super) shortest: Option<u64>,
    pub(super) longest: Option<u64>,
    pub(super) patterns: Vec<&'a str>,
    pub(super) formats: Vec<Value>,
}

impl<'a> Strings<'a> {
    pub(super) fn of(walk: &mut Walk<'a>, sources: &[Source<'a>]) -> Result<Self, GrammarError> {
        let (shortest, longest) = range::of(sources, "minLength", "maxLength")?;
        let mut strings = Self { shortest, longest, ..Self::default() };
        for source in sources {
            if let Some((pattern, path)) = text(source, "pattern")?
                && !strings.patterns.contains(&pattern)
                && walk.check_pattern(pattern, &path)?
            {
                walk.spend(1 + strings.patterns.len())?;
                strings.patterns.push(pattern);
            }
            if let Some((name, _)) = text(source, "format")?
                && let Some(schema) = formats::schema(name)
                && !strings.formats.contains(&schema)
            {
                walk.spend(1)?;
                strings.formats.push(schema);
            }
        }
        Ok(strings)
    }

    /// Whether nothing is said.
    pub(super) fn are_free(&self) -> bool {
        self.has_pattern_at_most() && self.patterns.is_empty()
    }

    /// Whether all that is said is one pattern, if anything.
    pub(super) fn has_pattern_at_most(&self) -> bool {
        self.shortest.is_none()
            && self.longest.is_none()
            && self.formats.is_empty()
            && self.patterns.len() <= 1
    }

    pub(super) fn write(self, prepared: &mut Map<String, Value>) {
        for (key, length) in [("minLength", self.shortest), ("maxLength", self.longest)] {
            if let Some(length) = length {
                prepared.insert(key.into(), length.into());
            }
        }
        let mut patterns = self.patterns.into_iter();
        if let Some(first) = patterns.next() {
            prepared.insert("pattern".into(), first.into());
        }
        let others = patterns.map(|pattern| json!({ "pattern": pattern }));
        let others: Vec<Value> = others.chain(self.formats).collect();
        if !others.is_empty() {
            prepared.insert("allOf".into(), others.into());
        }
    }
}

fn text<'a>(source: &Source<'a>, key: &'a str) -> Result<Option<(&'a str, Path<'a>)>, GrammarError> {
    match source.get(key) {
        None => Ok(None),
        Some((Value::String(text), path)) => Ok(Some((text, path))),
        Some((_, path)) => Err(path.invalid("expected a string")),
    }
}
