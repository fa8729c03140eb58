//! Which card to use: the values of `--device`.

use std::fmt;
use std::str::FromStr;

/// A wish for a card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A PCIe card if a driver is there and a card answers, else the software card.
    #[default]
    Auto,
    /// The chip that this system runs on.
    Board,
    /// The PCIe or M.2 card with this index in the driver's list.
    Pcie(u16),
    /// The card computed on the CPU.
    Software,
}

/// A text that names no card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown device '{0}': use auto, board, pcie, pcie:N (N = index of the card) or software")]
pub struct ParseDeviceChoiceError(String);

impl FromStr for DeviceChoice {
    type Err = ParseDeviceChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseDeviceChoiceError(text.to_owned());
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "board" => Ok(Self::Board),
            None if text == "pcie" => Ok(Self::Pcie(0)),
            None if text == "software" => Ok(Self::Software),
            Some(("pcie", index)) => index.parse().map(Self::Pcie).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Board => f.write_str("board"),
            Self::Pcie(0) => f.write_str("pcie"),
            Self::Pcie(index) => write!(f, "pcie:{index}"),
            Self::Software => f.write_str("software"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceChoice;

    #[test]
    fn every_choice_is_read_back_as_it_is_written() {
        for text in ["auto", "board", "pcie", "pcie:3", "software"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("pcie:0".parse(), Ok(DeviceChoice::Pcie(0)));
    }

    #[test]
    fn other_texts_are_refused_with_the_list() {
        for text in ["", "gpu", "pcie:", "pcie:-1", "pcie:99999", "software:x", "Auto"] {
            let error = text.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains("pcie:N") && error.contains(text), "{error}");
        }
    }
}
