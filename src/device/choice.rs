//! Which card to use: the values of `--device`.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Numbers of threads that a software card can be given.
pub const SOFTWARE_THREADS: RangeInclusive<i64> = 1..=1024;

/// The card of the driver's list that is taken where none is named.
pub(super) const FIRST_PCIE: u16 = 0;

/// A wish for a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first card that answers, in the [order](Interface::order_of_auto) of this system, else the software card.
    #[default]
    Auto,
    /// The chip that this system runs on.
    Board,
    /// The PCIe or M.2 card with this index in the driver's list.
    Pcie(u16),
    /// The card computed on the CPU.
    Software(SoftwareChoice),
}

impl DeviceChoice {
    /// The software card as it is when nothing more is said: it computes, and nothing but the CPU limits it.
    pub const SOFTWARE: Self =
        Self::Software(SoftwareChoice { profile: None, compute: Compute::Full, interface: None });

    /// The choice of the card that this one has found, by its [`kind`](super::DeviceInfo::kind): where `auto` has found
    /// a real card, no other will do once models and conversations depend on it. The software card is found anew each
    /// time.
    #[must_use]
    pub fn of_found(&self, kind: &str) -> Self {
        match (self, kind) {
            (Self::Auto, "board") => Self::Board,
            (Self::Auto, "pcie") => Self::Pcie(FIRST_PCIE),
            _ => self.clone(),
        }
    }
}

/// Which software card: `software[:PROFILE|FILE.toml][,compute=none][,interface=board|pcie]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoftwareChoice {
    /// The real card whose time it keeps; `None`: it is as fast as the CPU.
    pub profile: Option<ProfileChoice>,
    /// Whether it computes.
    pub compute: Compute,
    /// The vendor's interface that it speaks; `None`: the profile's, or PCIe without one.
    pub interface: Option<Interface>,
}

/// A description of how fast a card is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileChoice {
    /// One that is built in.
    Named(String),
    /// A TOML file.
    File(PathBuf),
}

/// What the software card does when a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compute {
    /// It computes the answer.
    #[default]
    Full,
    /// It writes fixed values: for measuring time alone.
    None,
}

/// One of the vendor's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// `libax_sys` and `libax_engine`, on the chip's own Linux.
    Board,
    /// `libaxcl_rt`, on a host with a card.
    Pcie,
}

impl Interface {
    /// The device node of the host's card driver.
    pub const HOST_NODE: &str = "/dev/axcl_host";

    /// The order in which `auto` tries real cards on this system.
    pub fn order_of_auto() -> [Self; 2] {
        Self::order_on(Path::new(Self::HOST_NODE).exists())
    }

    /// The order in which `auto` tries real cards on a system that has [`Self::HOST_NODE`] or not. As for pyaxengine, a
    /// system that has it and the libraries of a board as well is the host of a card (abi.md 4.3).
    pub fn order_on(hosts_cards: bool) -> [Self; 2] {
        if hosts_cards { [Self::Pcie, Self::Board] } else { [Self::Board, Self::Pcie] }
    }

    /// The first card that speaks it.
    pub fn first_card(self) -> DeviceChoice {
        match self {
            Self::Board => DeviceChoice::Board,
            Self::Pcie => DeviceChoice::Pcie(0),
        }
    }
}

/// A text that names no card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown device '{0}': use auto, board, pcie, pcie:N (N = index of the card), software or \
     software:PROFILE, optionally followed by ,compute=none or ,interface=board|pcie"
)]
pub struct ParseDeviceChoiceError(String);

impl FromStr for DeviceChoice {
    type Err = ParseDeviceChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseDeviceChoiceError(text.to_owned());
        match text {
            "auto" => return Ok(Self::Auto),
            "board" => return Ok(Self::Board),
            "pcie" => return Ok(Self::Pcie(FIRST_PCIE)),
            _ => {}
        }
        if let Some(index) = text.strip_prefix("pcie:") {
            return index.parse().map(Self::Pcie).map_err(|_| unknown());
        }
        text.strip_prefix("software").and_then(SoftwareChoice::parse).map(Self::Software).ok_or_else(unknown)
    }
}

impl SoftwareChoice {
    /// What follows the word `software`.
    fn parse(text: &str) -> Option<Self> {
        let mut choice = Self::default();
        // From the end, because a file name may hold commas.
        let mut rest = text;
        loop {
            if let Some(before) = rest.strip_suffix(",compute=none") {
                (choice.compute, rest) = (Compute::None, before);
            } else if let Some(before) = rest.strip_suffix(",interface=board") {
                (choice.interface, rest) = (Some(Interface::Board), before);
            } else if let Some(before) = rest.strip_suffix(",interface=pcie") {
                (choice.interface, rest) = (Some(Interface::Pcie), before);
            } else {
                break;
            }
        }
        if !rest.is_empty() {
            choice.profile = Some(ProfileChoice::parse(rest.strip_prefix(':')?)?);
        }
        Some(choice)
    }
}

impl ProfileChoice {
    fn parse(text: &str) -> Option<Self> {
        let is_file = text.contains('/') || text.to_ascii_lowercase().ends_with(".toml");
        let is_name = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        match (is_file, is_name) {
            (true, _) => Some(Self::File(text.into())),
            (false, true) => Some(Self::Named(text.to_owned())),
            (false, false) => None,
        }
    }
}

impl fmt::Display for ProfileChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Board => "board",
            Self::Pcie => "pcie",
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Board => f.write_str("board"),
            Self::Pcie(FIRST_PCIE) => f.write_str("pcie"),
            Self::Pcie(index) => write!(f, "pcie:{index}"),
            Self::Software(choice) => write!(f, "software{choice}"),
        }
    }
}

impl fmt::Display for SoftwareChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(profile) = &self.profile {
            write!(f, ":{profile}")?;
        }
        if self.compute == Compute::None {
            f.write_str(",compute=none")?;
        }
        self.interface.map_or(Ok(()), |interface| write!(f, ",interface={interface}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_back_as_it_is_written() {
        for text in [
            "auto",
            "board",
            "pcie",
            "pcie:3",
            "software",
            "software:pi5-llm8850",
            "software,compute=none",
            "software:instant,compute=none,interface=board",
            "software:./my profile, new.toml,interface=pcie",
            "software:mine.toml",
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("pcie:0".parse(), Ok(DeviceChoice::Pcie(0)));
        assert_eq!("software".parse(), Ok(DeviceChoice::SOFTWARE));
        let swapped: DeviceChoice = "software:instant,interface=pcie,compute=none".parse().unwrap();
        assert_eq!(swapped.to_string(), "software:instant,compute=none,interface=pcie");
    }

    #[test]
    fn a_real_card_that_was_found_is_the_choice_from_then_on() {
        assert_eq!(DeviceChoice::Auto.of_found("board"), DeviceChoice::Board);
        assert_eq!(DeviceChoice::Auto.of_found("pcie"), DeviceChoice::Pcie(0));
        assert_eq!(DeviceChoice::Auto.of_found("software"), DeviceChoice::Auto);
        for chosen in [DeviceChoice::Pcie(3), DeviceChoice::Board, DeviceChoice::SOFTWARE] {
            assert_eq!(chosen.of_found("pcie"), chosen);
        }
    }

    #[test]
    fn names_and_files_of_profiles_are_told_apart() {
        let profile = |text: &str| match text.parse::<DeviceChoice>() {
            Ok(DeviceChoice::Software(choice)) => choice.profile.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(profile("software:board-ax650n"), ProfileChoice::Named("board-ax650n".into()));
        assert_eq!(profile("software:/etc/card"), ProfileChoice::File("/etc/card".into()));
        assert_eq!(profile("software:a,b.TOML"), ProfileChoice::File("a,b.TOML".into()));
    }

    #[test]
    fn other_texts_are_refused_with_the_list() {
        for text in [
            "",
            "gpu",
            "pcie:",
            "pcie:-1",
            "pcie:99999",
            "software:",
            "software:Pi5",
            "softwarex",
            "software,compute=some",
            "software,interface=usb",
            "Auto",
        ] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("pcie:N") && error.contains(text), "{error}");
        }
    }
}
