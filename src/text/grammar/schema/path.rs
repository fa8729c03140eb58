//! Where in a schema something is, for errors.

use std::fmt;
use std::rc::Rc;

use super::GrammarError;

/// A place in a schema; cheap to clone. Displayed as a JSON pointer, `#` being the whole schema.
#[derive(Clone, Default)]
pub(super) struct Path<'a>(Option<Rc<Step<'a>>>);

struct Step<'a> {
    before: Path<'a>,
    key: Key<'a>,
}

enum Key<'a> {
    Name(&'a str),
    Index(usize),
    /// The pointer of a reference: what was before does not matter.
    Pointer(&'a str),
}

impl<'a> Path<'a> {
    /// The place that a reference points to.
    pub(super) fn of_reference(pointer: &'a str) -> Self {
        Self::default().then(Key::Pointer(pointer))
    }

    /// The value of a key here.
    pub(super) fn at(&self, key: &'a str) -> Self {
        self.then(Key::Name(key))
    }

    /// An item here.
    pub(super) fn item(&self, index: usize) -> Self {
        self.then(Key::Index(index))
    }

    fn then(&self, key: Key<'a>) -> Self {
        Self(Some(Rc::new(Step { before: self.clone(), key })))
    }

    /// What is here is no JSON schema.
    pub(super) fn invalid(&self, reason: impl Into<String>) -> GrammarError {
        GrammarError::Invalid { path: self.to_string(), reason: reason.into() }
    }

    /// What is here cannot be enforced.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> GrammarError {
        GrammarError::Unsupported { path: self.to_string(), what: what.into() }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(step) = &self.0 else { return f.write_str("#") };
        match step.key {
            Key::Pointer(pointer) => f.write_str(pointer),
            Key::Index(index) => write!(f, "{}/{index}", step.before),
            Key::Name(name) => {
                write!(f, "{}/{}", step.before, name.replace('~', "~0").replace('/', "~1"))
            }
        }
    }
}
