//! Templates with names within a template: which there are, and how deep they call each other.

use std::collections::BTreeMap;

/// Most named templates. Those that models come with have a handful.
const MAX_NAMES: usize = 64;

/// Named templates and their calls.
#[derive(Debug, Default)]
pub(super) struct Named<'a> {
    /// Calls within each other that a call of this one leads to, itself included.
    depths: BTreeMap<&'a str, usize>,
    /// Who calls, if it has a name, and what.
    calls: Vec<(Option<&'a str>, &'a str)>,
}

impl<'a> Named<'a> {
    /// There is one of this name. A second one of a name takes the place of the first.
    pub(super) fn define(&mut self, name: &'a str) -> Result<(), String> {
        self.depths.insert(name, 1);
        if self.depths.len() > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} templates with names"));
        }
        Ok(())
    }

    /// The body of one, or the main template, calls one.
    pub(super) fn call(&mut self, from: Option<&'a str>, name: &'a str) {
        self.calls.push((from, name));
    }

    /// Bodies that can be open at a time: the template's own, and those of the longest way of calls.
    ///
    /// # Errors
    ///
    /// What is called and not there. Calls that lead back to where they come from: what they hold has no bound.
    pub(super) fn deepest(mut self) -> Result<usize, String> {
        let missing = self.calls.iter().find(|(_, name)| !self.depths.contains_key(name));
        if let Some((_, name)) = missing {
            return Err(format!("template \"{name}\" not defined"));
        }
        for _ in 0..=self.depths.len() {
            let mut is_settled = true;
            for (from, name) in &self.calls {
                let needs = self.depths.get(name).map_or(1, |depth| depth + 1);
                if let Some(depth) = from.and_then(|from| self.depths.get_mut(from))
                    && *depth < needs
                {
                    (*depth, is_settled) = (needs, false);
                }
            }
            if is_settled {
                return Ok(1 + self.depths.values().max().unwrap_or(&0));
            }
        }
        Err("templates that call themselves, or each other in a circle, are not supported".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deepest(names: &[&'static str], calls: &[(&'static str, &'static str)]) -> Result<usize, String> {
        let mut templates = Named::default();
        for name in names {
            templates.define(name)?;
        }
        for (from, name) in calls {
            templates.call(Some(*from).filter(|from| !from.is_empty()), name);
        }
        templates.deepest()
    }

    #[test]
    fn the_longest_way_of_calls_counts() {
        assert_eq!(deepest(&[], &[]), Ok(1));
        assert_eq!(deepest(&["a"], &[]), Ok(2));
        let calls = [("a", "b"), ("b", "c"), ("a", "c"), ("", "a"), ("", "d")];
        assert_eq!(deepest(&["a", "b", "c", "d"], &calls), Ok(4));
    }

    #[test]
    fn circles_strangers_and_crowds_are_refused() {
        for calls in [&[("a", "a")][..], &[("a", "b"), ("b", "a")]] {
            assert!(deepest(&["a", "b"], calls).unwrap_err().contains("circle"));
        }
        assert_eq!(deepest(&["a"], &[("", "x")]).unwrap_err(), "template \"x\" not defined");
        let names: Vec<String> = (0..65).map(|number| number.to_string()).collect();
        let mut templates = Named::default();
        let refused = names.iter().try_for_each(|name| templates.define(name));
        assert!(refused.unwrap_err().contains("more than 64"));
    }
}
