//! How long a card takes: the figures of one machine, each with its source.
//!
//! The profiles that come with the program are the files in `profiles/`; [`Profile::read`] takes one's own
//! in the same form. A file has a `summary`, an `interface` (`pcie` or `board`) and one table per figure with
//! its `value` and its `source`. A rate may be `inf`: then what it measures takes no time.
//!
//! What the figures mean for a call is the business of the module `clock`.
//!
//! ```
//! use ax650_sim::profile::{Interface, Profile};
//! let profile = Profile::named("pi5-llm8850")?;
//! assert_eq!(profile.interface(), Interface::Pcie);
//! assert!((profile.layer_call_us.value - 457.0).abs() < 1e-9);
//! # Ok::<(), ax650_sim::profile::ProfileError>(())
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Files that come with the program, by name.
const EMBEDDED: [(&str, &str); 5] = [
    ("instant", include_str!("../profiles/instant.toml")),
    ("board-ax650n", include_str!("../profiles/board-ax650n.toml")),
    ("pi5-llm8850", include_str!("../profiles/pi5-llm8850.toml")),
    ("rk3588-llm8850", include_str!("../profiles/rk3588-llm8850.toml")),
    ("seed-python-diagnosis", include_str!("../profiles/seed-python-diagnosis.toml")),
];
const NAMES: [&str; EMBEDDED.len()] =
    [EMBEDDED[0].0, EMBEDDED[1].0, EMBEDDED[2].0, EMBEDDED[3].0, EMBEDDED[4].0];

/// A file beyond this is no profile.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest duration of a figure: a minute. Keeps sums far from overflow.
const MAX_US: f64 = 60e6;
/// Slowest rate of a figure, in its unit.
const MIN_RATE: f64 = 1e-6;

/// The vendor's interface that a machine speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// A card behind a link: `axcl*`.
    Pcie,
    /// The chip that the program runs on: `AX_SYS_*` and `AX_ENGINE_*`.
    Board,
}

/// One number and where it comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The number, in the unit that the figure's name ends with.
    pub value: f64,
    /// Measurement, document or derivation, for people.
    pub source: String,
}

/// The figures of one machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    #[serde(skip)]
    name: String,
    summary: String,
    interface: Interface,
    /// Memory for weights and buffers, in MiB.
    pub device_memory_mib: Figure,
    /// Fixed NPU time of the run of a layer, in microseconds.
    pub layer_call_us: Figure,
    /// Rate at which a layer reads its weights and its K/V cache, in 10^9 bytes a second.
    pub layer_gb_per_s: Figure,
    /// Fixed NPU time of the run of a head, in microseconds.
    pub head_call_us: Figure,
    /// Rate at which a head reads its weights, in 10^9 bytes a second.
    pub head_gb_per_s: Figure,
    /// Rate of the matrix products of a chunk, in 10^12 operations a second (a multiply-add is two).
    pub chunk_tops: Figure,
    /// What a call that waits for the card costs beside the work it waits for, in microseconds.
    pub round_trip_us: Figure,
    /// Rate of copies to the device, in 10^6 bytes a second.
    pub to_device_mb_per_s: Figure,
    /// Rate of copies from the device, in 10^6 bytes a second.
    pub from_device_mb_per_s: Figure,
    /// What a copy costs more if its host side is not pinned memory, in microseconds.
    pub unpinned_copy_us: Figure,
    /// Rate of copies and fills within the device memory, in 10^9 bytes a second.
    pub device_copy_gb_per_s: Figure,
    /// Rate of flushing and invalidating the CPU's cache, in 10^9 bytes a second.
    pub cache_gb_per_s: Figure,
    /// Rate of loading models, in 10^6 bytes a second.
    pub load_mb_per_s: Figure,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No profile of that name comes with the program.
    #[error("no profile `{name}`; there are {}, or name a .toml file", NAMES.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the profile {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is no profile.
    #[error("profile {origin}, line {line}: {reason}")]
    Syntax {
        /// File or name.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A figure makes no sense.
    #[error("profile {origin}: {figure} is {value}; it must be {needs}")]
    Value {
        /// File or name.
        origin: String,
        /// The figure.
        figure: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        needs: &'static str,
    },
}

impl Profile {
    /// Names of the profiles that come with the program.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// The profile `name` of those that come with the program.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Unknown`].
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let known = EMBEDDED.iter().find(|(known, _)| *known == name);
        let (name, text) = known.ok_or_else(|| ProfileError::Unknown { name: name.to_owned() })?;
        Self::parse(text, name, (*name).to_owned())
    }

    /// The profile in the file at `path`, named after the file.
    ///
    /// # Errors
    ///
    /// All but [`ProfileError::Unknown`], with the path.
    pub fn read(path: &Path) -> Result<Self, ProfileError> {
        let failed = |source| ProfileError::Read { path: path.to_path_buf(), source };
        if fs::metadata(path).map_err(failed)?.len() > MAX_FILE_BYTES {
            return Err(failed(io::Error::other("it is too large to be a profile")));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&text, &path.display().to_string(), name)
    }

    fn parse(text: &str, origin: &str, name: String) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
            ProfileError::Syntax { origin: origin.to_owned(), line, reason: error.message().to_owned() }
        })?;
        let profile = Self { name, ..profile };
        for (figure, Figure { value, .. }) in profile.figures() {
            let (good, needs) = if figure.ends_with("_us") {
                ((0.0..=MAX_US).contains(value), "between 0 and 60000000")
            } else if figure.ends_with("_mib") {
                ((1.0..=1e9).contains(value), "between 1 and 1000000000")
            } else {
                (*value >= MIN_RATE, "above 0, or inf")
            };
            if !good {
                let origin = origin.to_owned();
                return Err(ProfileError::Value { origin, figure, value: *value, needs });
            }
        }
        Ok(profile)
    }

    /// Name, of the kind `pi5-llm8850`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The machine, in a few words for people.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The vendor's interface that the machine speaks.
    pub fn interface(&self) -> Interface {
        self.interface
    }

    /// Device memory in bytes.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 1 and 10^9 MiB"
    )]
    pub fn device_memory_bytes(&self) -> u64 {
        (self.device_memory_mib.value * f64::from(1 << 20)) as u64
    }

    /// All figures by name.
    pub fn figures(&self) -> [(&'static str, &Figure); 13] {
        [
            ("device_memory_mib", &self.device_memory_mib),
            ("layer_call_us", &self.layer_call_us),
            ("layer_gb_per_s", &self.layer_gb_per_s),
            ("head_call_us", &self.head_call_us),
            ("head_gb_per_s", &self.head_gb_per_s),
            ("chunk_tops", &self.chunk_tops),
            ("round_trip_us", &self.round_trip_us),
            ("to_device_mb_per_s", &self.to_device_mb_per_s),
            ("from_device_mb_per_s", &self.from_device_mb_per_s),
            ("unpinned_copy_us", &self.unpinned_copy_us),
            ("device_copy_gb_per_s", &self.device_copy_gb_per_s),
            ("cache_gb_per_s", &self.cache_gb_per_s),
            ("load_mb_per_s", &self.load_mb_per_s),
        ]
    }
}

#[cfg(test)]
mod tests;
