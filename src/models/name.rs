//! Model names as Ollama writes them: `[[host/]namespace/]model[:tag]`.
//!
//! A [`ModelName`] is always complete (defaults filled in) and always valid, so every part is safe to use as one
//! component of a path: no separators, no leading dot, no control characters. Names compare without regard to
//! ASCII case, as the store looks them up; the spelling is kept for display.
//!
//! ```
//! use ax650::models::name::ModelName;
//! let name: ModelName = "SmolLM2".parse()?;
//! assert_eq!(name.to_string(), "SmolLM2:latest");
//! assert_eq!(name, "library/smollm2:LATEST".parse()?);
//! # Ok::<(), ax650::models::name::NameError>(())
//! ```

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Host of a name that gives none.
pub const DEFAULT_HOST: &str = "registry.ollama.ai";
/// Namespace of a name that gives none.
pub const DEFAULT_NAMESPACE: &str = "library";
/// Tag of a name that gives none.
pub const DEFAULT_TAG: &str = "latest";

const MAX_HOST_BYTES: usize = 350;
const MAX_PART_BYTES: usize = 80;

/// A complete, valid model name. Equality, order and hash ignore ASCII case.
#[derive(Debug, Clone)]
pub struct ModelName {
    /// Registry host, possibly with a port, e.g. `registry.ollama.ai`.
    pub host: String,
    /// Owner, e.g. `library`.
    pub namespace: String,
    /// Model, e.g. `smollm2`.
    pub model: String,
    /// Variant, e.g. `latest` or `135m`.
    pub tag: String,
}

/// Why a text is not a model name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing but blanks.
    #[error("model name is empty; give a name such as smollm2 or user/model:tag")]
    Empty,
    /// One part is empty, too long, or has a character that is not allowed there.
    #[error("invalid {part} {text:?} in a model name: {reason}")]
    Part {
        /// `host`, `namespace`, `model` or `tag`.
        part: &'static str,
        /// The offending text, shortened to 80 characters.
        text: String,
        /// What is allowed.
        reason: &'static str,
    },
    /// More than three parts before the tag.
    #[error("model name {0:?} has too many slashes; the form is [[host/]namespace/]model[:tag]")]
    TooManyParts(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    Namespace,
    Model,
    Tag,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Namespace => "namespace",
            Self::Model => "model",
            Self::Tag => "tag",
        }
    }

    fn check(self, text: &str) -> Result<String, NameError> {
        let fail = |reason| {
            Err(NameError::Part { part: self.name(), text: text.chars().take(80).collect(), reason })
        };
        let limit = if self == Self::Host { MAX_HOST_BYTES } else { MAX_PART_BYTES };
        let Some(&first) = text.as_bytes().first() else { return fail("it must not be empty") };
        if text.len() > limit {
            return fail(if self == Self::Host { "longer than 350 bytes" } else { "longer than 80 bytes" });
        }
        if !first.is_ascii_alphanumeric() && first != b'_' {
            return fail("it must start with a letter, a digit or an underscore");
        }
        let allowed = |byte: u8| match byte {
            b'_' | b'-' => true,
            b'.' => self != Self::Namespace,
            b':' => self == Self::Host,
            other => other.is_ascii_alphanumeric(),
        };
        if !text.bytes().all(allowed) {
            return fail("only letters, digits, underscore, hyphen and (not in a namespace) dot are allowed");
        }
        Ok(text.to_owned())
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    /// Parses a name as a user types it; blanks around it and a `scheme://` before it are dropped.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        let rest = text.split_once("://").map_or(text, |(_scheme, rest)| rest);
        if rest.is_empty() {
            return Err(NameError::Empty);
        }
        // A colon before the last slash belongs to the host's port, not to a tag.
        let last_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (path, tag) = match rest[last_start..].find(':') {
            Some(colon) => (&rest[..last_start + colon], Some(&rest[last_start + colon + 1..])),
            None => (rest, None),
        };
        let mut parts = path.rsplit('/');
        let model = parts.next().unwrap_or_default();
        let (namespace, host) = (parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(NameError::TooManyParts(text.chars().take(80).collect()));
        }
        Ok(Self {
            host: Part::Host.check(host.unwrap_or(DEFAULT_HOST))?,
            namespace: Part::Namespace.check(namespace.unwrap_or(DEFAULT_NAMESPACE))?,
            model: Part::Model.check(model)?,
            tag: Part::Tag.check(tag.unwrap_or(DEFAULT_TAG))?,
        })
    }
}

impl ModelName {
    /// Builds a name from four parts, e.g. four directory names.
    pub fn from_parts(host: &str, namespace: &str, model: &str, tag: &str) -> Result<Self, NameError> {
        Ok(Self {
            host: Part::Host.check(host)?,
            namespace: Part::Namespace.check(namespace)?,
            model: Part::Model.check(model)?,
            tag: Part::Tag.check(tag)?,
        })
    }

    /// The complete form, `host/namespace/model:tag`.
    pub fn canonical(&self) -> String {
        format!("{}/{}/{}:{}", self.host, self.namespace, self.model, self.tag)
    }

    fn parts(&self) -> [&str; 4] {
        [&self.host, &self.namespace, &self.model, &self.tag]
    }
}

impl fmt::Display for ModelName {
    /// The short form: the host is left out when it is the default, the namespace when both are; the tag never is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default_host = self.host.eq_ignore_ascii_case(DEFAULT_HOST);
        if !default_host {
            write!(f, "{}/", self.host)?;
        }
        if !default_host || !self.namespace.eq_ignore_ascii_case(DEFAULT_NAMESPACE) {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}:{}", self.model, self.tag)
    }
}

impl PartialEq for ModelName {
    fn eq(&self, other: &Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(mine, theirs)| mine.eq_ignore_ascii_case(theirs))
    }
}

impl Eq for ModelName {}

impl Hash for ModelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for part in self.parts() {
            part.to_ascii_lowercase().hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    #[test]
    fn fills_in_defaults_and_prints_the_short_form() {
        for (text, canonical, short) in [
            ("llama3.2", "registry.ollama.ai/library/llama3.2:latest", "llama3.2:latest"),
            ("  llama3.2:1b ", "registry.ollama.ai/library/llama3.2:1b", "llama3.2:1b"),
            ("bob/m", "registry.ollama.ai/bob/m:latest", "bob/m:latest"),
            ("hf.co/org/repo", "hf.co/org/repo:latest", "hf.co/org/repo:latest"),
            ("hf.co/library/repo", "hf.co/library/repo:latest", "hf.co/library/repo:latest"),
            ("host:5000/a/b", "host:5000/a/b:latest", "host:5000/a/b:latest"),
            ("https://host:5000/a/b:t", "host:5000/a/b:t", "host:5000/a/b:t"),
            ("_m", "registry.ollama.ai/library/_m:latest", "_m:latest"),
        ] {
            let name = parse(text);
            assert_eq!(name.canonical(), canonical, "{text}");
            assert_eq!(name.to_string(), short, "{text}");
            assert_eq!(parse(&name.to_string()), name, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_name() {
        let long = "x".repeat(81);
        for text in [
            "",
            "   ",
            ":tag",
            "model:",
            "/x",
            "x/",
            "a//b",
            "a/b/c/d",
            "../x",
            "..",
            ".x",
            "-x",
            "a b",
            "a\\b",
            "a@sha256:00",
            "a:b:c",
            "n.s/m",
            "m:t/..",
            "a\u{e9}",
            "x\0y",
            "://",
            long.as_str(),
        ] {
            assert!(text.parse::<ModelName>().is_err(), "{text:?} was accepted");
        }
        let error = "library/we!rd".parse::<ModelName>().unwrap_err().to_string();
        assert!(error.contains("model") && error.contains("we!rd"), "{error}");
    }

    #[test]
    fn ignores_case() {
        use std::collections::HashSet;
        let set = HashSet::from([parse("FOO")]);
        assert!(set.contains(&parse("foo:Latest")));
        assert_ne!(parse("foo:a"), parse("foo:b"));
        assert_eq!(parse("LIBRARY/FOO").to_string(), "FOO:latest");
    }
}
