//! Items of arrays.

use serde_json::{Map, Value};

use super::parts::{Parts, Source, list};
use super::path::Path;
use super::{GrammarError, Walk, range};

/// What schemas say about arrays.
pub(super) struct Arrays<'a> {
    least: Option<u64>,
    most: Option<u64>,
    /// The first items, one by one.
    first: Vec<Parts<'a>>,
    /// All others; `None` if nobody speaks of them.
    rest: Option<Parts<'a>>,
}

/// What one schema says about items.
struct Items<'a> {
    first: &'a [Value],
    first_path: Path<'a>,
    rest: Option<(&'a Value, Path<'a>)>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(walk: &mut Walk<'a>, sources: &[Source<'a>]) -> Result<Self, GrammarError> {
        let (least, most) = range::of(sources, "minItems", "maxItems")?;
        let says = sources.iter().map(Items::of).collect::<Result<Vec<_>, _>>()?;
        let count = says.iter().map(|items| items.first.len()).max().unwrap_or(0);
        let mut first = Vec::with_capacity(count);
        for index in 0..count {
            let mut parts = Parts::default();
            for items in &says {
                walk.spend(1)?;
                match items.first.get(index) {
                    Some(schema) => {
                        let path = items.first_path.item(index);
                        walk.gather(schema, &path, &mut Vec::new(), &mut parts)?;
                    }
                    None => items.gather_rest(walk, &mut parts)?,
                }
            }
            first.push(parts);
        }
        let mut rest = None;
        for items in says.iter().filter(|items| items.rest.is_some()) {
            items.gather_rest(walk, rest.get_or_insert_default())?;
        }
        Ok(Self { least, most, first, rest })
    }

    /// Whether nothing is said.
    pub(super) fn are_free(&self) -> bool {
        self.least.is_none() && self.most.is_none() && self.first.is_empty() && self.rest.is_none()
    }

    /// Writes it; `listed` says that there are no others but a few constants.
    pub(super) fn write(
        self,
        walk: &mut Walk<'a>,
        listed: bool,
        prepared: &mut Map<String, Value>,
    ) -> Result<(), GrammarError> {
        if !self.first.is_empty() {
            let first = self.first.into_iter().map(|parts| walk.place(parts));
            let first = first.collect::<Result<Vec<_>, _>>()?;
            prepared.insert("prefixItems".into(), first.into());
        }
        match self.rest {
            Some(rest) => {
                prepared.insert("items".into(), walk.place(rest)?);
            }
            None if !listed => {
                prepared.insert("items".into(), walk.any());
            }
            None => {}
        }
        for (key, count) in [("minItems", self.least), ("maxItems", self.most)] {
            if let Some(count) = count {
                prepared.insert(key.into(), count.into());
            }
        }
        Ok(())
    }
}

impl<'a> Items<'a> {
    fn of(source: &Source<'a>) -> Result<Self, GrammarError> {
        // Old schemas list the first items in `items`, and have `additionalItems` for the rest.
        let is_old = source.map.get("items").is_some_and(Value::is_array);
        let (first, rest) = if is_old { ("items", "additionalItems") } else { ("prefixItems", "items") };
        let (listed, first_path) = match source.get(first) {
            Some((value, path)) => (list(value, &path)?, path),
            None => (&[][..], Path::default()),
        };
        Ok(Self { first: listed, first_path, rest: source.get(rest) })
    }

    fn gather_rest(&self, walk: &mut Walk<'a>, parts: &mut Parts<'a>) -> Result<(), GrammarError> {
        match &self.rest {
            Some((schema, path)) => walk.gather(schema, path, &mut Vec::new(), parts),
            None => Ok(()),
        }
    }
}
