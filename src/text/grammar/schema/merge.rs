//! From what holds at a place to one schema that the compiler takes.

use serde_json::{Map, Value};

use super::arrays::Arrays;
use super::numbers::Numbers;
use super::objects::Objects;
use super::parts::{Parts, Source};
use super::strings::Strings;
use super::types::Types;
use super::{GrammarError, Walk, constants, refused};

/// Keywords about properties.
const OF_OBJECTS: &[&str] = &[
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "minProperties",
    "maxProperties",
    "propertyNames",
];
/// Keywords about items.
const OF_ARRAYS: &[&str] = &["items", "prefixItems", "minItems", "maxItems"];

impl<'a> Walk<'a> {
    /// Prepares what holds at a place.
    pub(super) fn all(&mut self, parts: &Parts<'a>) -> Result<Value, GrammarError> {
        match parts.choices.first() {
            _ if parts.impossible => Ok(Value::Bool(false)),
            Some(choice) => self.choose(parts, choice),
            None => self.merge(parts),
        }
    }

    /// Prepares what holds at a place where no choice is left.
    fn merge(&mut self, parts: &Parts<'a>) -> Result<Value, GrammarError> {
        let sources = &parts.sources;
        sources.iter().try_for_each(|source| refused::check(self, source))?;
        let mut types = Types::of_all(sources)?;
        let constants = constants::of(self, sources, types)?;
        let numbers = Numbers::of(self, sources, types.are_whole())?;
        let strings = Strings::of(self, sources)?;
        let arrays = Arrays::of(self, sources)?;
        let objects = Objects::of(self, parts)?;
        let is_free = numbers.are_free() && strings.are_free() && arrays.are_free() && objects.are_free();
        if types == Types::ALL && constants.is_none() && numbers.are_free() && strings.are_free() {
            types = meant(sources);
        }
        let mut prepared = Map::new();
        if types != Types::ALL {
            prepared.insert("type".into(), types.keyword());
        }
        let listed = constants.is_some();
        match constants {
            Some(constants) => {
                types = constants.iter().map(|value| Types::of(value)).fold(Types::NONE, Types::or);
                prepared.insert("enum".into(), constants.into_iter().cloned().collect());
            }
            None if types == Types::ALL && is_free => return Ok(self.any()),
            None => {}
        }
        if types == Types::NONE {
            return Ok(Value::Bool(false));
        }
        self.spend(1 + prepared.len())?;
        if types.have(Types::NUMBER) {
            numbers.write(listed, &mut prepared);
        }
        if types.have(Types::STRING) {
            strings.write(&mut prepared);
        }
        if types.have(Types::ARRAY) {
            arrays.write(self, listed, &mut prepared)?;
        }
        if types.have(Types::OBJECT) {
            objects.write(self, listed, &mut prepared)?;
        }
        Ok(prepared.into())
    }
}

/// The types that schemas without `type` mean which say nothing of numbers and strings: those that have to do with what
/// they speak of. Any other value would be accepted whatever it is.
fn meant(sources: &[Source<'_>]) -> Types {
    let speak_of = |keys: &[&str]| {
        // What says that all is accepted means nothing.
        let says =
            |source: &Source<'_>, key| source.map.get(key).is_some_and(|value| *value != Value::Bool(true));
        sources.iter().any(|source| keys.iter().any(|key| says(source, *key)))
    };
    match (speak_of(OF_OBJECTS), speak_of(OF_ARRAYS)) {
        (true, false) => Types::OBJECT,
        (false, true) => Types::ARRAY,
        _ => Types::ALL,
    }
}
