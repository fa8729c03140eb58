//! The ways to save work, each of which can be switched off.

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};
use std::str::FromStr;

use ax650_sys::axloop as c;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One way to save work. Without it the same is done plainly: separate buffers, copies, one call at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// Mask and indices lie in one buffer for all layers and are written once a step.
    SharedInputs,
    /// The output of a layer is the input of the next one.
    AliasedHidden,
    /// A token's keys and values are written straight into the cache.
    KvInPlace,
    /// Likewise those of a chunk of the prompt.
    KvInPlacePrefill,
    /// Transfers go through pinned host memory.
    Pinned,
    /// The work of a token is queued and waited for once.
    Async,
    /// Up to three last tokens of a prompt are computed one by one instead of as a padded chunk.
    ShortTail,
    /// The smallest shape group that suffices is run, not the largest.
    SmallestGroup,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SharedInputs,
        Self::AliasedHidden,
        Self::KvInPlace,
        Self::KvInPlacePrefill,
        Self::Pinned,
        Self::Async,
        Self::ShortTail,
        Self::SmallestGroup,
    ];

    /// Its name in settings, logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SharedInputs => "shared-inputs",
            Self::AliasedHidden => "aliased-hidden",
            Self::KvInPlace => "kv-in-place",
            Self::KvInPlacePrefill => "kv-in-place-prefill",
            Self::Pinned => "pinned",
            Self::Async => "async",
            Self::ShortTail => "short-tail",
            Self::SmallestGroup => "smallest-group",
        }
    }

    fn bit(self) -> u32 {
        match self {
            Self::SharedInputs => c::AXL_PATH_SHARED_INPUTS,
            Self::AliasedHidden => c::AXL_PATH_ALIASED_HIDDEN,
            Self::KvInPlace => c::AXL_PATH_KV_IN_PLACE,
            Self::KvInPlacePrefill => c::AXL_PATH_KV_IN_PLACE_PREFILL,
            Self::Pinned => c::AXL_PATH_PINNED,
            Self::Async => c::AXL_PATH_ASYNC,
            Self::ShortTail => c::AXL_PATH_SHORT_TAIL,
            Self::SmallestGroup => c::AXL_PATH_SMALLEST_GROUP,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no [`Path`] has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown path '{name}': use all, plain, or a list of {}, each with a '-' in front to leave it out",
    all_names()
)]
pub struct UnknownPath {
    /// What was given.
    pub name: String,
}

fn all_names() -> String {
    Path::ALL.map(Path::name).join(", ")
}

impl FromStr for Path {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|path| path.name() == text);
        found.ok_or_else(|| UnknownPath { name: text.to_owned() })
    }
}

/// A set of [`Path`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Paths(u32);

impl Paths {
    /// None: everything is done plainly.
    pub const PLAIN: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(c::AXL_PATHS_ALL);

    /// Those that the loop has set in `bits`; bits without a name are dropped.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The loop's bits.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// Whether it holds this one.
    pub fn contains(self, path: Path) -> bool {
        self.0 & path.bit() != 0
    }

    /// Whether it holds none.
    pub fn is_plain(self) -> bool {
        self.0 == 0
    }

    /// Its members, in the order of [`Path::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Path> {
        Path::ALL.into_iter().filter(move |path| self.contains(*path))
    }
}

impl FromIterator<Path> for Paths {
    fn from_iter<T: IntoIterator<Item = Path>>(paths: T) -> Self {
        Self(paths.into_iter().fold(0, |bits, path| bits | path.bit()))
    }
}

impl From<Path> for Paths {
    fn from(path: Path) -> Self {
        Self(path.bit())
    }
}

impl BitOr for Paths {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Paths {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Paths {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// `plain` for none, else the names with commas.
impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain() {
            return f.write_str("plain");
        }
        let names: Vec<&str> = self.iter().map(Path::name).collect();
        f.write_str(&names.join(","))
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Paths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Path>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// The paths that somebody wants, as far as the card passes their test: the value of `--paths`.
///
/// `all`, `plain`, or a list: `async,pinned` means those alone, `-async,-pinned` all but those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathsWish(pub Paths);

impl Default for PathsWish {
    fn default() -> Self {
        Self(Paths::ALL)
    }
}

impl FromStr for PathsWish {
    type Err = UnknownPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let mut paths = if text.starts_with('-') { Paths::ALL } else { Paths::PLAIN };
        for word in text.split(',').map(str::trim) {
            paths = match (word, word.strip_prefix('-')) {
                ("all", _) => Paths::ALL,
                ("plain", _) => Paths::PLAIN,
                (_, Some(without)) => paths - without.parse::<Path>()?.into(),
                (with, None) => paths | with.parse::<Path>()?.into(),
            };
        }
        Ok(Self(paths))
    }
}

impl fmt::Display for PathsWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = Paths::ALL - self.0;
        if missing.is_plain() {
            return f.write_str("all");
        }
        if self.0.iter().count() <= missing.iter().count() {
            return self.0.fmt(f);
        }
        let names: Vec<String> = missing.iter().map(|path| format!("-{path}")).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_and_written() {
        let of = |text: &str| text.parse::<PathsWish>().unwrap();
        assert_eq!(of("all"), PathsWish::default());
        assert_eq!(of("plain").0, Paths::PLAIN);
        assert_eq!(of("async, pinned").0, Paths::from(Path::Async) | Path::Pinned.into());
        assert_eq!(of("-async").0, Paths::ALL - Path::Async.into());
        assert_eq!(of("all,-async"), of("-async"));
        for text in ["all", "plain", "pinned,async", "-kv-in-place,-async", "short-tail"] {
            assert_eq!(of(text).to_string(), text);
        }
        for text in ["", "fast", "--async", "async,,pinned"] {
            let error = text.parse::<PathsWish>().unwrap_err().to_string();
            assert!(error.contains("kv-in-place-prefill"), "{error}");
        }
    }

    #[test]
    fn sets_travel_by_name() {
        let set = Paths::from_iter([Path::SharedInputs, Path::SmallestGroup]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["shared-inputs","smallest-group"]"#);
        assert_eq!(serde_json::from_str::<Paths>(&json).unwrap(), set);
        assert!(serde_json::from_str::<Paths>(r#"["fast"]"#).is_err());
        assert_eq!(Path::ALL.into_iter().collect::<Paths>(), Paths::ALL);
    }
}
