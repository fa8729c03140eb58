//! `anyOf` and `oneOf`: some or exactly one of several schemas.
//!
//! A grammar can offer several schemas, but not refuse what more than one of them accepts. So for `oneOf` it has to be
//! seen beforehand that no answer made for one option is accepted by another one. Generators of schemas make this easy:
//! options differ in type, in a constant, in a property that tells them apart, or in a property that only one of them
//! knows. A property that tells options apart becomes required, if it is not.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::objects::Objects;
use super::parts::{Choice, Parts};
use super::types::Types;
use super::{GrammarError, Walk, constants};

/// Most options of a `oneOf`: each is compared with each.
const MAX_EXCLUSIVE: usize = 400;

impl<'a> Walk<'a> {
    /// Prepares what holds at a place where a choice is to be made: every option together with all else that holds.
    pub(super) fn choose(&mut self, parts: &Parts<'a>, choice: &Choice<'a>) -> Result<Value, GrammarError> {
        if choice.exclusive && choice.options.len() > MAX_EXCLUSIVE {
            let reason = format!("a oneOf has more than {MAX_EXCLUSIVE} options");
            return Err(GrammarError::TooLarge(reason));
        }
        let mut branches = Vec::with_capacity(choice.options.len());
        for (index, option) in choice.options.iter().enumerate() {
            self.spend(1 + parts.seen.len())?;
            let mut branch = Parts { choices: parts.choices[1..].to_vec(), shared: false, ..parts.clone() };
            self.gather(option, &choice.path.item(index), &mut choice.trail.clone(), &mut branch)?;
            branches.push(branch);
        }
        if choice.exclusive {
            self.keep_apart(choice, &mut branches)?;
        }
        let mut options = Vec::with_capacity(branches.len());
        for branch in branches {
            let option = self.place(branch)?;
            if option != Value::Bool(false) {
                options.push(option);
            }
        }
        Ok(match options.pop() {
            None => Value::Bool(false),
            Some(only) if options.is_empty() => only,
            Some(last) => {
                options.push(last);
                json!({ "anyOf": options })
            }
        })
    }

    /// Sees to it that what is made for one option is accepted by no other one.
    fn keep_apart(&mut self, choice: &Choice<'a>, branches: &mut [Parts<'a>]) -> Result<(), GrammarError> {
        let profiles = branches.iter().map(|branch| Profile::of(self, branch));
        let profiles = profiles.collect::<Result<Vec<_>, _>>()?;
        for (index, (branch, made)) in branches.iter_mut().zip(&profiles).enumerate() {
            let mut required = BTreeSet::new();
            for (other_index, other) in profiles.iter().enumerate().filter(|(other, _)| *other != index) {
                match made.apart(other) {
                    Some(Apart::As) => {}
                    Some(Apart::With(property)) => {
                        required.insert(property);
                    }
                    None => {
                        let what = format!(
                            "that only one of options {index} and {other_index} holds (anyOf can be)"
                        );
                        self.cannot(&choice.path.item(index), what)?;
                    }
                }
            }
            branch.required.extend(required);
        }
        Ok(())
    }
}

/// Why an answer made for one schema is not accepted by another.
enum Apart<'a> {
    /// As the schemas are.
    As,
    /// If it has this property.
    With(&'a str),
}

/// What tells a schema from others.
struct Profile<'a> {
    types: Types,
    /// The values that it lists.
    constants: Option<HashSet<String>>,
    /// Its named properties, and the values that are listed for them.
    named: Vec<(&'a str, Option<HashSet<String>>)>,
    /// Where in `named` they are.
    places: HashMap<&'a str, usize>,
    required: Vec<&'a str>,
    /// Its objects have no properties but the named ones.
    is_closed: bool,
}

impl<'a> Profile<'a> {
    fn of(walk: &mut Walk<'a>, parts: &Parts<'a>) -> Result<Self, GrammarError> {
        let types = if parts.impossible { Types::NONE } else { Types::of_all(&parts.sources)? };
        let values = constants::of(walk, &parts.sources, types)?;
        let listed = |values: Vec<&Value>| values.into_iter().map(constants::canonical).collect();
        let objects = Objects::of(walk, parts)?;
        let is_closed = objects.are_closed() && parts.choices.is_empty();
        let mut named = Vec::with_capacity(objects.named.len());
        for (name, parts) in &objects.named {
            let values = constants::of(walk, &parts.sources, Types::ALL)?;
            named.push((*name, values.map(listed)));
        }
        Ok(Self {
            types: values.iter().flatten().map(|value| Types::of(value)).reduce(Types::or).unwrap_or(types),
            constants: values.map(listed),
            places: named.iter().enumerate().map(|(place, (name, _))| (*name, place)).collect(),
            named,
            required: objects.required,
            is_closed,
        })
    }

    fn apart(&self, other: &Self) -> Option<Apart<'a>> {
        let common = self.types.and(other.types);
        if common == Types::NONE || differ(self.constants.as_ref(), other.constants.as_ref()) {
            return Some(Apart::As);
        }
        if common != Types::OBJECT {
            return None;
        }
        let of_other = |name| other.places.get(name).and_then(|place| other.named[*place].1.as_ref());
        let tells = self.named.iter().find(|(name, values)| differ(values.as_ref(), of_other(name)));
        if let Some((name, _)) = tells {
            return Some(Apart::With(name));
        }
        let is_unknown = |name: &&str| !self.places.contains_key(name);
        (self.is_closed && other.required.iter().any(is_unknown)).then_some(Apart::As)
    }
}

/// Whether both list values, and no value is in both lists.
fn differ(left: Option<&HashSet<String>>, right: Option<&HashSet<String>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => left.is_disjoint(right),
        _ => false,
    }
}
